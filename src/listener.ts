/**
 * The HTTP listener: what is common to every request, whatever answers it. It listens before there
 * is anything to answer, and stops only when the last request has its answer.
 */
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Metrics } from './observe/metrics.ts';

/** What the listener needs. */
export interface ListenerOptions {
  host: string;
  port: number;
  /** How long a request may take to arrive (ms); its answer takes as long as it takes. */
  receiveMs: number;
  metrics: Metrics;
  /** Runs a request in its own trace. */
  traced(req: IncomingMessage, answer: () => void): void;
}

/** An open listener. */
export interface Listener {
  /** Where it listens, as a URL. */
  readonly url: string;
  /** From now on these requests are answered; before, they heard that we are starting. */
  serve(answer: RequestListener): void;
  /** How many requests wait for the end of their answer. */
  readonly waiting: number;
  /** Ends every connection and stops listening. */
  close(): Promise<void>;
}

/** Opens a listener. Rejects when the address cannot be had. */
export async function openListener(options: ListenerOptions): Promise<Listener> {
  const { host, port, receiveMs, metrics } = options;
  const server = createServer({
    keepAliveTimeout: 65_000,
    requestTimeout: receiveMs,
    headersTimeout: Math.min(receiveMs, 60_000),
    connectionsCheckingInterval: Math.min(receiveMs, 10_000),
  });
  let answer = starting;
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
    options.traced(req, () => answer(req, res));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  const bound = (server.address() as AddressInfo).port;
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${bound}`,
    serve: (next) => {
      answer = next;
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

/** What a client hears that comes while tasks are picked up. */
const starting: RequestListener = (req, res) => {
  const alive = req.url === '/healthz';
  res.writeHead(alive ? 200 : 503, { 'content-type': 'application/json', 'retry-after': '1' });
  res.end(JSON.stringify({ status: 'starting' }));
};
