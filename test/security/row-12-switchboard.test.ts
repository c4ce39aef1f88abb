/** SECURITY row 12: a lease ends with its task, lends what it names, and what is lent goes round nowhere. */
import { afterEach, describe, expect, it } from 'vitest';
import type { HoldingAgent, HoldingAgentOptions } from '../support/holding-agent.ts';
import { callback, resultOf } from './lending-requests.ts';
import {
  redeemed,
  startLending,
  type LendingWorld,
  type LendingWorldOptions,
} from './lending-world.ts';

let world: LendingWorld;
afterEach(() => world.close());

const start = async (options: LendingWorldOptions = {}): Promise<LendingWorld> =>
  (world = await startLending(options));
const at = (id: string): HoldingAgent => world.agents[id] as HoldingAgent;
const everybody = [{ organization: 'test' }, { organization: 'partner' }];
const pair: Record<string, HoldingAgentOptions> = { agent: {}, second: {} };

describe('after terminal 401', () => {
  it.each(['complete', 'fail', 'cancel'] as const)('%s', async (end) => {
    await start();
    const { held, lender, taskId, offer, token, key, call } = await redeemed(world);
    expect((await call('files__echo', { text: 'x' })).status).toBe(200);
    if (end === 'cancel') await lender.cancel(taskId);
    else held[end]('Over');
    await lender.raw.until(taskId, ({ status }) => /COMPLETED|FAILED|CANCEL/.test(status.state));
    const before = world.files.ledger.of('received').length;
    for (const method of ['tools/list', 'server/discover', 'ping']) {
      const { status, headers } = await callback(offer.resource, { token, key, method });
      expect(status).toBe(401);
      expect(headers.get('www-authenticate')).toContain('error="invalid_token"');
    }
    expect((await call('files__echo', { text: 'x' })).status).toBe(401);
    expect(world.files.ledger.of('received')).toHaveLength(before);
  });

  it('the end counts after a restart too', async () => {
    await start();
    const { lender, taskId, call } = await redeemed(world);
    await lender.cancel(taskId);
    await world.gateway.restart();
    expect((await call('files__echo', { text: 'x' })).status).toBe(401);
  });

  it('the end of one task ends nothing of another, and a question of the agent is no end', async () => {
    await start();
    const one = await redeemed(world);
    const other = await redeemed(world);
    one.held.ask('Which?');
    await one.lender.raw.until(one.taskId, ({ status }) => status.state.endsWith('INPUT_REQUIRED'));
    await other.lender.cancel(other.taskId);
    expect((await one.call('files__echo', { text: 'x' })).status).toBe(200);
    expect((await other.call('files__echo', { text: 'x' })).status).toBe(401);
  });

  it('the time of a lease is an end', async () => {
    await start({ lending: [{ to: 'agent', tools: ['files/*'], ttl: '2s' }] });
    const { offer, call } = await redeemed(world);
    await new Promise((go) => setTimeout(go, offer.exp * 1000 - Date.now() + 1200));
    expect((await call('files__echo', { text: 'x' })).status).toBe(401);
  });
});

describe('ungranted tool 403', () => {
  it.each([
    'files__add',
    'echo',
    'files/echo',
    'files__ECHO',
    'second__hold',
    'agent__hold',
    'wait_task',
    'find_tools',
    'call_tool',
    'ask_agent',
    '__proto__',
    'constructor',
    'toString',
  ])('"%s"', async (name) => {
    await start({ agents: pair, lending: [{ to: 'agent', tools: ['files/echo'] }] });
    const { offer, token, key, call } = await redeemed(world);
    expect(offer.tools).toEqual(['files__echo']);
    const { result } = await callback(offer.resource, { token, key });
    expect(result).toMatchObject({ tools: [{ name: 'files__echo' }] });
    const answer = await call(name, { text: 'x', message: 'x', task_id: 'x', taskId: 'x' });
    expect(answer.status).toBe(403);
    expect(answer.result).toBeUndefined();
    expect(world.files.ledger.of('received')).toEqual([]);
  });

  it('and the attempt is in the audit log', async () => {
    await start({ lending: [{ to: 'agent', tools: ['files/echo'] }] });
    const { offer, call } = await redeemed(world);
    expect((await call('files__add', { a: 1, b: 2 })).status).toBe(403);
    const [, lease] = /callback\/([^/]+)/.exec(offer.resource) ?? [];
    const kinds = async () =>
      (await world.audit()).filter((row) => row['lease'] === lease).map(({ kind }) => kind);
    await expect.poll(kinds).toEqual(['lease.offered', 'lease.redeemed', 'call.refused']);
  });

  it('arguments outside are in the audit log, without them', async () => {
    const text = { properties: { text: { maxLength: 3 } } };
    await start({ lending: [{ to: 'agent', tools: ['files/echo'], arguments: { '*/*': text } }] });
    const { call } = await redeemed(world);
    await call('files__echo', { text: 'Kq7zRwXv9T' });
    const audit = await world.audit();
    expect(audit.map(({ kind }) => kind)).toEqual([
      'lease.offered',
      'lease.redeemed',
      'call.refused',
    ]);
    expect(JSON.stringify(audit)).not.toContain('Kq7zRwXv9T');
  });

  it.each(['get_task', 'answer_task', 'cancel_task'])('"%s"', async (name) => {
    await start({ lending: [{ to: 'agent', tools: ['files/echo'] }] });
    const { call } = await redeemed(world);
    expect((await call(name, { task_id: 'x' })).status).toBe(403);
  });

  it.each([
    ['resources/read', { uri: 'test://notes/first' }],
    ['resources/list', {}],
    ['prompts/get', { name: 'greet' }],
    ['prompts/list', {}],
    [
      'completion/complete',
      { ref: { type: 'ref/prompt', name: 'greet' }, argument: { name: 'a', value: '' } },
    ],
    ['tasks/list', {}],
    ['tasks/get', { taskId: 'x' }],
    ['sampling/createMessage', {}],
  ])('and nothing but tools: %s brings nothing of the lender', async (method, params) => {
    await start();
    const { offer, token, key } = await redeemed(world);
    const { result } = await callback(offer.resource, { token, key, method, params });
    expect(JSON.stringify(result ?? {})).not.toMatch(/note|uri"|greet|contents|taskId/);
  });

  it('a task of one lease is not seen at another, nor by name at the face of its agent', async () => {
    await start();
    const [one, other] = [await redeemed(world), await redeemed(world)];
    for (const taskId of [one.taskId, other.taskId]) {
      for (const method of ['tasks/get', 'tasks/cancel', 'tasks/result']) {
        const { offer, token, key } = other;
        const shape = { token, key, method, params: { taskId } };
        expect((await callback(offer.resource, shape)).result).toBeUndefined();
      }
    }
    expect((await one.lender.get(one.taskId)).status.state).toBe('TASK_STATE_WORKING');
  });
});

describe('A→B→A stops', () => {
  it('a lent skill of the agent itself is never offered nor callable', async () => {
    await start({ agents: pair, lending: [{ to: '*', tools: ['*/*'] }] });
    const { offer, call } = await redeemed(world);
    expect(offer.tools).toContain('second__hold');
    expect(offer.tools).not.toContain('agent__hold');
    expect((await call('agent__hold', { message: 'x' })).status).toBe(403);
    expect(at('agent').tasks).toHaveLength(1);
    const asked = await (
      await world.lender('agent')
    ).raw.rpc('SendMessage', {
      message: {
        messageId: 'm',
        role: 'ROLE_USER',
        parts: [{ text: 'x' }],
        metadata: { 'urn:isthmus:ext:tool-lease:v1': { lend: { tools: ['agent/hold'] } } },
      },
    });
    expect(asked.body.result?.task?.status.state ?? 'refused').toMatch(/FAILED|REJECTED|refused/);
    expect(at('agent').tasks).toHaveLength(1);
  });

  it('nor where the agent is there under another id as well', async () => {
    const twin = await startLending({ agents: { agent: {} } });
    world = twin;
    const { cardUrl } = at('agent');
    twin.gateway.reconfigure({
      peers: [...twin.options.peers, { id: 'alias', a2a: cardUrl }],
      lending: [{ to: 'agent', tools: ['alias/*', 'files/echo'] }],
    });
    const { offer } = await twin.lend();
    expect(offer.tools).toEqual(['files__echo']);
  });

  it('a skill that is called as a lent tool is offered nothing, whatever rules there are', async () => {
    await start({ agents: pair, lending: [{ to: '*', tools: ['*/*'] }] });
    const { call } = await redeemed(world);
    const called = call('second__hold', { message: 'x' });
    const inner = await at('second').next();
    expect(inner.offer).toBeUndefined();
    expect(JSON.stringify(inner.message.metadata ?? {})).not.toContain('lease');
    inner.complete('Done');
    expect(resultOf(await called).text).toContain('Done');
  });

  it('nor when the call asks for it in its own _meta', async () => {
    await start({ agents: pair, lending: [{ to: '*', tools: ['*/*'], offer: 'request' }] });
    const { offer, token, key } = await redeemed(world, { request: { tools: ['second/hold'] } });
    const lend = { lend: { tools: ['*/*'] } };
    const called = callback(offer.resource, {
      token,
      key,
      method: 'tools/call',
      params: { name: 'second__hold', arguments: { message: 'x' } },
      meta: { 'dev.isthmus/tool-lease': lend, 'urn:isthmus:ext:tool-lease:v1': lend },
    });
    // Either it is refused, or nothing comes of it.
    const inner = await Promise.race([at('second').next(), called]);
    if ('taskId' in inner) inner.complete('Done');
    await called;
    expect(at('second').tasks.map((held) => held.offer)).toEqual(
      'taskId' in inner ? [undefined] : [],
    );
  });

  it('lending on back to an earlier holder is refused', async () => {
    const lending = [{ to: '*', tools: ['files/*'], depth: 5, from: everybody }];
    await start({ oauth: true, agents: { agent: {}, second: {}, third: {} }, lending });
    const first = await world.lend();
    const request = { tools: ['files__echo'], parent: first.offer.resource };
    const second = await world.lendAs(at('agent'), { to: 'second', request });
    const on = { tools: ['files__echo'], parent: second.offer.resource };
    const before = at('agent').tasks.length;
    const back = await world.clientOf(at('second'), 'agent');
    await expect(failed(back.start('x', { lend: on }), back)).resolves.toMatch(/does not go round/);
    const self = await world.clientOf(at('second'), 'second');
    await expect(failed(self.start('x', { lend: on }), self)).resolves.toMatch(/does not go round/);
    expect(at('agent').tasks).toHaveLength(before);
    // To somebody who has nothing yet it goes.
    const third = await world.lendAs(at('second'), { to: 'third', request: on });
    expect(third.offer.tools).toEqual(['files__echo']);
    expect(third.offer.depth).toBe(3);
  });

  it('a skill of the one who is lent on to is not among what it gets', async () => {
    const lending = [{ to: '*', tools: ['files/echo', 'second/*', 'third/*'], depth: 2 }];
    await start({ oauth: true, agents: { agent: {}, second: {}, third: {} }, lending });
    const first = await world.lend();
    expect(first.offer.tools).toEqual(expect.arrayContaining(['second__hold', 'third__hold']));
    const request = { tools: ['*'], parent: first.offer.resource };
    const second = await world.lendAs(at('agent'), { to: 'second', request });
    expect(second.offer.tools.toSorted()).toEqual(['files__echo', 'third__hold']);
  });

  it('a loop over the agents’ own tokens ends with the budget', async () => {
    const lending = [{ to: 'agent', tools: ['second/hold'], maxCalls: 3 }];
    await start({ oauth: true, agents: pair, lending });
    const { call } = await redeemed(world);
    const texts: string[] = [];
    for (let round = 0; round < 5; round += 1) {
      const called = call('second__hold', { message: `round ${round}` });
      const inner = await Promise.race([at('second').next(), called]);
      if ('taskId' in inner) {
        // It turns to the first agent again, which has the same lease and no other.
        const again = await world.clientOf(at('second'), 'agent');
        await again.start('Again');
        await at('agent').next();
        inner.complete('Done');
      }
      texts.push(resultOf(await called).text);
    }
    expect(texts.map((text) => /are used/.test(text))).toEqual([false, false, false, true, true]);
    expect(at('second').tasks).toHaveLength(3);
    const offered = at('agent').tasks.filter(({ offer }) => offer !== undefined);
    expect([at('agent').tasks.length, offered.length]).toEqual([4, 1]);
  });
});

/** Why a call came to nothing. */
async function failed(
  started: Promise<{ id: string }>,
  { raw, headers }: { raw: { rpc: LendingRpc }; headers: Record<string, string> },
): Promise<string> {
  let id: string;
  try {
    ({ id } = await started);
  } catch (error) {
    return (error as Error).message;
  }
  for (const end = Date.now() + 5000; Date.now() < end;) {
    const { body } = await raw.rpc('GetTask', { id }, { headers });
    if (/FAILED|REJECTED/.test(JSON.stringify(body.result?.['status'])))
      return JSON.stringify(body);
    await new Promise((go) => setTimeout(go, 50));
  }
  return 'it went on';
}

type LendingRpc = WorldRaw['rpc'];
type WorldRaw = Awaited<ReturnType<LendingWorld['lender']>>['raw'];
