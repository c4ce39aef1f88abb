/**
 * The composition root: everything that the gateway is made of is built and wired here, once.
 */
import type { IncomingMessage } from 'node:http';
import { createA2aFace, type A2aFace, type A2aFaceOptions } from './a2a/face.ts';
import { createConnectPage } from './auth/connect-page.ts';
import { loadSealingSecret } from './auth/key-files.ts';
import { createSeal } from './auth/seal.ts';
import type { Config, PeerConfig } from './config/schema.ts';
import { TaskEngine } from './engine/task-engine.ts';
import { createFront } from './front.ts';
import { openListener } from './listener.ts';
import { createMcpFace, type McpFace, type McpFaceOptions } from './mcp/face.ts';
import { originCheck } from './mcp/origin.ts';
import { createMintId, pooledRandomBytes, type MintId, type RandomBytes } from './model/ids.ts';
import { anonymous } from './model/principal.ts';
import { createEventLog, type EventLog } from './observe/events.ts';
import type { Logger } from './observe/log.ts';
import { createMetrics, type Metrics } from './observe/metrics.ts';
import { currentTrace, traceFields, traceFrom, runWithTrace } from './observe/trace.ts';
import { createA2aPeer } from './peers/a2a/a2a-peer.ts';
import type { EgressRefusedError } from './peers/egress/refused.ts';
import { createEgress, type Egress } from './peers/guarded-fetch.ts';
import { createMcpPeer } from './peers/mcp/peer.ts';
import { measured } from './peers/measured.ts';
import { pinnedEgress } from './peers/pinned-egress.ts';
import { ConfiguredPeers, type ManagedPeer } from './peers/registry.ts';
import type { PeerRegistry } from './ports/peer.ts';
import { openDatabase } from './store/sqlite/database.ts';
import { SqliteTaskStore } from './store/sqlite/task-store.ts';
import { createTimeBudget } from './time-budget.ts';
import { SchemaValidator } from './translate/json-schema.ts';

/** A gateway that serves. */
export interface Gateway {
  /** The origin of the URLs that it publishes. */
  readonly publicUrl: string;
  /** Where it listens, as a URL. */
  readonly listening: string;
  readonly peers: PeerRegistry;
  /** A peer's published card, as wire JSON. */
  card(peerId: string): Promise<unknown>;
  /** Puts new peers and egress rules in force; other settings need a restart. */
  reconfigure(config: Config): void;
  /**
   * Stops: no new connections, running requests get `limits.drain`, unfinished tasks stay on disk
   * for the next start. `drained` says whether all requests had ended by themselves.
   */
  close(): Promise<{ drained: boolean }>;
}

const cancelWaitMs = 900;
const progressEveryMs = 250;
const sweepEveryMs = 1000;
const keepAliveMs = 15_000;
const stallMs = 30_000;
const maxSubscriptions = 1024;
const pollIntervalMs = 1000;
const drainLookMs = 20;
/** How long the answers may take that are given because we stop. */
const lastAnswersMs = 500;
/** Silence of an agent's stream after which it is asked how the task stands. */
const agentIdleMs = 60_000;
/** How long an agent that works on a task may be out of reach. */
const recoverMs = 8000;
/** The longest time that a timer can be set to. */
const forEver = 2 ** 31 - 1;
const clock = Date.now;

/** The peers of a configuration, each behind its connector. */
export function createPeers(
  config: Config,
  egress: Egress,
  events: EventLog,
): ConfiguredPeers<PeerConfig> {
  const validator = new SchemaValidator({ within: createTimeBudget() });
  const mintId = createMintId(pooledRandomBytes());
  const peers = new ConfiguredPeers<PeerConfig>((peer) =>
    measured(makePeer(peer, config, { egress, validator, mintId, events }), events),
  );
  for (const id of peers.reconfigure(config.peers).added) announce(events, config, id);
  return peers;
}

/** Starts a gateway. Throws when the store, the keys or the listener cannot be had. */
export async function startGateway(config: Config, logger: Logger): Promise<Gateway> {
  const metrics = createMetrics({ runtime: true });
  const events = createEventLog(logger, metrics);
  const seal = createSeal(loadSealingSecret(config.keys.dir));
  const store = new SqliteTaskStore(openDatabase(config.store.url.path), (appends, ms) =>
    metrics.storeFlush({ appends, seconds: ms / 1000 }),
  );
  const egress = openEgress(config, events);
  const peers = createPeers(config, egress, events);
  const random = pooledRandomBytes();
  const mintId = createMintId(random);
  const tasks = new TaskEngine({
    store,
    peers,
    seal,
    clock,
    mintId,
    replica: mintId(),
    limits: {
      taskTtlMs: config.limits.taskTtl,
      interruptTtlMs: config.limits.interruptTtl,
      openInterruptsPerPrincipal: config.limits.openInterruptsPerPrincipal,
      cancelWaitMs,
      progressEveryMs,
      sweepEveryMs,
    },
    events,
  });
  const listener = await openListener({
    ...config.gateway.listen,
    receiveMs: config.limits.receive,
    metrics,
    traced: (req, act) => runWithTrace(requestTrace(req, random), act),
  });
  const publicUrl = config.gateway.publicUrl ?? listener.url;
  const trace = (req: IncomingMessage) => traceFields(currentTrace() ?? requestTrace(req, random));
  const services = { tasks, peers, publicUrl, seal, clock, mintId, trace };
  const { mcp, a2a } = createFaces(config, services, { events, logger, metrics });
  const nameOf = async (peerId: string): Promise<string> => {
    const card = await a2a.card(peerId).catch(() => undefined);
    return card?.name ?? peerId;
  };
  await tasks.recover();
  let state: 'ready' | 'stopping' = 'ready';
  const front = createFront({
    refuse: originCheck(publicUrl),
    principalOf: () => anonymous,
    mcp: (req, res, peerId, who) => mcp.handle(req, res, peerId, who),
    a2a: (req, res, { peerId, rest }, who) => a2a.handle(req, res, peerId, rest, who),
    connect: createConnectPage({ tasks, seal, nameOf }),
    ready: () => state === 'ready',
    metrics: () => (config.telemetry.metrics ? metrics.expose() : undefined),
    fault: (error, { method, path }) =>
      events.emit({ event: 'internal.error', where: `${method} ${path}`, error }),
  });
  listener.serve(front);
  events.emit({ event: 'server.started', url: publicUrl, peers: config.peers.length });

  return {
    publicUrl,
    listening: listener.url,
    peers,
    card: (peerId) => a2a.card(peerId),
    reconfigure(next) {
      egress.reconfigure(next.egress);
      const { added, removed } = peers.reconfigure(next.peers);
      for (const peer of removed) events.emit({ event: 'peer.removed', peer });
      for (const id of added) announce(events, next, id);
    },
    async close() {
      state = 'stopping';
      // Readers of streams come back to the next start; what was asked for once is waited for.
      a2a.endStreams();
      await mcp.close();
      const drained = await drain(
        () => listener.waiting === 0 && tasks.perishable === 0,
        config.limits.drain,
      );
      a2a.close();
      await drain(() => listener.waiting === 0, lastAnswersMs);
      await listener.close();
      await tasks.stop();
      await peers.close();
      await egress.close();
      await store.close();
      events.emit({ event: 'server.stopped', drained });
      return { drained };
    },
  };
}

type FaceParts = Omit<
  McpFaceOptions & A2aFaceOptions,
  'limits' | 'log' | 'schemas' | 'organization'
>;

/** What clients see, over the same engine. */
function createFaces(
  config: Config,
  services: FaceParts,
  { events, logger, metrics }: { events: EventLog; logger: Logger; metrics: Metrics },
): { mcp: McpFace; a2a: A2aFace } {
  const { body, syncCall, streamQueue, artifactInline, sessionIdle, sessions } = config.limits;
  const limits = {
    bodyBytes: body,
    syncCallMs: syncCall,
    streamQueueBytes: streamQueue,
    keepAliveMs,
  };
  const logFor = (face: 'mcp' | 'a2a') => ({
    streamOpened: () => metrics.streamOpened(face),
    readerStalled: (queued: number) => events.emit({ event: 'stream.closed_slow', face, queued }),
    fault: (error: unknown, { peer, method = '' }: { peer: string; method?: string }) =>
      events.emit({ event: 'internal.error', where: `${face} ${peer} ${method}`.trim(), error }),
    event: (event: string, facts: Record<string, unknown>) =>
      logger.info({ event, ...facts }, event),
  });
  return {
    mcp: createMcpFace({
      ...services,
      schemas: new SchemaValidator({ within: createTimeBudget() }),
      limits: {
        ...limits,
        inlineBytes: artifactInline,
        sessionIdleMs: sessionIdle,
        maxSessions: sessions,
        maxSubscriptions,
        pollIntervalMs,
      },
      log: logFor('mcp'),
    }),
    a2a: createA2aFace({
      ...services,
      organization: config.gateway.organization,
      limits: { ...limits, stallMs },
      log: logFor('a2a'),
    }),
  };
}

/** The guarded client under the configuration's rules. */
export function openEgress(config: Config, events: EventLog): Egress {
  return createEgress({
    ...config.egress,
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

interface PeerParts {
  egress: Egress;
  validator: SchemaValidator;
  mintId: MintId;
  events: EventLog;
}

function makePeer(
  peer: PeerConfig,
  config: Config,
  { egress, validator, mintId, events }: PeerParts,
): ManagedPeer {
  const headers: Record<string, string> = { ...peer.headers };
  if (peer.credentials.type === 'bearer') {
    headers['authorization'] = `Bearer ${peer.credentials.token}`;
  }
  const callMs = peer.timeouts.call ?? config.limits.peerTimeout;
  const connectMs = config.limits.peerConnect;
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
    return createA2aPeer({
      ...common,
      egress: pinnedEgress(common.egress, pin, refusalsInto(events)),
      card: new URL(card),
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
    maxBytes: config.limits.peerReply,
    validator,
  });
}

function announce(events: EventLog, config: Config, id: string): void {
  const peer = config.peers.find((candidate) => candidate.id === id);
  if (peer !== undefined) events.emit({ event: 'peer.added', peer: id, kind: peer.kind });
}

function requestTrace(req: IncomingMessage, random: RandomBytes) {
  const { traceparent, tracestate } = req.headers;
  return traceFrom([{ traceparent, tracestate }], random);
}

/** Waits until everything that would be lost has ended; false when that took too long. */
async function drain(isDone: () => boolean, patienceMs: number): Promise<boolean> {
  const until = performance.now() + patienceMs;
  while (!isDone()) {
    if (performance.now() >= until) return false;
    await new Promise((resolve) => setTimeout(resolve, drainLookMs));
  }
  return true;
}
