/** Where tokens may go: bounds on what a peer is given, beyond what it wants. */
import type { Mistake } from './mistake.ts';
import { originsOf, type PeerConfig } from './peer.ts';

/** What these rules look at in an entry of `connections`. */
interface Connection {
  readonly id: string;
  readonly origins?: readonly string[] | undefined;
}

/**
 * Whether tokens of a connection may be sent to these origins. Without a list of its own it is for
 * the peers that the configuration names.
 */
export function mayHaveTokens(
  connection: Pick<Connection, 'origins'>,
  peer: { readonly origins: readonly string[]; readonly isConfigured: boolean },
): boolean {
  const { origins } = connection;
  if (origins === undefined) return peer.isConfigured;
  return peer.origins.every((origin) => origins.includes(origin));
}

/** What is wrong with the connection that a peer of the configuration wants. */
export function connectionMistakes(
  peer: PeerConfig,
  connections: readonly Connection[],
  isConfigured = true,
): Mistake[] {
  const { credentials } = peer;
  if (credentials.type !== 'user_oauth') return [];
  const path = 'credentials.connection';
  const connection = connections.find(({ id }) => id === credentials.connection);
  if (connection === undefined) {
    return [{ path, message: 'expected the id of an entry of connections' }];
  }
  // Where such a peer is found is looked at when it asks for tokens.
  if (peer.kind === 'discover') return [];
  if (mayHaveTokens(connection, { origins: originsOf(peer), isConfigured })) return [];
  const message =
    connection.origins === undefined
      ? `expected a connection that lists the peer's origin: the operator has to set origins of "${connection.id}" in the configuration file`
      : `expected a peer at one of the origins that "${connection.id}" lists: ${connection.origins.join(', ')}`;
  return [{ path, message }];
}

/**
 * What is wrong with the credentials of a peer that is added while the gateway runs. Whoever adds it
 * decides where tokens are sent: the gateway must not fetch any with its own keys, or in its
 * callers' names, that are for somebody else.
 */
export function runtimeMistakes(peer: PeerConfig, connections: readonly Connection[]): Mistake[] {
  const { credentials } = peer;
  switch (credentials.type) {
    case 'none':
    case 'bearer':
      return [];
    case 'user_oauth':
      return connectionMistakes(peer, connections, false);
    case 'client_credentials':
    case 'token_exchange':
    case 'id_jag':
      break;
    default:
      credentials satisfies never;
  }
  const [home] = peer.kind === 'discover' ? [new URL(peer.url).origin] : originsOf(peer);
  const isHome = (text: string): boolean => URL.parse(text)?.origin === home;
  const { resource } = credentials;
  const mistakes: Mistake[] = [];
  if (resource !== undefined && !isHome(resource)) {
    const message = `expected a URL at the peer's own origin, ${home}: only peers of the configuration file may have tokens for others`;
    mistakes.push({ path: 'credentials.resource', message });
  }
  const audience = 'audience' in credentials ? credentials.audience : undefined;
  // With a secret of its own a client gets nothing that whoever has the secret could not get.
  const isOwn =
    credentials.type === 'client_credentials' &&
    (credentials.clientSecret !== undefined || credentials.key !== undefined);
  if (audience !== undefined && !isOwn && !isHome(audience)) {
    const message = `expected a URL at the peer's own origin, ${home}, where tokens are got with the gateway's own key or for its callers`;
    mistakes.push({ path: 'credentials.audience', message });
  }
  return mistakes;
}
