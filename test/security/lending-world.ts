/** A gateway that lends tools, agents that borrow them, and whatever an adversary among them sends. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Task } from '../../src/model/a2a.ts';
import { leaseExtension, type LeaseOffer } from '../../src/model/lease.ts';
import { RawA2a, say } from '../faces/a2a-raw.ts';
import { startGateway, type TestGateway, type TestGatewayOptions } from '../support/gateway.ts';
import {
  startHoldingAgent,
  type HeldTask,
  type HoldingAgent,
  type HoldingAgentOptions,
} from '../support/holding-agent.ts';
import { startIssuer, testKey, type TestIssuer, type TestKey } from '../support/issuer.ts';
import { startModernServer, type ModernServer } from '../support/modern-server.ts';
import type { WireResponse } from '../support/wire-client.ts';
import {
  assertionOf,
  assertionType,
  callTool,
  postForm,
  tokenFor,
  type Borrower,
} from './lending-requests.ts';

/** A rule that lends everything of `files` to `agent`. */
export const rule = { to: 'agent', tools: ['files/*'], maxCalls: 50 };

/** What a test wants. */
export interface LendingWorldOptions extends Partial<TestGatewayOptions> {
  /** Asks lenders for tokens; without it there is one anonymous caller. */
  oauth?: boolean;
  /** The agents by the ids of their peers; `agent` alone when absent. */
  agents?: Record<string, HoldingAgentOptions>;
}

/** A running world. */
export interface LendingWorld {
  readonly gateway: TestGateway;
  readonly agents: Readonly<Record<string, HoldingAgent>>;
  /** The agent that most is about. */
  readonly agent: HoldingAgent;
  /** Whose tools are lent. */
  readonly files: ModernServer;
  /** Who vouches for people, where tokens are asked for. */
  readonly issuer: TestIssuer;
  /** What `startGateway` was told. */
  readonly options: TestGatewayOptions;
  /** The lender's client at a peer. */
  lender(peer: string): Promise<Lender>;
  /** Work at a peer that something is lent for. Throws where nothing was offered. */
  lend(options?: LendOptions): Promise<Lent>;
  /** The same as an agent, which has a token of its own for the peer. */
  lendAs(who: HoldingAgent, options: LendOptions): Promise<Lent>;
  /** What an agent says at a peer, as a client with a token of its own, for that peer or `scope`. */
  clientOf(who: HoldingAgent, peer: string, scope?: string): Promise<Lender>;
  /** The bytes of all files of the store. */
  stored(): string;
  /** The audit log, as the store has it. */
  audit(): Promise<Record<string, unknown>[]>;
  close(): Promise<void>;
}

/** Somebody who calls a peer over A2A. */
export interface Lender {
  readonly raw: RawA2a;
  readonly headers: Record<string, string>;
  start(text: string, lend?: Record<string, unknown>): Promise<Task>;
  get(id: string): Promise<Task>;
  cancel(id: string): Promise<unknown>;
}

/** How something is lent. */
export interface LendOptions {
  /** The peer that is called; `agent` when absent. */
  readonly to?: string;
  /** The member `lend` of the request. */
  readonly request?: Record<string, unknown>;
  /** The whole member of the metadata, instead. */
  readonly member?: unknown;
}

/** Something that is lent. */
export interface Lent {
  readonly taskId: string;
  readonly held: HeldTask;
  readonly offer: LeaseOffer;
  readonly lender: Lender;
}

/** Starts it. */
export async function startLending(wanted: LendingWorldOptions = {}): Promise<LendingWorld> {
  const { oauth = false, agents: described = { agent: {} }, peers = [], auth, ...rest } = wanted;
  const issuer = await startIssuer();
  const files = await startModernServer();
  const started = await Promise.all(
    Object.entries(described).map(async ([id, how]) => [id, await startHoldingAgent(how)] as const),
  );
  const agents: Record<string, HoldingAgent> = Object.fromEntries(started);
  const clientIds = started.map(([, { clientId }]) => clientId);
  const options: TestGatewayOptions = {
    peers: [
      ...started.map(([id, { cardUrl }]) => ({ id, a2a: cardUrl })),
      { id: 'files', mcp: files.url },
      ...peers,
    ],
    organizations: [{ id: 'partner', clientIds, scopes: ['peer:*:call'] }],
    lending: [rule],
    ...(oauth && {
      auth: {
        issuers: [{ issuer: issuer.issuer, organization: 'test' }],
        clients: clientIds.map((clientId) => ({
          clientId,
          organization: 'partner',
          scopes: ['peer:*:call'],
        })),
        ...auth,
      },
    }),
    ...rest,
  };
  const gateway = await startGateway(options);
  const headersFor = async (peer: string): Promise<Record<string, string>> => {
    if (!oauth) return {};
    const scope = 'peer:*:call';
    const token = await issuer.token({ aud: gateway.a2a(peer), scope });
    return { authorization: `Bearer ${token}` };
  };
  const agentOf = (to: string): HoldingAgent => {
    const agent = agents[to];
    if (agent === undefined) throw new Error(`no agent ${to}`);
    return agent;
  };
  const lendBy = async (
    lender: Lender,
    { to = 'agent', request, member }: LendOptions,
  ): Promise<Lent> => {
    const task = await lender.start(
      'Do it',
      member === undefined ? request && { lend: request } : (member as never),
    );
    const held = await agentOf(to).next();
    if (held.offer === undefined) throw new Error('nothing was offered');
    return { taskId: task.id, held, offer: held.offer, lender };
  };
  const world: LendingWorld = {
    gateway,
    agents,
    agent: agents['agent'] as HoldingAgent,
    files,
    issuer,
    options,
    lender: async (peer) => lenderAt(gateway.a2a(peer), await headersFor(peer)),
    lend: async (how = {}) => lendBy(await world.lender(how.to ?? 'agent'), how),
    lendAs: async (who, how) => lendBy(await world.clientOf(who, how.to ?? 'agent'), how),
    async clientOf(who, peer, scope) {
      const resource = gateway.a2a(peer);
      const form = {
        grant_type: 'client_credentials',
        resource,
        client_assertion_type: assertionType,
        client_assertion: await assertionOf(who, `${gateway.url}/sts`),
        ...(scope !== undefined && { scope }),
      };
      const { json, text } = await postForm(`${gateway.url}/sts/token`, Object.entries(form));
      if (typeof json['access_token'] !== 'string') throw new Error(text);
      return lenderAt(resource, { authorization: `Bearer ${json['access_token']}` });
    },
    stored: () =>
      readdirSync(gateway.dir, { recursive: true, encoding: 'utf8', withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1'))
        .join('\n'),
    async audit() {
      const { DatabaseSync } = await import('node:sqlite');
      const db = new DatabaseSync(join(gateway.dir, 'isthmus.db'), { readOnly: true });
      const rows = db.prepare('SELECT * FROM audit ORDER BY seq').all();
      db.close();
      return rows.map((row) => ({ ...row }));
    },
    async close() {
      await gateway.close();
      await Promise.all(started.map(([, agent]) => agent.close()));
      await files.close();
      await issuer.close();
    },
  };
  return world;
}

function lenderAt(url: string, headers: Record<string, string>): Lender {
  const raw = new RawA2a(url);
  const send = async (method: string, params: unknown): Promise<unknown> => {
    const { body, status } = await raw.rpc(method, params, { headers });
    if (body.result === undefined)
      throw new Error(`${status} ${JSON.stringify(body.error ?? body)}`);
    return body.result;
  };
  return {
    raw,
    headers,
    async start(text, member) {
      const metadata = member === undefined ? {} : { metadata: { [leaseExtension]: member } };
      const params = {
        ...say(text, metadata as never),
        configuration: { returnImmediately: true },
      };
      return ((await send('SendMessage', params)) as { task: Task }).task;
    },
    get: async (id) => (await send('GetTask', { id, historyLength: 100 })) as Task,
    cancel: (id) => send('CancelTask', { id }),
  };
}

/** A lease with a token for it: what an honest grantee has. */
export interface Redeemed extends Lent {
  readonly key: TestKey;
  readonly token: string;
  /** Calls a tool by it. */
  call(name: string, args?: Record<string, unknown>): Promise<WireResponse>;
}

/** Something that is lent to an agent, which redeems it. */
export async function redeemed(world: LendingWorld, options: LendOptions = {}): Promise<Redeemed> {
  const lent = await world.lend(options);
  return withToken(lent, world.agents[options.to ?? 'agent'] as HoldingAgent);
}

/** The same with a token that somebody got for it. */
export async function withToken(lent: Lent, who: Borrower): Promise<Redeemed> {
  const key = await testKey();
  const token = await tokenFor(lent.offer, who, { key });
  const { resource } = lent.offer;
  return {
    ...lent,
    key,
    token,
    call: (name, args) => callTool(resource, { token, key }, name, args),
  };
}
