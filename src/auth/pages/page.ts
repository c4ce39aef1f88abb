/**
 * The shell of every page that people see: server-rendered, no script, nothing loaded from
 * elsewhere, never framed.
 */
import { createHash } from 'node:crypto';
import type { ServerResponse } from 'node:http';

/** HTML that is ready to be sent: what is not ours in it has been escaped. */
export type Html = string;

const style = `
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 36rem; margin: 0 auto; padding: 1.5rem 1rem; }
h1 { font-size: 1.4rem; line-height: 1.25; overflow-wrap: anywhere; }
h2 { font-size: 1.05rem; margin-top: 1.5rem; }
blockquote { margin: 0; padding: .75rem 1rem; border-left: .25rem solid #888; white-space: pre-wrap; overflow-wrap: anywhere; }
dt { font-weight: 600; margin-top: .5rem; }
dd { margin: 0; overflow-wrap: anywhere; }
form { margin: 1rem 0; }
.host, .url { overflow-wrap: anywhere; }
.host { font-size: 1.15rem; }
.url { font-family: ui-monospace, monospace; font-size: .85rem; }
.choices { list-style: none; padding: 0; }
.choices li { margin: .75rem 0; }
.button { display: inline-block; box-sizing: border-box; max-width: 100%; min-height: 2.75rem; padding: .7rem 1.2rem; border: 1px solid transparent; border-radius: .4rem; background: #0b57d0; color: #fff; font: inherit; line-height: 1.25; text-decoration: none; overflow-wrap: anywhere; cursor: pointer; }
.button.quiet { background: transparent; color: inherit; border-color: currentColor; }
.button:focus-visible { outline: .2rem solid currentColor; outline-offset: .15rem; }
`;

const styleHash = createHash('sha256').update(style).digest('base64');

/** A whole page. `title` is plain text; `body` is HTML. */
export function page(title: string, body: Html): Html {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${escape(title)}</title>
<style>${style}</style>
</head>
<body>
<main>
<h1>${escape(title)}</h1>
${body}
</main>
</body>
</html>
`;
}

/** What a page may do besides being looked at. */
export interface PageOptions {
  /** It holds forms that go to this gateway. */
  readonly forms?: boolean;
  /**
   * Origins that the answer to such a form redirects to: browsers hold the redirects of a form
   * against `form-action` too. Spec: CSP3 §6.4.1 (form-action)
   */
  readonly redirectsTo?: readonly string[];
  /** Further headers, such as `set-cookie`. */
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
}

/** Sends a page. It is stored nowhere, framed nowhere, runs nothing and tells nobody its address. */
export function sendPage(
  res: ServerResponse,
  reply: { readonly status: number; readonly html: Html } & PageOptions,
): void {
  for (const [name, value] of Object.entries(reply.headers ?? {})) {
    res.setHeader(name, typeof value === 'string' ? value : [...value]);
  }
  res.writeHead(reply.status, {
    'content-type': 'text/html; charset=utf-8',
    'cache-control': 'no-store',
    'content-security-policy': policyOf(reply),
    // Under `no-referrer` a browser posts our own forms with `Origin: null`. Spec: Fetch, "append
    // a request `Origin` header"
    'referrer-policy': reply.forms === true ? 'same-origin' : 'no-referrer',
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    'cross-origin-opener-policy': 'same-origin',
  });
  res.end(reply.html);
}

function policyOf({ forms = false, redirectsTo = [] }: PageOptions): string {
  const targets = forms ? ["'self'", ...redirectsTo.map(originOf)].join(' ') : "'none'";
  return `default-src 'none'; style-src 'sha256-${styleHash}'; base-uri 'none'; form-action ${targets}; frame-ancestors 'none'`;
}

/** Only an origin goes into the policy: nothing in a URL can add a directive. */
function originOf(url: string): string {
  return new URL(url).origin;
}

const entities: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Text as it may stand in HTML, between tags or in a quoted attribute. */
export function escape(text: string): Html {
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? character);
}
