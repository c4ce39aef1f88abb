/**
 * `npm start`: the two demo peers and the gateway in front of them, on loopback, until Ctrl-C.
 * `npm start -- --port N --host H` moves the gateway, `--travel-port` and `--notes-port` the peers.
 * `npm start -- --oauth` adds an identity provider (`--identity-port`), and tokens are asked for.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const READY = 'ready';
const READY_WITHIN_MS = 60_000;
const STOP_WITHIN_MS = 10_000;

/** Where everything listens. */
interface Addresses {
  host: string;
  port: number;
  travelPort: number;
  notesPort: number;
  identityPort: number;
  /** Whether callers have to show a token. */
  oauth: boolean;
}

/** What the configurations beside this file name. */
const DEFAULTS = {
  host: '127.0.0.1',
  port: 8080,
  travelPort: 41241,
  notesPort: 41242,
  identityPort: 41243,
} as const;

/** One process that this script started. */
interface Part {
  name: string;
  child: ChildProcess;
  /** Resolves with a sentence when the process has ended. */
  ended: Promise<string>;
}

const file = (path: string) => fileURLToPath(new URL(`../${path}`, import.meta.url));

async function main(): Promise<number> {
  const at = addressesFrom(process.argv.slice(2));
  const taken = await takenPorts(at);
  if (taken.length > 0) {
    console.error(`quickstart: ${taken.join('\nquickstart: ')}`);
    return 1;
  }
  const parts: Part[] = [];
  const start = (name: string, ...args: string[]) => parts.push(startPart(name, args));
  const stopped = stopSignal();
  start('travel agent', file('examples/travel-agent/main.ts'), '--port', `${at.travelPort}`);
  start('notes server', file('examples/notes-server/main.ts'), '--port', `${at.notesPort}`);
  const demo = [`http://127.0.0.1:${at.travelPort}/`, `http://127.0.0.1:${at.notesPort}/`];
  if (at.oauth) {
    const ends = ['--port', `${at.identityPort}`, '--gateway', originOf(at)];
    start('identity provider', file('examples/identity-provider/main.ts'), ...ends);
    demo.push(`http://127.0.0.1:${at.identityPort}/jwks`);
  }
  let reason = await whicheverFirst(answering(demo, 'demo peers'), parts, stopped);
  if (reason === READY) {
    const listen = ['--host', at.host, '--port', `${at.port}`];
    start('gateway', file('src/cli.ts'), 'serve', '--config', configFor(at), ...listen);
    const url = `${originOf(at)}/readyz`;
    reason = await whicheverFirst(answering([url], 'gateway', 200), parts, stopped);
  }
  if (reason === READY) {
    console.log(guide(at, parts));
    reason = await whicheverFirst(new Promise(() => undefined), parts, stopped);
  }
  await stopAll(parts);
  if (reason === 'SIGINT' || reason === 'SIGTERM') return 0;
  console.error(`quickstart: ${reason}`);
  return 1;
}

function addressesFrom(args: string[]): Addresses {
  const { values } = parseArgs({
    args,
    options: {
      host: { type: 'string', default: DEFAULTS.host },
      port: { type: 'string', default: `${DEFAULTS.port}` },
      'travel-port': { type: 'string', default: `${DEFAULTS.travelPort}` },
      'notes-port': { type: 'string', default: `${DEFAULTS.notesPort}` },
      'identity-port': { type: 'string', default: `${DEFAULTS.identityPort}` },
      oauth: { type: 'boolean', default: false },
    },
  });
  return {
    host: values.host,
    port: portFrom('port', values.port),
    travelPort: portFrom('travel-port', values['travel-port']),
    notesPort: portFrom('notes-port', values['notes-port']),
    identityPort: portFrom('identity-port', values['identity-port']),
    oauth: values.oauth,
  };
}

function portFrom(option: string, value: string): number {
  const port = Number(value);
  if (Number.isInteger(port) && port > 0 && port < 65_536) return port;
  throw new Error(`--${option} must be a port between 1 and 65535, not "${value}"`);
}

/** One sentence for each port that another program holds. */
async function takenPorts(at: Addresses): Promise<string[]> {
  const wanted = [
    { option: '--port', host: at.host, port: at.port },
    { option: '--travel-port', host: '127.0.0.1', port: at.travelPort },
    { option: '--notes-port', host: '127.0.0.1', port: at.notesPort },
    ...(at.oauth ? [{ option: '--identity-port', host: '127.0.0.1', port: at.identityPort }] : []),
  ];
  const problems: string[] = [];
  for (const { option, host, port } of wanted) {
    const code = await listenError(host, port);
    if (code === 'EADDRINUSE') {
      problems.push(
        `port ${port} on ${host} is taken. Stop the program that holds it, or choose another ` +
          `port with: npm start -- ${option} ${port + 1}`,
      );
    } else if (code) problems.push(`cannot listen on ${host}:${port} (${code}); see ${option}.`);
  }
  return problems;
}

async function listenError(host: string, port: number): Promise<string | undefined> {
  const probe = createServer();
  return new Promise((resolve) => {
    probe.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    probe.listen(port, host, () => probe.close(() => resolve(undefined)));
  });
}

/** The configuration itself, or a copy of it with the addresses that were asked for. */
function configFor({ oauth, ...at }: Addresses): string {
  const original = file(oauth ? 'deploy/quickstart-oauth.yaml' : 'deploy/quickstart.yaml');
  if (JSON.stringify(at) === JSON.stringify(DEFAULTS)) return original;
  const text = readFileSync(original, 'utf8')
    .replaceAll(originOf(DEFAULTS), originOf(at))
    .replace('host: 127.0.0.1, port: 8080', `host: "${at.host}", port: ${at.port}`)
    .replaceAll(`:${DEFAULTS.travelPort}`, `:${at.travelPort}`)
    .replaceAll(`:${DEFAULTS.notesPort}`, `:${at.notesPort}`)
    .replaceAll(`:${DEFAULTS.identityPort}`, `:${at.identityPort}`);
  const copy = join(mkdtempSync(join(tmpdir(), 'isthmus-quickstart-')), 'quickstart.yaml');
  writeFileSync(copy, text);
  return copy;
}

function originOf({ host, port }: Pick<Addresses, 'host' | 'port'>): string {
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/**
 * Starts a process of its own group, so that Ctrl-C reaches it once, through us. The channel tells
 * it to stop if this script is killed without a chance to say so.
 */
function startPart(name: string, args: string[]): Part {
  const orphan = 'process.once("disconnect",()=>process.kill(process.pid,"SIGTERM"));';
  const preload = `data:text/javascript,${orphan}process.channel?.unref()`;
  const child = spawn(process.execPath, ['--import', preload, ...args], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    detached: true,
  });
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(`the ${name} could not start: ${error.message}`));
    child.once('exit', (code, signal) => {
      resolve(`the ${name} ended (${signal ?? `exit code ${code}`})`);
    });
  });
  return { name, child, ended };
}

/** `READY` once every URL answers, with `status` where one is given; else what went wrong. */
async function answering(urls: readonly string[], what: string, status?: number): Promise<string> {
  const deadline = Date.now() + READY_WITHIN_MS;
  for (const url of urls) {
    for (;;) {
      const response = await fetch(url).catch(() => undefined);
      await response?.body?.cancel();
      if (response && (status === undefined || response.status === status)) break;
      if (Date.now() > deadline) return `no answer from the ${what} at ${url}`;
      await sleep(100);
    }
  }
  return READY;
}

/** What comes first: the outcome, the end of a part, or a signal to us. */
function whicheverFirst(
  outcome: Promise<string>,
  parts: readonly Part[],
  stopped: Promise<string>,
): Promise<string> {
  return Promise.race([stopped, ...parts.map((part) => part.ended), outcome]);
}

function stopSignal(): Promise<string> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => resolve(signal === 'SIGHUP' ? 'SIGTERM' : signal));
    }
  });
}

/** Asks every process to stop, the gateway first, and insists after a while. */
async function stopAll(parts: readonly Part[]): Promise<void> {
  for (const { child } of parts.toReversed()) {
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) continue;
    const exit = once(child, 'exit');
    child.kill('SIGTERM');
    const insist = setTimeout(() => child.kill('SIGKILL'), STOP_WITHIN_MS);
    await exit;
    clearTimeout(insist);
  }
}

function guide(at: Addresses, parts: readonly Part[]): string {
  const origin = originOf(at);
  const pids = parts.map(({ name, child }) => `${name} ${child.pid}`).join(', ');
  return `
Isthmus is ready at ${origin}

  an A2A agent as an MCP server   ${origin}/mcp/travel
  an MCP server as an A2A agent   ${origin}/a2a/notes
  its agent card                  ${origin}/a2a/notes/.well-known/agent-card.json
  the peers themselves            http://127.0.0.1:${at.travelPort}/.well-known/agent-card.json
                                  http://127.0.0.1:${at.notesPort}/mcp
${at.oauth ? withTokens(at) : withoutTokens(origin)}

Processes: ${pids}. Ctrl-C stops them all.
`;
}

function withoutTokens(origin: string): string {
  return `
Call the agent's skill quick_lookup as an MCP tool:

${mcpCall(origin)}

Call the server's tool search_notes as an A2A agent:

${a2aCall(origin)}`;
}

function withTokens(at: Addresses): string {
  const origin = originOf(at);
  const provider = `http://127.0.0.1:${at.identityPort}`;
  return `  the identity provider           ${provider}

A call without a token is told in WWW-Authenticate where to get one:

${mcpCall(origin, '-i')}

The provider gives its machine "robot" a token for this one endpoint:

  TOKEN=$(curl -sS -u robot:not-secret-at-all ${provider}/token \\
    -d grant_type=client_credentials -d scope=peer:travel:call \\
    -d resource=${origin}/mcp/travel \\
    | sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/')

With it the call goes through:

${mcpCall(origin, '-H "Authorization: Bearer $TOKEN"')}

Or give ${origin}/mcp/travel to an MCP client that speaks OAuth: it
opens a browser, where you are alice or bob, and asks you whether it may.`;
}

/** A `tools/call` of MCP 2026-07-28: the headers repeat what the body says. */
function mcpCall(origin: string, more?: string): string {
  const body = {
    jsonrpc: '2.0',
    id: 1,
    method: 'tools/call',
    params: {
      name: 'quick_lookup',
      arguments: { message: 'Which currency do they use in Oslo?' },
      _meta: {
        'io.modelcontextprotocol/protocolVersion': '2026-07-28',
        'io.modelcontextprotocol/clientInfo': { name: 'curl', version: '1.0.0' },
        'io.modelcontextprotocol/clientCapabilities': {},
      },
    },
  };
  const headers = [
    'Accept: application/json, text/event-stream',
    'MCP-Protocol-Version: 2026-07-28',
    'Mcp-Method: tools/call',
    'Mcp-Name: quick_lookup',
  ];
  return curl(`${origin}/mcp/travel`, body, headers, more);
}

/** A `SendMessage` of A2A 1.0 that picks the tool in a data part. */
function a2aCall(origin: string): string {
  const data = { tool: 'search_notes', arguments: { query: 'travel' } };
  const message = { messageId: randomUUID(), role: 'ROLE_USER', parts: [{ data }] };
  const body = { jsonrpc: '2.0', id: 1, method: 'SendMessage', params: { message } };
  return curl(`${origin}/a2a/notes`, body, ['A2A-Version: 1.0']);
}

function curl(url: string, body: object, headers: readonly string[], more = ''): string {
  const lines = [
    `curl -sS ${url}${more && ` ${more}`}`,
    ...['Content-Type: application/json', ...headers].map((one) => `-H '${one}'`),
    `-d '${JSON.stringify(body)}'`,
  ];
  return lines.map((line, index) => (index === 0 ? `  ${line}` : `    ${line}`)).join(' \\\n');
}

const code = await main().catch((error: unknown) => {
  console.error(`quickstart: ${error instanceof Error ? error.message : String(error)}`);
  return 1;
});
process.exit(code);
