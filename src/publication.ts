/**
 * What the gateway publishes of itself and its peers: its own agent, its cards and its documents,
 * over one directory.
 */
import { interfacesOf } from './a2a/agent-card.ts';
import type { CardOptions } from './a2a/card-endpoint.ts';
import { authorize, readablePeers } from './policy/permissions.ts';
import type { SigningKeys } from './auth/signing-keys.ts';
import { createCardSigner } from './card-signer.ts';
import type { Config } from './config/schema.ts';
import { aiCatalogLink } from './discovery/ai-catalog.ts';
import { cardSecurity, type CardSecurityOptions } from './discovery/card-security.ts';
import {
  createDirectory,
  type DirectoryOptions,
  type LiveDirectory,
} from './discovery/directory.ts';
import { createGatewayAgent } from './discovery/gateway-agent.ts';
import { identityOfGateway, type McpAuth, type Place } from './discovery/identity.ts';
import { PeerIdentities } from './discovery/peer-identities.ts';
import { createPermitted } from './discovery/permitted-peers.ts';
import type { AggregateOptions } from './mcp/aggregate/aggregate.ts';
import type { Clock, MintId } from './model/ids.ts';
import { product } from './model/product.ts';
import type { EventLog } from './observe/events.ts';
import type { Peers } from './peer-factory.ts';
import { gatewayItself } from './ports/credentials.ts';
import { gatewayPeerId, type PeerRegistry } from './ports/peer.ts';

/** How the peers are looked at for what is shown of them. */
const looking = { freshMs: 60_000, lookMs: 10_000, concurrency: 64 };

/** How long the first look may keep somebody waiting who names no peer. */
export const settleMs = 1000;

/** What is published, and by whom. */
export interface Publication {
  readonly directory: LiveDirectory;
  readonly place: Place;
  /** Who the MCP endpoints of peers are, to those who connect to them. */
  readonly identities: PeerIdentities;
  /** The peers, and the gateway's own agent among them. */
  readonly agents: PeerRegistry;
  /** How cards are signed and linked. */
  readonly cards: Pick<
    CardOptions,
    'signer' | 'signedCardMode' | 'isPublic' | 'link' | 'security' | 'asks'
  >;
  /** The endpoint over all peers that anybody may know of. */
  readonly aggregate: Pick<AggregateOptions, 'permitted' | 'serverInfo'>;
}

/** Builds what is published. The directory looks at the peers until it is closed. */
export function createPublication(parts: {
  peers: Peers;
  keys: SigningKeys;
  publicUrl: string;
  organization: Config['gateway']['organization'];
  mintId: MintId;
  events: EventLog;
  /** Where it is kept since when peers are known. */
  listings?: Pick<DirectoryOptions, 'known' | 'keep'>;
  clock?: Clock;
  /** Whose tokens are accepted; callers are anonymous when absent. */
  access?: () => Omit<CardSecurityOptions, 'publicUrl'>;
}): Publication {
  const {
    peers,
    keys,
    publicUrl,
    organization,
    mintId,
    events,
    listings,
    clock = Date.now,
    access,
  } = parts;
  const auth = access === undefined ? undefined : authOf(access(), publicUrl);
  const place: Place = { publicUrl, organization, version: product.version, ...(auth && { auth }) };
  const directory = createDirectory({
    peers,
    isPublic: (id) => peers.configOf(id)?.public === true,
    ...(access !== undefined && { principal: gatewayItself }),
    clock,
    ...looking,
    ...listings,
    onState: (peer, reason) =>
      events.emit(
        reason === undefined ? { event: 'peer.back', peer } : { event: 'peer.away', peer, reason },
      ),
  });
  const isPublic = (id: string): boolean => peers.configOf(id)?.public === true;
  const permitted = createPermitted({
    peers,
    directory,
    isPublic,
    readableTo: readablePeers,
  });
  const agent = createGatewayAgent({
    permitted,
    authorize,
    card: {
      organization,
      publicUrl,
      interfaces: interfacesOf({ peerId: gatewayPeerId, publicUrl }),
    },
    peers,
    mintId,
    settleMs,
    extended: access !== undefined,
  });
  const { name, title, version } = identityOfGateway(place);
  return {
    directory,
    place,
    identities: new PeerIdentities(directory, place),
    agents: {
      get: (id) => (id === gatewayPeerId ? agent : peers.get(id)),
      list: () => peers.list(),
    },
    cards: {
      signer: createCardSigner(keys, publicUrl),
      signedCardMode: (id) => {
        const peer = peers.configOf(id);
        return peer?.kind === 'a2a' ? peer.signedCard : 'resign';
      },
      isPublic: (id) => id === gatewayPeerId || peers.configOf(id)?.public === true,
      link: aiCatalogLink(place),
      ...(access !== undefined && {
        security: {
          mark: () => JSON.stringify(access()),
          of: (peerId: string) => cardSecurity({ ...access(), publicUrl })(peerId),
        },
        asks: gatewayItself,
      }),
    },
    aggregate: { permitted, serverInfo: { name, title, version } },
  };
}

/** Where tokens for the MCP endpoints come from, for readers who take one place only. */
function authOf(
  { sts, authorizationServer, issuers }: Omit<CardSecurityOptions, 'publicUrl'>,
  publicUrl: string,
): McpAuth {
  if (authorizationServer) return { type: 'oauth2', token_url: `${publicUrl}/as/token` };
  if (sts) return { type: 'oauth2', token_url: `${publicUrl}/sts/token` };
  const [issuer = ''] = issuers;
  return { type: 'oauth2', issuer };
}
