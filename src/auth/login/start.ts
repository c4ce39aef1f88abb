/** The way to the provider: which one, and with what the browser leaves. */
import type { IncomingMessage } from 'node:http';
import type { People } from '../../ports/people.ts';
import { sendPage } from '../pages/page.ts';
import { attemptCookie, attemptLifetimeMs } from './attempt.ts';
import { cookiesOf, hostCookie, noCookie } from './cookies.ts';
import { choicePage } from './login-pages.ts';
import type { LoginParts } from './parts.ts';
import { loginPath, redirect } from './paths.ts';
import { ownPath } from './return-to.ts';

/** Attempts that one browser may have under way. */
const maxAttemptCookies = 8;
/** Characters of their cookies, which come with every request: servers bound its headers. */
const maxAttemptText = 8192;

/** Builds the start of a login. */
export function createStart(parts: LoginParts): People['login'] {
  const { clients, attempts, nameOf, redirectUri, fail } = parts;
  return async (req, res, ask) => {
    const returnTo = ownPath(ask.returnTo) ?? '/login';
    const only = clients.size === 1 ? [...clients.values()][0] : undefined;
    const client = ask.organization === undefined ? only : clients.get(ask.organization);
    if (client === undefined) {
      if (ask.organization !== undefined || clients.size === 0) {
        return fail(res, { kind: 'unknown-organization' }, { returnTo });
      }
      const choices = [...clients].map(([organization, one]) => ({
        name: nameOf(one),
        href: loginPath({ organization, returnTo, fresh: ask.fresh }),
      }));
      return sendPage(res, { status: 200, html: choicePage(choices) });
    }
    const { organization, issuer } = client.config;
    const fresh = ask.fresh ?? false;
    const started = await attempts.start({ organization, issuer, returnTo, fresh });
    let target: URL;
    try {
      const way = { state: started.state, redirectUri: redirectUri(organization) };
      target = await client.authorizationUrl(started.attempt, way);
    } catch (error) {
      const problem = { kind: 'unreachable', name: nameOf(client) } as const;
      return fail(res, problem, { organization, returnTo, error });
    }
    const { name, value } = started.cookie;
    for (const old of surplus(req, value.length)) res.appendHeader('set-cookie', noCookie(old));
    res.appendHeader('set-cookie', hostCookie(name, value, attemptLifetimeMs));
    redirect(res, target.href);
  };
}

/** The cookies of attempts that are too many beside a new one: browsers send the oldest first. */
function surplus(req: IncomingMessage, added: number): `__Host-${string}`[] {
  const open = [...cookiesOf(req)].filter(([name]) => name.startsWith(attemptCookie)).reverse();
  let [count, text] = [1, added];
  return open.flatMap(([name, value]): `__Host-${string}`[] => {
    [count, text] = [count + 1, text + value.length];
    const fits = count <= maxAttemptCookies && text <= maxAttemptText;
    return fits ? [] : [`__Host-${name.slice('__Host-'.length)}`];
  });
}
