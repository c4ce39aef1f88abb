/**
 * The browser comes back from the provider. Who answered is checked before anything of the answer
 * is used or shown; then whether it is the answer to a question of this browser; then what it says.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { AuthorizationResponseError, ResponseBodyError } from 'openid-client';
import { attemptCookieName, type LoginAttempt } from './attempt.ts';
import { cookiesOf, hostCookie, noCookie, sessionCookie } from './cookies.ts';
import type { LoginProblem } from './login-pages.ts';
import type { ProvenPerson, ProviderClient } from './provider.ts';
import type { LoginParts } from './parts.ts';
import { redirect } from './paths.ts';

/** Answers the redirect URI of one provider. */
export type Callback = (
  req: IncomingMessage,
  res: ServerResponse,
  from: { readonly client: ProviderClient; readonly query: URLSearchParams },
) => Promise<void>;

/** The clocks of the gateway and of a provider may differ by so much. */
const skewMs = 60_000;

/** Builds the callback. */
export function createCallback(parts: LoginParts): Callback {
  const { attempts, sessions, clock, nameOf, fail } = parts;
  return async (req, res, { client, query }) => {
    const { organization, issuer } = client.config;
    const name = nameOf(client);
    const refused = await foreign(client, query).catch((error: unknown) => ({ error }));
    if (typeof refused === 'object') {
      return fail(res, { kind: 'unreachable', name }, { organization, error: refused.error });
    }
    if (refused) return fail(res, { kind: 'foreign-answer' }, { organization });
    const state = only(query, 'state');
    if (state === undefined || !wellFormed(query)) {
      return fail(res, { kind: 'unreadable-answer' }, { organization });
    }
    const attempt = await attempts.finish(state, cookiesOf(req));
    if (typeof attempt === 'string') return fail(res, { kind: attempt }, { organization });
    res.appendHeader('set-cookie', noCookie(attemptCookieName(state)));
    const { returnTo } = attempt;
    // Spec: RFC 9700 §4.4.2 (mix-up: each issuer has its own redirect URI)
    if (attempt.organization !== organization || attempt.issuer !== issuer) {
      return fail(res, { kind: 'foreign-answer' }, { organization, returnTo });
    }
    let proven: ProvenPerson;
    try {
      const url = new URL(`${parts.redirectUri(organization)}?${query.toString()}`);
      proven = await client.redeem(url, attempt, state);
    } catch (error) {
      return fail(res, problemOf(error, name), { organization, returnTo, error });
    }
    if (!isFreshEnough(proven, attempt)) {
      return fail(res, { kind: 'not-fresh', name }, { organization, returnTo });
    }
    // A login never continues a session: whoever knew the old cookie does not know the new one.
    const before = cookiesOf(req).get(sessionCookie);
    if (before !== undefined) await sessions.end(before);
    const { subject, displayName, authenticatedAt = clock(), tokens } = proven;
    const person = { organization, issuer, subject };
    const started = await sessions.start({ person, displayName, authenticatedAt }, tokens);
    const { value, endsAt } = started;
    res.appendHeader('set-cookie', hostCookie(sessionCookie, value, endsAt - clock()));
    redirect(res, returnTo);
  };
}

/**
 * Whether somebody else answered: the issuer is compared as a string, must be there where the
 * provider says that it is, and only once.
 *
 * Spec: RFC 9207 §2.4
 */
async function foreign(client: ProviderClient, query: URLSearchParams): Promise<boolean> {
  const named = query.getAll('iss');
  if (named.length > 1) return true;
  if (named.length === 1) return named[0] !== client.config.issuer;
  return client.namesItself();
}

/** A code or an error, and nothing twice. Spec: RFC 6749 §3.1, §4.1.2 */
function wellFormed(query: URLSearchParams): boolean {
  const names = [...query.keys()];
  return new Set(names).size === names.length && query.has('code') !== query.has('error');
}

function only(query: URLSearchParams, name: string): string | undefined {
  const values = query.getAll(name);
  return values.length === 1 && values[0] !== '' ? values[0] : undefined;
}

/** Spec: OpenID Connect Core §3.1.2.1 (max_age: the ID token has `auth_time`) */
function isFreshEnough({ authenticatedAt }: ProvenPerson, attempt: LoginAttempt): boolean {
  if (!attempt.fresh) return true;
  return authenticatedAt !== undefined && authenticatedAt >= attempt.startedAt - skewMs;
}

function problemOf(error: unknown, name: string): LoginProblem {
  if (error instanceof AuthorizationResponseError) {
    return error.error === 'access_denied'
      ? { kind: 'declined', name }
      : { kind: 'provider-error', name, code: errorCode(error.error) };
  }
  if (error instanceof ResponseBodyError) {
    return { kind: 'provider-error', name, code: errorCode(error.error) };
  }
  return { kind: 'not-proven', name };
}

/** An error code as the specification lets it be. Spec: RFC 6749 §4.1.2.1 */
function errorCode(code: string): string {
  return /^[\x20-\x21\x23-\x5b\x5d-\x7e]{1,64}$/.test(code) ? code : 'an error';
}
