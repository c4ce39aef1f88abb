/**
 * SECURITY row 1: what is not yours does not exist. The matrix is made from the tables of methods:
 * a method without a rule here, or in the tables of actions, fails.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { operationActions } from '../../src/a2a/request-handler.ts';
import { methodActions } from '../../src/mcp/method-actions.ts';
import { RawA2a, say } from '../faces/a2a-raw.ts';
import { startA2aAgent, type A2aAgent } from '../support/a2a-agent.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { startIssuer, type TestIssuer } from '../support/issuer.ts';
import { WireClient } from '../support/wire-client.ts';

type Json = Record<string, unknown>;

let acme: TestIssuer;
let other: TestIssuer;
let agent: A2aAgent;
let gateway: TestGateway;

beforeAll(async () => {
  [acme, other, agent] = await Promise.all([startIssuer(), startIssuer(), startA2aAgent()]);
  gateway = await startGateway({
    peers: [{ id: 'bot', a2a: agent.cardUrl }],
    organizations: [
      { id: 'acme', scopes: ['peer:*:call'] },
      { id: 'other', scopes: ['peer:*:call'] },
    ],
    auth: {
      issuers: [
        { issuer: acme.issuer, organization: 'acme' },
        { issuer: other.issuer, organization: 'other' },
      ],
    },
  });
});

afterAll(async () => {
  await gateway.close();
  await Promise.all([agent.close(), acme.close(), other.close()]);
});

/** Who asks for what alice's client has begun. Nobody of them may learn that it is there. */
const strangers = {
  'another person of the organization': () => ({ issuer: acme, claims: { sub: 'bob' } }),
  'another client of the same person': () => ({ issuer: acme, claims: { client_id: 'other' } }),
  'the same subject in another organization': () => ({ issuer: other, claims: {} }),
} as const;

type Who = { issuer: TestIssuer; claims: Json };

const alice = (): Who => ({ issuer: acme, claims: {} });

async function bearer(
  { issuer, claims }: Who,
  resource: string,
): Promise<{ authorization: string }> {
  const aud = `${gateway.url}${resource}`;
  const token = await issuer.token({ sub: 'alice', scope: 'peer:*:call', aud, ...claims });
  return { authorization: `Bearer ${token}` };
}

// ── MCP ─────────────────────────────────────────────────────────────────────

/** What belongs to somebody, by the ids that name it. */
interface Names {
  readonly task: string;
  readonly context: string;
}

/** How a method could reach what is somebody else's; `nothing` where it names nothing owned. */
type Reach = 'nothing' | 'a list' | ((names: Names) => Json);

const byTask = ({ task }: Names): Json => ({ taskId: task });

const mcpReach: Record<string, Reach> = {
  initialize: 'nothing',
  'server/discover': 'nothing',
  ping: 'nothing',
  'tools/list': 'nothing',
  'tools/call': ({ context }) => ({
    name: 'echo',
    arguments: { message: 'x', contextId: context },
  }),
  'prompts/list': 'nothing',
  'prompts/get': 'nothing',
  'resources/list': 'a list',
  'resources/templates/list': 'nothing',
  'resources/read': ({ task }) => ({ uri: `a2a://bot/tasks/${task}/artifacts/result` }),
  'resources/subscribe': 'nothing',
  'resources/unsubscribe': 'nothing',
  'completion/complete': ({ task }) => ({
    ref: { type: 'ref/resource', uri: 'a2a://bot/tasks/{task}/artifacts/{artifact}' },
    argument: { name: 'artifact', value: '' },
    context: { arguments: { task } },
  }),
  'logging/setLevel': 'nothing',
  'subscriptions/listen': 'nothing',
  'tasks/get': byTask,
  'tasks/list': 'a list',
  'tasks/result': byTask,
  'tasks/update': ({ task }) => ({ taskId: task, inputResponses: {} }),
  'tasks/cancel': byTask,
};

const absent: Names = {
  task: 'AAAAAAAAAAAAAAAAAAAAAA',
  context: 'ctx.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',
};

it('the matrix has a rule for every method', () => {
  expect(Object.keys(mcpReach).toSorted()).toEqual(Object.keys(methodActions).toSorted());
  expect(Object.keys(a2aReach).toSorted()).toEqual(Object.keys(operationActions).toSorted());
});

/** Methods of the newest revision and of the one before: what only the latter has needs a session. */
const legacyOnly = new Set(['tasks/list', 'tasks/result']);

/** An answer without what names the asker's own words. */
function bare(answer: unknown, names: Names): string {
  return JSON.stringify(answer).replaceAll(names.task, 'TASK').replaceAll(names.context, 'CONTEXT');
}

class LegacyClient {
  readonly #url: string;
  readonly #who: Who;
  readonly #resource: string;
  session = '';

  constructor(resource: string, who: Who) {
    this.#url = `${gateway.url}${resource}`;
    this.#resource = resource;
    this.#who = who;
  }

  async post(message: Json): Promise<{ status: number; body: Json; headers: Headers }> {
    const response = await fetch(this.#url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        ...(await bearer(this.#who, this.#resource)),
        ...(this.session !== '' && { 'mcp-session-id': this.session }),
      },
      body: JSON.stringify({ jsonrpc: '2.0', ...message }),
    });
    const text = await response.text();
    const json = text.startsWith('event:') || text.includes('\ndata:') ? lastData(text) : text;
    const body = json === '' ? {} : (JSON.parse(json) as Json);
    return { status: response.status, body, headers: response.headers };
  }

  async open(): Promise<this> {
    const params = {
      protocolVersion: '2025-11-25',
      capabilities: { tasks: {}, elicitation: {} },
      clientInfo: { name: 'legacy', version: '1' },
    };
    const { headers } = await this.post({ id: 1, method: 'initialize', params });
    this.session = headers.get('mcp-session-id') ?? '';
    if (this.session === '') throw new Error('There is no session.');
    await this.post({ method: 'notifications/initialized' });
    return this;
  }

  async request(method: string, params: Json): Promise<unknown> {
    const { status, body } = await this.post({ id: 2, method, params });
    return { status, ...body };
  }
}

function lastData(text: string): string {
  const lines = text.split('\n').filter((line) => line.startsWith('data: {'));
  return lines.at(-1)?.slice('data: '.length) ?? '';
}

/** A task of alice's that waits, one that is done, and her context, begun over MCP. */
async function ofAlice(resource: string): Promise<Names> {
  const wire = new WireClient(`${gateway.url}${resource}`);
  const headers = await bearer(alice(), resource);
  const tool = resource === '/mcp' ? 'ask_bot' : 'ask';
  const created = await wire.request(
    'tools/call',
    {
      name: tool,
      arguments: { message: 'ask Rome', ...(resource === '/mcp' && { skill: 'ask' }) },
    },
    { headers },
  );
  const task = created.result?.['taskId'];
  if (typeof task !== 'string') throw new Error(JSON.stringify(created));
  const done = await wire.request(
    'tools/call',
    {
      name: resource === '/mcp' ? 'ask_bot' : 'echo',
      arguments: { message: 'echo a' },
    },
    { headers, capabilities: {} },
  );
  const context = (done.result?.['structuredContent'] as Json | undefined)?.['contextId'];
  if (typeof context !== 'string') throw new Error(JSON.stringify(done));
  return { task, context };
}

describe.each(['/mcp/bot', '/mcp'])('at %s', (resource) => {
  describe.each(Object.entries(strangers))('%s', (_name, stranger) => {
    it.each(Object.entries(mcpReach).filter(([, reach]) => reach !== 'nothing'))(
      'learns nothing from %s',
      async (method, reach) => {
        const mine = await ofAlice(resource);
        const headers = await bearer(stranger(), resource);
        const legacy = legacyOnly.has(method)
          ? await new LegacyClient(resource, stranger()).open()
          : undefined;
        const wire = new WireClient(`${gateway.url}${resource}`);
        const ask = async (params: Json): Promise<unknown> => {
          if (legacy !== undefined) return legacy.request(method, params);
          const { status, result, error } = await wire.request(method, params, { headers });
          return { status, result, error };
        };
        const paramsFor = (names: Names): Json => (typeof reach === 'function' ? reach(names) : {});
        const foreign = await ask(paramsFor(mine));
        expect(bare(foreign, mine)).toBe(bare(await ask(paramsFor(absent)), absent));
        expect(JSON.stringify(foreign)).not.toContain('Rome');
        expect(typeof reach === 'function' || !bare(foreign, mine).includes('TASK')).toBe(true);
      },
    );

    it('hears nothing of a task that it subscribes to', async () => {
      const mine = await ofAlice(resource);
      const headers = await bearer(stranger(), resource);
      const wire = new WireClient(`${gateway.url}${resource}`);
      const params = { notifications: { taskIds: [mine.task] } };
      const stop = new AbortController();
      const stream = wire.stream('subscriptions/listen', params, { headers, signal: stop.signal });
      const first = (await stream.next()).value;
      expect(first?.method).toBe('notifications/subscriptions/acknowledged');
      expect(JSON.stringify(first)).not.toContain(mine.task);
      stop.abort();
      await expect(stream.next()).rejects.toThrow('aborted');
    });

    it('has no part in a session', async () => {
      const session = await new LegacyClient(resource, alice()).open();
      const thief = new LegacyClient(resource, stranger());
      thief.session = session.session;
      const taken = await thief.post({ id: 3, method: 'ping' });
      thief.session = 'AAAAAAAAAAAAAAAAAAAAAA';
      const none = await thief.post({ id: 3, method: 'ping' });
      expect([taken.status, taken.body]).toEqual([none.status, none.body]);
      expect(taken.status).toBe(404);
      expect((await session.post({ id: 4, method: 'ping' })).body['result']).toEqual({});
    });
  });

  it('is its owner who reaches it, by every method', async () => {
    const mine = await ofAlice(resource);
    const headers = await bearer(alice(), resource);
    const wire = new WireClient(`${gateway.url}${resource}`);
    const { result } = await wire.request('tasks/get', { taskId: mine.task }, { headers });
    expect(result?.['status']).toBe('input_required');
    const cancelled = await wire.request('tasks/cancel', { taskId: mine.task }, { headers });
    expect(cancelled.error).toBeUndefined();
  });
});

// ── A2A ─────────────────────────────────────────────────────────────────────

/** An operation in each of its forms: 1.0 and 0.3 over JSON-RPC, and HTTP+JSON. */
interface Forms {
  readonly rpc: readonly [method: string, params: (names: Names) => Json];
  readonly legacy?: readonly [method: string, params: (names: Names) => Json];
  readonly rest: readonly [
    verb: string,
    path: (names: Names) => string,
    body?: (names: Names) => Json,
  ];
}

const byId = ({ task }: Names): Json => ({ id: task });
const sendTo = ({ task }: Names): Json => say('Rome', { taskId: task, messageId: 'm-1' });
const legacySendTo = ({ task }: Names): Json => ({
  message: {
    kind: 'message',
    messageId: 'm-1',
    role: 'user',
    taskId: task,
    parts: [{ kind: 'text', text: 'Rome' }],
  },
});
const configOf = ({ task }: Names): Json => ({
  taskId: task,
  id: 'c-1',
  url: 'https://hook.example',
});

const a2aReach: Record<keyof typeof operationActions, 'nothing' | 'a list' | Forms> = {
  getAgentCard: 'nothing',
  getAuthenticatedExtendedAgentCard: 'nothing',
  sendMessage: {
    rpc: ['SendMessage', sendTo],
    legacy: ['message/send', legacySendTo],
    rest: ['POST', () => '/message:send', sendTo],
  },
  sendMessageStream: {
    rpc: ['SendStreamingMessage', sendTo],
    legacy: ['message/stream', legacySendTo],
    rest: ['POST', () => '/message:stream', sendTo],
  },
  resubscribe: {
    rpc: ['SubscribeToTask', byId],
    legacy: ['tasks/resubscribe', byId],
    rest: ['POST', ({ task }) => `/tasks/${task}:subscribe`],
  },
  getTask: {
    rpc: ['GetTask', byId],
    legacy: ['tasks/get', byId],
    rest: ['GET', ({ task }) => `/tasks/${task}`],
  },
  listTasks: 'a list',
  cancelTask: {
    rpc: ['CancelTask', byId],
    legacy: ['tasks/cancel', byId],
    rest: ['POST', ({ task }) => `/tasks/${task}:cancel`, () => ({})],
  },
  createTaskPushNotificationConfig: {
    rpc: ['CreateTaskPushNotificationConfig', configOf],
    rest: ['POST', ({ task }) => `/tasks/${task}/pushNotificationConfigs`, configOf],
  },
  getTaskPushNotificationConfig: {
    rpc: ['GetTaskPushNotificationConfig', configOf],
    rest: ['GET', ({ task }) => `/tasks/${task}/pushNotificationConfigs/c-1`],
  },
  listTaskPushNotificationConfigs: {
    rpc: ['ListTaskPushNotificationConfigs', configOf],
    rest: ['GET', ({ task }) => `/tasks/${task}/pushNotificationConfigs`],
  },
  deleteTaskPushNotificationConfig: {
    rpc: ['DeleteTaskPushNotificationConfig', configOf],
    rest: ['DELETE', ({ task }) => `/tasks/${task}/pushNotificationConfigs/c-1`],
  },
};

describe.each(['/a2a/bot', '/a2a'])('at %s', (resource) => {
  const face = (): RawA2a => new RawA2a(`${gateway.url}${resource}`);
  const begun = async (): Promise<Names> => {
    const headers = await bearer(alice(), resource);
    const message = say('ask Rome');
    const metadata = { skill: resource === '/a2a' ? 'bot/ask' : 'ask' };
    const asked = { message: { ...message.message, metadata } };
    const task = await face().task(asked, { headers });
    expect(task.status.state).toBe('TASK_STATE_INPUT_REQUIRED');
    return { task: task.id, context: task.contextId };
  };

  describe.each(Object.entries(strangers))('%s', (_name, stranger) => {
    it.each(
      Object.entries(a2aReach).flatMap(([operation, forms]) =>
        typeof forms === 'string' ? [] : [[operation, forms] as const],
      ),
    )('learns nothing from %s', async (_operation, { rpc, legacy, rest }) => {
      const mine = await begun();
      const headers = await bearer(stranger(), resource);
      const answers = async (names: Names): Promise<unknown[]> => {
        const over = [
          await face().rpc(rpc[0], rpc[1](names), { headers }),
          await face().rest(rest[0], rest[1](names), rest[2]?.(names), { headers }),
        ];
        if (legacy !== undefined) {
          over.push(await face().rpc(legacy[0], legacy[1](names), { headers, version: '0.3' }));
        }
        return over.map(({ status, body }) => ({ status, body }));
      };
      const foreign = await answers(mine);
      expect(bare(foreign, mine)).toBe(bare(await answers(absent), absent));
      const [first] = foreign as { body: Json }[];
      expect(first?.body['error']).toBeDefined();
    });

    it('lists nothing that is not its own', async () => {
      const mine = await begun();
      const headers = await bearer(stranger(), resource);
      for (const contextId of [undefined, mine.context]) {
        const params = contextId === undefined ? {} : { contextId };
        const { body } = await face().rpc('ListTasks', params, { headers });
        expect(JSON.stringify(body)).not.toContain(mine.task);
        expect(JSON.stringify(body)).not.toContain('Rome');
      }
      const listed = await face().rest('GET', '/tasks', undefined, { headers });
      expect(listed.status).toBe(200);
      expect(JSON.stringify(listed.body)).not.toContain(mine.task);
    });

    it('cannot go on in a context', async () => {
      const mine = await begun();
      const headers = await bearer(stranger(), resource);
      const { body } = await face().rpc('SendMessage', say('echo a', { contextId: mine.context }), {
        headers,
      });
      expect(body.error?.code).toBe(-32602);
    });
  });

  it('is its owner who reaches it', async () => {
    const mine = await begun();
    const headers = await bearer(alice(), resource);
    const got = await face().rpc('GetTask', byId(mine), { headers });
    expect(got.body.result?.['id']).toBe(mine.task);
    const listed = await face().rpc('ListTasks', {}, { headers });
    expect(JSON.stringify(listed.body)).toContain(mine.task);
  });
});

// ── without a valid token ───────────────────────────────────────────────────

const protectedPaths = ['/mcp', '/mcp/bot', '/a2a', '/a2a/bot', '/mcp/nobody', '/a2a/nobody'];

describe.each(protectedPaths)('%s', (resource) => {
  it.each<[name: string, claims: Json | undefined]>([
    ['without a token', undefined],
    ['with a token that has expired', { exp: Math.floor(Date.now() / 1000) - 3600 }],
    ['with a token for another resource', { aud: 'https://elsewhere.example/mcp' }],
  ])('lets nobody in %s, whatever the method', async (_name, claims) => {
    const headers: Record<string, string> =
      claims === undefined ? {} : await bearer({ issuer: acme, claims }, resource);
    for (const method of ['GET', 'POST', 'DELETE', 'PUT']) {
      const response = await fetch(`${gateway.url}${resource}`, {
        method,
        headers: { 'content-type': 'application/json', ...headers },
        ...(method !== 'GET' && { body: '{}' }),
      });
      expect([method, response.status]).toEqual([method, 401]);
      expect(response.headers.get('www-authenticate')).toContain(
        `resource_metadata="${gateway.url}/.well-known/oauth-protected-resource${resource}"`,
      );
      await response.text();
    }
  });
});

it('who may not read a peer does not learn whether there is one', async () => {
  const answers = [];
  for (const id of ['bot', 'nobody']) {
    for (const face of ['mcp', 'a2a']) {
      const resource = `/${face}/${id}`;
      const headers = await bearer(
        { issuer: acme, claims: { scope: 'peer:files:call' } },
        resource,
      );
      const response = await fetch(`${gateway.url}${resource}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: '{}',
      });
      const text = (await response.text()).replaceAll(id, 'ID');
      const challenge = response.headers.get('www-authenticate')?.replaceAll(id, 'ID');
      answers.push({ face, status: response.status, text, challenge });
    }
  }
  expect(answers.slice(0, 2)).toEqual(answers.slice(2));
  expect(answers.map(({ status }) => status)).toEqual([403, 403, 403, 403]);
  expect(answers[0]?.challenge).toContain('error="insufficient_scope"');
});

it('whoever may only read is refused a call, with the scope that it needs, and may look on', async () => {
  const resource = '/a2a/bot';
  const headers = await bearer({ issuer: acme, claims: { scope: 'peer:bot:read' } }, resource);
  const raw = new RawA2a(`${gateway.url}${resource}`);
  const refused = await raw.rpc('SendMessage', say('echo a'), { headers });
  expect(refused.status).toBe(403);
  expect(refused.headers.get('www-authenticate')).toContain('scope="peer:bot:call"');
  expect((await raw.rest('POST', '/message:send', say('echo a'), { headers })).status).toBe(403);
  expect((await raw.rpc('ListTasks', {}, { headers })).status).toBe(200);

  const mcp = new WireClient(`${gateway.url}/mcp/bot`);
  const own = await bearer({ issuer: acme, claims: { scope: 'peer:bot:read' } }, '/mcp/bot');
  const call = await mcp.request('tools/call', { name: 'echo', arguments: {} }, { headers: own });
  expect(call.status).toBe(403);
  expect(call.headers.get('www-authenticate')).toContain('scope="peer:bot:call"');
  expect((await mcp.request('tools/list', {}, { headers: own })).status).toBe(200);
});

it("a session's open calls are not for a token of the same owner with fewer scopes", async () => {
  const session = await new LegacyClient('/mcp', alice()).open();
  const lesser = new LegacyClient('/mcp', { issuer: acme, claims: { scope: 'openid' } });
  lesser.session = session.session;
  for (const message of [
    { id: 'ask-1', result: { action: 'accept', content: {} } },
    { method: 'notifications/cancelled', params: { requestId: 2 } },
  ]) {
    const { status, headers } = await lesser.post(message);
    expect(status).toBe(403);
    expect(headers.get('www-authenticate')).toContain('scope="peer:*:call"');
  }
  const headers = {
    ...(await bearer({ issuer: acme, claims: { scope: 'openid' } }, '/mcp')),
    accept: 'text/event-stream',
    'mcp-session-id': session.session,
  };
  expect((await fetch(`${gateway.url}/mcp`, { headers })).status).toBe(403);
  expect((await lesser.post({ id: 5, method: 'ping' })).status).toBe(200);
  const notice = { method: 'notifications/cancelled', params: { requestId: 2 } };
  expect((await session.post(notice)).status).toBe(202);
});
