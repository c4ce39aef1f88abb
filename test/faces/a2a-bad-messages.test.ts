import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { covers } from '../requirements/requirement.ts';
import { expectClear, fieldOf, say } from './a2a-raw.ts';
import { startA2aWorld } from './a2a-world.ts';
import type { A2aWorld } from './a2a-world.ts';

let world: A2aWorld;
let received = 0;

beforeAll(async () => {
  world = await startA2aWorld();
});

afterAll(async () => {
  await world.close();
});

beforeEach(() => {
  received = world.agentPeer.ledger.length;
});

/** Nothing of what was refused reached the agent. */
function expectUntouched(): void {
  expect(world.agentPeer.ledger.length).toBe(received);
}

describe('messages', () => {
  const bad: [string, Record<string, unknown>][] = [
    ['message.messageId', { messageId: undefined }],
    ['message.messageId', { messageId: '' }],
    ['message.messageId', { messageId: 7 }],
    ['message.role', { role: undefined }],
    ['message.role', { role: 'ROLE_UNSPECIFIED' }],
    ['message.role', { role: 'ROLE_AGENT' }],
    ['message.role', { role: 'user' }],
    ['message.parts', { parts: undefined }],
    ['message.parts', { parts: [] }],
    ['message.parts', { parts: 'hello' }],
    ['message.parts[0]', { parts: [{}] }],
    ['message.parts[0]', { parts: ['hello'] }],
    ['message.parts[0]', { parts: [{ text: 'a', url: 'https://example.org' }] }],
    ['message.parts[1]', { parts: [{ text: 'a' }, { kind: 'text' }] }],
    ['message.parts[0].text', { parts: [{ text: 7 }] }],
    ['message.parts[0].raw', { parts: [{ raw: 'no base64!' }] }],
    ['message.contextId', { contextId: 7 }],
    ['message.taskId', { taskId: {} }],
    ['message.referenceTaskIds', { referenceTaskIds: 'x' }],
    ['message.metadata', { metadata: [] }],
  ];

  test('a message that lacks something names the field, in both bindings', async () => {
    covers('A2A-5.7-01', 'A2A-4.1.6-02', 'A2A-3.3.2-01');
    const stored = (await world.agent.rpc('ListTasks', {})).body.result!.totalSize;
    for (const [field, change] of bad) {
      const params = { message: { ...say('echo never').message, ...change } };
      const rpc = await world.agent.rpc('SendMessage', params);
      expect([rpc.body.error?.code, fieldOf(rpc)]).toEqual([-32602, field]);
      expect(rpc.body.error?.message).toContain(field);
      const rest = await world.agent.rest('POST', '/message:send', params);
      expect([rest.status, fieldOf(rest)]).toEqual([400, field]);
      const streamed = await world.agent.rpc('SendStreamingMessage', params);
      expect(streamed.body.error?.code).toBe(-32602);
      expectClear(rpc);
      expectClear(rest);
    }
    expectUntouched();
    expect((await world.agent.rpc('ListTasks', {})).body.result!.totalSize).toBe(stored);
  });

  test('the same in the words of 0.3', async () => {
    const good = {
      kind: 'message',
      messageId: 'm',
      role: 'user',
      parts: [{ kind: 'text', text: 'x' }],
    };
    const legacy: Record<string, unknown>[] = [
      { messageId: undefined },
      { role: 'ROLE_USER' },
      { parts: [] },
      { parts: [{ text: 'no kind' }] },
      { parts: [{ kind: 'text' }] },
      { parts: [{ kind: 'file' }] },
      { parts: [{ kind: 'file', file: {} }] },
      { parts: [{ kind: 'data', data: 7 }] },
      { parts: [{ kind: 'banana' }] },
    ];
    for (const change of legacy) {
      const message = { ...good, ...change };
      const rpc = await world.agent.rpc('message/send', { message }, { version: '0.3' });
      expect([JSON.stringify(change), rpc.body.error?.code]).toEqual([
        JSON.stringify(change),
        -32602,
      ]);
      expectClear(rpc);
    }
    const rest: Record<string, unknown>[] = [
      { messageId: 'm', role: 'ROLE_USER', content: [] },
      { messageId: 'm', role: 'ROLE_USER', content: [{}] },
      { messageId: 'm', role: 'user', content: [{ text: 'x' }] },
      { role: 'ROLE_USER', content: [{ text: 'x' }] },
    ];
    for (const message of rest) {
      const answer = await world.agent.rest(
        'POST',
        '/v1/message:send',
        { message },
        { version: '0.3' },
      );
      expect([answer.status, answer.body['code']]).toEqual([400, -32602]);
      expect(answer.body['message']).toMatch(/^message\./);
    }
    expectUntouched();
  });
});
