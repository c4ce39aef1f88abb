/**
 * The composition root: everything that the gateway is made of is built and wired here, once.
 */
import type { IncomingMessage } from 'node:http';
import { openAdministration, openDefinitions } from './administration.ts';
import { adminScope } from './policy/permissions.ts';
import { lendingLine, openAudit } from './audit.ts';
import { bearerCheck, loadAdminToken } from './auth/admin-token.ts';
import { openSigningKeys } from './auth/signing-keys.ts';
import { loadSealingSecret } from './auth/key-files.ts';
import { createSeal } from './auth/seal.ts';
import { openSealingKeys } from './auth/sealing-keys.ts';
import { createSecretSeal } from './auth/secret-seal.ts';
import { openChannels } from './channels.ts';
import { BorrowedPeers } from './borrowed-peers.ts';
import type { Config } from './config/schema.ts';
import { openConsent } from './consent.ts';
import { createCors } from './cors.ts';
import { DiscoveredPeers, entryFrom, resolverOver } from './discovered-peers.ts';
import { DiscoveryEndpoint } from './discovery/endpoint.ts';
import { ListingWriter } from './discovery/listing-writer.ts';
import { drain } from './draining.ts';
import { createFront } from './front.ts';
import { createLendEndpoint, upgradeRequired } from './lend-endpoint.ts';
import { createPeers, openEgress } from './peer-factory.ts';
import { createPublication, settleMs } from './publication.ts';
import { createFaces } from './faces.ts';
import { openIdentity } from './identity.ts';
import { openLending } from './lending.ts';
import { openListener } from './listener.ts';
import { metricsCheck } from './metrics-access.ts';
import { hostCheck, originCheck } from './mcp/origin.ts';
import { isTerminal } from './model/a2a.ts';
import { createMintId, pooledRandomBytes, type RandomBytes } from './model/ids.ts';
import { createEventLog } from './observe/events.ts';
import type { Logger } from './observe/log.ts';
import { createMetrics } from './observe/metrics.ts';
import { currentTrace, traceFields, traceFrom, runWithTrace } from './observe/trace.ts';
import { OwnAddresses } from './own-addresses.ts';
import { gatewayPeerId, type PeerRegistry } from './ports/peer.ts';
import type { KnownListing } from './ports/peer-store.ts';
import { openStores } from './stores.ts';
import { callbackPeerId } from './switchboard/callback-caller.ts';
import { startSweeping } from './sweeping.ts';
import { openTasks } from './tasks.ts';

/** A gateway that serves. */
export interface Gateway {
  /** The origin of the URLs that it publishes. */
  readonly publicUrl: string;
  /** Where it listens, as a URL. */
  readonly listening: string;
  readonly peers: PeerRegistry;
  /** A peer's published card, as wire JSON. */
  card(peerId: string): Promise<unknown>;
  /** Puts in force what may change while it runs; other settings need a restart. */
  reconfigure(config: Config): void;
  /**
   * Stops: no new connections, running requests get `limits.drain`, unfinished tasks stay on disk
   * for the next start. `drained` says whether all requests had ended by themselves.
   */
  close(): Promise<{ drained: boolean }>;
}

const forgetEveryMs = 30_000;
/** How long the answers may take that are given because we stop. */
const lastAnswersMs = 500;
const clock = Date.now;

/** Starts a gateway. Throws when the store, the keys or the listener cannot be had. */
export async function startGateway(config: Config, logger: Logger): Promise<Gateway> {
  const metrics = createMetrics({ runtime: true });
  const events = createEventLog(logger, metrics);
  const report = (where: string) => (error: unknown) =>
    events.emit({ event: 'internal.error', where, error });
  const seal = createSeal(loadSealingSecret(config.keys.dir));
  const secretSeal = createSecretSeal(
    openSealingKeys(config.keys.dir, { report: report('sealing keys') }),
  );
  const stores = openStores(config.store.url, { seal, secretSeal, clock, metrics });
  const { tasks: store, peers: peerStore, secrets, replay } = stores;
  const own = new OwnAddresses();
  const egress = openEgress(config, events, (url) => own.has(url));
  let current = config;
  const random = pooledRandomBytes();
  const mintId = createMintId(random);
  const keys = openSigningKeys(config.keys.dir, {
    report: report('signing keys'),
  });
  const audit = openAudit({
    store: stores.audit,
    keys,
    dir: config.keys.dir,
    clock,
    onAppended: (event) => {
      // Channels that come and go have lines of their own.
      if (!/^channel\.(?:opened|closed)$/.test(event.kind)) events.emit(lendingLine(event));
    },
    report: report('audit'),
  });
  const mayAdminister = bearerCheck(loadAdminToken(config.keys.dir));
  const listener = await openListener({
    ...config.gateway.listen,
    loopbackOnly: config.auth.mode === 'open',
    uploads: config.limits,
    receiveMs: config.limits.receive,
    metrics,
    traced: (req, act) => runWithTrace(requestTrace(req, random), act),
  });
  const publicUrl = config.gateway.publicUrl ?? listener.url;
  own.add(publicUrl, listener.url);
  const { organization } = config.gateway;
  const times = new ListingWriter(peerStore, report('listings'));
  const listings = {
    known: await peerStore.listings(),
    keep: (listing: KnownListing) => times.keep(listing),
  };
  const borrowed = new BorrowedPeers({
    config: () => current,
    publicUrl,
    keys,
    egress,
    secrets,
    clock,
    mintId,
  });
  await borrowed.load();
  let state: 'ready' | 'stopping' = 'ready';
  const lent = openLending({
    isStopping: () => state === 'stopping',
    config: () => current,
    publicUrl,
    store: stores.leases,
    audit: audit.log,
    clock,
    mintId,
    random,
    peers: () => peers,
    today: (principal) => identity.today(principal),
    borrowed,
    channels: {
      of: (owner, id) => channels.of(owner, id),
      ofOwner: (owner) => channels.ofOwner(owner),
      ownerOf: (id) => channels.ownerOf(id),
    },
    report: report('leases'),
  });
  const identity = await openIdentity({
    leases: lent.redemption,
    config,
    publicUrl,
    keys,
    fetch: egress.fetch,
    replay,
    secrets,
    secretSeal,
    clock,
    mintId,
    random,
    events,
  });
  const consent = openConsent({
    config,
    publicUrl,
    keys,
    fetch: egress.fetch,
    secrets,
    seal,
    clock,
    mintId,
    random,
    events,
    isConfigured: (id) => peers.sourceOf(id) === 'config',
  });
  const channels = openChannels({
    config: () => current,
    events,
    audit: audit.log,
    definitions: () => definitions,
    report: report('audit'),
  });
  const definitions = await openDefinitions({
    store: peerStore,
    policyOf: (id) =>
      peers.configOf(id)?.definitions ?? (channels.ownerOf(id) && ('accept' as const)),
    events,
    onDecision: (peer) => directory.look(peer),
  });
  const peers = createPeers({
    config: () => current,
    egress,
    events,
    outbound: { keys, publicUrl, ...identity.outbound, connections: consent.connections },
    consent: { connections: consent.connections, replay },
    definitionsOf: (id, how) => definitions.of(id, how),
    lent: (peer) => lent.wrap(peer),
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
  const publication = createPublication({
    peers,
    keys,
    access: identity.declared,
    publicUrl,
    organization,
    mintId,
    events,
    listings,
  });
  const { directory, agents, identities } = publication;
  const tasks = openTasks(config, {
    store,
    // Whose an ephemeral peer is was looked at by the face.
    peers: lent.withCallbacks({
      get: (id) => agents.get(id) ?? channels.get(id),
      list: () => agents.list(),
    }),
    onEnd: (taskId) => lent.taskEnded(taskId),
    seal,
    clock,
    mintId,
    events,
  });
  const trace = (req: IncomingMessage) => traceFields(currentTrace() ?? requestTrace(req, random));
  const services = {
    tasks,
    peers: lent.withCallbacks(peers),
    own: channels,
    identities,
    publicUrl,
    seal,
    clock,
    mintId,
    trace,
  };
  const documents = new DiscoveryEndpoint({
    ...publication,
    jwks: () => JSON.stringify(keys.current().jwks),
    toolThreshold: config.limits.aggregateTools,
    settleMs,
  });
  const { mcp, a2a } = createFaces(config, services, {
    publication,
    identity,
    events,
    logger,
    metrics,
  });
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
    challenge: () => identity.access.challenge('admin', gatewayPeerId, [adminScope]),
    organizations: () => current.organizations.map(({ id }) => id),
    connections: () => current.connections,
    config: () => current,
    leases: lent.administered,
    configuredIds: () => current.peers.map(({ id }) => id),
    resolve: entryFrom(resolverOver(egress), () => current.organizations),
  });
  discovered.follow(config.peers, putInForce);
  const isAlive = async (id: string): Promise<boolean> => {
    const row = await store.read(id);
    return row !== undefined && !isTerminal(row.state);
  };
  await lent.book.recover(isAlive);
  await borrowed.recover(isAlive);
  await tasks.recover();
  const endSweeping = startSweeping({
    stores: [secrets, replay, lent.book],
    clock,
    everyMs: forgetEveryMs,
    report: report('sweeping'),
  });
  const connectPages = consent.pages({
    tasks,
    people: identity.people,
    ownerOf: async (id) => (await store.read(id))?.owner,
    nameOf,
  });
  const mayReadMetrics = metricsCheck(config.auth.mode);
  const front = createFront({
    refuse: originCheck(publicUrl, config.gateway),
    refuseReader: hostCheck(publicUrl, config.gateway),
    cors: createCors(config.gateway.allowedOrigins),
    isPublic: (id) => id === gatewayPeerId || peers.configOf(id)?.public === true,
    documents: (req, res, path) => documents.handle(req, res, path),
    identify: (req, res, resource) => identity.access.identify(req, res, resource),
    mcp: (req, res, peerId, who) => mcp.handle(req, res, peerId, who),
    callback: async (req, res, lease) => {
      const who = await identity.callbacks(req, res, lease);
      if (who !== undefined) await mcp.handle(req, res, callbackPeerId(lease), who);
    },
    a2a: (req, res, { peerId, rest }, who) => a2a.handle(req, res, peerId, rest, who),
    pages: async (req, res, path) =>
      (await identity.pages(req, res, path)) || connectPages(req, res, path),
    authorization: identity.authorization,
    lend: upgradeRequired,
    admin,
    ready: () => state === 'ready',
    metrics: async (req, { scopes }) =>
      config.telemetry.metrics && mayReadMetrics(req, scopes) === undefined
        ? metrics.expose()
        : undefined,
    fault: (error, { method, path }) =>
      events.emit({ event: 'internal.error', where: `${method} ${path}`, error }),
  });
  const lend = createLendEndpoint({
    channels,
    refuse: originCheck(publicUrl, config.gateway),
    identify: (req, res, resource) => identity.access.identify(req, res, resource),
    challenge: (scopes) => identity.access.challenge('lend', gatewayPeerId, scopes),
    ready: () => state === 'ready',
    maxFrameBytes: config.limits.peerReply,
    clock,
    onRefused: (owner, reason) =>
      audit.log
        .append({ kind: 'channel.refused', actor: owner, owner, facts: { reason } })
        .catch(report('audit')),
    fault: report('/lend'),
  });
  listener.serve(front, lend);
  events.emit({ event: 'server.started', url: publicUrl, peers: config.peers.length });

  return {
    publicUrl,
    listening: listener.url,
    peers,
    card: (peerId) => a2a.card(peerId),
    reconfigure(next) {
      identity.reconfigure(next);
      // Whoever is not trusted any more does not come back to a stream that ends here.
      if (isOtherTrust(current, next)) {
        a2a.endStreams();
        mcp.endStreams();
        channels.endAll();
      }
      current = next;
      consent.reconfigure(next);
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
      // The listener waits for every socket that it has handed over.
      lend.close();
      await channels.close();
      await listener.close();
      await tasks.stop();
      lent.close();
      await borrowed.close();
      discovered.close();
      directory.close();
      await peers.close();
      await egress.close();
      await definitions.close();
      await times.flush();
      await endSweeping();
      await audit.close();
      await store.close();
      events.emit({ event: 'server.stopped', drained });
      return { drained };
    },
  };
}

/** Whether other callers may come in, or the same ones do other things. */
function isOtherTrust(before: Config, after: Config): boolean {
  const trust = ({ auth, organizations }: Config): string => JSON.stringify([auth, organizations]);
  return trust(before) !== trust(after);
}

function requestTrace(req: IncomingMessage, random: RandomBytes) {
  const { traceparent, tracestate } = req.headers;
  return traceFrom([{ traceparent, tracestate }], random);
}
