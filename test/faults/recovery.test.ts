/** What becomes of one task when the gateway is killed at one certain moment. */
import { afterEach, describe, expect, test, vi } from 'vitest';
import { startA2aAgent } from '../support/a2a-agent.ts';
import type { A2aAgent } from '../support/a2a-agent.ts';
import type { Behaviour } from '../support/a2a-agent-behaviours.ts';
import { goodMcpAnswer } from '../support/bad-peer-defaults.ts';
import { artifact, textPart } from '../support/a2a-parts.ts';
import { startBadPeer } from '../support/bad-peer.ts';
import type { BadPeer } from '../support/bad-peer.ts';
import type { BadPeerScript } from '../support/bad-peer-script.ts';
import { startLegacyServer } from '../support/legacy-server.ts';
import type { LegacyServer } from '../support/legacy-server.ts';
import { connectModernClient } from '../support/mcp-clients.ts';
import { startModernServer } from '../support/modern-server.ts';
import { hang, result, stream, taskIn } from '../support/misbehaviours.ts';
import { startTasksServer } from '../support/tasks-server.ts';
import { WireClient } from '../support/wire-client.ts';
import { A2aWire, textOf } from './a2a-wire.ts';
import type { WireTask } from './a2a-wire.ts';
import { freePort, pause, startChild, until } from './child.ts';
import { startGatewayProcess } from './gateway-process.ts';
import type { GatewayProcess, GatewayProcessOptions } from './gateway-process.ts';

// Processes start in a second on a quiet machine, and take much longer on a busy one.
vi.setConfig({ testTimeout: 90_000 });

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).toReversed()) await one.close();
});

async function using<T extends { close(): Promise<void> }>(starting: Promise<T>): Promise<T> {
  const started = await starting;
  open.push(started);
  return started;
}

const gatewayFor = (options: GatewayProcessOptions): Promise<GatewayProcess> =>
  using(startGatewayProcess(options));

/** Kills the gateway and starts it again. */
async function crash(gateway: GatewayProcess): Promise<void> {
  await gateway.kill();
  await gateway.start();
}

const isOver = ({ status }: WireTask): boolean =>
  /COMPLETED|FAILED|REJECTED|CANCELED|REQUIRED/.test(status.state);

/** The task as soon as it has ended or waits; within the 10 s that are promised. */
const over = (client: A2aWire, id: string): Promise<WireTask> =>
  until('the task has ended or waits', 10_000, async () => {
    const task = await client.get(id);
    return isOver(task) ? task : undefined;
  });

/** The task as soon as it has failed; within the 10 s that are promised. */
const failed = (client: A2aWire, id: string): Promise<WireTask> =>
  until('the task has failed', 10_000, async () => {
    const task = await client.get(id);
    return task.status.state === 'TASK_STATE_FAILED' ? task : undefined;
  });

/** Whether a message with these words has come to a server. */
const heard = ({ messages }: LegacyServer, words: string): true | undefined =>
  messages.some((message) => JSON.stringify(message).includes(words)) || undefined;

const artifactText = ({ artifacts }: WireTask): string =>
  (artifacts ?? []).map(({ parts }) => textOf(parts)).join('');

function questionKey({ status }: WireTask): string {
  const asked = (status.message?.parts ?? []).flatMap(({ data }) => (data ? [data] : []));
  return (asked[0] as { key: string }).key;
}

describe('an A2A agent', () => {
  const capabilities = { pushNotifications: false, extendedAgentCard: false, extensions: [] };

  async function agentBehind(options: { streaming?: boolean; slow?: Behaviour } = {}) {
    const { streaming = true, slow } = options;
    const card = { capabilities: { ...capabilities, streaming } };
    const behaviours: Record<string, Behaviour> = slow === undefined ? {} : { slow };
    const agent: A2aAgent = await using(startA2aAgent({ card, behaviours }));
    const gateway = await gatewayFor({ peers: [{ id: 'agent', a2a: agent.cardUrl }] });
    return { agent, gateway, mcp: new WireClient(gateway.mcp('agent')) };
  }

  test('that waits for input still waits after kill -9, under the same key, and takes the answer', async () => {
    const { agent, gateway, mcp } = await agentBehind();
    const { taskId } = await mcp.call('ask', { message: 'ask' });
    const waits = (task: Record<string, unknown>) => task['status'] === 'input_required';
    const before = await mcp.pollTask(String(taskId), waits);
    await crash(gateway);
    const { result: after } = await mcp.request('tasks/get', { taskId });
    expect(after).toEqual(before);
    const [key = ''] = Object.keys(after?.['inputRequests'] as object);
    const answer = { [key]: { action: 'accept', content: { answer: 'Lyon' } } };
    await mcp.request('tasks/update', { taskId, inputResponses: answer });
    const end = await mcp.pollTask(String(taskId));
    expect(end).toMatchObject({
      status: 'completed',
      result: { content: [{ type: 'text', text: 'city: Lyon' }] },
    });
    expect(agent.ledger.map(({ text }) => text)).toEqual(['ask', 'Lyon']);
  });

  test.each([
    ['that streams', true, 'SubscribeToTask'],
    ['that does not stream', false, 'GetTask'],
  ])('%s is picked up at work, and not asked to begin again', async (_agent, streaming, method) => {
    const gate = Promise.withResolvers<void>();
    const slow: Behaviour = async (turn) => {
      turn.begin();
      await gate.promise;
      turn.complete([artifact('result', [textPart('at last')])]);
    };
    const { agent, gateway, mcp } = await agentBehind({ streaming, slow });
    const { taskId } = await mcp.call('slow', { message: 'slow' });
    await gateway.kill();
    const before = agent.received.length;
    await gateway.start();
    const asked = () => agent.received.slice(before).map(({ rpcMethod }) => rpcMethod);
    await until(`${method} at the agent`, 10_000, () => asked().includes(method) || undefined);
    gate.resolve();
    expect(await mcp.pollTask(String(taskId))).toMatchObject({
      status: 'completed',
      result: { content: [{ type: 'text', text: 'at last' }] },
    });
    expect(agent.ledger).toHaveLength(1);
  });

  test('that ended its work while the gateway was away is found finished', async () => {
    const { agent, gateway, mcp } = await agentBehind();
    const { taskId } = await mcp.call('stream', { message: 'stream 5 100' });
    await gateway.kill();
    await pause(800);
    await gateway.start();
    const end = await mcp.pollTask(String(taskId));
    expect(end['status']).toBe('completed');
    const { structuredContent } = end['result'] as { structuredContent: { text: string } };
    const lines = structuredContent.text.split('\n').filter((line) => line !== '');
    expect(lines).toEqual(['line 1', 'line 2', 'line 3', 'line 4', 'line 5']);
    expect(agent.ledger).toHaveLength(1);
  });

  test('that waits for authorization goes on by itself after a restart', async () => {
    const { agent, gateway, mcp } = await agentBehind();
    const { taskId } = await mcp.call('auth', { message: 'auth' });
    await until('the agent waits', 5000, () =>
      agent.waitingForAuth().length > 0 ? true : undefined,
    );
    await crash(gateway);
    expect(agent.completeAuth(agent.waitingForAuth()[0] ?? '')).toBe(true);
    const end = await mcp.pollTask(String(taskId));
    expect(end).toMatchObject({
      status: 'completed',
      result: { content: [{ type: 'text', text: 'booked with your authorization' }] },
    });
  });

  test('keeps a task canceled that was canceled before the kill', async () => {
    const { gateway, mcp } = await agentBehind();
    const { taskId } = await mcp.call('cancelable', { message: 'cancelable' });
    await mcp.request('tasks/cancel', { taskId });
    const before = await mcp.pollTask(String(taskId));
    await crash(gateway);
    const { result: after } = await mcp.request('tasks/get', { taskId });
    expect(before['status']).toBe('cancelled');
    expect(after).toEqual(before);
  });
});

describe('an A2A agent that has not acknowledged a message', () => {
  const once = [hang(), stream([taskIn('COMPLETED', 'done')], 'end')] as const;

  /** A gateway that has promised a task whose message the agent got and did not answer. */
  async function promisedButSilent(dedupesMessageId: boolean) {
    const agent: BadPeer = await using(startBadPeer({ on: { SendStreamingMessage: once } }));
    const gateway = await gatewayFor({
      peers: [{ id: 'agent', a2a: agent.cardUrl, dedupesMessageId }],
    });
    const client = new A2aWire(gateway.a2a('agent'));
    const message = { parts: [{ text: 'book' }], messageId: 'm-1', returnImmediately: true };
    const task = await client.send(message);
    expect(isOver(task)).toBe(false);
    return { agent, gateway, client, task };
  }

  const messageIds = (agent: BadPeer): string[] =>
    agent
      .requestsOf('SendStreamingMessage')
      .map(({ body }) => (body as { params: { message: { messageId: string } } }).params.message)
      .map(({ messageId }) => messageId);

  test('is not sent it again: the task fails and says that the outcome is not known', async () => {
    const { agent, gateway, client, task } = await promisedButSilent(false);
    await crash(gateway);
    const end = await over(client, task.id);
    expect(end.status.state).toBe('TASK_STATE_FAILED');
    expect(textOf(end.status.message?.parts)).toMatch(/Whether it arrived is not known/);
    expect(messageIds(agent)).toEqual(['m-1']);
  });

  test('is sent it again under the same messageId where it refuses what it has seen', async () => {
    const { agent, gateway, client, task } = await promisedButSilent(true);
    await crash(gateway);
    const end = await over(client, task.id);
    expect(end.status.state).toBe('TASK_STATE_COMPLETED');
    expect(artifactText(end)).toBe('done');
    expect(messageIds(agent)).toEqual(['m-1', 'm-1']);
  });
});

describe('an MCP server', () => {
  async function tasksBehind() {
    const server = await using(startTasksServer());
    const gateway = await gatewayFor({ peers: [{ id: 'jobs', mcp: server.url }] });
    return { server, gateway, client: new A2aWire(gateway.a2a('jobs')) };
  }

  const call = (tool: string, args: object) => [{ data: { tool, arguments: args } }];

  test('whose task is followed is picked up, and not called again', async () => {
    const { server, gateway, client } = await tasksBehind();
    const parts = call('slow_compute', { seconds: 3, label: 'pi', key: 'k' });
    const task = await client.send({ parts, returnImmediately: true });
    await until('the server works', 5000, () => server.tasks.ids()[0]);
    await pause(200);
    await crash(gateway);
    const end = await over(client, task.id);
    expect(end.status.state).toBe('TASK_STATE_COMPLETED');
    expect(artifactText(end)).toBe('Computed pi in 3 s');
    expect(server.ledger.of('received')).toHaveLength(1);
  });

  test('whose task waits still waits after kill -9, under the same key, and takes the answer', async () => {
    const { server, gateway, client } = await tasksBehind();
    const asked = await client.send({ parts: call('ask_rounds', { rounds: 1, key: 'k' }) });
    await crash(gateway);
    const after = await client.get(asked.id);
    expect(after.status).toEqual(asked.status);
    const response = { action: 'accept', content: { answer: 'yes' } };
    const parts = [{ data: { key: questionKey(after), response } }];
    await client.send({ parts, taskId: asked.id, returnImmediately: true });
    const end = await over(client, asked.id);
    expect(end.status.state).toBe('TASK_STATE_COMPLETED');
    expect(artifactText(end)).toBe('yes');
    expect(server.ledger.executionsByKey()).toEqual(new Map([['k', 1]]));
  });

  /** A legacy server whose tool has asked something, and the task that waits for the answer. */
  async function askedByLegacy(options: { numbersEvents?: boolean } = {}) {
    const server = await using(startLegacyServer(options));
    const gateway = await gatewayFor({ peers: [{ id: 'forms', mcp: server.url }] });
    const client = new A2aWire(gateway.a2a('forms'));
    const asked = await client.send({ parts: call('ask_rounds', { rounds: 2 }) });
    expect(asked.status.state).toBe('TASK_STATE_INPUT_REQUIRED');
    return { server, gateway, client, asked };
  }

  function answering(task: WireTask, content: Record<string, string>) {
    const response = { action: 'accept', content };
    return { parts: [{ data: { key: questionKey(task), response } }], taskId: task.id };
  }

  test('of the legacy era that was asking on an open call: the task waits on, and takes the answers', async () => {
    const { server, gateway, client, asked } = await askedByLegacy();
    await crash(gateway);
    const after = await client.get(asked.id);
    expect(after.status).toEqual(asked.status);
    const second = await client.send(answering(after, { answer: 'one' }));
    expect(second.status.state).toBe('TASK_STATE_INPUT_REQUIRED');
    await crash(gateway);
    const end = await client.send(answering(await client.get(asked.id), { answer: 'two' }));
    expect(end.status.state).toBe('TASK_STATE_COMPLETED');
    expect(artifactText(end)).toBe('one, two');
    expect(server.ledger.of('received')).toHaveLength(1);
    expect(server.ledger.of('executed')).toHaveLength(1);
  });

  test('of the legacy era takes an answer that was given while the gateway died', async () => {
    const { server, gateway, client, asked } = await askedByLegacy();
    const cut = client.send(answering(asked, { answer: 'one' })).catch(() => undefined);
    await until('the answer arrived', 5000, () => heard(server, '"one"'));
    await crash(gateway);
    await cut;
    const second = await until('the second question', 10_000, async () => {
      const task = await client.get(asked.id);
      const waits = task.status.state === 'TASK_STATE_INPUT_REQUIRED';
      return waits && questionKey(task) !== questionKey(asked) ? task : undefined;
    });
    const end = await client.send(answering(second, { answer: 'two' }));
    expect(artifactText(end)).toBe('one, two');
    expect(server.ledger.of('executed')).toHaveLength(1);
  });

  test('of the legacy era can be canceled after a restart, and the server hears of it', async () => {
    const { server, gateway, client, asked } = await askedByLegacy();
    await crash(gateway);
    const canceled = await client.cancel(asked.id);
    expect(canceled.status.state).toBe('TASK_STATE_CANCELED');
    await until('the server hears', 5000, () => heard(server, 'notifications/cancelled'));
  });

  test('of the legacy era that polls for its answer finds it again after kill -9', async () => {
    const server = await using(startLegacyServer());
    const gateway = await gatewayFor({ peers: [{ id: 'forms', mcp: server.url }] });
    const client = new A2aWire(gateway.a2a('forms'));
    const asked = await client.send({ parts: call('ask_polled', {}) });
    await until('the server polls', 5000, () => heard(server, '"status":"working"'));
    await crash(gateway);
    const polls = server.messages.length;
    await until(
      'the server polls on',
      10_000,
      () => server.messages.length > polls + 3 || undefined,
    );
    const end = await client.send(answering(asked, { answer: 'Rome' }));
    expect(artifactText(end)).toBe('accept: Rome');
    expect(server.ledger.of('executed')).toHaveLength(1);
  });

  test('of the legacy era: a task that waits outlives a stop in good order too', async () => {
    const { gateway, client, asked } = await askedByLegacy();
    await gateway.terminate();
    await gateway.start();
    const second = await client.send(answering(asked, { answer: 'one' }));
    const end = await client.send(answering(second, { answer: 'two' }));
    expect(artifactText(end)).toBe('one, two');
  });

  test('of the legacy era that forgot its sessions: the waiting task fails, outcome unknown', async () => {
    const { server, gateway, client, asked } = await askedByLegacy();
    await gateway.kill();
    await server.forgetSessions();
    await gateway.start();
    const end = await failed(client, asked.id);
    expect(textOf(end.status.message?.parts)).toMatch(/lost the call .* may have run/s);
    expect(server.ledger.of('executed')).toEqual([]);
  });

  test('of the legacy era without event ids: the waiting task fails, outcome unknown', async () => {
    const { server, gateway, client, asked } = await askedByLegacy({ numbersEvents: false });
    await crash(gateway);
    const end = await failed(client, asked.id);
    expect(textOf(end.status.message?.parts)).toMatch(/lost the call .* may have run/s);
    expect(server.ledger.of('received')).toHaveLength(1);
  });

  test('of the legacy era that works on a call: the call is read on, and not sent again', async () => {
    const server = await using(startLegacyServer());
    const gateway = await gatewayFor({ peers: [{ id: 'slow', mcp: server.url }] });
    const client = new A2aWire(gateway.a2a('slow'));
    const parts = call('slow', { ms: 4000 });
    const task = await client.send({ parts, returnImmediately: true });
    await pause(1500);
    await crash(gateway);
    const end = await over(client, task.id);
    expect(end.status.state).toBe('TASK_STATE_COMPLETED');
    expect(server.ledger.of('received')).toHaveLength(1);
  });

  /** A server that answers calls as scripted, behind a gateway that dies when the last one comes. */
  async function scripted(on: BadPeerScript['on']) {
    const server: BadPeer = await using(startBadPeer({ on }));
    const gateway = await gatewayFor({ peers: [{ id: 'work', mcp: server.mcpUrl }] });
    return { server, gateway, client: new A2aWire(gateway.a2a('work')) };
  }

  test('that has not answered a call is not called again: the outcome is not known', async () => {
    const { server, gateway, client } = await scripted({ 'tools/call': hang() });
    const parts = call('work', { text: 'hard' });
    const task = await client.send({ parts, returnImmediately: true });
    await until('the call arrived', 5000, () => server.requestsOf('tools/call')[0]);
    await crash(gateway);
    const end = await over(client, task.id);
    expect(end.status.state).toBe('TASK_STATE_FAILED');
    expect(textOf(end.status.message?.parts)).toMatch(/may have run/);
    expect(server.requestsOf('tools/call')).toHaveLength(1);
  });

  test('that was not called yet when the gateway died: the failure names no internal error', async () => {
    const { server, gateway, client } = await scripted({
      'tools/list': [hang(), goodMcpAnswer],
    });
    const parts = call('work', { text: 'hard' });
    const task = await client.send({ parts, returnImmediately: true });
    await until('the list is asked for', 5000, () => server.requestsOf('tools/list')[0]);
    await crash(gateway);
    const end = await over(client, task.id);
    expect(end.status.state).toBe('TASK_STATE_FAILED');
    expect(textOf(end.status.message?.parts)).toMatch(/may have run|not known/);
  });

  test('is never sent the same answers twice, whenever the gateway dies', async () => {
    const asks = {
      resultType: 'input_required',
      requestState: 'round-1',
      inputRequests: {
        name: {
          method: 'elicitation/create',
          params: {
            mode: 'form',
            message: 'Your name?',
            requestedSchema: { type: 'object', properties: { name: { type: 'string' } } },
          },
        },
      },
    };
    let dying: GatewayProcess | undefined;
    const { server, gateway, client } = await scripted({
      'tools/call': [
        result(asks),
        () => {
          if (dying !== undefined) process.kill(dying.pid, 'SIGKILL');
        },
      ],
    });
    const asked = await client.send({ parts: call('work', { text: 'hard' }) });
    dying = gateway;
    const response = { action: 'accept', content: { name: 'Ada' } };
    const parts = [{ data: { key: questionKey(asked), response } }];
    const cut = client.send({ parts, taskId: asked.id, returnImmediately: true });
    await cut.catch(() => undefined);
    await until('the gateway died', 5000, () => (gateway.isAlive() ? undefined : true));
    dying = undefined;
    await gateway.start();
    const end = await failed(client, asked.id);
    expect(textOf(end.status.message?.parts)).toMatch(/may have run/);
    expect(server.requestsOf('tools/call')).toHaveLength(2);
  });
});

describe('the process', () => {
  test('a second one on the same store refuses to start and says why', async () => {
    const server = await using(startTasksServer());
    const gateway = await gatewayFor({ peers: [{ id: 'jobs', mcp: server.url }] });
    const port = String(await freePort());
    const args = ['serve', '--config', gateway.configFile, '--port', port];
    const second = startChild('src/cli.ts', args);
    open.push({ close: async () => void (await second.end('SIGKILL')) });
    expect(await second.ended).toBe(1);
    expect(second.output()).toMatch(
      /^isthmus: .*isthmus\.db is in use by another process\. Stop it first, or give this one its own store\.url\.$/m,
    );
    expect((await fetch(`${gateway.url}/readyz`)).status).toBe(200);
  });

  test('answers or refuses every request that comes while it starts', async () => {
    const server = await using(startTasksServer());
    const gateway = await gatewayFor({ peers: [{ id: 'jobs', mcp: server.url }] });
    const client = new A2aWire(gateway.a2a('jobs'));
    const parts = [{ data: { tool: 'hanging_job', arguments: {} } }];
    const many = Array.from({ length: 300 }, () => client.send({ parts, returnImmediately: true }));
    await Promise.all(many);
    await gateway.kill();
    gateway.launch();
    const outcomes = new Set<string>();
    const asking: Promise<void>[] = [];
    let isReady = false;
    while (!isReady) {
      const signal = AbortSignal.timeout(10_000);
      const asked = fetch(`${gateway.url}/readyz`, { signal, headers: { connection: 'close' } });
      const noted = asked.then(
        ({ status }) => {
          isReady ||= status === 200;
          outcomes.add(String(status));
        },
        (error: unknown) => {
          outcomes.add((error as Error).name === 'TimeoutError' ? 'no answer' : 'refused');
        },
      );
      asking.push(noted);
      await Promise.race([noted, pause(5)]);
    }
    await Promise.all(asking);
    expect([...outcomes].filter((one) => !['refused', '200', '503'].includes(one))).toEqual([]);
  });

  test('on SIGTERM lets open calls end, refuses new ones, and leaves tasks for the next start', async () => {
    const agent = await using(startA2aAgent());
    const gateway = await gatewayFor({
      peers: [{ id: 'agent', a2a: agent.cardUrl }],
      limits: { drain: '20s' },
    });
    const mcp = new WireClient(gateway.mcp('agent'));
    const { taskId } = await mcp.call('slow', { message: 'slow 6000' });
    const client = await connectModernClient(gateway.mcp('agent'), { capabilities: {} });
    const held = client.callTool({ name: 'slow', arguments: { message: 'slow 1000' } });
    await until('both are at work', 5000, () => (agent.ledger.length === 2 ? true : undefined));
    const ended = gateway.terminate();
    await pause(200);
    expect((await fetch(`${gateway.url}/readyz`)).status).toBe(503);
    const refused = await fetch(gateway.mcp('agent'), { method: 'POST' });
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '1']);
    expect(await held).toMatchObject({ content: [{ type: 'text', text: 'slept 1000 ms' }] });
    expect(await ended).toBe(0);
    await gateway.start();
    expect(await mcp.pollTask(String(taskId))).toMatchObject({
      status: 'completed',
      result: { content: [{ type: 'text', text: 'slept 6000 ms' }] },
    });
    expect(agent.ledger).toHaveLength(2);
  });

  test('on SIGTERM waits for a tool call that nobody could pick up again', async () => {
    const server = await using(startModernServer());
    const gateway = await gatewayFor({
      peers: [{ id: 'tools', mcp: server.url }],
      limits: { drain: '20s' },
    });
    const message = {
      messageId: 'm-1',
      role: 'ROLE_USER',
      parts: [{ data: { tool: 'slow', arguments: { ms: 2000 } } }],
    };
    const answer = fetch(gateway.a2a('tools'), {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'a2a-version': '1.0' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'SendMessage', params: { message } }),
    });
    await until('the call is at work', 5000, () =>
      server.ledger.of('received', 'slow').length === 1 ? true : undefined,
    );
    const ended = gateway.terminate();
    expect(await (await answer).json()).toMatchObject({
      result: { task: { status: { state: 'TASK_STATE_COMPLETED' } } },
    });
    expect(await ended).toBe(0);
  });
});
