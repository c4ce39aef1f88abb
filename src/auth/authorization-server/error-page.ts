/** What people see where an answer cannot be sent to their client. */
import type { ErrorOut, KoaContextWithOIDC } from 'oidc-provider';
import type { ServerResponse } from 'node:http';
import { escape, page, sendPage } from '../pages/page.ts';

/** Answers a request of the library's with a page. */
export function sendErrorPage(
  ctx: KoaContextWithOIDC,
  out: ErrorOut,
  error: { readonly expose?: boolean; readonly client?: string } | Error,
): void {
  const { status } = ctx;
  ctx.respond = false;
  const isOurs = 'expose' in error && error.expose === true;
  const why = isOurs
    ? (explanations[out.error] ?? out.error_description ?? 'The request cannot be understood.')
    : 'Something went wrong here, and the operator has been told.';
  const client = 'client' in error ? error.client : undefined;
  sendProblem(ctx.res, { status, why, code: out.error, ...(client !== undefined && { client }) });
}

/** Sends the page for requests that have to wait. */
export function sendBusy(res: ServerResponse, afterSeconds = busySeconds): void {
  res.setHeader('retry-after', String(afterSeconds));
  const why = 'Too many people sign in at this moment. Try again a little later.';
  sendProblem(res, { status: 503, why, code: 'temporarily_unavailable' });
}

/** When a document of a client can be asked for again. */
export const busySeconds = 5;

/** Why a sign-in ends. */
interface Problem {
  readonly status: number;
  /** Plain text. */
  readonly why: string;
  readonly code?: string;
  /** Where the client is that gets no answer. */
  readonly client?: string;
}

/** Sends the page that says why a sign-in ends here. */
export function sendProblem(res: ServerResponse, { status, why, code, client }: Problem): void {
  const place = client === undefined ? '' : `<p>It was asked for by: ${escape(client)}</p>`;
  const name = code === undefined ? '' : `<p>Error code: <code>${escape(code)}</code></p>`;
  sendPage(res, {
    status,
    html: page(
      'This sign-in cannot go on',
      `<p>${escape(why)}</p>
<p>Close this page, go back to your client and start again from there.</p>
${place}
${name}`,
    ),
  });
}

const explanations: Readonly<Record<string, string>> = {
  invalid_client:
    'The client is not known here. A client that describes itself at an https URL is refused when its document cannot be fetched, names another client_id, asks for a shared secret, or is not allowed by the operator.',
  invalid_redirect_uri: 'The client asks for an answer at an address that is not its own.',
};
