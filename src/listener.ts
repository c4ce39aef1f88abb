/**
 * The HTTP listener: what is common to every request, whatever answers it. It listens before there
 * is anything to answer, and stops only when the last request has its answer.
 */
import { lookup } from 'node:dns/promises';
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { isLoopbackAddress } from './auth/remote-address.ts';
import type { Metrics } from './observe/metrics.ts';
import { createUploadBudget, type UploadBounds } from './upload-budget.ts';
import { sendWait } from './wait-answer.ts';

/** What the listener needs. */
export interface ListenerOptions {
  host: string;
  port: number;
  /** Nobody but this machine may reach it, whatever the host resolves to. */
  loopbackOnly?: boolean;
  /** How much of requests may be on its way; no bound when absent. */
  uploads?: UploadBounds;
  /** How long a request may take to arrive (ms); its answer takes as long as it takes. */
  receiveMs: number;
  metrics: Metrics;
  /** Runs a request in its own trace. */
  traced(req: IncomingMessage, answer: () => void): void;
}

/** Answers requests that want to speak another protocol from now on. */
export interface Upgrades {
  /** Whether a request is one of these; others are requests like any. */
  takes(req: IncomingMessage): boolean;
  upgrade(req: IncomingMessage, socket: Duplex, head: Buffer): void;
}

/** An open listener. */
export interface Listener {
  /** Where it listens, as a URL. */
  readonly url: string;
  /** From now on these requests are answered; before, they heard that we are starting. */
  serve(answer: RequestListener, upgrades?: Upgrades): void;
  /** How many requests wait for the end of their answer. */
  readonly waiting: number;
  /** Ends every connection and stops listening. */
  close(): Promise<void>;
}

/** Opens a listener. Rejects when the address cannot be had, or is not the loopback it has to be. */
export async function openListener(options: ListenerOptions): Promise<Listener> {
  const { port, receiveMs, metrics, loopbackOnly = false } = options;
  const host = options.host.replace(/^\[(.*)\]$/, '$1');
  // Looked up once: what is checked is what is listened on.
  const address = loopbackOnly ? await loopbackAddress(host) : host;
  const fits = options.uploads === undefined ? () => true : createUploadBudget(options.uploads);
  const server = createServer({
    keepAliveTimeout: 65_000,
    requestTimeout: receiveMs,
    headersTimeout: Math.min(receiveMs, 60_000),
    connectionsCheckingInterval: Math.min(receiveMs, 10_000),
    shouldUpgradeCallback: (req) => upgrades?.takes(req) === true,
  });
  let answer = starting;
  let upgrades: Upgrades | undefined;
  let waiting = 0;
  server.on('request', (req, res) => {
    const started = performance.now();
    waiting += 1;
    res.on('close', () => {
      waiting -= 1;
      const face = /^\/(mcp|a2a|connect)\//.exec(req.url ?? '')?.[1] ?? 'other';
      const mcpMethod = req.headers['mcp-method'];
      const method = typeof mcpMethod === 'string' ? mcpMethod : (req.method ?? '');
      const outcome = res.writableFinished ? `${res.statusCode}` : 'closed';
      metrics.request({ face, method, outcome, seconds: (performance.now() - started) / 1000 });
    });
    if (!fits(req, res)) {
      const [path = ''] = (req.url ?? '').split('?', 1);
      sendWait(res, path, { status: 503, retryAfterMs: 1000, message: noRoom });
      return;
    }
    options.traced(req, () => answer(req, res));
  });
  server.on('upgrade', (req, socket, head) => {
    // Before 24.9 Node.js does not ask.
    if (upgrades?.takes(req) !== true) socket.destroy();
    else options.traced(req, () => upgrades?.upgrade(req, socket, head));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, address, () => {
      server.off('error', reject);
      resolve();
    });
  });
  const bound = (server.address() as AddressInfo).port;
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${bound}`,
    serve: (next, nextUpgrades) => {
      answer = next;
      upgrades = nextUpgrades;
    },
    get waiting() {
      return waiting;
    },
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}

const noRoom = 'Too many large requests are on their way. Try again in a moment.';

/** The address of a host that has no other than loopback. Throws for any other host. */
async function loopbackAddress(host: string): Promise<string> {
  const found = host === '' ? [] : await lookup(host, { all: true });
  const [first] = found;
  if (first !== undefined && found.every(({ address }) => isLoopbackAddress(address))) {
    return first.address;
  }
  throw new Error(
    `auth.mode "open" is refused on ${host}, which is not loopback. Listen on 127.0.0.1, or set auth.mode to oauth.`,
  );
}

/** What a client hears that comes while tasks are picked up. */
const starting: RequestListener = (req, res) => {
  const alive = req.url === '/healthz';
  res.writeHead(alive ? 200 : 503, { 'content-type': 'application/json', 'retry-after': '1' });
  res.end(JSON.stringify({ status: 'starting' }));
};
