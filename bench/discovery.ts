/**
 * How long discovery documents take with many peers: `node bench/discovery.ts [--peers N]
 * [--requests N]`. One MCP server stands behind all entries; each document is asked for on one
 * connection, one request after the other, after the gateway has read every peer. The bar is a
 * median of 50 ms. The exit code is 1 when a document misses it or is not served.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Client } from 'undici';
import { median } from './load.ts';
import { freePorts, Processes } from './processes.ts';
import type { Running } from './processes.ts';

const BAR_MS = 50;
const PATIENCE_MS = 120_000;
const CLI = fileURLToPath(new URL('../src/cli.ts', import.meta.url));
const CONTESTANT = fileURLToPath(new URL('./contestant.ts', import.meta.url));

interface Measured {
  path: string;
  bytes: number;
  firstMs: number;
  medianMs: number;
  worstMs: number;
  revalidatedMs: number;
}

process.exitCode = await main();

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      peers: { type: 'string', default: '1000' },
      requests: { type: 'string', default: '200' },
    },
  });
  const [peers, requests] = [Number(values.peers), Number(values.requests)];
  const processes = await Processes.create();
  try {
    const [serverPort = 0, gatewayPort = 0] = await freePorts(2);
    const server = await processes.start({
      name: 'echo-server',
      args: [CONTESTANT, 'echo-server', '', String(serverPort)],
      port: serverPort,
    });
    const started = performance.now();
    const gateway = await startGateway(processes, { server, port: gatewayPort, peers });
    const readyMs = performance.now() - started;
    const client = new Client(gateway.origin);
    await everyPeerRead(client, peers);
    const readMs = performance.now() - started;
    const rows: Measured[] = [];
    for (const path of documents(peers)) rows.push(await measure(client, path, requests));
    await client.close();
    print({ peers, requests, readyMs, readMs }, rows);
    return rows.every(({ medianMs }) => medianMs < BAR_MS) ? 0 : 1;
  } finally {
    await processes.stop();
  }
}

function idOf(n: number): string {
  return `peer-${n}`;
}

function documents(peers: number): string[] {
  const one = idOf(peers >> 1);
  return [
    '/.well-known/agent-card.json',
    '/.well-known/mcp.json',
    '/.well-known/ai-catalog.json',
    '/v0.1/servers?limit=100',
    `/v0.1/servers?search=${one}`,
    '/mcp/server-card',
    `/mcp/${one}/server-card`,
    `/a2a/${one}/.well-known/agent-card.json`,
  ];
}

async function startGateway(
  processes: Processes,
  { server, port, peers }: { server: Running; port: number; peers: number },
): Promise<Running> {
  const file = join(processes.directory, 'gateway.json');
  const config = {
    gateway: {
      publicUrl: `http://127.0.0.1:${port}`,
      listen: { host: '127.0.0.1', port },
      organization: { id: 'bench', name: 'Bench', url: 'https://bench.example' },
    },
    store: { url: `sqlite:${join(processes.directory, 'gateway.db')}` },
    keys: { dir: join(processes.directory, 'keys') },
    peers: Array.from({ length: peers }, (_, n) => ({
      id: idOf(n),
      mcp: { url: `${server.origin}/mcp` },
    })),
    egress: { allowLoopback: true },
  };
  await writeFile(file, JSON.stringify(config));
  const args = [CLI, 'serve', '--config', file];
  return processes.start({ name: 'gateway', args, port, readyPath: '/readyz' });
}

/** Waits until the gateway's own card has the skill of every peer. */
async function everyPeerRead(client: Client, peers: number): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    const { text } = await get(client, '/.well-known/agent-card.json');
    const { skills } = JSON.parse(text) as { skills?: { id?: string }[] };
    const read = new Set((skills ?? []).map(({ id }) => id?.split('/')[0]));
    if (read.size >= peers) return;
    if (performance.now() > deadline)
      throw new Error(`only ${read.size} of ${peers} peers are read`);
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

async function measure(client: Client, path: string, requests: number): Promise<Measured> {
  const first = await get(client, path);
  const times: number[] = [];
  const revalidated: number[] = [];
  for (let n = 0; n < requests; n += 1) {
    const full = await get(client, path);
    if (full.text !== first.text) throw new Error(`${path} changed while it was measured`);
    times.push(full.ms);
    const kept = await get(client, path, { 'if-none-match': first.etag }, 304);
    revalidated.push(kept.ms);
  }
  return {
    path,
    bytes: Buffer.byteLength(first.text),
    firstMs: first.ms,
    medianMs: median(times),
    worstMs: Math.max(...times),
    revalidatedMs: median(revalidated),
  };
}

async function get(
  client: Client,
  path: string,
  headers: Record<string, string> = {},
  expected = 200,
): Promise<{ text: string; etag: string; ms: number }> {
  const started = performance.now();
  const response = await client.request({ method: 'GET', path, headers });
  const text = await response.body.text();
  const ms = performance.now() - started;
  if (response.statusCode !== expected) {
    throw new Error(
      `${path} answers ${response.statusCode}, not ${expected}: ${text.slice(0, 200)}`,
    );
  }
  const { etag } = response.headers;
  return { text, etag: typeof etag === 'string' ? etag : '', ms };
}

function print(
  run: { peers: number; requests: number; readyMs: number; readMs: number },
  rows: readonly Measured[],
): void {
  const ms = (value: number): string => value.toFixed(2);
  const lines = [
    `${run.peers} peers: ready after ${Math.round(run.readyMs)} ms, all read after ${Math.round(run.readMs)} ms; ${run.requests} requests a document`,
    '',
    '| Document | kB | first ms | median ms | worst ms | 304 ms | bar |',
    '| --- | --: | --: | --: | --: | --: | --- |',
    ...rows.map(
      (row) =>
        `| \`${row.path}\` | ${(row.bytes / 1000).toFixed(1)} | ${ms(row.firstMs)} | ${ms(row.medianMs)} | ${ms(row.worstMs)} | ${ms(row.revalidatedMs)} | ${row.medianMs < BAR_MS ? 'met' : 'MISSED'} |`,
    ),
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}
