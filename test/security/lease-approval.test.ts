/** SECURITY row 12: a call that a person has to approve, and those who would approve in their place. */
import { afterEach, describe, expect, it } from 'vitest';
import type { Task } from '../../src/model/a2a.ts';
import type { HoldingAgent } from '../support/holding-agent.ts';
import { resultOf } from './lending-requests.ts';
import { redeemed, startLending, type LendingWorld, type Redeemed } from './lending-world.ts';

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

async function asked({ lender, taskId }: Redeemed): Promise<Task> {
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
  const parts = (status.message?.parts ?? []) as { data?: { key?: string } }[];
  const key = parts.flatMap(({ data }) => data?.key ?? [])[0] ?? 'q1';
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
  });
});
