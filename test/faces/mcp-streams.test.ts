/** What the MCP face says before an answer and on subscriptions, and what ends a call. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { covers } from '../requirements/requirement.ts';
import { startA2aAgent, type A2aAgent } from '../support/a2a-agent.ts';
import type { BadPeer } from '../support/bad-peer.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { startModernServer, type ModernServer } from '../support/modern-server.ts';
import { WireClient, type WireMessage } from '../support/wire-client.ts';
import {
  bareMeta,
  modernBody,
  Opened,
  Reader,
  said,
  startToolServer,
  streamed,
  tool,
} from './mcp-world.ts';

const opened = new Opened();
let agent: A2aAgent;
let modern: ModernServer;
let chatty: BadPeer;
let gateway: TestGateway;

beforeAll(async () => {
  agent = opened.add(await startA2aAgent());
  modern = opened.add(await startModernServer());
  const call = streamed((params) => {
    const { values, late = [] } = params['arguments'] as { values: number[]; late?: number[] };
    const token = (params['_meta'] as { progressToken?: unknown })['progressToken'];
    const report = (progress: number): WireMessage => ({
      method: 'notifications/progress',
      params: { progressToken: token, progress },
    });
    return {
      before: [
        { method: 'notifications/cancelled', params: { requestId: 1 } },
        ...values.map((value) => report(value)),
      ],
      result: said('done'),
      after: late.map((value) => report(value)),
    };
  });
  chatty = opened.add(
    await startToolServer({ tools: [tool('report')], on: { 'tools/call': call } }),
  );
  gateway = opened.add(
    await startGateway({
      peers: [
        { id: 'agent', a2a: agent.cardUrl },
        { id: 'modern', mcp: modern.url },
        { id: 'chatty', mcp: chatty.mcpUrl },
      ],
      limits: { syncCall: '5s' },
    }),
  );
});

afterAll(() => opened.close());

const bare = { capabilities: {} };

/** The notifications before the answer of a call, and that nothing comes after it. */
async function before(
  peer: string,
  call: { name: string; arguments: Record<string, unknown> },
  meta: Record<string, unknown> = {},
): Promise<WireMessage[]> {
  const wire = new WireClient(gateway.mcp(peer));
  const { messages } = await wire.request('tools/call', call, { ...bare, meta });
  expect(messages.at(-1)).toHaveProperty('result');
  return messages.slice(0, -1);
}

const reported = (messages: WireMessage[]) =>
  messages.map(({ method, params }) => [method, params?.['progressToken'], params?.['progress']]);

describe('progress', () => {
  const values = [1, 1, 0.5, 2, 2, 1, 3];

  it('rises with every notification, whatever the peer says', async () => {
    covers('MCP-progress-02');
    const call = { name: 'report', arguments: { values } };
    const method = 'notifications/progress';
    expect(reported(await before('chatty', call, { progressToken: 'abc' }))).toEqual([
      [method, 'abc', 1],
      [method, 'abc', 2],
      [method, 'abc', 3],
    ]);
    const slow = { name: 'slow', arguments: { message: '400' } };
    const steps = (await before('agent', slow, { progressToken: 7 })).map(
      ({ params }) => params?.['progress'] as number,
    );
    expect(steps.length).toBeGreaterThan(1);
    expect(steps).toEqual([...new Set(steps)].sort((a, b) => a - b));
  });

  it('is told only to who gave a token, under that token', async () => {
    covers('MCP-progress-03');
    const report = { name: 'report', arguments: { values } };
    const slow = { name: 'slow', arguments: { message: '300' } };
    expect(await before('chatty', report)).toEqual([]);
    expect(await before('agent', slow)).toEqual([]);
    for (const token of ['abc', 0]) {
      for (const [peer, call] of [
        ['chatty', report],
        ['agent', slow],
      ] as const) {
        const told = reported(await before(peer, call, { progressToken: token }));
        expect(told.length).toBeGreaterThan(1);
        expect([...new Set(told.map(([, given]) => given))]).toEqual([token]);
      }
    }
  });

  it('ends with the call', async () => {
    covers('MCP-progress-04');
    const call = { name: 'report', arguments: { values: [1], late: [2, 3] } };
    const told = await before('chatty', call, { progressToken: 'abc' });
    expect(told).toHaveLength(1);
    const again = await before('chatty', { name: 'report', arguments: { values: [1] } });
    expect(again).toEqual([]);
  });

  it('of two calls at once goes to its own', async () => {
    covers('MCP-http-10');
    const call = { name: 'progress', arguments: { steps: 4, stepMs: 40 } };
    const [left, right] = await Promise.all(
      ['left', 'right'].map((progressToken) => before('modern', call, { progressToken })),
    );
    const own = (token: string) =>
      [1, 2, 3, 4].map((value) => ['notifications/progress', token, value]);
    expect(reported(left ?? [])).toEqual(own('left'));
    expect(reported(right ?? [])).toEqual(own('right'));
  });
});

describe('log messages', () => {
  it('come only on a call that named a level, and on no subscription', async () => {
    covers('MCP-logging-01');
    const listening = new Reader(
      gateway.mcp('modern'),
      modernBody('subscriptions/listen', { notifications: { toolsListChanged: true } }),
    );
    await expect.poll(() => listening.messages.length).toBe(1);
    const log = { name: 'log', arguments: {} };
    const level = { 'io.modelcontextprotocol/logLevel': 'info' };
    const [silent, told] = await Promise.all([before('modern', log), before('modern', log, level)]);
    expect(silent).toEqual([]);
    expect(told.map(({ method, params }) => [method, params?.['level']])).toEqual([
      ['notifications/message', 'info'],
      ['notifications/message', 'warning'],
      ['notifications/message', 'error'],
    ]);
    modern.triggerToolChange('extra');
    await expect.poll(() => listening.messages.length).toBe(2);
    modern.triggerToolChange('extra');
    expect(listening.methods[1]).toBe('notifications/tools/list_changed');
    await listening.close();
  });
});

describe('a subscription', () => {
  const listen = (notifications: Record<string, unknown>, id: string | number = 'q-1') =>
    new Reader(
      gateway.mcp('modern'),
      modernBody('subscriptions/listen', { notifications }, { id }),
    );
  const acknowledged = 'notifications/subscriptions/acknowledged';
  const subscriptionOf = ({ params }: WireMessage) =>
    ((params?.['_meta'] ?? {}) as Record<string, unknown>)[
      'io.modelcontextprotocol/subscriptionId'
    ];

  it('carries only what was asked for', async () => {
    covers('MCP-subscriptions-01');
    const tools = listen({ toolsListChanged: true });
    const all = listen({
      toolsListChanged: true,
      promptsListChanged: true,
      resourcesListChanged: true,
      resourceSubscriptions: ['test://notes/first'],
    });
    await expect.poll(() => [tools.messages.length, all.messages.length]).toEqual([1, 1]);
    await new Promise((resolve) => setTimeout(resolve, 300));
    modern.triggerPromptChange('extra');
    modern.triggerResourceChange('test://notes/extra', 'Extra');
    modern.triggerResourceChange('test://notes/first', 'Changed');
    await expect.poll(() => new Set(all.methods).size).toBe(4);
    modern.triggerToolChange('extra');
    await expect.poll(() => new Set(all.methods).size).toBe(5);
    await expect.poll(() => tools.methods.length).toBeGreaterThan(1);
    expect(new Set(tools.methods)).toEqual(
      new Set([acknowledged, 'notifications/tools/list_changed']),
    );
    modern.triggerToolChange('extra');
    modern.triggerPromptChange('extra');
    await Promise.all([tools.close(), all.close()]);
  });

  it('begins with its acknowledgement, also while changes happen', async () => {
    covers('MCP-subscriptions-02');
    const changing = setInterval(() => modern.triggerToolChange('extra'), 5);
    for (let round = 0; round < 10; round += 1) {
      const listening = listen({ toolsListChanged: true }, round);
      await expect.poll(() => listening.messages.length).toBeGreaterThan(1);
      const [first, ...rest] = listening.messages;
      expect([first?.method, first && subscriptionOf(first)]).toEqual([acknowledged, round]);
      expect(rest.map(({ method }) => method)).not.toContain(acknowledged);
      await listening.close();
    }
    clearInterval(changing);
  });

  it('names its listen request in everything that it sends, in the type of its id', async () => {
    covers('MCP-subscriptions-03');
    const [one, other] = [
      listen({ toolsListChanged: true }, 1),
      listen({ toolsListChanged: true }, 'b'),
    ];
    await expect.poll(() => [one.messages.length, other.messages.length]).toEqual([1, 1]);
    await new Promise((resolve) => setTimeout(resolve, 300));
    modern.triggerToolChange('extra');
    await expect.poll(() => one.messages.length).toBeGreaterThan(1);
    await expect.poll(() => other.messages.length).toBeGreaterThan(1);
    modern.triggerToolChange('extra');
    expect(new Set(one.messages.map(subscriptionOf))).toEqual(new Set([1]));
    expect(new Set(other.messages.map(subscriptionOf))).toEqual(new Set(['b']));
    await Promise.all([one.close(), other.close()]);
  });
});

describe('a cancellation', () => {
  it('after the answer does no harm', async () => {
    covers('MCP-cancellation-02');
    const faults = gateway.log.filter(({ level }) => Number(level) >= 50).length;
    for (let round = 0; round < 10; round += 1) {
      const controller = new AbortController();
      const key = `late-${round}`;
      const params = { name: 'record', arguments: { key } };
      const wire = new WireClient(gateway.mcp('modern'));
      const stream = wire.stream('tools/call', params, { ...bare, signal: controller.signal });
      const { value } = await stream.next();
      expect((value as WireMessage).result).toMatchObject({
        content: [{ text: `Recorded ${key}` }],
      });
      controller.abort();
      const made = { name: 'task', arguments: { message: key } };
      const second = new AbortController();
      const about = new WireClient(gateway.mcp('agent'));
      const options = { ...bare, signal: second.signal };
      const { value: answer } = await about.stream('tools/call', made, options).next();
      second.abort();
      const finished = (answer as WireMessage).result?.['structuredContent'];
      const { taskId } = finished as { taskId: string };
      const later = await about.call('get_task', { taskId }, bare);
      expect(later['structuredContent']).toMatchObject({
        state: 'TASK_STATE_COMPLETED',
        text: key,
      });
    }
    const late = modern.ledger.entries.filter(({ arguments: given }) =>
      String(given?.['key']).startsWith('late-'),
    );
    expect(late.filter(({ event }) => event === 'executed')).toHaveLength(10);
    expect(late.filter(({ event }) => event === 'cancelled')).toEqual([]);
    expect(agent.received.filter(({ rpcMethod }) => rpcMethod === 'CancelTask')).toEqual([]);
    expect(gateway.log.filter(({ level }) => Number(level) >= 50).length).toBe(faults);
  });

  it('is announced for no call; a subscription that we end is ended by its id', async () => {
    covers('MCP-cancellation-01');
    const listening = new Reader(
      gateway.mcp('modern'),
      modernBody(
        'subscriptions/listen',
        { notifications: { toolsListChanged: true } },
        { id: 'sub' },
      ),
    );
    await expect.poll(() => listening.messages.length).toBe(1);
    const report = { name: 'report', arguments: { values: [1] } };
    const told = await before('chatty', report, { progressToken: 1 });
    const held = new Reader(
      gateway.mcp('agent'),
      modernBody('tools/call', {
        name: 'slow',
        arguments: { message: '2400' },
        _meta: { ...bareMeta, progressToken: 1 },
      }),
    );
    await expect.poll(() => held.messages.length).toBeGreaterThan(0);
    await gateway.restart();
    await listening.ended;
    await held.close();
    const methods = [...told, ...held.messages, ...listening.messages].map(({ method }) => method);
    expect(methods.filter((method) => method === 'notifications/cancelled')).toEqual([]);
    expect(listening.messages.at(-1)).toMatchObject({
      id: 'sub',
      result: { _meta: { 'io.modelcontextprotocol/subscriptionId': 'sub' } },
    });
  });
});
