/**
 * The command line.
 */
import { parseArgs } from 'node:util';
import { existsSync } from 'node:fs';
import { addPeerOver } from './admin-client.ts';
import { openDefinitions } from './administration.ts';
import { auditCommand } from './audit-command.ts';
import { loadSealingSecret } from './auth/key-files.ts';
import { openSigningKeys } from './auth/signing-keys.ts';
import { createSeal } from './auth/seal.ts';
import { checkPeers, notFound, reportTable } from './check.ts';
import { checkUrl } from './check-url.ts';
import { loadConfig, parseConfig, processContext } from './config/load.ts';
import { formatMistakes } from './config/mistake.ts';
import { reservedPeerIds } from './config/peer.ts';
import type { Config } from './config/schema.ts';
import { watchConfig } from './config/watch.ts';
import { DiscoveredPeers, resolverOver } from './discovered-peers.ts';
import { judgeCard, organizationOf, type TrustedOrganization } from './discovery/card-trust.ts';
import { keysCommand } from './keys-command.ts';
import { startGateway } from './main.ts';
import type { Clock } from './model/ids.ts';
import { createEventLog } from './observe/events.ts';
import { createLogger } from './observe/log.ts';
import { createMetrics } from './observe/metrics.ts';
import { policyCommand } from './policy-command.ts';
import { createPeers, openEgress } from './peer-factory.ts';
import { peerMemory, type PeerMemory } from './peer-memory.ts';
import { SqliteAuditStore } from './store/sqlite/audit-store.ts';
import { readDatabase, type OpenDatabase } from './store/sqlite/database.ts';
import { SqlitePeerStore } from './store/sqlite/peer-store.ts';
import { SqliteTaskStore } from './store/sqlite/task-store.ts';
import { writeWellKnown } from './well-known.ts';

const usage = `Usage:
  isthmus serve      [--config FILE] [--host H] [--port N]   run the gateway
  isthmus check      [--config FILE] [--json]                validate the config, reach every peer, print a table
  isthmus check      URL [--json] [--add ID]                 say what stands behind a URL, and add it as a peer
  isthmus well-known [--config FILE] --out DIR               write every discovery document as static files
  isthmus keys       [--config FILE] list | rotate [sealing] | import FILE | remove ID
                                                             signing and sealing keys
  isthmus policy     explain --from WHO --to PEER --tool PEER/TOOL [--scopes "…"] [--request] [--config FILE] [--json]
                                                             say what a caller may call and lend, and by which rule
  isthmus audit      verify [--config FILE] [--json]         say whether the audit log is what was written
  isthmus audit      show --task ID | --lease ID [--config FILE] [--json]
                                                             the story of a task, or of a lease
  isthmus lend       --gateway URL [--as NAME] [--client-id ID --key FILE] -- CMD …
                                                             lend a local stdio MCP server

FILE is isthmus.yaml when --config is absent. WHO is organization/subject, organization/subject@client
or anonymous.`;

const usualConfig = 'isthmus.yaml';

const options = {
  config: { type: 'string', default: usualConfig },
  host: { type: 'string' },
  port: { type: 'string' },
  json: { type: 'boolean', default: false },
  out: { type: 'string' },
  add: { type: 'string' },
  from: { type: 'string' },
  to: { type: 'string' },
  tool: { type: 'string' },
  scopes: { type: 'string' },
  request: { type: 'boolean', default: false },
  task: { type: 'string' },
  lease: { type: 'string' },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

type Flags = ReturnType<typeof readArguments>['values'];

interface Command {
  flags: (keyof Flags)[];
  /** Whether it takes arguments that are no flags. */
  words?: boolean;
  run: (flags: Flags, words: string[]) => Promise<number>;
}

const commands: Record<string, Command> = {
  serve: { flags: ['config', 'host', 'port'], run: serve },
  check: { flags: ['config', 'json', 'add'], words: true, run: check },
  'well-known': { flags: ['config', 'out'], run: wellKnown },
  keys: { flags: ['config'], words: true, run: keys },
  policy: {
    flags: ['config', 'json', 'from', 'to', 'tool', 'scopes', 'request'],
    words: true,
    run: policy,
  },
  audit: { flags: ['config', 'json', 'task', 'lease'], words: true, run: audit },
};

async function main(): Promise<number> {
  let given: ReturnType<typeof readArguments>;
  try {
    given = readArguments();
  } catch (error) {
    // The rest of the sentence is about positional arguments, none of which begins with a dash.
    const [reason] = error instanceof Error ? error.message.split('. To specify') : [];
    return refuse(reason ?? 'unreadable arguments');
  }
  const [name, ...rest] = given.positionals;
  if (given.values.help) {
    console.log(usage);
    return 0;
  }
  const command = name === undefined ? undefined : commands[name];
  if (command === undefined) {
    return refuse(name === undefined ? 'a command is missing' : `no such command: ${name}`);
  }
  if (rest.length > 0 && command.words !== true)
    return refuse(`${name} takes no argument "${rest.join(' ')}"`);
  const used = given.tokens.flatMap((token) => (token.kind === 'option' ? [token.name] : []));
  const foreign = used.find((flag) => !command.flags.some((known) => known === flag));
  if (foreign !== undefined) return refuse(`--${foreign} does not go with ${name}`);
  const { port } = given.values;
  if (port !== undefined && !(/^\d{1,5}$/.test(port) && Number(port) <= 65_535)) {
    return refuse('--port needs a whole number from 0 to 65535');
  }
  return command.run(given.values, rest);
}

function readArguments() {
  return parseArgs({ options, allowPositionals: true, tokens: true });
}

function refuse(reason: string): number {
  console.error(`isthmus: ${reason}\n\n${usage}`);
  return 2;
}

function readConfig(flags: Flags): Config | undefined {
  const result = loadConfig(flags.config, processContext(listenFlags(flags)));
  if (result.ok) return result.config;
  console.error(
    `isthmus: ${flags.config} is not a valid configuration:\n${formatMistakes(result.mistakes)}`,
  );
  return undefined;
}

function listenFlags({ host, port }: Flags): { host?: string; port?: number } {
  return { ...(host !== undefined && { host }), ...(port !== undefined && { port: Number(port) }) };
}

async function serve(flags: Flags): Promise<number> {
  const config = readConfig(flags);
  if (config === undefined) return 1;
  const logger = createLogger({ level: config.log.level });
  const gateway = await startGateway(config, logger);
  const events = createEventLog(logger, createMetrics({ runtime: false }));
  const watch = watchConfig({
    file: flags.config,
    current: config,
    load: () => loadConfig(flags.config, processContext(listenFlags(flags))),
    apply: (next) => {
      logger.level = next.log.level;
      gateway.reconfigure(next);
    },
    report: (outcome) => {
      if (outcome.kind === 'applied') {
        events.emit({ event: 'config.reloaded', peers: outcome.config.peers.length });
      } else if (outcome.kind === 'rejected') {
        events.emit({ event: 'config.rejected', mistakes: outcome.mistakes });
      }
    },
    signals: process,
  });
  const reason = await new Promise<string>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const)
      process.once(signal, () => resolve(signal));
  });
  events.emit({ event: 'server.stopping', reason });
  watch.close();
  const { drained } = await gateway.close();
  return drained ? 0 : 1;
}

async function check(flags: Flags, words: string[]): Promise<number> {
  const [url, ...more] = words;
  if (more.length > 0) return refuse(`check takes one URL, not also "${more.join(' ')}"`);
  if (url !== undefined) return checkOne(url, flags);
  if (flags.add !== undefined) return refuse('--add needs the URL of what is to be added');
  const config = readConfig(flags);
  if (config === undefined) return 1;
  const { egress, peers, problems } = await connect(config);
  const reports = await checkPeers(peers.list());
  for (const [peer, problem] of problems) reports.push(notFound(peer, problem));
  await peers.close();
  await egress.close();
  console.log(flags.json ? JSON.stringify(reports, null, 2) : reportTable(reports));
  return reports.every((report) => report.ok) ? 0 : 1;
}

/** Without a configuration of its own the command goes by the defaults. */
async function checkOne(url: string, flags: Flags): Promise<number> {
  const isBare = flags.config === usualConfig && !existsSync(flags.config);
  const bare = isBare ? parseConfig('', processContext()) : undefined;
  const config = bare?.ok === true ? bare.config : readConfig(flags);
  if (config === undefined) return 1;
  const egress = openEgress(config, silentEvents());
  const trusted = config.organizations as readonly TrustedOrganization[];
  try {
    return await checkUrl({
      url,
      json: flags.json,
      add: flags.add,
      addPeer: addPeerOver(config),
      judge: (raw, card) => judgeCard(raw, organizationOf({ url: card }, trusted)),
      fetch: egress.withLimits({ maxResponseBytes: 1024 * 1024 }).fetch,
      clock: Date.now,
      reservedIds: reservedPeerIds,
      out: console.log,
      err: console.error,
    });
  } finally {
    await egress.close();
  }
}

async function wellKnown(flags: Flags): Promise<number> {
  const { out } = flags;
  if (out === undefined) return refuse('well-known needs --out DIR');
  const config = readConfig(flags);
  if (config === undefined) return 1;
  // What the gateway shows is what was approved, also here.
  const database = readDatabase(config.store.url.path);
  const memory = peerMemory(
    database && new SqlitePeerStore(database, createSeal(loadSealingSecret(config.keys.dir))),
  );
  const { egress, peers, events, problems, definitions } = await connect(config, memory);
  const known = await memory.store.listings();
  const clock = sourceClock(process.env['SOURCE_DATE_EPOCH']);
  const written = await writeWellKnown(config, { peers, events, known, clock }, out);
  await peers.close();
  await egress.close();
  await definitions?.close();
  database?.close();
  for (const { path, problem } of written) {
    if (problem === undefined) console.log(path);
    else console.error(`isthmus: ${path} is not written: ${problem}`);
  }
  for (const [peer, problem] of problems) {
    console.error(`isthmus: the peer "${peer}" is in no document: ${problem}`);
  }
  const isWhole =
    problems.size === 0 &&
    written.every(({ problem, meant }) => problem === undefined || meant === true);
  return isWhole ? 0 : 1;
}

async function keys(flags: Flags, words: string[]): Promise<number> {
  const config = readConfig(flags);
  if (config === undefined) return 1;
  return keysCommand(words, { dir: config.keys.dir, out: console.log, err: console.error });
}

async function policy(flags: Flags, words: string[]): Promise<number> {
  const config = () => readConfig(flags);
  return policyCommand(words, flags, { config, out: console.log, err: console.error });
}

async function audit(flags: Flags, words: string[]): Promise<number> {
  const config = readConfig(flags);
  if (config === undefined) return 1;
  const { json, task, lease } = flags;
  const database = readDatabase(config.store.url.path);
  try {
    return await auditCommand(words, {
      ...(database && {
        audit: new SqliteAuditStore(database, { clock: Date.now }),
        tasks: new SqliteTaskStore(database),
      }),
      asked: { json, task, lease },
      dir: config.keys.dir,
      protocols: () => peerProtocols(config, database),
      out: console.log,
      err: console.error,
    });
  } finally {
    database?.close();
  }
}

/** What each peer speaks that the configuration or a gateway's memory knows. */
async function peerProtocols(config: Config, database: OpenDatabase | undefined) {
  const memory = peerMemory(
    database && new SqlitePeerStore(database, createSeal(loadSealingSecret(config.keys.dir))),
  );
  const found = (await memory.store.discovered()).map(({ id, entry }) => ({
    id,
    kind: 'a2a' in entry ? ('a2a' as const) : ('mcp' as const),
  }));
  const known = [...found, ...(await memory.runtimePeers()), ...config.peers];
  return new Map(known.flatMap(({ id, kind }) => (kind === 'discover' ? [] : [[id, kind]])));
}

/** Files that have to be the same on every run say of which time they are, in seconds. */
function sourceClock(epoch: string | undefined): Clock {
  return epoch !== undefined && /^\d{1,11}$/.test(epoch) ? () => Number(epoch) * 1000 : Date.now;
}

/** The peers of a configuration, without a gateway around them; and those that were not found. */
async function connect(config: Config, memory?: PeerMemory) {
  const events = silentEvents();
  const egress = openEgress(config, events);
  const resolve = resolverOver(egress);
  const store = memory?.store;
  const discovered = new DiscoveredPeers({ resolve, events, clock: Date.now, store });
  await discovered.load();
  const problems = await discovered.look(config.peers);
  const policyOf = (id: string) => peers.configOf(id)?.definitions;
  const definitions =
    store && (await openDefinitions({ store, policyOf, events, onDecision: () => {} }));
  const { listen, publicUrl = `http://${listen.host}:${listen.port}` } = config.gateway;
  // Opened when something is signed: a command that only reads makes no keys.
  const current = () => openSigningKeys(config.keys.dir).current();
  const peers = createPeers({
    config: () => config,
    egress,
    events,
    outbound: { keys: { current }, publicUrl },
    ...(definitions && { definitionsOf: (id, how) => definitions.of(id, how) }),
  });
  peers.reconfigure(discovered.resolved(config.peers, config.organizations));
  peers.addRuntime((await memory?.runtimePeers()) ?? []);
  return { egress, peers, events, problems, definitions };
}

function silentEvents() {
  return createEventLog(createLogger({ level: 'silent' }), createMetrics({ runtime: false }));
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`isthmus: ${error instanceof Error ? error.message : String(error)}`);
  // What was opened before the fault must not keep half a gateway alive.
  process.exit(1);
}
