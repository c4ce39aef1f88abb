/**
 * Who may administer: a program on this machine that talks to a listener of this machine, and no
 * page in a browser, whatever it was tricked into sending.
 */
import type { IncomingMessage } from 'node:http';
import { Problem } from './problem.ts';

const forwarding = ['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip', 'via'];

/** Whether an `Authorization` header proves who administers. */
export type AdminCheck = (authorization: string | undefined) => boolean;

/** Throws a problem for a request from elsewhere, and for one that does not know the token. */
export function checkLocal(req: IncomingMessage, mayAdminister: AdminCheck): void {
  const refused = notLocal(req);
  if (refused !== undefined) throw new Problem(403, refused);
  // Behind a proxy that says nothing of itself everybody is local: this machine is no identity.
  if (!mayAdminister(req.headers.authorization)) {
    throw new Problem(
      401,
      'Send the token in the file admin-token of the keys directory as "Authorization: Bearer …".',
    );
  }
}

/** Why a request does not come from a program on this machine; undefined when it does. */
export function notLocal(req: IncomingMessage): string | undefined {
  const { remoteAddress, localAddress } = req.socket;
  if (!isLoopback(remoteAddress) || !isLoopback(localAddress)) {
    return 'This is open to this machine only. Call it on 127.0.0.1.';
  }
  // Behind a proxy on this machine everybody would be local.
  if (forwarding.some((name) => req.headers[name] !== undefined)) {
    return 'This is not open to requests that a proxy has forwarded.';
  }
  const { host, origin } = req.headers;
  if (host === undefined || !/^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/i.test(host)) {
    return 'The Host header must name this machine, such as 127.0.0.1.';
  }
  const site = req.headers['sec-fetch-site'];
  const foreign = site !== undefined && site !== 'same-origin' && site !== 'none';
  if (foreign || (origin !== undefined && origin !== `http://${host}`)) {
    return 'Pages of other sites may not use this.';
  }
  return undefined;
}

function isLoopback(address: string | undefined): boolean {
  if (address === undefined) return false;
  const plain = address.replace(/^::ffff:/i, '');
  return plain === '::1' || /^127\.\d+\.\d+\.\d+$/.test(plain);
}
