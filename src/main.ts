/**
 * The composition root: everything that the gateway is made of is built and wired here, once.
 */
import type { IncomingMessage } from 'node:http';
import { createA2aFace, type A2aFace, type A2aFaceOptions } from './a2a/face.ts';
import { openAdministration, openDefinitions } from './administration.ts';
import { bearerCheck, loadAdminToken } from './auth/admin-token.ts';
import { createConnectPage } from './auth/connect-page.ts';
import { openSigningKeys } from './auth/signing-keys.ts';
import { loadSealingSecret } from './auth/key-files.ts';
import { createSeal } from './auth/seal.ts';
import type { Config } from './config/schema.ts';
import { DiscoveredPeers, entryFrom, resolverOver } from './discovered-peers.ts';
import { DiscoveryEndpoint } from './discovery/endpoint.ts';
import { ListingWriter } from './discovery/listing-writer.ts';
import { TaskEngine } from './engine/task-engine.ts';
import { createFront } from './front.ts';
import { createPeers, openEgress } from './peer-factory.ts';
import { createPublication, settleMs, type Publication } from './publication.ts';
import { openListener } from './listener.ts';
import { createMcpFace, type McpFace, type McpFaceOptions } from './mcp/face.ts';
import { hostCheck, originCheck } from './mcp/origin.ts';
import { createMintId, pooledRandomBytes, type RandomBytes } from './model/ids.ts';
import { anonymous } from './model/principal.ts';
import { createEventLog, type EventLog } from './observe/events.ts';
import type { Logger } from './observe/log.ts';
import { createMetrics, type Metrics } from './observe/metrics.ts';
import { currentTrace, traceFields, traceFrom, runWithTrace } from './observe/trace.ts';
import { OwnAddresses } from './own-addresses.ts';
import { gatewayPeerId, type PeerRegistry } from './ports/peer.ts';
import type { KnownListing } from './ports/peer-store.ts';
import { openDatabase } from './store/sqlite/database.ts';
import { SqlitePeerStore } from './store/sqlite/peer-store.ts';
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
const clock = Date.now;

/** Starts a gateway. Throws when the store, the keys or the listener cannot be had. */
export async function startGateway(config: Config, logger: Logger): Promise<Gateway> {
  const metrics = createMetrics({ runtime: true });
  const events = createEventLog(logger, metrics);
  const seal = createSeal(loadSealingSecret(config.keys.dir));
  const database = openDatabase(config.store.url.path);
  const store = new SqliteTaskStore(database, (appends, ms) =>
    metrics.storeFlush({ appends, seconds: ms / 1000 }),
  );
  const peerStore = new SqlitePeerStore(database, seal);
  const own = new OwnAddresses();
  const egress = openEgress(config, events, (url) => own.has(url));
  let current = config;
  const definitions = await openDefinitions({
    store: peerStore,
    policyOf: (id) => peers.configOf(id)?.definitions,
    events,
    onDecision: (peer) => directory.look(peer),
  });
  const peers = createPeers({
    config: () => current,
    egress,
    events,
    definitionsOf: (id) => definitions.of(id),
  });
  const discovered = new DiscoveredPeers({
    store: peerStore,
    resolve: resolverOver(egress),
    events,
    clock,
  });
  await discovered.load();
  const announce = ({ added, removed }: { added: string[]; removed: string[] }): void => {
    for (const peer of removed) events.emit({ event: 'peer.removed', peer });
    for (const id of added) {
      events.emit({ event: 'peer.added', peer: id, kind: peers.get(id)?.protocol ?? 'mcp' });
    }
  };
  announce(peers.reconfigure(discovered.resolved(config.peers, config.organizations)));
  const random = pooledRandomBytes();
  const mintId = createMintId(random);
  const keys = openSigningKeys(config.keys.dir, {
    report: (error) => events.emit({ event: 'internal.error', where: 'signing keys', error }),
  });
  const mayAdminister = bearerCheck(loadAdminToken(config.keys.dir));
  const listener = await openListener({
    ...config.gateway.listen,
    receiveMs: config.limits.receive,
    metrics,
    traced: (req, act) => runWithTrace(requestTrace(req, random), act),
  });
  const publicUrl = config.gateway.publicUrl ?? listener.url;
  own.add(publicUrl, listener.url);
  const { organization } = config.gateway;
  const times = new ListingWriter(peerStore, (error) =>
    events.emit({ event: 'internal.error', where: 'listings', error }),
  );
  const listings = {
    known: await peerStore.listings(),
    keep: (listing: KnownListing) => times.keep(listing),
  };
  const publication = createPublication({
    peers,
    keys,
    publicUrl,
    organization,
    mintId,
    events,
    listings,
  });
  const { directory, agents } = publication;
  const tasks = new TaskEngine({
    store,
    peers: agents,
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
  const trace = (req: IncomingMessage) => traceFields(currentTrace() ?? requestTrace(req, random));
  const services = { tasks, peers, publicUrl, seal, clock, mintId, trace };
  const documents = new DiscoveryEndpoint({
    ...publication,
    jwks: () => JSON.stringify(keys.current().jwks),
    toolThreshold: config.limits.aggregateTools,
    settleMs,
  });
  const { mcp, a2a } = createFaces(config, services, { publication, events, logger, metrics });
  const nameOf = async (peerId: string): Promise<string> => {
    const card = await a2a.card(peerId).catch(() => undefined);
    return card?.name ?? peerId;
  };
  const changed = (change: { added: string[]; removed: string[] }): void => {
    directory.refresh();
    announce(change);
  };
  const putInForce = (): void =>
    changed(peers.reconfigure(discovered.resolved(current.peers, current.organizations)));
  const admin = await openAdministration({
    store: peerStore,
    peers,
    directory,
    definitions,
    events,
    changed,
    mayAdminister,
    organizations: () => current.organizations.map(({ id }) => id),
    configuredIds: () => current.peers.map(({ id }) => id),
    resolve: entryFrom(resolverOver(egress), () => current.organizations),
  });
  discovered.follow(config.peers, putInForce);
  await tasks.recover();
  let state: 'ready' | 'stopping' = 'ready';
  const front = createFront({
    refuse: originCheck(publicUrl),
    refuseReader: hostCheck(publicUrl),
    isPublic: (id) => id === gatewayPeerId || peers.configOf(id)?.public === true,
    documents: (req, res, path) => documents.handle(req, res, path),
    principalOf: () => anonymous,
    mcp: (req, res, peerId, who) => mcp.handle(req, res, peerId, who),
    a2a: (req, res, { peerId, rest }, who) => a2a.handle(req, res, peerId, rest, who),
    connect: createConnectPage({ tasks, seal, nameOf }),
    admin,
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
      current = next;
      egress.reconfigure(next.egress);
      putInForce();
      discovered.follow(next.peers, putInForce);
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
      discovered.close();
      directory.close();
      await peers.close();
      await egress.close();
      await definitions.close();
      await times.flush();
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
  around: { publication: Publication; events: EventLog; logger: Logger; metrics: Metrics },
): { mcp: McpFace; a2a: A2aFace } {
  const { publication, events, logger, metrics } = around;
  const { agents, cards, aggregate } = publication;
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
      aggregate: { ...aggregate, toolThreshold: config.limits.aggregateTools },
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
      peers: agents,
      cards,
      organization: config.gateway.organization,
      limits: { ...limits, stallMs },
      log: logFor('a2a'),
    }),
  };
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
