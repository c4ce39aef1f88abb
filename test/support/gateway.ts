/**
 * A whole gateway in this process, on a free port of loopback, with a store of its own.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { parseConfig } from '../../src/config/load.ts';
import { startGateway as serve, type Gateway } from '../../src/main.ts';
import { createLogger } from '../../src/observe/log.ts';

/** A peer of a test's gateway: exactly one of `a2a` (card URL) and `mcp` (endpoint URL). */
export interface TestPeer {
  id: string;
  a2a?: string;
  mcp?: string;
  dedupesMessageId?: boolean;
  idempotentTools?: string[];
  credentials?: { type: 'bearer'; token: string };
  timeouts?: { call?: string; idle?: string };
  headers?: Record<string, string>;
}

/** What a test wants from its gateway; `limits` and `egress` as in the configuration file. */
export interface TestGatewayOptions {
  peers: TestPeer[];
  limits?: Record<string, string | number>;
  egress?: Record<string, unknown>;
}

/** A running gateway. */
export interface TestGateway {
  readonly url: string;
  /** `/mcp/{peer}` and `/a2a/{peer}`. */
  mcp(peer: string): string;
  a2a(peer: string): string;
  /** The directory of its store and keys. */
  readonly dir: string;
  /** Log lines so far. */
  readonly log: Record<string, unknown>[];
  /** Stops and starts again on the same store, keys and port. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

/** Starts a gateway; `close` also removes its files. */
export async function startGateway(options: TestGatewayOptions): Promise<TestGateway> {
  const dir = mkdtempSync(join(tmpdir(), 'isthmus-gateway-'));
  const log: Record<string, unknown>[] = [];
  let port = 0;
  const start = (): Promise<Gateway> => serve(configOf(options, dir, port), logInto(log));
  let gateway = await start();
  port = Number(new URL(gateway.listening).port);
  return {
    url: gateway.publicUrl,
    mcp: (peer) => `${gateway.publicUrl}/mcp/${peer}`,
    a2a: (peer) => `${gateway.publicUrl}/a2a/${peer}`,
    dir,
    log,
    async restart() {
      await gateway.close();
      gateway = await start();
    },
    async close() {
      await gateway.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

function configOf({ peers, limits, egress }: TestGatewayOptions, dir: string, port: number) {
  const text = JSON.stringify({
    gateway: { listen: { host: '127.0.0.1', port }, organization: { id: 'test', name: 'Test' } },
    store: { url: `sqlite:${join(dir, 'isthmus.db')}` },
    keys: { dir: join(dir, 'keys') },
    peers: peers.map(({ a2a, mcp, ...peer }) => ({
      ...peer,
      ...(a2a !== undefined && { a2a: { card: a2a } }),
      ...(mcp !== undefined && { mcp: { url: mcp } }),
    })),
    limits: { drain: '500ms', ...limits },
    egress: { allowLoopback: true, ...egress },
  });
  const result = parseConfig(text, { env: {}, readFile: () => '' });
  if (!result.ok) throw new Error(JSON.stringify(result.mistakes));
  return result.config;
}

function logInto(lines: Record<string, unknown>[]) {
  const destination = new Writable({
    write(chunk: Buffer, _encoding, done) {
      for (const line of chunk.toString().split('\n')) {
        if (line !== '') lines.push(JSON.parse(line) as Record<string, unknown>);
      }
      done();
    },
  });
  return createLogger({ level: 'debug', destination });
}
