/** SECURITY row 11, and row 1 as far as one principal goes: ids lead nowhere but where they belong. */
import { expect, it } from 'vitest';
import { createSeal } from '../../src/auth/seal.ts';
import { createContexts } from '../../src/engine/contexts.ts';
import { anonymous, ownerKey } from '../../src/model/principal.ts';
import { RawA2a, say } from '../faces/a2a-raw.ts';
import { WireClient } from '../support/wire-client.ts';
import { agentWith, gatewayWith } from './world.ts';

async function twoAgents() {
  const [one, two] = await Promise.all([agentWith(), agentWith()]);
  const gateway = await gatewayWith({
    peers: [
      { id: 'one', a2a: one.cardUrl },
      { id: 'two', a2a: two.cardUrl },
    ],
  });
  return {
    gateway,
    agents: { one, two },
    faces: { one: new RawA2a(gateway.a2a('one')), two: new RawA2a(gateway.a2a('two')) },
  };
}

it("a task id of one peer is unknown at every method of another peer's faces", async () => {
  const { gateway, faces, agents } = await twoAgents();
  const task = await faces.one.task(say('ask'));
  expect(task.status.state).toBe('TASK_STATE_INPUT_REQUIRED');
  const { id } = task;
  const rpc = [
    await faces.two.rpc('GetTask', { id }),
    await faces.two.rpc('CancelTask', { id }),
    await faces.two.rpc('SubscribeToTask', { id }),
    await faces.two.rpc('SendMessage', say('Rome', { taskId: id })),
    await faces.two.rpc('SendMessage', say('task x', { referenceTaskIds: [id] })),
    await faces.two.rpc('tasks/get', { id }, { version: '0.3' }),
  ];
  expect(rpc.map(({ body }) => body.error?.code)).toEqual(Array(6).fill(-32001));
  expect((await faces.two.rest('GET', `/tasks/${id}`)).status).toBe(404);
  expect((await faces.two.rest('POST', `/tasks/${id}:cancel`, {})).status).toBe(404);
  const absent = await faces.two.rpc('GetTask', { id: 'A'.repeat(22) });
  expect(JSON.stringify(rpc[0]?.body.error)).toBe(JSON.stringify(absent.body.error));

  const mcp = new WireClient(gateway.mcp('two'));
  for (const [method, params] of [
    ['tasks/get', { taskId: id }],
    ['tasks/cancel', { taskId: id }],
    ['tasks/update', { taskId: id, inputResponses: {} }],
  ] as const) {
    expect((await mcp.request(method, params)).error?.code).toBe(-32602);
  }
  for (const name of ['get_task', 'cancel_task', 'answer_task']) {
    const result = await mcp.call(name, { taskId: id, answer: 'Rome' });
    expect(result).toMatchObject({ isError: true });
    expect(JSON.stringify(result)).toContain('There is no such task');
  }
  const read = await mcp.request('resources/read', { uri: `a2a://two/tasks/${id}/artifacts/x` });
  expect(read.error).toBeDefined();
  expect((await faces.one.get(id)).status.state).toBe('TASK_STATE_INPUT_REQUIRED');
  expect(agents.two.ledger).toHaveLength(0);
});

it('a sealed contextId is refused at another peer, with a changed character, and for another task', async () => {
  const { faces, agents } = await twoAgents();
  const { contextId } = await faces.one.task(say('task a'));
  const second = await faces.one.task(say('ask'));
  expect(contextId).toMatch(/^ctx\./);
  const refused = [
    await faces.two.rpc('SendMessage', say('task b', { contextId })),
    await faces.one.rpc('SendMessage', say('task b', { contextId: `${contextId}A` })),
    await faces.one.rpc('SendMessage', say('task b', { contextId: 'ctx.AAAA' })),
    await faces.one.rpc('SendMessage', say('Rome', { contextId, taskId: second.id })),
  ];
  expect(refused.map(({ body }) => body.error?.code)).toEqual(Array(4).fill(-32602));
  expect(agents.one.ledger).toHaveLength(2);
  expect(agents.two.ledger).toHaveLength(0);
});

it('one contextId that two principals, or one at two peers, make up never meets', () => {
  const contexts = createContexts(createSeal(Buffer.alloc(32, 3)));
  const alice = ownerKey({ ...anonymous, subject: 'alice' });
  const bob = ownerKey({ ...anonymous, subject: 'bob' });
  const seen = [
    contexts.toPeer(alice, 'p', 'shared'),
    contexts.toPeer(bob, 'p', 'shared'),
    contexts.toPeer(alice, 'q', 'shared'),
  ];
  expect(new Set(seen).size).toBe(3);
  const given = contexts.fromPeer(alice, 'p', 'inner');
  expect(contexts.toPeer(alice, 'p', given)).toBe('inner');
  expect(() => contexts.toPeer(bob, 'p', given)).toThrow('not given to you');
  expect(() => contexts.toPeer(alice, 'q', given)).toThrow('not given to you');
});

it('a connect id leads to its own open question only, and forgeries to a page that says nothing', async () => {
  const { gateway, agents } = await twoAgents();
  const client = new WireClient(gateway.mcp('one'));
  const capabilities = { elicitation: { form: {}, url: {} } };
  const asked = await client.call('auth', { message: 'x' }, { capabilities });
  const url = /http[^"]+\/connect\/[\w-]+/.exec(JSON.stringify(asked))?.[0] ?? '';
  expect((await fetch(url)).status).toBe(200);
  const { contextId } = await new RawA2a(gateway.a2a('one')).task(say('task x'));
  const sealed = url.slice(url.lastIndexOf('/') + 1);
  const forged = [
    'x',
    '',
    '..%2f..%2fetc%2fpasswd',
    contextId.slice(4),
    String(asked['requestState']),
    `${sealed}A`,
    sealed.slice(0, -4),
    'A'.repeat(12_000),
    '%00',
    '%',
  ];
  const pages = await Promise.all(
    forged.map(async (id) => {
      const response = await fetch(`${gateway.url}/connect/${id}`);
      return { status: response.status, text: await response.text() };
    }),
  );
  expect(new Set(pages.map(({ status }) => status))).toEqual(new Set([404]));
  expect(new Set(pages.map(({ text }) => text)).size).toBe(1);
  for (const id of agents.one.waitingForAuth()) agents.one.completeAuth(id);
  await expect.poll(async () => (await fetch(url)).status).toBe(404);
});
