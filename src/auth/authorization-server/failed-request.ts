/**
 * What becomes of the answer to a request that failed. A client that nobody here knows could have a
 * person sent to any site by a request that cannot succeed: it is told nothing, and the person is,
 * unless they have let this client act for them before, or have just answered it.
 *
 * Spec: RFC 9700 §4.11.2 (the authorization server as open redirector)
 */
import type { KoaContextWithOIDC, Provider, errors } from 'oidc-provider';
import type { Person } from '../../model/principal.ts';
import { busySeconds, sendBusy, sendErrorPage } from './error-page.ts';
import { sendJson } from './json-reply.ts';
import type { ProviderParts } from './parts.ts';
import { redirectPlace } from './redirect-uris.ts';

/** Whether an error may be sent to a client through the browser of this person. */
export async function mayHearErrors(
  { clients, consents }: Pick<ProviderParts, 'clients' | 'consents'>,
  asked: { readonly clientId: string; readonly person: Person | undefined },
): Promise<boolean> {
  if (clients.originOf(asked.clientId) === 'operator') return true;
  return asked.person !== undefined && (await consents.hasAny(asked.person, asked.clientId));
}

/** Where the client of a request is, for people. */
export function clientPlace(
  { clients }: Pick<ProviderParts, 'clients'>,
  { clientId, redirectUri }: { readonly clientId: string; readonly redirectUri: string },
): string {
  const isUrl = clients.originOf(clientId) === 'document' && URL.canParse(clientId);
  return isUrl ? new URL(clientId).host : redirectPlace(redirectUri);
}

/** Takes the place of answers that must not be sent. */
export function replaceAnswers(provider: Provider, parts: ProviderParts): void {
  const failures = new WeakMap<KoaContextWithOIDC, errors.OIDCProviderError>();
  provider.on('authorization.error', (ctx, error) => void failures.set(ctx, error));
  provider.use(async (context, next) => {
    await next();
    const ctx = context as KoaContextWithOIDC;
    if (ctx.respond === false) return;
    if (parts.busy.has(ctx.req) && ctx.status >= 300) return sayBusy(ctx);
    const error = failures.get(ctx);
    if (error === undefined) return;
    const { client_id: id, redirect_uri: uri } = ctx.oidc.params ?? {};
    const [clientId, redirectUri] = [String(id), String(uri)];
    // Whoever declined on the page of the consent wants the client to know.
    if (ctx.oidc.entities.Interaction?.result?.error !== undefined) return;
    const person = (await parts.options.people.sessionOf(ctx.req))?.person;
    if (await mayHearErrors(parts, { clientId, person })) return;
    withoutAnswer(ctx);
    ctx.status = 400;
    const { message, error_description: description } = error;
    const out = { error: message, ...(description && { error_description: description }) };
    const client = clientPlace(parts, { clientId, redirectUri });
    sendErrorPage(ctx, out, { expose: true, client });
  });
}

function sayBusy(ctx: KoaContextWithOIDC): void {
  withoutAnswer(ctx);
  ctx.respond = false;
  if (ctx.oidc?.route === 'authorization' || ctx.oidc?.route === 'resume') {
    return sendBusy(ctx.res);
  }
  const body = { error: 'temporarily_unavailable' };
  sendJson(ctx.res, 503, body, { 'retry-after': String(busySeconds) });
}

function withoutAnswer(ctx: KoaContextWithOIDC): void {
  for (const name of ['location', 'content-type', 'content-length']) ctx.remove(name);
}
