/**
 * The command line.
 */
import { parseArgs } from 'node:util';
import { checkPeers, reportTable } from './check.ts';
import { loadConfig, processContext } from './config/load.ts';
import { formatMistakes } from './config/mistake.ts';
import type { Config } from './config/schema.ts';
import { watchConfig } from './config/watch.ts';
import { createPeers, openEgress, startGateway } from './main.ts';
import { createEventLog } from './observe/events.ts';
import { createLogger } from './observe/log.ts';
import { createMetrics } from './observe/metrics.ts';
import { writeWellKnown } from './well-known.ts';

const usage = `Usage:
  isthmus serve      [--config FILE] [--host H] [--port N]   run the gateway
  isthmus check      [--config FILE] [--json]                validate the config, reach every peer, print a table
  isthmus well-known [--config FILE] --out DIR               write every discovery document as static files

FILE is isthmus.yaml when --config is absent.`;

const options = {
  config: { type: 'string', default: 'isthmus.yaml' },
  host: { type: 'string' },
  port: { type: 'string' },
  json: { type: 'boolean', default: false },
  out: { type: 'string' },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

type Flags = ReturnType<typeof readArguments>['values'];

const commands: Record<string, { flags: (keyof Flags)[]; run: (flags: Flags) => Promise<number> }> =
  {
    serve: { flags: ['config', 'host', 'port'], run: serve },
    check: { flags: ['config', 'json'], run: check },
    'well-known': { flags: ['config', 'out'], run: wellKnown },
  };

async function main(): Promise<number> {
  let given: ReturnType<typeof readArguments>;
  try {
    given = readArguments();
  } catch (error) {
    // The rest of the sentence is about positional arguments, of which there are none.
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
  if (rest.length > 0) return refuse(`${name} takes no argument "${rest.join(' ')}"`);
  const used = given.tokens.flatMap((token) => (token.kind === 'option' ? [token.name] : []));
  const foreign = used.find((flag) => !command.flags.some((known) => known === flag));
  if (foreign !== undefined) return refuse(`--${foreign} does not go with ${name}`);
  const { port } = given.values;
  if (port !== undefined && !(/^\d{1,5}$/.test(port) && Number(port) <= 65_535)) {
    return refuse('--port needs a whole number from 0 to 65535');
  }
  return command.run(given.values);
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

async function check(flags: Flags): Promise<number> {
  const config = readConfig(flags);
  if (config === undefined) return 1;
  const { egress, peers } = connect(config);
  const reports = await checkPeers(peers.list());
  await peers.close();
  await egress.close();
  console.log(flags.json ? JSON.stringify(reports, null, 2) : reportTable(reports));
  return reports.every((report) => report.ok) ? 0 : 1;
}

async function wellKnown(flags: Flags): Promise<number> {
  const { out } = flags;
  if (out === undefined) return refuse('well-known needs --out DIR');
  const config = readConfig(flags);
  if (config === undefined) return 1;
  const { egress, peers } = connect(config);
  const written = await writeWellKnown(config, peers, out);
  await peers.close();
  await egress.close();
  for (const { path, problem } of written) {
    if (problem === undefined) console.log(path);
    else console.error(`isthmus: ${path} is not written: ${problem}`);
  }
  return written.every(({ problem }) => problem === undefined) ? 0 : 1;
}

/** The peers of a configuration, without a gateway around them. */
function connect(config: Config) {
  const logger = createLogger({ level: 'silent' });
  const events = createEventLog(logger, createMetrics({ runtime: false }));
  const egress = openEgress(config, events);
  return { egress, peers: createPeers(config, egress, events) };
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`isthmus: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
