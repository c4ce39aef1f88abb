/** SECURITY, negative tests "Lease and delegation": the bounds of one lease, raced and taken back. */
import { afterEach, describe, expect, it } from 'vitest';
import { auditOf } from '../support/audit-log.ts';
import { dpopProof, testKey } from '../support/issuer.ts';
import { WireClient } from '../support/wire-client.ts';
import { callback, callTool, resultOf, tokenFor, until } from './lending-requests.ts';
import {
  redeemed,
  startLending,
  type LendingWorld,
  type LendingWorldOptions,
  type Redeemed,
} from './lending-world.ts';
import { modernHeaders, modernMeta } from './world.ts';

let world: LendingWorld;
afterEach(() => world.close());

const start = async (rules: Record<string, unknown>[], more: LendingWorldOptions = {}) => {
  world = await startLending({ lending: rules, ...more });
};
const received = (tool?: string) => world.files.ledger.of('received', tool);

describe('tool or argument outside', () => {
  const schema = {
    type: 'object',
    properties: { text: { type: 'string', pattern: '^/public/[\\w-]+$' } },
    required: ['text'],
    additionalProperties: false,
  };

  const outside: [string, Record<string, unknown>][] = [
    ['another value', { text: '/private/x' }],
    ['a way round', { text: '/public/../private' }],
    ['a line break behind a good value', { text: '/public/x\n/private' }],
    ['another type', { text: ['/public/x'] }],
    ['an object that becomes a good text', { text: { toString: '/public/x' } }],
    ['nothing', {}],
    ['one more argument', { text: '/public/x', path: '/etc/passwd' }],
    ['a good value of a prototype', { ['__proto__']: { text: '/public/x' } }],
  ];
  it.each(outside)(
    '%s: a result that is an error, and nothing reaches the tool',
    async (_t, args) => {
      await start([{ to: 'agent', tools: ['files/echo'], arguments: { 'files/echo': schema } }]);
      const { call } = await redeemed(world);
      const answer = resultOf(await call('files__echo', args));
      expect(answer).toMatchObject({ status: 200, isError: true });
      expect(answer.text).toMatch(/lent for other arguments/);
      expect(received()).toEqual([]);
      expect(resultOf(await call('files__echo', { text: '/public/x' })).text).toBe('/public/x');
    },
  );

  it('a key that is there twice counts as what the tool gets', async () => {
    await start([{ to: 'agent', tools: ['files/echo'], arguments: { 'files/echo': schema } }]);
    const { offer, token, key } = await redeemed(world);
    for (const args of [
      '{"text":"/public/x","text":"/private/x"}',
      '{"text":"/private/x","text":"/public/x"}',
    ]) {
      const dpop = await dpopProof({ key, htm: 'POST', htu: offer.resource, accessToken: token });
      const meta = JSON.stringify(modernMeta);
      const response = await fetch(offer.resource, {
        method: 'POST',
        headers: {
          ...modernHeaders('tools/call', 'files__echo'),
          authorization: `DPoP ${token}`,
          dpop,
        },
        body: `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"files__echo","arguments":${args},"_meta":${meta}}}`,
      });
      expect(await response.text()).not.toContain('"text":"/private');
    }
    expect(JSON.stringify(received())).not.toContain('/private');
  });

  it('what does not fit is in no log, nor what it was compared with', async () => {
    const secret = { ...schema, properties: { text: { const: 'canary-of-the-operator' } } };
    await start([{ to: 'agent', tools: ['files/echo'], arguments: { 'files/echo': secret } }]);
    const { call } = await redeemed(world);
    const name = `canary-of-the-agent-${'x'.repeat(100_000)}`;
    const { text } = resultOf(await call('files__echo', { [name]: 1, text: 'no' }));
    expect(text).toContain('canary-of-the-agent');
    const logged = JSON.stringify([auditOf(world.gateway, 'call.refused'), world.gateway.log]);
    expect(logged).toContain('The tool is lent for other arguments.');
    expect(logged).not.toContain('canary');
  });

  it('arguments that a person did not see do not slip in: what is refused costs no call', async () => {
    await start([
      { to: 'agent', tools: ['files/echo'], arguments: { 'files/echo': schema }, maxCalls: 1 },
    ]);
    const { call } = await redeemed(world);
    for (let round = 0; round < 5; round += 1) await call('files__echo', { text: 'no' });
    expect(resultOf(await call('files__echo', { text: '/public/x' })).text).toBe('/public/x');
    expect(resultOf(await call('files__echo', { text: '/public/x' })).isError).toBe(true);
  });
});

describe('budget race: 50 in parallel on a budget of 10', () => {
  const record = (n: number) => ({ key: `call ${n}`, ms: 50 });

  it('exactly 10 reach the server, and the others are told', async () => {
    await start([{ to: 'agent', tools: ['files/record'], maxCalls: 10 }]);
    const { call } = await redeemed(world);
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, n) => call('files__record', record(n)).then(resultOf)),
    );
    expect(world.files.ledger.of('executed', 'record')).toHaveLength(10);
    expect(received('record')).toHaveLength(10);
    expect(answers.filter(({ isError }) => isError !== true)).toHaveLength(10);
    const refused = answers.filter(({ isError }) => isError === true);
    expect(refused.every(({ text }) => text.includes('All 10 calls'))).toBe(true);
  });

  it('also over ten tokens, parts of the lease among them', async () => {
    await start([{ to: 'agent', tools: ['files/record'], maxCalls: 10 }]);
    const { offer, key } = await redeemed(world);
    const part = {
      type: 'urn:isthmus:ext:tool-lease:v1',
      tools: [{ name: 'files__record', max_calls: 10 }],
      max_calls: 10,
    };
    const tokens = await Promise.all(
      Array.from({ length: 10 }, (_, n) =>
        tokenFor(offer, world.agent, { key, ...(n % 2 === 0 && { details: part }) }),
      ),
    );
    await Promise.all(
      Array.from({ length: 50 }, (_, n) =>
        callTool(offer.resource, { token: tokens[n % 10] ?? '', key }, 'files__record', record(n)),
      ),
    );
    expect(world.files.ledger.of('executed', 'record')).toHaveLength(10);
  });

  it('also for one tool among others, and over a restart', async () => {
    const maxCallsPerTool = { 'files/record': 10 };
    await start([{ to: 'agent', tools: ['files/*'], maxCalls: 30, maxCallsPerTool }]);
    const { call } = await redeemed(world);
    await Promise.all(Array.from({ length: 50 }, (_, n) => call('files__record', record(n))));
    expect(world.files.ledger.of('executed', 'record')).toHaveLength(10);
    await world.gateway.restart();
    await Promise.all(Array.from({ length: 20 }, (_, n) => call('files__record', record(n))));
    expect(world.files.ledger.of('executed', 'record')).toHaveLength(10);
    const others = await Promise.all(
      Array.from({ length: 50 }, () => call('files__echo', { text: 'x' }).then(resultOf)),
    );
    expect(others.filter(({ isError }) => isError !== true)).toHaveLength(20);
  });

  it('a second message to the task is no second budget', async () => {
    await start([{ to: 'agent', tools: ['files/record'], maxCalls: 2 }]);
    const { call, held, lender, taskId, offer } = await redeemed(world);
    await call('files__record', record(1));
    held.ask('Go on?');
    await lender.raw.until(taskId, ({ status }) => status.state.endsWith('INPUT_REQUIRED'));
    await lender.raw.rpc('SendMessage', {
      message: { messageId: 'm2', taskId, role: 'ROLE_USER', parts: [{ text: 'Yes' }] },
      configuration: { returnImmediately: true },
    });
    const again = await world.agent.next();
    expect(again.offer?.lease_ref ?? offer.lease_ref).toBe(offer.lease_ref);
    for (let n = 0; n < 4; n += 1) await call('files__record', record(n));
    expect(world.files.ledger.of('executed', 'record')).toHaveLength(2);
  });
});

describe('revoke while calling', () => {
  async function slowCall() {
    await start([{ to: 'agent', tools: ['files/*'] }], { limits: { syncCall: '30s' } });
    const lent = await redeemed(world);
    const began = performance.now();
    const calling = lent.call('files__slow', { ms: 20_000, key: 'slow' });
    await until(() => world.files.ledger.of('executed', 'slow').length === 1);
    return { lent, calling, began };
  }

  /** What the borrower, and the server, saw of a call that was taken back. */
  async function seen({
    call,
    calling,
    began,
  }: Pick<Redeemed, 'call'> & { calling: ReturnType<Redeemed['call']>; began: number }) {
    const { result, error, messages } = await calling;
    const isSoon = performance.now() - began < 10_000;
    await until(() => world.files.ledger.of('cancelled', 'slow').length > 0);
    return {
      isSoon,
      answers: messages.filter(({ id }) => id === 1).length,
      isError: error !== undefined || result?.['isError'] === true,
      says: JSON.stringify(error ?? result),
      cancelled: world.files.ledger.of('cancelled', 'slow').length,
      next: (await call('files__echo', { text: 'x' })).status,
    };
  }

  /** One clear answer that says what is the matter, the server told to stop, and no further call. */
  const takenBack = {
    isSoon: true,
    answers: 1,
    isError: true,
    says: expect.stringMatching(/not lent any more|lease/i),
    cancelled: 1,
    next: 401,
  };

  it('CancelTask of the lender’s client: the call fails cleanly, the server’s call is cancelled', async () => {
    const slow = await slowCall();
    await slow.lent.lender.cancel(slow.lent.taskId);
    expect(await seen({ ...slow, ...slow.lent })).toEqual(takenBack);
  });

  it('tasks/cancel of the lender’s client over MCP: the same', async () => {
    await start([{ to: 'agent', tools: ['files/*'] }]);
    const client = new WireClient(world.gateway.mcp('agent'));
    const { taskId } = await client.call('hold', { message: 'x' });
    const { offer } = await world.agent.next();
    if (offer === undefined) throw new Error('nothing was offered');
    const key = await testKey();
    const token = await tokenFor(offer, world.agent, { key });
    const call = (name: string, args: Record<string, unknown> = {}) =>
      callTool(offer.resource, { token, key }, name, args);
    const began = performance.now();
    const calling = call('files__slow', { ms: 20_000, key: 'slow' });
    await until(() => world.files.ledger.of('executed', 'slow').length === 1);
    const { error } = await client.request('tasks/cancel', { taskId });
    expect(error).toBeUndefined();
    expect(await seen({ call, calling, began })).toEqual(takenBack);
  });

  it('the agent’s own end of the task is an end of its calls too', async () => {
    const slow = await slowCall();
    slow.lent.held.complete('Done, without waiting');
    expect(await seen({ ...slow, ...slow.lent })).toEqual(takenBack);
  });

  it('a borrower that hangs up has its call cancelled at the server', async () => {
    await start([{ to: 'agent', tools: ['files/*'] }]);
    const { offer, token, key } = await redeemed(world);
    const abort = new AbortController();
    const calling = callback(offer.resource, {
      token,
      key,
      method: 'tools/call',
      params: { name: 'files__slow', arguments: { ms: 20_000, key: 'slow' } },
      signal: abort.signal,
    }).catch(() => undefined);
    await until(() => world.files.ledger.of('executed', 'slow').length === 1);
    abort.abort();
    await calling;
    await until(() => world.files.ledger.of('cancelled', 'slow').length > 0);
    expect(world.files.ledger.of('cancelled', 'slow')).toHaveLength(1);
  });

  it('50 calls at once that race with the end: none begins after it', async () => {
    await start([{ to: 'agent', tools: ['files/*'], maxCalls: 1000 }]);
    const { call, lender, taskId } = await redeemed(world);
    const calls = Array.from({ length: 50 }, (_, n) => call('files__record', { key: `${n}` }));
    await lender.cancel(taskId);
    const atEnd = world.files.ledger.of('executed', 'record').length;
    await Promise.all(calls);
    const late = Array.from({ length: 10 }, (_, n) => call('files__record', { key: `late ${n}` }));
    expect((await Promise.all(late)).map(({ status }) => status)).toEqual(
      Array.from({ length: 10 }, () => 401),
    );
    expect(world.files.ledger.entries.some((entry) => /late/.test(JSON.stringify(entry)))).toBe(
      false,
    );
    expect(world.files.ledger.of('executed', 'record').length - atEnd).toBeLessThanOrEqual(2);
  });
});
