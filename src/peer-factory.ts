/** Makes the connectors to the peers of a configuration, and the guarded way out to them. */
import {
  createPeerCredentials,
  type PeerCredentialsParts,
} from './auth/credentials/peer-credentials.ts';
import { agentResource, serverResource } from './auth/credentials/resource.ts';
import { createCardCheck, trustIn } from './card-check.ts';
import { originsOf, type ResolvedPeerConfig } from './config/peer.ts';
import type { Config } from './config/schema.ts';
import { createMintId, pooledRandomBytes } from './model/ids.ts';
import type { EventLog } from './observe/events.ts';
import { createA2aPeer } from './peers/a2a/a2a-peer.ts';
import { approved } from './peers/approved-peer.ts';
import { connected, type ConnectedOptions } from './peers/connected-peer.ts';
import type { EgressRefusedError } from './peers/egress/refused.ts';
import { createEgress, type Egress } from './peers/guarded-fetch.ts';
import { createMcpPeer } from './peers/mcp/peer.ts';
import { measured } from './peers/measured.ts';
import { pinnedEgress } from './peers/pinned-egress.ts';
import { renewingEgress } from './peers/renewing-egress.ts';
import { ConfiguredPeers, type ManagedPeer } from './peers/registry.ts';
import type { OnBehalf, PeerCredentials } from './ports/credentials.ts';
import type { PeerDefinitions } from './ports/definitions.ts';
import { createTimeBudget } from './time-budget.ts';
import { SchemaValidator } from './translate/json-schema.ts';

/** The peers in force. */
export type Peers = ConfiguredPeers<ResolvedPeerConfig>;

/** What connectors are made of. */
export interface PeerFactoryParts {
  /** The configuration that is in force now. */
  readonly config: () => Config;
  readonly egress: Egress;
  readonly events: EventLog;
  /** What may be shown of a peer; everything when absent. */
  readonly definitionsOf?: (peerId: string, how: { perCaller: boolean }) => PeerDefinitions;
  /** The same peer, lent to; nothing is lent when absent. */
  readonly lent?: (peer: ManagedPeer) => ManagedPeer;
  /** Asks people for consent; nobody can be asked when absent. */
  readonly consent?: Pick<ConnectedOptions, 'connections' | 'replay'>;
  /** With what the gateway identifies itself, and its callers, to peers. */
  readonly outbound: Pick<
    PeerCredentialsParts,
    'keys' | 'publicUrl' | 'identityOf' | 'connections'
  >;
}

/** Silence of an agent's stream after which it is asked how the task stands. */
const agentIdleMs = 60_000;
/** How long an agent that works on a task may be out of reach. */
const recoverMs = 8000;
/** The longest time that a timer can be set to. */
const forEver = 2 ** 31 - 1;
const clock = Date.now;

/** A registry without peers yet. */
export function createPeers(parts: PeerFactoryParts): Peers {
  const { events, definitionsOf } = parts;
  const shared = {
    ...parts,
    validator: new SchemaValidator({ within: createTimeBudget() }),
    mintId: createMintId(pooledRandomBytes()),
  };
  const make = (peer: ResolvedPeerConfig): ManagedPeer => {
    const shown = definitionsOf?.(peer.id, { perCaller: knowsCallers(peer, parts.config()) });
    const made = measured(makePeer(peer, { ...shared, shown }), events);
    const judged = shown === undefined ? made : approved(made, { definitions: shown });
    // An offer is made when the peer is called, so that no reference waits for a person's consent.
    const whole = parts.lent?.(judged) ?? judged;
    if (peer.credentials.type !== 'user_oauth' || parts.consent === undefined) return whole;
    const { connection } = peer.credentials;
    const use = { connection, peerId: peer.id, ...placeOf(peer) };
    return connected(whole, { use, ...parts.consent, mintId: shared.mintId, clock });
  };
  return new ConfiguredPeers<ResolvedPeerConfig>(make, {
    // Trust that was taken back must reach connectors whose own entry is the same.
    around: (peer) => (peer.kind === 'a2a' ? trustIn(peer, parts.config().organizations) : null),
    onShadowed: (peer) => events.emit({ event: 'peer.shadowed', peer }),
  });
}

/** Whether a peer is shown who is calling, so that it may offer each caller something else. */
function knowsCallers({ credentials: { type } }: ResolvedPeerConfig, { auth }: Config): boolean {
  if (auth.mode === 'open') return false;
  return type === 'token_exchange' || type === 'id_jag' || type === 'user_oauth';
}

/** What a peer's tokens are for, and where they are sent. */
function placeOf(peer: ResolvedPeerConfig): { resource: string; origins: readonly string[] } {
  const resource = peer.kind === 'a2a' ? agentResource(peer.card) : serverResource(peer.url);
  return { resource, origins: originsOf(peer) };
}

/** The guarded client under the configuration's rules. */
export function openEgress(
  config: Config,
  events: EventLog,
  isOwn?: (url: URL) => boolean,
): Egress {
  return createEgress({
    ...config.egress,
    ...(isOwn !== undefined && { isOwn }),
    limits: {
      maxResponseBytes: config.limits.peerReply,
      connectTimeoutMs: config.limits.peerConnect,
    },
    onRefused: refusalsInto(events),
  });
}

function refusalsInto(events: EventLog): (error: EgressRefusedError) => void {
  return ({ host, reason }) => events.emit({ event: 'egress.refused', host, reason });
}

/** The headers of each request to a peer; made once where they never change. */
function sentWith(
  { headers, credentials: { type } }: ResolvedPeerConfig,
  credentials: PeerCredentials,
): (behalf: OnBehalf) => Promise<Readonly<Record<string, string>>> {
  const make = async (behalf: OnBehalf): Promise<Readonly<Record<string, string>>> => ({
    ...headers,
    ...(await credentials.headers(behalf)),
  });
  if (type !== 'none' && type !== 'bearer') return make;
  let made: ReturnType<typeof make> | undefined;
  return (behalf) => (made ??= make(behalf));
}

/** The way out to a peer; refused tokens are renewed where there are others to be had. */
function renewing<E extends Pick<Egress, 'fetch' | 'request'>>(
  egress: E,
  { credentials: { type } }: ResolvedPeerConfig,
  credentials: PeerCredentials,
): Pick<Egress, 'fetch' | 'request'> {
  return type === 'none' || type === 'bearer' ? egress : renewingEgress(egress, credentials);
}

function makePeer(
  peer: ResolvedPeerConfig,
  parts: PeerFactoryParts & {
    validator: SchemaValidator;
    mintId: ReturnType<typeof createMintId>;
    shown: PeerDefinitions | undefined;
  },
): ManagedPeer {
  const { egress, events, mintId, validator, shown } = parts;
  const { limits, organizations } = parts.config();
  const credentials = createPeerCredentials(peer.credentials, {
    ...parts.outbound,
    peerId: peer.id,
    fetch: egress.fetch,
    clock,
    allowLoopback: parts.config().egress.allowLoopback,
    ...placeOf(peer),
  });
  const callMs = peer.timeouts.call ?? limits.peerTimeout;
  const connectMs = limits.peerConnect;
  const common = {
    id: peer.id,
    egress: egress.withLimits({ headersTimeoutMs: callMs }),
    credentials: sentWith(peer, credentials),
    clock,
    mintId,
  };
  if (peer.kind === 'a2a') {
    const { card, origins, dedupesMessageId } = peer;
    const pin = { headers: ['authorization', 'dpop', ...Object.keys(peer.headers)], origins };
    const idleMs = peer.timeouts.idle ?? agentIdleMs;
    const check = createCardCheck(peer, organizations, events);
    return createA2aPeer({
      ...common,
      // Whatever is renewed goes where the operator said, and nowhere else.
      egress: renewing(pinnedEgress(common.egress, pin, refusalsInto(events)), peer, credentials),
      card: new URL(card),
      origins,
      verifyCard: (raw) => check.verify(raw),
      unfitCard: (raw) => check.unfit(raw),
      dedupesMessageId,
      timeouts: { requestMs: callMs, connectMs, idleMs: idleMs || forEver, recoverMs },
    });
  }
  const { url, idempotentTools } = peer;
  const idleMs = peer.timeouts.idle ?? callMs;
  return createMcpPeer({
    ...common,
    egress: renewing(common.egress, peer, credentials),
    url,
    idempotentTools,
    timeouts: { requestMs: callMs, connectMs, idleMs: idleMs || forEver },
    maxBytes: limits.peerReply,
    validator,
    perCaller: knowsCallers(peer, parts.config()),
    ...(shown !== undefined && {
      offered: (catalogue, { principal }) => shown.of(principal).catalogue(catalogue),
    }),
  });
}
