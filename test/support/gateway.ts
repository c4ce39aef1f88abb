/**
 * A whole gateway in this process, on a free port of loopback, with a store of its own.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { freePort } from '../faults/child.ts';
import { parseConfig } from '../../src/config/load.ts';
import { startGateway as serve, type Gateway } from '../../src/main.ts';
import { createLogger } from '../../src/observe/log.ts';

/** A peer of a test's gateway: exactly one of `a2a` (card URL), `mcp` (endpoint URL) and `discover`. */
export interface TestPeer {
  id: string;
  a2a?: string;
  mcp?: string;
  discover?: string;
  /** Who runs it, where its host does not say so. */
  organization?: string;
  /** What becomes of a signed card; resign when absent. */
  signedCard?: 'resign' | 'verbatim' | 'reject';
  dedupesMessageId?: boolean;
  idempotentTools?: string[];
  /** As in the configuration file. */
  credentials?: { type: string; [key: string]: unknown };
  timeouts?: { call?: string; idle?: string };
  headers?: Record<string, string>;
  /** What happens to a changed definition; review when absent. */
  definitions?: 'accept' | 'review' | 'block';
  /** Shown in the gateway's own card and catalogs; true when absent. */
  public?: boolean;
}

/** An organization as in the configuration file. */
export interface TestOrganization {
  id: string;
  domains?: string[];
  cardKeys?: { jwks: { keys: object[] } };
  cardSignatures?: 'require' | 'prefer' | 'ignore';
  clientIds?: string[];
  scopes?: string[];
}

/** A peer as in the configuration file. */
export function peerEntry({ a2a, mcp, signedCard, ...peer }: TestPeer): Record<string, unknown> {
  return {
    ...peer,
    ...(a2a !== undefined && { a2a: { card: a2a, ...(signedCard && { signedCard }) } }),
    ...(mcp !== undefined && { mcp: { url: mcp } }),
  };
}

/** What a test wants from its gateway; sections are as in the configuration file. */
export interface TestGatewayOptions {
  peers: TestPeer[];
  organizations?: TestOrganization[];
  limits?: Record<string, string | number>;
  egress?: Record<string, unknown>;
  /** With it the gateway asks for tokens; its public URL is where it listens. */
  auth?: Record<string, unknown>;
  connections?: Record<string, unknown>[];
  lending?: Record<string, unknown>[];
  /** A port of one's own choice, where others have to know it beforehand. */
  port?: number;
  gateway?: Record<string, unknown>;
  telemetry?: Record<string, unknown>;
}

/** A running gateway. */
export interface TestGateway {
  readonly url: string;
  /** `/mcp/{peer}` and `/a2a/{peer}`. */
  mcp(peer: string): string;
  a2a(peer: string): string;
  /** The directory of its store and keys. */
  readonly dir: string;
  /** What opens its admin API. */
  readonly adminToken: string;
  /** Log lines so far. */
  readonly log: Record<string, unknown>[];
  /** Stops and starts again on the same store, keys and port; `meanwhile` has the store to itself. */
  restart(meanwhile?: () => Promise<void>): Promise<void>;
  /** Puts another configuration in force while it runs. */
  reconfigure(changes: Partial<TestGatewayOptions>): void;
  close(): Promise<void>;
}

/** Starts a gateway; `close` also removes its files. */
export async function startGateway(first: TestGatewayOptions): Promise<TestGateway> {
  let options = first;
  const dir = mkdtempSync(join(tmpdir(), 'isthmus-gateway-'));
  const log: Record<string, unknown>[] = [];
  let port = options.port ?? (options.auth === undefined ? 0 : await freePort());
  const start = (): Promise<Gateway> => serve(configOf(options, dir, port), logInto(log));
  let gateway = await start();
  port = Number(new URL(gateway.listening).port);
  return {
    url: gateway.publicUrl,
    mcp: (peer) => `${gateway.publicUrl}/mcp/${peer}`,
    a2a: (peer) => `${gateway.publicUrl}/a2a/${peer}`,
    dir,
    get adminToken() {
      return readFileSync(join(dir, 'keys', 'admin-token'), 'utf8').trim();
    },
    log,
    async restart(meanwhile) {
      await gateway.close();
      await meanwhile?.();
      gateway = await start();
    },
    reconfigure(changes) {
      options = { ...options, ...changes };
      gateway.reconfigure(configOf(options, dir, port));
    },
    async close() {
      await gateway.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

function configOf(options: TestGatewayOptions, dir: string, port: number) {
  const {
    peers,
    organizations = [],
    limits,
    egress,
    auth,
    connections,
    telemetry,
    lending,
  } = options;
  const text = JSON.stringify({
    gateway: {
      listen: { host: '127.0.0.1', port },
      organization: { id: 'test', name: 'Test' },
      ...(auth !== undefined && { publicUrl: `http://127.0.0.1:${port}` }),
      ...options.gateway,
    },
    store: { url: `sqlite:${join(dir, 'isthmus.db')}` },
    keys: { dir: join(dir, 'keys') },
    peers: peers.map(peerEntry),
    organizations,
    limits: { drain: '500ms', ...limits },
    egress: { allowLoopback: true, ...egress },
    ...(auth !== undefined && { auth: { mode: 'oauth', ...auth } }),
    ...(connections !== undefined && { connections }),
    ...(telemetry !== undefined && { telemetry }),
    ...(lending !== undefined && { lending }),
  });
  const { text: withoutSecrets, env } = secretsAside(text);
  const result = parseConfig(withoutSecrets, { env, readFile: () => '' });
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

/** A configuration whose secrets are in the environment, where they have to be. */
function secretsAside(text: string): { text: string; env: Record<string, string> } {
  const env: Record<string, string> = {};
  const aside = (name: string, value: unknown): unknown => {
    const isSecret = /(token|secret|api-?key)$|^(idp)?key$/i.test(name);
    if (!isSecret || typeof value !== 'string' || value.includes('${')) return value;
    const variable = `SECRET_${Object.keys(env).length}`;
    env[variable] = value;
    return `\${env:${variable}}`;
  };
  return { text: JSON.stringify(JSON.parse(text, aside)), env };
}
