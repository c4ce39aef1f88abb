/** As which OAuth client a peer says that it redeems leases. It is a claim: see who may make it. */
import { isObject } from '../model/json.ts';
import { leaseExtension, leaseMeta } from '../model/lease.ts';
import type { Peer, PeerContext } from '../ports/peer.ts';

/** The client id; the empty text where the extension is declared without one. */
export async function declaredClient(
  peer: Peer,
  context: PeerContext,
): Promise<string | undefined> {
  const params =
    peer.protocol === 'a2a' ? await ofAgent(peer, context) : await ofServer(peer, context);
  if (!isObject(params)) return undefined;
  const { client_id: client } = params;
  return typeof client === 'string' ? client : '';
}

async function ofAgent(
  peer: Peer & { protocol: 'a2a' },
  { signal }: PeerContext,
): Promise<unknown> {
  const { capabilities } = await peer.card({ signal });
  const declared = capabilities.extensions?.find(({ uri }) => uri === leaseExtension);
  return declared && (declared.params ?? {});
}

async function ofServer(peer: Peer & { protocol: 'mcp' }, context: PeerContext): Promise<unknown> {
  const { capabilities } = await peer.catalogue(context);
  const { extensions } = capabilities;
  return isObject(extensions) ? extensions[leaseMeta] : undefined;
}
