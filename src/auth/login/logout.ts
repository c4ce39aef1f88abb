/** The end of a session. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { isFromOwnPage, isOwnForm, readForm } from '../pages/form.ts';
import { sendPage } from '../pages/page.ts';
import { cookiesOf, noCookie, sessionCookie } from './cookies.ts';
import { loggedOutPage } from './login-pages.ts';
import type { LoginParts } from './parts.ts';
import { redirect } from './paths.ts';

/**
 * Answers `/logout`. A form of another site carries no cookie (`Lax`) and looks like one of nobody:
 * its answer must not remove the cookie either.
 */
export function createLogout(
  parts: LoginParts,
): (req: IncomingMessage, res: ServerResponse) => Promise<void> {
  const { origin, sessions, clients, fail } = parts;
  return async (req, res) => {
    const value = cookiesOf(req).get(sessionCookie);
    const session = value === undefined ? undefined : await sessions.find(value);
    if (req.method === 'GET') {
      if (session !== undefined) return redirect(res, '/login');
      return sendPage(res, { status: 200, html: loggedOutPage('/login') });
    }
    if (!isFromOwnPage(req, origin)) return fail(res, { kind: 'foreign-form' });
    if (session !== undefined && value !== undefined) {
      const fields = await readForm(req);
      if (fields === undefined || !isOwnForm(req, origin, { session, fields })) {
        return fail(res, { kind: 'foreign-form' });
      }
      const tokens = await sessions.end(value);
      const client = clients.get(session.person.organization);
      if (tokens?.refreshToken !== undefined) {
        // The session has ended whether or not the provider hears of it.
        await client?.revoke(tokens.refreshToken).catch(() => {});
      }
    }
    res.appendHeader('set-cookie', noCookie(sessionCookie));
    sendPage(res, { status: 200, html: loggedOutPage('/login') });
  };
}
