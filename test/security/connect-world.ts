/**
 * People, their organisation's provider, a third party, and a gateway between an MCP client and a
 * server that wants the person's own token for the third party. All of it real, on loopback; who
 * calls the MCP face is said by a header.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { randomBytes } from 'node:crypto';
import { createSeal } from '../../src/auth/seal.ts';
import { createSecretSeal } from '../../src/auth/secret-seal.ts';
import { openSealingKeys } from '../../src/auth/sealing-keys.ts';
import { loadSealingSecret } from '../../src/auth/key-files.ts';
import { openSigningKeys } from '../../src/auth/signing-keys.ts';
import { userConnection } from '../../src/auth/credentials/user-connection.ts';
import {
  createConnectEndpoint,
  type ConnectEvent,
} from '../../src/auth/connect/connect-endpoint.ts';
import type { ServiceSettings } from '../../src/auth/connect/connection-service.ts';
import { ConnectionServices } from '../../src/auth/connect/connection-services.ts';
import { ConsentFlow } from '../../src/auth/connect/consent-flow.ts';
import { Vault } from '../../src/auth/connect/vault.ts';
import { createPeople, type Login } from '../../src/auth/login/people.ts';
import { TaskEngine } from '../../src/engine/task-engine.ts';
import { createMintId } from '../../src/model/ids.ts';
import type { OwnerKey, Principal } from '../../src/model/principal.ts';
import { createA2aPeer } from '../../src/peers/a2a/a2a-peer.ts';
import { connected } from '../../src/peers/connected-peer.ts';
import { createEgress } from '../../src/peers/guarded-fetch.ts';
import { createMcpPeer } from '../../src/peers/mcp/peer.ts';
import type { ManagedPeer } from '../../src/peers/registry.ts';
import { renewingEgress } from '../../src/peers/renewing-egress.ts';
import type { ConnectionUse } from '../../src/ports/connections.ts';
import type { TaskView } from '../../src/ports/tasks.ts';
import { openDatabase } from '../../src/store/sqlite/database.ts';
import { SqliteReplayStore } from '../../src/store/sqlite/replay-store.ts';
import { SqliteSecretStore } from '../../src/store/sqlite/secret-store.ts';
import { SqliteTaskStore } from '../../src/store/sqlite/task-store.ts';
import { startIdentityProvider, type IdentityProvider } from '../support/identity-provider.ts';
import { startModernServer, type ModernServer } from '../support/modern-server.ts';

/** What the guarded server was sent. */
export interface SeenCall {
  readonly authorization: string | undefined;
  readonly method: string;
  readonly body: string;
}

/** A server behind a door that only opens for tokens of the third party. */
export interface GuardedServer {
  readonly url: string;
  readonly seen: SeenCall[];
  /** Tokens that are not taken any more. */
  readonly refused: Set<string>;
  /** Methods that anybody may call. */
  readonly open: Set<string>;
  readonly server: ModernServer;
  close(): Promise<void>;
}

/** Everything, running. */
export interface ConnectWorld {
  readonly url: string;
  readonly dir: string;
  readonly third: IdentityProvider;
  readonly provider: IdentityProvider;
  readonly guarded: GuardedServer;
  readonly events: ConnectEvent[];
  readonly audit: unknown[];
  vault: Vault;
  tasks: TaskEngine;
  secrets: SqliteSecretStore;
  peer(id: string): ManagedPeer;
  /** What a consent for a peer is for. */
  use(peerId: string): ConnectionUse;
  /** Changes what is configured of the third party. */
  reconfigure(change: Partial<ServiceSettings>): void;
  /** Runs statements on the database, as somebody with the file could. */
  sql(statement: string, ...values: string[]): void;
  rows(statement: string): Record<string, unknown>[];
  /** Stops the engine and everything on the store, and starts it anew. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

export const scope = 'files.read';
export const resource = 'https://files.example/';

/** What a test may change. */
export interface WorldOptions {
  readonly accessTokenTtl?: number;
  readonly withoutPeople?: boolean;
  readonly scopes?: readonly string[];
  readonly interruptTtlMs?: number;
  /** The card of an agent that is reached with the same connection, as the peer `agent`. */
  readonly agentCard?: string;
  /** Changes what is known of the third party. */
  readonly issuer?: (issuer: string) => string;
}

/** A person of the organisation, as a client of theirs shows up. */
export function principal(world: ConnectWorld, subject: string, client = 'client-one'): Principal {
  return {
    organization: 'example',
    issuer: world.provider.issuer,
    subject,
    client,
    scopes: [],
  };
}

/** The link in a task's question. */
export function linkOf({ questions }: TaskView): string {
  const url = questions[0]?.request.params?.['url'];
  return typeof url === 'string' ? url : '';
}

/** Starts it all. */
export async function startConnectWorld(options: WorldOptions = {}): Promise<ConnectWorld> {
  const dir = mkdtempSync(join(tmpdir(), 'isthmus-connect-'));
  const guarded = await startGuardedServer();
  let answer = (_req: IncomingMessage, res: ServerResponse): Promise<unknown> =>
    Promise.resolve(res.writeHead(503).end());
  const server = createServer((req, res) => {
    answer(req, res).catch((error: unknown) => {
      if (!res.headersSent) res.writeHead(500);
      res.end(error instanceof Error ? error.stack : String(error));
    });
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const { third, provider } = await startProviders(url, options);
  const egress = createEgress({ allow: [], allowLoopback: true });
  const events: ConnectEvent[] = [];
  const audit: unknown[] = [];
  const clock = Date.now;
  const mintId = createMintId();

  const settings: ServiceSettings[] = [
    {
      id: 'files',
      name: 'Files Inc',
      issuer: options.issuer?.(third.issuer) ?? third.issuer,
      clientId: 'isthmus',
      clientSecret: 'a secret of the third party',
      scopes: options.scopes ?? [scope],
      resource,
      authorizationParams: {},
    },
    {
      id: 'other',
      issuer: third.issuer,
      clientId: 'isthmus',
      clientSecret: 'a secret of the third party',
      scopes: [scope],
      authorizationParams: {},
    },
  ];

  const use = (peerId: string): ConnectionUse => {
    const place = peerId === 'agent' ? (options.agentCard ?? '') : guarded.url;
    return { connection: 'files', peerId, resource: place, origins: [new URL(place).origin] };
  };

  const open = async () => {
    const database = openDatabase(join(dir, 'x.db'));
    const keys = join(dir, 'keys');
    const secretSeal = createSecretSeal(openSealingKeys(keys, { checkEveryMs: 0 }));
    const secrets = new SqliteSecretStore(database, {
      seal: secretSeal,
      clock,
    });
    const replay = new SqliteReplayStore(database);
    const seal = createSeal(loadSealingSecret(keys));
    const signing = openSigningKeys(keys);
    const store = new SqliteTaskStore(database);
    const services = new ConnectionServices({ fetch: egress.fetch, clock });
    services.reconfigure(settings);
    const service = (id: string) => services.of(id);
    const shared = { secrets, seal, service, publicUrl: url, clock, mintId };
    const vault = new Vault({ ...shared, mayUse: () => true, requestTtlMs: 60_000, pollMs: 200 });
    const flow = new ConsentFlow({ ...shared, vault, random: randomBytes });
    const wrap = (peer: ManagedPeer) =>
      connected(peer, { use: use(peer.id), connections: vault, replay, mintId, clock });
    const peers = new Map<string, ManagedPeer>();
    const filesCredentials = userConnection(use('files'), vault);
    peers.set(
      'files',
      wrap(
        createMcpPeer({
          id: 'files',
          url: guarded.url,
          egress: renewingEgress(egress, filesCredentials),
          credentials: (behalf) => filesCredentials.headers(behalf),
          timeouts: { requestMs: 5000, connectMs: 5000, idleMs: 10_000 },
          idempotentTools: [],
          clock,
          mintId,
        }),
      ),
    );
    if (options.agentCard !== undefined) {
      peers.set(
        'agent',
        wrap(
          createA2aPeer({
            id: 'agent',
            card: new URL(options.agentCard),
            // The agent takes strangers too, and asks when it needs more.
            credentials: async ({
              principal: who,
              signal,
            }): Promise<Readonly<Record<string, string>>> =>
              (await vault.isConnected(who, use('agent')))
                ? { authorization: `Bearer ${await vault.accessToken(who, use('agent'), signal)}` }
                : {},
            egress,
            clock,
            mintId,
            dedupesMessageId: false,
            timeouts: { requestMs: 5000, connectMs: 5000, idleMs: 10_000, recoverMs: 2000 },
          }),
        ),
      );
    }
    const tasks = new TaskEngine({
      store,
      peers: { get: (id) => peers.get(id), list: () => [...peers.values()] },
      seal,
      clock,
      mintId,
      replica: mintId(),
      limits: {
        taskTtlMs: 60_000,
        interruptTtlMs: options.interruptTtlMs ?? 60_000,
        openInterruptsPerPrincipal: 100,
        cancelWaitMs: 900,
        progressEveryMs: 250,
        sweepEveryMs: 200,
      },
      events: { emit: (event) => void audit.push(event) },
    });
    const people: Login | undefined =
      options.withoutPeople === true
        ? undefined
        : createPeople({
            providers: [
              {
                organization: 'example',
                issuer: provider.issuer,
                clientId: 'gateway',
                clientSecret: 'a secret of the provider',
              },
            ],
            publicUrl: url,
            store: secrets,
            seal: secretSeal,
            replay,
            fetch: egress.fetch,
            clock,
            random: randomBytes,
            organizationNames: new Map(),
            signingKey: () => signing.current().active,
          });
    const connect = createConnectEndpoint({
      tasks,
      seal,
      vault,
      flow,
      service,
      people,
      ownerOf: async (id): Promise<OwnerKey | undefined> => (await store.read(id))?.owner,
      nameOf: async (id) => id,
      publicUrl: url,
      onEvent: (event) => void events.push(event),
    });
    answer = async (req, res) => {
      const path = (req.url ?? '/').split('?')[0] ?? '/';
      if (await people?.handle(req, res, path)) return;
      const anonymous = {
        organization: 'example',
        issuer: provider.issuer,
        subject: 'alice',
        client: 'client-one',
        scopes: [],
      };
      await connect(req, res, { path, principal: anonymous });
    };
    await tasks.recover();
    return { database, secrets, vault, tasks, store, peers, services };
  };

  let parts = await open();
  const shut = async (): Promise<void> => {
    await parts.tasks.stop();
    for (const peer of parts.peers.values()) await peer.close();
    await parts.store.close();
  };
  return {
    url,
    dir,
    third,
    provider,
    guarded,
    events,
    audit,
    get vault() {
      return parts.vault;
    },
    get tasks() {
      return parts.tasks;
    },
    get secrets() {
      return parts.secrets;
    },
    peer: (id) => {
      const peer = parts.peers.get(id);
      if (peer === undefined) throw new Error(`There is no peer ${id}.`);
      return peer;
    },
    use,
    reconfigure: (change) => {
      const [files, ...others] = settings;
      if (files !== undefined) parts.services.reconfigure([{ ...files, ...change }, ...others]);
    },
    sql: (statement, ...values) => void parts.database.db.prepare(statement).run(...values),
    rows: (statement) => parts.database.db.prepare(statement).all(),
    async restart() {
      await shut();
      parts = await open();
    },
    async close() {
      await shut();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await egress.close();
      await Promise.all([third.close(), provider.close(), guarded.close()]);
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

async function startProviders(url: string, options: WorldOptions) {
  const third = await startIdentityProvider({
    scopes: [scope],
    resources: [resource],
    ...(options.accessTokenTtl !== undefined && { accessTokenTtl: options.accessTokenTtl }),
    clients: [
      {
        client_id: 'isthmus',
        client_secret: 'a secret of the third party',
        grant_types: ['authorization_code', 'refresh_token'],
        redirect_uris: [`${url}/connect/callback/files`, `${url}/connect/callback/other`],
      },
    ],
  });
  const provider = await startIdentityProvider({
    clients: [
      {
        client_id: 'gateway',
        client_secret: 'a secret of the provider',
        grant_types: ['authorization_code', 'refresh_token'],
        redirect_uris: [`${url}/login/callback/example`],
      },
    ],
  });
  return { third, provider };
}

/** Starts one. */
export async function startGuardedServer(): Promise<GuardedServer> {
  const server = await startModernServer();
  const seen: SeenCall[] = [];
  const refused = new Set<string>();
  const open = new Set<string>();
  const door = createServer((req, res) => {
    const pass = async (): Promise<void> => {
      const body = req.method === 'POST' ? await buffer(req) : undefined;
      const { authorization } = req.headers;
      const text = body?.toString('utf8') ?? '';
      const method = /"method":"([^"]+)"/.exec(text)?.[1] ?? req.method ?? '';
      seen.push({ authorization, method, body: text });
      const token = authorization?.replace(/^Bearer /, '');
      if (!open.has(method) && (token === undefined || refused.has(token))) {
        res.writeHead(401, { 'www-authenticate': 'Bearer error="invalid_token"' }).end();
        return;
      }
      const headers = Object.fromEntries(
        Object.entries(req.headers).filter(
          ([name]) =>
            !/^(host|connection|content-length|authorization|transfer-encoding)$/.test(name),
        ),
      ) as Record<string, string>;
      const reply = await fetch(server.url, {
        method: req.method ?? 'GET',
        headers,
        ...(body !== undefined && { body: new Uint8Array(body) }),
      });
      res.writeHead(reply.status, {
        'content-type': reply.headers.get('content-type') ?? 'text/plain',
      });
      for await (const chunk of reply.body ?? []) res.write(chunk);
      res.end();
    };
    pass().catch(() => res.destroy());
  });
  await new Promise<void>((resolve) => void door.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(door.address() as AddressInfo).port}/mcp`,
    seen,
    refused,
    open,
    server,
    async close() {
      door.closeAllConnections();
      await new Promise((resolve) => door.close(resolve));
      await server.close();
    },
  };
}
