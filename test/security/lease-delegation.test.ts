/** SECURITY, negative tests "Lease and delegation": what is lent on, and who may lend on. */
import { decodeJwt } from 'jose';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { HoldingAgent } from '../support/holding-agent.ts';
import { startIssuer, testKey } from '../support/issuer.ts';
import { callback, callTool, exchange, resultOf, until } from './lending-requests.ts';
import {
  startLending,
  withToken,
  type LendingWorld,
  type LendingWorldOptions,
  type Lender,
  type Lent,
} from './lending-world.ts';
import { closing } from './world.ts';

let world: LendingWorld;
afterEach(() => world.close());

const at = (id: string): HoldingAgent => world.agents[id] as HoldingAgent;
const rule = { to: '*', tools: ['files/*'], depth: 2, maxCalls: 6 };
const start = async (options: LendingWorldOptions = {}): Promise<void> => {
  const agents = { agent: {}, second: {}, third: {} };
  world = await startLending({ oauth: true, agents, lending: [rule], ...options });
};

/** The first agent lends on to the second. */
const lendOn = (first: Lent, request: Record<string, unknown> = {}): Promise<Lent> =>
  world.lendAs(at('agent'), {
    to: 'second',
    request: { tools: ['*'], parent: first.offer.resource, ...request },
  });

/** What became of work that should not begin: the text of its refusal; fails where it reached a peer. */
async function refusalOf(lender: Lender, member: unknown): Promise<string> {
  const before = Object.values(world.agents).map(({ tasks }) => tasks.length);
  const text = await lender.start('x', member as never).then(
    async ({ id }) => {
      const over = /FAILED|REJECTED/;
      for (const end = Date.now() + 5000; Date.now() < end;) {
        const { body } = await lender.raw.rpc('GetTask', { id }, { headers: lender.headers });
        if (over.test(JSON.stringify(body.result?.['status']))) return JSON.stringify(body);
        await new Promise((go) => setTimeout(go, 50));
      }
      return 'it went on';
    },
    (error: unknown) => (error as Error).message,
  );
  expect(Object.values(world.agents).map(({ tasks }) => tasks.length)).toEqual(before);
  return text;
}

describe('a child', () => {
  beforeEach(() => start());

  it('says who acts for whom, in its order, and is the tools of the first lender', async () => {
    const child = await withToken(await lendOn(await world.lend()), at('second'));
    const claims = decodeJwt(child.token);
    expect(claims.sub).toBe('alice');
    expect(claims['act']).toEqual({
      sub: at('second').clientId,
      act: { sub: at('agent').clientId },
    });
    expect(resultOf(await child.call('files__echo', { text: 'x' }))).toMatchObject({ text: 'x' });
  });

  it('never outlives its parent', async () => {
    const parent = await world.lend({ request: { tools: ['files/*'], expires_in: 60 } });
    const child = await lendOn(parent, { expires_in: 100_000 });
    expect(child.offer.exp).toBeLessThanOrEqual(parent.offer.exp);
    const { token } = await withToken(child, at('second'));
    expect(decodeJwt(token).exp).toBeLessThanOrEqual(parent.offer.exp);
  });

  it('never exceeds its parent in tools', async () => {
    const parent = await world.lend({ request: { tools: ['files/echo', 'files/add'] } });
    const refused = { lend: { tools: ['files__record'], parent: parent.offer.resource } };
    const client = await world.clientOf(at('agent'), 'second');
    expect(await refusalOf(client, refused)).toMatch(/Nothing is lent/);
    const child = await withToken(await lendOn(parent), at('second'));
    expect(child.offer.tools.toSorted()).toEqual(['files__add', 'files__echo']);
    expect((await child.call('files__record', { key: 'x' })).status).toBe(403);
  });

  it('never exceeds its parent in arguments', async () => {
    const short = { properties: { text: { maxLength: 3 } } };
    const parent = await world.lend({
      request: { tools: ['files/echo'], arguments: { 'files/echo': short } },
    });
    const child = await withToken(await lendOn(parent, { arguments: { '*': {} } }), at('second'));
    expect(resultOf(await child.call('files__echo', { text: 'long' })).isError).toBe(true);
    expect(resultOf(await child.call('files__echo', { text: 'ok' })).text).toBe('ok');
    expect(world.files.ledger.of('received', 'echo')).toHaveLength(1);
  });

  it('never exceeds its parent in calls: they count for both', async () => {
    const root = await withToken(await world.lend(), at('agent'));
    const child = await withToken(await lendOn(root, { max_calls: 1000 }), at('second'));
    const calls = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        (n % 2 === 0 ? root : child).call('files__record', { key: `call ${n}` }),
      ),
    );
    expect(calls.filter((one) => resultOf(one).isError !== true)).toHaveLength(6);
    expect(world.files.ledger.of('executed', 'record')).toHaveLength(6);
  });

  it('is told no more calls than its parent has', async () => {
    const root = await world.lend({ request: { tools: ['files/*'], max_calls: 2 } });
    const child = await lendOn(root, { max_calls: 5 });
    expect(child.offer.max_calls).toBeLessThanOrEqual(2);
  });

  it('depth: is one less each time, and at 0 nothing is lent on', async () => {
    const root = await world.lend({ request: { tools: ['files/*'], depth: 1 } });
    expect(root.offer.depth).toBe(1);
    const child = await lendOn(root, { depth: 5 });
    expect(child.offer.depth).toBe(0);
    const client = await world.clientOf(at('second'), 'third');
    const member = { lend: { tools: ['*'], parent: child.offer.resource, depth: 5 } };
    expect(await refusalOf(client, member)).toMatch(/may not be lent on/);
  });

  it('is made by no rule but one of the first lender’s operator', async () => {
    world.gateway.reconfigure({ lending: [{ ...rule, to: 'agent' }] });
    const root = await world.lend();
    const client = await world.clientOf(at('agent'), 'second');
    const member = { lend: { tools: ['*'], parent: root.offer.resource } };
    expect(await refusalOf(client, member)).toMatch(/Nothing is lent/);
  });

  it('keeps to the time and the depth of the rule that it is lent on by', async () => {
    const lending = [
      { ...rule, to: 'agent', ttl: '15m' },
      { ...rule, to: 'second', ttl: '60s', depth: 0 },
    ];
    world.gateway.reconfigure({ lending });
    const { offer } = await lendOn(await world.lend());
    const left = offer.exp - Date.now() / 1000;
    expect({ isShort: left <= 60, depth: offer.depth }).toEqual({ isShort: true, depth: 0 });
  });

  it('is over with the task of its own, and its parent is not', async () => {
    const root = await withToken(await world.lend(), at('agent'));
    const child = await withToken(await lendOn(root), at('second'));
    await child.lender.raw.rpc(
      'CancelTask',
      { id: child.taskId },
      { headers: child.lender.headers },
    );
    expect((await child.call('files__echo', { text: 'x' })).status).toBe(401);
    expect((await root.call('files__echo', { text: 'x' })).status).toBe(200);
  });
});

describe('root revoked', () => {
  beforeEach(() => start());

  it('while a grandchild calls: the call ends, at the server too, and all below are over', async () => {
    const root = await withToken(await world.lend(), at('agent'));
    const child = await withToken(await lendOn(root), at('second'));
    const grandchild = await withToken(
      await world.lendAs(at('second'), {
        to: 'third',
        request: { tools: ['*'], parent: child.offer.resource },
      }),
      at('third'),
    );
    const started = performance.now();
    const calling = grandchild.call('files__slow', { ms: 15_000, key: 'grandchild' });
    await until(() => world.files.ledger.of('executed', 'slow').length === 1);
    await root.lender.cancel(root.taskId);
    const { result, error, status } = await calling;
    expect(performance.now() - started).toBeLessThan(8000);
    expect(result === undefined || result['isError'] === true).toBe(true);
    expect(JSON.stringify(error ?? result ?? status)).not.toContain('Waited');
    await until(() => world.files.ledger.of('cancelled', 'slow').length === 1);
    for (const { call, offer } of [root, child, grandchild]) {
      expect((await call('files__echo', { text: 'x' })).status).toBe(401);
      expect((await exchange(offer, at('agent'))).status).toBe(400);
    }
    expect(
      (await exchange(grandchild.offer, at('third'), { proofKey: grandchild.key })).json,
    ).toMatchObject({
      error: 'invalid_grant',
    });
    const client = await world.clientOf(at('second'), 'third');
    const member = { lend: { tools: ['*'], parent: child.offer.resource } };
    expect(await refusalOf(client, member)).toMatch(/no lease of yours/);
  });
});

describe("C and B's lease:", () => {
  beforeEach(() => start());

  it("C redeems B's token or lease_ref: refused", async () => {
    const b = await withToken(await world.lend(), at('agent'));
    const third = at('third');
    expect((await exchange(b.offer, third)).json).toMatchObject({ error: 'invalid_grant' });
    const form = { subject_token: b.token };
    expect((await exchange(b.offer, third, { form })).json).toMatchObject({
      error: 'invalid_grant',
    });
    const key = await testKey();
    const shown = await callback(b.offer.resource, { token: b.token, key });
    expect(shown.status).toBe(401);
  });

  it('a child’s token is none at its parent’s endpoint, nor the other way round', async () => {
    const root = await withToken(await world.lend(), at('agent'));
    const child = await withToken(await lendOn(root), at('second'));
    expect((await callTool(root.offer.resource, child, 'files__echo', { text: 'x' })).status).toBe(
      401,
    );
    expect((await callTool(child.offer.resource, root, 'files__echo', { text: 'x' })).status).toBe(
      401,
    );
  });

  it("C lends B's lease on, knowing its callback URL: refused", async () => {
    const b = await world.lend();
    const client = await world.clientOf(at('third'), 'second');
    const member = { lend: { tools: ['*'], parent: b.offer.resource } };
    expect(await refusalOf(client, member)).toMatch(/no lease of yours/);
    const lender = await world.lender('second');
    expect(await refusalOf(lender, member)).toMatch(/no lease of yours/);
  });

  it.each([
    ['of another gateway', (url: string) => url.replace(/\/\/[^/]+/, '//elsewhere.example')],
    ['with a slash', (url: string) => `${url}/`],
    [
      'of a lease that never was',
      (url: string) => url.replace(/callback\/[^/]+/, 'callback/nothing'),
    ],
    ['of a peer', (url: string) => url.replace(/callback\/.*/, 'mcp/files')],
    ['with a way round', (url: string) => url.replace('/callback/', '/callback/x/../')],
  ])('a parent %s: refused', async (_title, change) => {
    const b = await world.lend();
    const client = await world.clientOf(at('agent'), 'second');
    const member = { lend: { tools: ['*'], parent: change(b.offer.resource) } };
    expect(await refusalOf(client, member)).toMatch(/lend\.parent/);
  });
});

describe('another organization', () => {
  it('same sub and same client in another organization: lends on nothing', async () => {
    const evil = closing(await startIssuer());
    const issuers = (mine: string) => [
      { issuer: mine, organization: 'test' },
      { issuer: evil.issuer, organization: 'evil' },
    ];
    await start();
    const { auth, organizations = [] } = world.options;
    world.gateway.reconfigure({
      auth: { ...auth, issuers: issuers(world.issuer.issuer) },
      organizations: [...organizations, { id: 'evil', scopes: ['peer:*:call'] }],
    });
    const b = await world.lend();
    const aud = world.gateway.a2a('second');
    const scope = 'peer:*:call';
    const client = at('agent').clientId;
    const member = { lend: { tools: ['*'], parent: b.offer.resource } };
    const { raw, start: begin, get, cancel } = await world.lender('second');
    const asEvil = async (claims: Record<string, unknown>): Promise<Lender> => {
      const token = await evil.token({ aud, scope, client_id: client, ...claims });
      const headers = { authorization: `Bearer ${token}` };
      return {
        raw,
        headers,
        get,
        cancel,
        start: async (text) => {
          const metadata = { 'urn:isthmus:ext:tool-lease:v1': member };
          const message = {
            messageId: `m${Math.random()}`,
            role: 'ROLE_USER',
            parts: [{ text }],
            metadata,
          };
          const params = { message, configuration: { returnImmediately: true } };
          const { body } = await raw.rpc('SendMessage', params, { headers });
          if (body.result?.task === undefined) throw new Error(JSON.stringify(body));
          return body.result.task;
        },
      };
    };
    void begin;
    for (const sub of ['alice', client]) {
      expect(await refusalOf(await asEvil({ sub }), member)).toMatch(/no lease of yours/);
    }
    // Nor does the namesake of the lender see or end its task.
    const own = await evil.token({ aud: world.gateway.a2a('agent'), scope, sub: 'alice' });
    for (const method of ['GetTask', 'CancelTask']) {
      const headers = { authorization: `Bearer ${own}` };
      const { body } = await b.lender.raw.rpc(method, { id: b.taskId }, { headers });
      expect(body.result).toBeUndefined();
    }
  });

  it('a namesake in another organization lends by no rule of ours', async () => {
    const evil = closing(await startIssuer());
    await start({ lending: [{ to: 'agent', tools: ['files/*'], from: [{ subject: 'alice' }] }] });
    const { auth, organizations = [] } = world.options;
    const issuers = [
      { issuer: world.issuer.issuer, organization: 'test' },
      { issuer: evil.issuer, organization: 'evil' },
    ];
    world.gateway.reconfigure({
      auth: { ...auth, issuers },
      organizations: [...organizations, { id: 'evil', scopes: ['peer:*:call'] }],
    });
    const token = await evil.token({ aud: world.gateway.a2a('agent'), scope: 'peer:*:call' });
    const { raw } = await world.lender('agent');
    const message = { messageId: 'm', role: 'ROLE_USER', parts: [{ text: 'x' }] };
    const params = { message, configuration: { returnImmediately: true } };
    await raw.rpc('SendMessage', params, { headers: { authorization: `Bearer ${token}` } });
    expect((await at('agent').next()).offer).toBeUndefined();
    expect((await world.lend()).offer.tools).toContain('files__echo');
  });

  it('a client of an organization that is unknown is nobody else’s namesake', async () => {
    const evil = closing(await startIssuer());
    await start();
    const { auth } = world.options;
    const others = ['second', 'third'].map((id) => at(id).clientId);
    world.gateway.reconfigure({
      auth: {
        ...auth,
        clients: others.map((clientId) => ({
          clientId,
          organization: 'partner',
          scopes: ['peer:*:call'],
        })),
        issuers: [
          { issuer: world.issuer.issuer, organization: 'test' },
          { issuer: evil.issuer, organization: 'evil' },
        ],
      },
      organizations: [
        { id: 'partner', clientIds: others, scopes: ['peer:*:call'] },
        { id: 'evil', scopes: ['peer:*:call'] },
      ],
    });
    const b = await world.lend();
    const aud = world.gateway.a2a('second');
    const client_id = at('agent').clientId;
    const token = await evil.token({ aud, scope: 'peer:*:call', sub: 'mallory', client_id });
    const { raw } = await world.lender('second');
    const metadata = {
      'urn:isthmus:ext:tool-lease:v1': { lend: { tools: ['*'], parent: b.offer.resource } },
    };
    const message = { messageId: 'm', role: 'ROLE_USER', parts: [{ text: 'x' }], metadata };
    const params = { message, configuration: { returnImmediately: true } };
    await raw.rpc('SendMessage', params, { headers: { authorization: `Bearer ${token}` } });
    await new Promise((go) => setTimeout(go, 500));
    expect(at('second').tasks.map(({ offer }) => offer?.tools)).toEqual([]);
  });
});
