/** SECURITY row 12: who is offered what, and what a changed configuration takes back at once. */
import { afterEach, describe, expect, it } from 'vitest';
import { startHoldingAgent, type HoldingAgent } from '../support/holding-agent.ts';
import { startIssuer } from '../support/issuer.ts';
import { WireClient } from '../support/wire-client.ts';
import { assertionOf, assertionType, exchange, postForm, resultOf } from './lending-requests.ts';
import {
  redeemed,
  startLending,
  withToken,
  type Lender,
  type LendingWorld,
  type LendingWorldOptions,
} from './lending-world.ts';
import { closing } from './world.ts';

let world: LendingWorld;
afterEach(() => world.close());

const rule = { to: '*', tools: ['files/*'] };
const start = async (options: LendingWorldOptions = {}): Promise<LendingWorld> =>
  (world = await startLending({ lending: [rule], ...options }));
const at = (id: string): HoldingAgent => world.agents[id] as HoldingAgent;

/** What the peer is sent; undefined where the work never reached it. */
async function offerOf(lender: Lender, id: string, member?: Record<string, unknown>) {
  const before = at(id).tasks.length;
  let taskId: string;
  try {
    ({ id: taskId } = await lender.start('x', member));
  } catch (error) {
    return { refused: (error as Error).message };
  }
  for (const end = Date.now() + 5000; Date.now() < end;) {
    const held = at(id).tasks[before];
    if (held !== undefined) return { held, offer: held.offer };
    const { body } = await lender.raw.rpc('GetTask', { id: taskId }, { headers: lender.headers });
    const status = JSON.stringify(body.result?.['status']);
    if (/FAILED|REJECTED/.test(status)) return { refused: status };
    await new Promise((go) => setTimeout(go, 20));
  }
  throw new Error('nothing came of it');
}

describe('a peer that declares nothing', () => {
  it('is offered nothing by a standing rule', async () => {
    await start({ agents: { agent: { declares: false } } });
    const { held } = await offerOf(await world.lender('agent'), 'agent');
    expect(held?.message.metadata ?? {}).toEqual({});
  });

  it('is not called with a request that asks to lend to it: the caller hears why', async () => {
    await start({ agents: { agent: { declares: false } } });
    const request = { lend: { tools: ['files/*'] } };
    const { refused } = await offerOf(await world.lender('agent'), 'agent', request);
    expect(refused).toMatch(/does not say that it takes tools/);
    expect(at('agent').tasks).toEqual([]);
  });

  it('an MCP server that declares nothing is sent nothing either', async () => {
    await start({ lending: [{ to: 'files', tools: ['agent/*'] }] });
    const wire = new WireClient(world.gateway.mcp('files'));
    const params = { name: 'echo', arguments: { text: 'x' } };
    const meta = { 'dev.isthmus/tool-lease': { lend: { tools: ['agent/*'] } } };
    const asked = await wire.request('tools/call', params, { meta, capabilities: {} });
    expect(JSON.stringify(asked)).toMatch(/does not say that it takes tools/);
    expect(world.files.ledger.of('received')).toEqual([]);
    await wire.request('tools/call', params, { capabilities: {} });
    expect(JSON.stringify(world.files.ledger.of('received'))).not.toContain('tool-lease');
  });
});

describe('a peer that declares a client', () => {
  const ids: [string, (victim: HoldingAgent) => string][] = [
    ['at a foreign origin', () => 'https://elsewhere.example/client.json'],
    ['of another agent', ({ clientId }) => clientId],
    ['at no URL', () => 'agent'],
    ['with no name', () => ''],
    ['with its origin in another place', () => 'https://elsewhere.example/?http://127.0.0.1'],
    ['as a script', () => 'javascript:alert(1)'],
    ['of the gateway', () => 'http://127.0.0.1/oauth-client.json'],
  ];
  it.each(ids)('%s is offered nothing', async (_title, idOf) => {
    await start({ agents: { victim: {} } });
    const mallory = await startHoldingAgent({ clientId: idOf(at('victim')) });
    try {
      const peers = [...world.options.peers, { id: 'mallory', a2a: mallory.cardUrl }];
      world.gateway.reconfigure({ peers });
      const lender = await world.lender('mallory');
      await lender.start('x');
      const held = await mallory.next();
      expect(held.offer).toBeUndefined();
      expect(JSON.stringify(held.message.metadata ?? {})).not.toContain('lease');
      await lender.start('x', { lend: { tools: ['files/*'] } }).catch(() => undefined);
      await new Promise((go) => setTimeout(go, 300));
      expect(mallory.tasks).toHaveLength(1);
    } finally {
      await mallory.close();
    }
  });
});

describe('tools that the caller may not call itself', () => {
  const withScope = async (scope: string): Promise<Lender> => {
    const lender = await world.lender('agent');
    const token = await world.issuer.token({ aud: world.gateway.a2a('agent'), scope });
    lender.headers['authorization'] = `Bearer ${token}`;
    return lender;
  };

  it('are lent by no standing rule', async () => {
    await start({ oauth: true });
    const { held } = await offerOf(await withScope('peer:agent:call'), 'agent');
    expect(held?.offer).toBeUndefined();
    const all = await offerOf(await withScope('peer:agent:call peer:files:call'), 'agent');
    expect(all.offer?.tools).toContain('files__echo');
  });

  it('may be read is not may be called', async () => {
    await start({ oauth: true });
    const lender = await withScope('peer:agent:call peer:files:read');
    expect((await offerOf(lender, 'agent')).offer).toBeUndefined();
  });

  it.each([['files/*'], ['files/echo'], ['*/*'], ['own/*'], ['offered/*'], ['agent/*']])(
    'are lent by no request for %s',
    async (pattern) => {
      await start({ oauth: true, lending: [{ to: '*', tools: ['*/*', 'own/*', 'offered/*'] }] });
      const lender = await withScope('peer:agent:call');
      const { refused } = await offerOf(lender, 'agent', { lend: { tools: [pattern] } });
      expect(refused).toMatch(/Nothing is lent/);
      expect(at('agent').tasks).toEqual([]);
    },
  );

  it('a request never widens a rule', async () => {
    const lending = [
      {
        to: 'agent',
        tools: ['files/echo'],
        arguments: { 'files/echo': { properties: { text: { maxLength: 2 } } } },
        maxCalls: 2,
        ttl: '60s',
      },
    ];
    await start({ oauth: true, lending });
    const { offer, call } = await redeemed(world, {
      request: {
        tools: ['*/*'],
        arguments: { 'files/echo': {} },
        max_calls: 1000,
        max_calls_per_tool: { 'files/echo': 1000 },
        expires_in: 86_400,
        depth: 5,
        approval: 'never',
      },
    });
    expect(offer).toMatchObject({ tools: ['files__echo'], max_calls: 2, depth: 0 });
    expect(offer.exp).toBeLessThanOrEqual(Date.now() / 1000 + 60);
    expect(resultOf(await call('files__echo', { text: 'long' })).isError).toBe(true);
  });
});

/** The clients of the configuration that a world was started with. */
function clientsOf({ options }: LendingWorld): { clientId: string }[] {
  return (options.auth as { clients: { clientId: string }[] }).clients;
}

describe('hot reload in the middle: the next call is refused', () => {
  const refusedCall = async (call: Awaited<ReturnType<typeof redeemed>>['call']): Promise<void> => {
    const before = world.files.ledger.of('received').length;
    const answer = await call('files__echo', { text: 'x' });
    expect([401, 403].includes(answer.status) || resultOf(answer).isError === true).toBe(true);
    expect(world.files.ledger.of('received')).toHaveLength(before);
  };

  const changes: [string, (w: LendingWorld) => object][] = [
    ['that removes the rule', () => ({ lending: [] })],
    [
      'that removes the tool from the rule',
      () => ({ lending: [{ ...rule, tools: ['files/add'] }] }),
    ],
    ['that lends to somebody else', () => ({ lending: [{ ...rule, to: 'second*' }] })],
    ['that is for other lenders', () => ({ lending: [{ ...rule, from: [{ subject: 'bob' }] }] })],
    [
      'that wants other arguments',
      () => ({ lending: [{ ...rule, arguments: { 'files/*': { required: ['other'] } } }] }),
    ],
    [
      'that removes the peer with the tools',
      ({ options }) => ({
        peers: options.peers.filter(({ id }) => id !== 'files'),
      }),
    ],
    [
      'that removes the issuer of the lender',
      ({ options }) => ({
        auth: {
          ...options.auth,
          issuers: [{ issuer: 'https://new.example', organization: 'test' }],
        },
      }),
    ],
    [
      'that moves the issuer of the lender to another organization',
      ({ options, issuer }) => ({
        auth: { ...options.auth, issuers: [{ issuer: issuer.issuer, organization: 'partner' }] },
      }),
    ],
  ];
  it.each(changes)('one %s', async (_title, change) => {
    await start({ oauth: true });
    const { call } = await redeemed(world);
    expect(resultOf(await call('files__echo', { text: 'x' })).text).toBe('x');
    world.gateway.reconfigure(change(world));
    await refusedCall(call);
    world.gateway.reconfigure(world.options);
    expect(resultOf(await call('files__echo', { text: 'x' })).text).toBe('x');
  });

  it('one that shrinks the organization’s scopes', async () => {
    const theirs = closing(await startIssuer());
    await start({ oauth: true, lending: [{ ...rule, from: [{ organization: 'partner' }] }] });
    const issuers = [{ issuer: theirs.issuer, organization: 'partner' }];
    world.gateway.reconfigure({ auth: { ...world.options.auth, issuers } });
    const lender = await world.lender('agent');
    const claims = { aud: world.gateway.a2a('agent'), scope: 'peer:*:call' };
    lender.headers['authorization'] = `Bearer ${await theirs.token(claims)}`;
    const { held, offer } = await offerOf(lender, 'agent');
    if (held === undefined || offer === undefined) throw new Error('nothing was offered');
    const { call } = await withToken({ taskId: '', held, offer, lender }, at('agent'));
    expect(resultOf(await call('files__echo', { text: 'x' })).text).toBe('x');
    const [partner, ...others] = world.options.organizations ?? [];
    const smaller = { ...partner, id: 'partner', scopes: ['peer:agent:call'] };
    world.gateway.reconfigure({ organizations: [smaller, ...others] });
    await refusedCall(call);
  });

  it('one that shrinks the scopes of a client that lends for itself', async () => {
    const partners = [{ ...rule, from: [{ organization: 'partner' }] }];
    await start({ oauth: true, agents: { agent: {}, second: {} }, lending: partners });
    const scope = 'peer:agent:call peer:files:call';
    const lender = await world.clientOf(at('second'), 'agent', scope);
    const { held, offer } = await offerOf(lender, 'agent');
    if (held === undefined || offer === undefined) throw new Error('nothing was offered');
    const { call } = await withToken({ taskId: '', held, offer, lender }, at('agent'));
    expect(resultOf(await call('files__echo', { text: 'x' })).text).toBe('x');
    const { auth } = world.options;
    const clients = clientsOf(world);
    const clientsWith = (scopes: string[]) =>
      clients.map((one) => (one.clientId === at('second').clientId ? { ...one, scopes } : one));
    world.gateway.reconfigure({ auth: { ...auth, clients: clientsWith(['peer:agent:call']) } });
    await refusedCall(call);
    // Without scopes of its own it has those of its organization.
    world.gateway.reconfigure({ auth: { ...auth, clients: clientsWith([]) } });
    expect(resultOf(await call('files__echo', { text: 'x' })).text).toBe('x');
    // And where it is known by its organization alone, too.
    const others = clients.filter(({ clientId }) => clientId !== at('second').clientId);
    world.gateway.reconfigure({ auth: { ...auth, clients: others } });
    expect(resultOf(await call('files__echo', { text: 'x' })).text).toBe('x');
  });

  it('one that shrinks the scopes of a client says nothing of people who use it', async () => {
    await start({ oauth: true });
    const lender = await world.lender('agent');
    const claims = { aud: world.gateway.a2a('agent'), scope: 'peer:*:call' };
    const client_id = at('agent').clientId;
    const token = await world.issuer.token({ ...claims, client_id });
    lender.headers['authorization'] = `Bearer ${token}`;
    const { held, offer } = await offerOf(lender, 'agent');
    if (held === undefined || offer === undefined) throw new Error('nothing was offered');
    const { call } = await withToken({ taskId: '', held, offer, lender }, at('agent'));
    const { auth } = world.options;
    const clients = clientsOf(world).map((one) => ({ ...one, scopes: ['peer:agent:read'] }));
    world.gateway.reconfigure({ auth: { ...auth, clients } });
    expect(resultOf(await call('files__echo', { text: 'x' })).text).toBe('x');
  });

  it('one that shrinks what an issuer grants with each of its tokens', async () => {
    await start({ oauth: true });
    const { auth } = world.options;
    const trusted = { issuer: world.issuer.issuer, organization: 'test' };
    const granting = (grants: string[]) =>
      world.gateway.reconfigure({ auth: { ...auth, issuers: [{ ...trusted, grants }] } });
    granting(['peer:*:call']);
    const lender = await world.lender('agent');
    const aud = world.gateway.a2a('agent');
    lender.headers['authorization'] = `Bearer ${await world.issuer.token({ aud, scope: 'lend' })}`;
    const { held, offer } = await offerOf(lender, 'agent');
    if (held === undefined || offer === undefined) throw new Error('nothing was offered');
    const { call } = await withToken({ taskId: '', held, offer, lender }, at('agent'));
    expect(resultOf(await call('files__echo', { text: 'x' })).text).toBe('x');
    granting(['peer:agent:call']);
    await refusedCall(call);
    granting(['peer:*:call']);
    expect(resultOf(await call('files__echo', { text: 'x' })).text).toBe('x');
  });

  it('one that takes no assertions of an issuer any more, and one that shrinks their client', async () => {
    const partners = [{ ...rule, from: [{ organization: 'partner' }] }];
    const jwtBearer = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
    const agents = { agent: {}, second: { grantTypes: [jwtBearer] } };
    await start({ oauth: true, agents, lending: partners });
    const { auth } = world.options;
    const trusted = { issuer: world.issuer.issuer, organization: 'partner' };
    const configure = (assertions: boolean, clients = clientsOf(world)) =>
      world.gateway.reconfigure({
        auth: { ...auth, clients, issuers: [{ ...trusted, assertions }] },
      });
    configure(true);
    const resource = world.gateway.a2a('agent');
    const sts = `${world.gateway.url}/sts`;
    const { clientId } = at('second');
    const { json } = await postForm(`${sts}/token`, [
      ['grant_type', jwtBearer],
      [
        'assertion',
        await world.issuer.token(
          { aud: sts, client_id: clientId, resource, sub: 'paula' },
          { typ: 'oauth-id-jag+jwt' },
        ),
      ],
      ['client_assertion_type', assertionType],
      ['client_assertion', await assertionOf(at('second'), sts)],
      ['resource', resource],
      ['scope', 'peer:agent:call peer:files:call'],
    ]);
    const lender = await world.lender('agent');
    lender.headers['authorization'] = `Bearer ${String(json['access_token'])}`;
    const { held, offer } = await offerOf(lender, 'agent');
    if (held === undefined || offer === undefined) throw new Error(JSON.stringify(json));
    const { call } = await withToken({ taskId: '', held, offer, lender }, at('agent'));
    expect(resultOf(await call('files__echo', { text: 'x' })).text).toBe('x');
    configure(false);
    await refusedCall(call);
    const smaller = clientsOf(world).map((one) =>
      one.clientId === clientId ? { ...one, scopes: ['peer:agent:call'] } : one,
    );
    configure(true, smaller);
    await refusedCall(call);
    configure(true);
    expect(resultOf(await call('files__echo', { text: 'x' })).text).toBe('x');
  });

  it('one that takes the grantee’s organization away', async () => {
    await start({ oauth: true });
    const { call } = await redeemed(world);
    expect(resultOf(await call('files__echo', { text: 'x' })).text).toBe('x');
    const { auth } = world.options;
    world.gateway.reconfigure({ organizations: [], auth: { ...auth, clients: [] } });
    await refusedCall(call);
  });

  it('one that takes the grantee’s organization away: there is no further token', async () => {
    await start({ oauth: true });
    const { offer, key } = await redeemed(world);
    const { auth } = world.options;
    world.gateway.reconfigure({ organizations: [], auth: { ...auth, clients: [] } });
    const again = await exchange(offer, at('agent'), { proofKey: key });
    expect([again.status, again.json['error']]).toEqual([401, 'invalid_client']);
  });

  it('one that lends with an approval asks from then on', async () => {
    await start({ oauth: true });
    const { call, lender, taskId } = await redeemed(world);
    expect(resultOf(await call('files__echo', { text: 'x' })).text).toBe('x');
    world.gateway.reconfigure({ lending: [{ ...rule, approval: 'always' }] });
    const calling = call('files__echo', { text: 'y' });
    let asked = '';
    for (const end = Date.now() + 5000; !/INPUT_REQUIRED/.test(asked) && Date.now() < end;) {
      asked = JSON.stringify((await lender.get(taskId)).status);
      await new Promise((go) => setTimeout(go, 50));
    }
    expect(asked).toContain('INPUT_REQUIRED');
    expect(world.files.ledger.of('received', 'echo')).toHaveLength(1);
    await lender.cancel(taskId);
    const { status, result } = await calling;
    expect(
      status === 401 || status === 403 || result === undefined || result['isError'] === true,
    ).toBe(true);
    expect(world.files.ledger.of('received', 'echo')).toHaveLength(1);
  });
});
