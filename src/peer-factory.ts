/** Makes the connectors to the peers of a configuration, and the guarded way out to them. */
import { createCardCheck, trustIn } from './card-check.ts';
import type { ResolvedPeerConfig } from './config/peer.ts';
import type { Config } from './config/schema.ts';
import { createMintId, pooledRandomBytes } from './model/ids.ts';
import type { EventLog } from './observe/events.ts';
import { createA2aPeer } from './peers/a2a/a2a-peer.ts';
import { approved } from './peers/approved-peer.ts';
import type { EgressRefusedError } from './peers/egress/refused.ts';
import { createEgress, type Egress } from './peers/guarded-fetch.ts';
import { createMcpPeer } from './peers/mcp/peer.ts';
import { measured } from './peers/measured.ts';
import { pinnedEgress } from './peers/pinned-egress.ts';
import { ConfiguredPeers, type ManagedPeer } from './peers/registry.ts';
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
  readonly definitionsOf?: (peerId: string) => PeerDefinitions;
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
    const shown = definitionsOf?.(peer.id);
    const made = measured(makePeer(peer, { ...shared, shown }), events);
    return shown === undefined ? made : approved(made, { definitions: shown });
  };
  return new ConfiguredPeers<ResolvedPeerConfig>(make, {
    // Trust that was taken back must reach connectors whose own entry is the same.
    around: (peer) => (peer.kind === 'a2a' ? trustIn(peer, parts.config().organizations) : null),
    onShadowed: (peer) => events.emit({ event: 'peer.shadowed', peer }),
  });
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
  const headers: Record<string, string> = { ...peer.headers };
  if (peer.credentials.type === 'bearer') {
    headers['authorization'] = `Bearer ${peer.credentials.token}`;
  }
  const callMs = peer.timeouts.call ?? limits.peerTimeout;
  const connectMs = limits.peerConnect;
  const common = {
    id: peer.id,
    egress: egress.withLimits({ headersTimeoutMs: callMs }),
    credentials: async () => headers,
    clock,
    mintId,
  };
  if (peer.kind === 'a2a') {
    const { card, origins, dedupesMessageId } = peer;
    const pin = { headers: Object.keys(headers), origins };
    const idleMs = peer.timeouts.idle ?? agentIdleMs;
    const check = createCardCheck(peer, organizations, events);
    return createA2aPeer({
      ...common,
      egress: pinnedEgress(common.egress, pin, refusalsInto(events)),
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
    url,
    idempotentTools,
    timeouts: { requestMs: callMs, connectMs, idleMs: idleMs || forEver },
    maxBytes: limits.peerReply,
    validator,
    ...(shown !== undefined && { offered: (catalogue) => shown.catalogue(catalogue) }),
  });
}
