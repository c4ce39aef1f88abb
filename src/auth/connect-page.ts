/**
 * The page behind `/connect/{id}`: where a person sees which agent asks them to leave for another
 * site, and why, before they go. The id is sealed; it names a question, never a URL.
 *
 * Spec: MCP 2026-07-28 client/elicitation, "URL Mode Security"
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { GatewayError } from '../model/errors.ts';
import { isObject } from '../model/json.ts';
import type { Principal } from '../model/principal.ts';
import type { OpenQuestion } from '../ports/peer.ts';
import type { Seal } from '../ports/seal.ts';
import type { TaskService, TaskView } from '../ports/tasks.ts';
import { plainText, shortened } from '../translate/plain-text.ts';

/** What the page needs. */
export interface ConnectPageOptions {
  tasks: TaskService;
  seal: Pick<Seal, 'openStable'>;
  /** A peer's name for people; its id when it has none. */
  nameOf: (peerId: string) => Promise<string>;
}

/** Answers `GET /connect/{id}`. */
export type ConnectPage = (
  req: IncomingMessage,
  res: ServerResponse,
  request: { id: string; principal: Principal },
) => Promise<void>;

/** Builds the page. */
export function createConnectPage(options: ConnectPageOptions): ConnectPage {
  return async (req, res, { id, principal }) => {
    if (req.method !== 'GET' && req.method !== 'HEAD') {
      res.setHeader('allow', 'GET, HEAD');
      send(res, 405, page('Not here', '<p>This page can only be looked at.</p>'));
      return;
    }
    const found = await find(options, id, principal);
    if (found === undefined) {
      send(
        res,
        404,
        page(
          'Nothing to do here',
          '<p>This link is not valid, or the request behind it has been answered or has expired. Go back to your client to see where it stands.</p>',
        ),
      );
      return;
    }
    send(res, 200, found);
  };
}

async function find(
  { tasks, seal, nameOf }: ConnectPageOptions,
  id: string,
  principal: Principal,
): Promise<string | undefined> {
  const opened: unknown = JSON.parse(seal.openStable(id, 'connect') ?? 'null');
  const { taskId, peerId } = isObject(opened) ? opened : {};
  if (typeof taskId !== 'string' || typeof peerId !== 'string') return undefined;
  let view: TaskView;
  try {
    view = (await tasks.open(principal, taskId, peerId)).view();
  } catch (error) {
    if (error instanceof GatewayError && error.code === 'task-not-found') return undefined;
    throw error;
  }
  if (view.task.status.state !== 'TASK_STATE_AUTH_REQUIRED') return undefined;
  const name = shortened(plainText(await nameOf(peerId)), maxName) || peerId;
  return connectPage(name, peerId, explanation(view));
}

/** What an agent may fill of the page, in characters. */
const maxName = 100;
const maxText = 10_000;
const maxTargets = 20;

interface Explanation {
  text: string;
  candidates: string[];
}

/** The agent's own words and links: from the open question, else from the status that it left. */
function explanation(view: TaskView): Explanation {
  const asked = view.questions.find((question: OpenQuestion) => question.url !== undefined)?.url;
  if (asked !== undefined) return asked;
  const parts = view.task.status.message?.parts ?? [];
  const candidates = parts.flatMap((part) => {
    const data = part.data;
    const inData =
      typeof data === 'object' && data !== null && !Array.isArray(data) ? data['url'] : undefined;
    return [inData, part.url].filter((url) => typeof url === 'string');
  });
  return {
    text: parts
      .map((part) => part.text ?? '')
      .join('\n')
      .trim(),
    candidates,
  };
}

function connectPage(name: string, peerId: string, { text, candidates }: Explanation): string {
  const targets = [...new Set(candidates.map(webUrl).filter((url) => url !== undefined))];
  const words = plainText(text).slice(0, maxText);
  const target = targets.length === 1 ? targets[0] : undefined;
  const said =
    words.trim() === ''
      ? '<p>The agent gave no reason.</p>'
      : `<h2>What the agent says</h2><blockquote>${escape(words)}</blockquote>`;
  const go =
    target === undefined
      ? `<p>${
          targets.length === 0
            ? 'The agent named no address to go to.'
            : 'The agent named several addresses, so that none is offered here:'
        } Follow its words only if you trust them.</p>${list(targets)}`
      : `<h2>Where you would go</h2>
<p>Host: <strong class="host">${escape(new URL(target).host)}</strong></p>
<p class="url">${escape(target)}</p>
<p>Continue only if you know this site and expected to be sent there. Never enter there what you would not give to this agent.</p>
<p><a class="button" href="${escape(target)}" rel="noopener noreferrer external" referrerpolicy="no-referrer">Continue to ${escape(new URL(target).host)}</a></p>`;
  return page(
    `${name} asks you to sign in elsewhere`,
    `<p>The agent <strong>${escape(name)}</strong> (<code>${escape(peerId)}</code>) works on a task of yours and cannot go on without your authorization.</p>
${said}
${go}
<p>When you are done, close this window. The task goes on by itself.</p>`,
  );
}

function list(urls: string[]): string {
  if (urls.length === 0) return '';
  return `<ul>${urls
    .slice(0, maxTargets)
    .map((url) => `<li class="url">${escape(url)}</li>`)
    .join('')}</ul>`;
}

/** The normalised URL when it is one for a browser. */
function webUrl(text: string): string | undefined {
  const url = URL.parse(text);
  return url !== null &&
    /^https?:$/.test(url.protocol) &&
    url.username === '' &&
    url.password === ''
    ? url.href
    : undefined;
}

const style = `
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 36rem; margin: 0 auto; padding: 1.5rem 1rem; }
h1 { font-size: 1.4rem; line-height: 1.25; }
h2 { font-size: 1.05rem; margin-top: 1.5rem; }
blockquote { margin: 0; padding: .75rem 1rem; border-left: .25rem solid #888; white-space: pre-wrap; overflow-wrap: anywhere; }
.host, .url { overflow-wrap: anywhere; }
.host { font-size: 1.15rem; }
.url { font-family: ui-monospace, monospace; font-size: .85rem; }
.button { display: inline-block; padding: .7rem 1.2rem; border-radius: .4rem; background: #0b57d0; color: #fff; text-decoration: none; overflow-wrap: anywhere; }
.button:focus-visible { outline: .2rem solid currentColor; outline-offset: .15rem; }
`;

function page(title: string, body: string): string {
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

function send(res: ServerResponse, status: number, html: string): void {
  res.writeHead(status, {
    'content-type': 'text/html; charset=utf-8',
    'cache-control': 'no-store',
    'content-security-policy':
      "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
  });
  res.end(html);
}

const entities: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? character);
}
