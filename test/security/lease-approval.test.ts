/** SECURITY row 12: a call that a person has to approve, and those who would approve in their place. */
import { afterEach, describe, expect, it } from 'vitest';
import type { Task } from '../../src/model/a2a.ts';
import { auditOf } from '../support/audit-log.ts';
import type { HoldingAgent } from '../support/holding-agent.ts';
import { resultOf } from './lending-requests.ts';
import {
  redeemed,
  startLending,
  withToken,
  type Lent,
  type LendingWorld,
  type Redeemed,
} from './lending-world.ts';

let world: LendingWorld;
afterEach(() => world.close());

const rule = { to: '*', tools: ['files/*'], approval: 'always' };
const at = (id: string): HoldingAgent => world.agents[id] as HoldingAgent;

/** A call that waits for the lender, and what the lender is shown. */
async function waiting(): Promise<
  Redeemed & { calling: ReturnType<Redeemed['call']>; shown: Task }
> {
  world = await startLending({ oauth: true, agents: { agent: {}, second: {} }, lending: [rule] });
  const lent = await redeemed(world);
  const calling = lent.call('files__echo', { text: 'x' });
  const shown = await asked(lent);
  expect(world.files.ledger.of('received')).toEqual([]);
  return { ...lent, calling, shown };
}

async function asked({ lender, taskId }: Lent): Promise<Task> {
  for (const end = Date.now() + 8000; Date.now() < end;) {
    const task = await lender.get(taskId);
    if (task.status.state.endsWith('INPUT_REQUIRED')) return task;
    await new Promise((go) => setTimeout(go, 30));
  }
  throw new Error('nobody was asked');
}

/** The answer to a question, as a message of its task. */
function answer(
  { id, status }: Task,
  decision: string,
): { message: object; configuration: object } {
  const key = keyIn({ status } as Task) ?? 'q1';
  const response = { action: 'accept', content: { decision } };
  return {
    message: {
      messageId: `answer-${Math.random()}`,
      taskId: id,
      role: 'ROLE_USER',
      parts: [{ data: { key, response } }],
    },
    configuration: { returnImmediately: true },
  };
}

describe('approval', () => {
  it('of the lender lets the call through', async () => {
    const { lender, shown, calling } = await waiting();
    const { raw, headers } = lender;
    await raw.rpc('SendMessage', answer(shown, 'allow once'), { headers });
    expect(resultOf(await calling)).toMatchObject({ text: 'x' });
  });

  it('of the agent itself, with a token of its own, is none', async () => {
    const { shown, calling, lender, taskId } = await waiting();
    for (const who of [at('agent'), at('second')]) {
      const own = await world.clientOf(who, 'agent');
      const { raw, headers } = own;
      const { body } = await raw.rpc('SendMessage', answer(shown, 'allow once'), {
        headers,
      });
      expect(body.result).toBeUndefined();
    }
    expect(world.files.ledger.of('received')).toEqual([]);
    await lender.cancel(taskId);
    expect((await calling).result?.['isError'] ?? true).toBe(true);
    expect(world.files.ledger.of('received')).toEqual([]);
  });

  it.each(['refuse', 'ALLOW ONCE', 'allow', '', 'allow once '])(
    'that says "%s" is none',
    async (decision) => {
      const { lender, shown, calling } = await waiting();
      const { raw, headers } = lender;
      await raw.rpc('SendMessage', answer(shown, decision), { headers });
      // Where the gateway asks again, the task is over before anybody answers.
      const settled = await Promise.race([
        calling.then(() => true),
        new Promise<boolean>((go) => setTimeout(() => go(false), 500)),
      ]);
      if (!settled) await lender.cancel(shown.id);
      expect((await calling).result?.['isError'] ?? true).toBe(true);
      expect(world.files.ledger.of('received')).toEqual([]);
    },
  );

  it('for one call is none for the next', async () => {
    const lent = await waiting();
    const { raw, headers } = lent.lender;
    await raw.rpc('SendMessage', answer(lent.shown, 'allow once'), { headers });
    await lent.calling;
    const again = lent.call('files__echo', { text: 'y' });
    await asked(lent);
    expect(world.files.ledger.of('received', 'echo')).toHaveLength(1);
    await lent.lender.cancel(lent.taskId);
    await again;
    expect(world.files.ledger.of('received', 'echo')).toHaveLength(1);
  });

  it('of what the operator has taken back in the meantime is none', async () => {
    const { lender, shown, calling } = await waiting();
    world.gateway.reconfigure({ lending: [] });
    const { raw, headers } = lender;
    await raw.rpc('SendMessage', answer(shown, 'allow once'), { headers });
    await calling;
    expect(world.files.ledger.of('received')).toEqual([]);
  });

  it('that never comes holds no call beyond the end of the task', async () => {
    const { held, calling } = await waiting();
    held.complete('Done');
    expect((await calling).result?.['isError'] ?? true).toBe(true);
    expect(world.files.ledger.of('received')).toEqual([]);
    expect(auditOf(world.gateway, 'approval.decided')).toMatchObject([
      { facts: { decision: 'nobody answered' } },
    ]);
  });

  it('without a key is none for a call that took the place of another, nor is it passed on', async () => {
    world = await startLending({ oauth: true, lending: [rule] });
    const lent = await world.lend();
    const { client } = await world.agent.open(lent.offer);
    const stop = new AbortController();
    const call = (text: string, options = {}) =>
      client.callTool({ name: 'files__echo', arguments: { text } }, options);
    const harmless = call('harmless', { signal: stop.signal });
    const before = await asked(lent);
    stop.abort();
    await expect(harmless).rejects.toThrow(/abort/i);
    const other = call('other');
    await expect.poll(async () => questionIn(await asked(lent))).toContain('other');
    const { raw, headers } = lent.lender;
    const say = async (parts: object[]) => {
      const { message, configuration } = answer(before, '');
      const sent = { message: { ...message, parts }, configuration };
      return (await raw.rpc('SendMessage', sent, { headers })).body;
    };
    const text = [{ text: 'allow once' }];
    expect((await say(text)).error?.message).toContain('was taken back');
    const late = await raw.rpc('SendMessage', answer(before, 'allow once'), { headers });
    expect(late.body.error?.message).toContain('was taken back');
    expect(world.files.ledger.of('received')).toEqual([]);
    // Whoever has looked again says it again.
    expect((await say(text)).error).toBeUndefined();
    expect((await other).content).toEqual([{ type: 'text', text: 'other' }]);
    expect(world.agent.tasks).toHaveLength(1);
  });

  it('names who calls, and counts for that agent alone', async () => {
    const lending = [{ ...rule, depth: 1, offer: 'request' }];
    world = await startLending({ oauth: true, agents: { agent: {}, second: {} }, lending });
    const first = await redeemed(world, { request: { tools: ['files/*'], depth: 1 } });
    const own = first.call('files__echo', { text: 'own' });
    const shown = await asked(first);
    expect(questionIn(shown)).toContain('"agent" wants to call files/echo');
    const { raw, headers } = first.lender;
    await raw.rpc('SendMessage', answer(shown, 'allow for this task'), { headers });
    expect(resultOf(await own)).toMatchObject({ text: 'own' });
    const lentOn = await world.lendAs(at('agent'), {
      to: 'second',
      request: { tools: ['*'], parent: first.offer.resource },
    });
    const second = await withToken(lentOn, at('second'));
    const foreign = second.call('files__echo', { text: 'foreign' });
    const again = await asked(first);
    expect(questionIn(again)).toContain('"second" (through "agent") wants to call files/echo');
    await raw.rpc('SendMessage', answer(again, 'refuse'), { headers });
    expect((await foreign).result?.['isError'] ?? true).toBe(true);
    expect(world.files.ledger.of('received', 'echo')).toHaveLength(1);
  });
});

it('an answer to a lent tool never goes to the agent, however late it comes', async () => {
  world = await startLending({ oauth: true, lending: [{ to: '*', tools: ['files/*'] }] });
  const lent = await world.lend();
  const { client } = await world.agent.open(lent.offer);
  const stop = new AbortController();
  const asking = client.callTool(
    { name: 'files__ask_form', arguments: {} },
    { signal: stop.signal },
  );
  const shown = await asked(lent);
  expect(JSON.stringify(shown.status.message)).toContain('A tool that was lent to');
  const { raw, headers } = lent.lender;
  const send = async (part: object) => {
    const { message, configuration } = answer(shown, '');
    const sent = { message: { ...message, parts: [part] }, configuration };
    return (await raw.rpc('SendMessage', sent, { headers })).body;
  };
  // What answers nothing that is asked is for nobody.
  const { error } = await send({ text: 'hunter2' });
  expect(error?.message).toContain('does not answer it');
  stop.abort();
  await expect(asking).rejects.toThrow(/abort/i);
  await expect
    .poll(async () => (await lent.lender.get(lent.taskId)).status.state)
    .toContain('WORKING');
  const content = { city: 'hunter2', nights: 2 };
  for (const data of [content, { key: keyIn(shown), response: { action: 'accept', content } }]) {
    expect((await send({ data })).error?.message).toContain('was taken back');
  }
  expect(world.agent.tasks).toHaveLength(1);
});

/** The key that a task's question is answered under. */
function keyIn({ status }: Task): string | undefined {
  const parts = (status.message?.parts ?? []) as { data?: { key?: string } }[];
  return parts.flatMap(({ data }) => data?.key ?? [])[0];
}

/** What a task asks, in words and as data. */
function questionIn({ status }: Task): string {
  return JSON.stringify(status.message?.parts ?? []).replaceAll('\\"', '"');
}
