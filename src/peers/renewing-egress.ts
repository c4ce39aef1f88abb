/**
 * The guarded client for one peer whose tokens end: a request that is refused for its token is
 * repeated once with another. Every body that goes through here is text or bytes, so that the same
 * request can be sent again; whoever refuses a token has not acted on it.
 *
 * Spec: RFC 6750 §3.1, RFC 9449 §8, §9
 */
import type { PeerCredentials } from '../ports/credentials.ts';
import type { EgressReply, EgressRequest } from './egress/exchange.ts';
import { fetchOver } from './egress/fetch.ts';
import type { Egress } from './guarded-fetch.ts';

/** A client that repeats what was refused; requests without credentials are not its matter. */
export function renewingEgress(
  egress: Pick<Egress, 'request'>,
  credentials: Pick<PeerCredentials, 'renew' | 'proofs'>,
): Pick<Egress, 'fetch' | 'request'> {
  const request: Egress['request'] = async (target, init = {}) => {
    const name = Object.keys(init.headers ?? {}).find((one) => /^authorization$/i.test(one));
    const sent = name === undefined ? undefined : init.headers?.[name];
    if (name === undefined || sent === undefined) return egress.request(target, init);
    const attempt = (authorization: string): Promise<EgressReply> =>
      proven(egress, credentials, { target, init, name, authorization });
    const reply = await attempt(sent);
    if (!isRenewable(reply)) return reply;
    const renewed = await renewalOf(credentials, sent, reply, init.signal);
    if (renewed === undefined || renewed === sent) return reply;
    reply.discard();
    return attempt(renewed);
  };
  return { request, fetch: fetchOver(request) };
}

interface Attempt {
  readonly target: string | URL;
  readonly init: EgressRequest;
  /** The header as the caller spells it. */
  readonly name: string;
  readonly authorization: string;
}

/** Sends a request with its proof, and once more when the peer wants a nonce in it. */
async function proven(
  egress: Pick<Egress, 'request'>,
  { proofs }: Pick<PeerCredentials, 'proofs'>,
  { target, init, name, authorization }: Attempt,
): Promise<EgressReply> {
  const headers = { ...init.headers, [name]: authorization };
  const url = typeof target === 'string' ? URL.parse(target) : target;
  if (proofs === undefined || url === null) return egress.request(target, { ...init, headers });
  const method = init.method ?? 'GET';
  const attempt = async (): Promise<{ reply: EgressReply; isNew: boolean }> => {
    const proof = await proofs.proof({ authorization, method, url });
    const proved = proof === undefined ? headers : { ...headers, dpop: proof };
    const reply = await egress.request(target, { ...init, headers: proved });
    const nonce = reply.header('dpop-nonce');
    return { reply, isNew: nonce !== undefined && proofs.heard(url, nonce) };
  };
  const { reply, isNew } = await attempt();
  const wantsNonce = challengesOf(reply).some((one) => one.includes('use_dpop_nonce'));
  if (reply.status !== 401 || !isNew || !wantsNonce) return reply;
  reply.discard();
  return (await attempt()).reply;
}

async function renewalOf(
  credentials: Pick<PeerCredentials, 'renew'>,
  sent: string,
  reply: EgressReply,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  try {
    const challenges = challengesOf(reply);
    return await credentials.renew(sent, { challenges, ...(signal && { signal }) });
  } catch (error) {
    reply.discard();
    throw error;
  }
}

/** Spec: RFC 6750 §3.1: a 403 is about the token only where it says so. */
function isRenewable(reply: EgressReply): boolean {
  if (reply.status === 401) return true;
  return (
    reply.status === 403 && challengesOf(reply).some((one) => one.includes('insufficient_scope'))
  );
}

function challengesOf({ headers }: EgressReply): string[] {
  const value = headers['www-authenticate'];
  return value === undefined ? [] : [value].flat();
}
