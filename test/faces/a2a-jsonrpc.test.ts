import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Task } from '../../src/model/a2a.ts';
import { asMessage, asTask, connectA2a } from '../support/a2a-client.ts';
import { ONE_PIXEL_PNG } from '../support/a2a-agent-behaviours.ts';
import { dataPart, textOf, userRequest } from '../support/a2a-parts.ts';
import { startBadPeer } from '../support/bad-peer.ts';
import type { BadPeer } from '../support/bad-peer.ts';
import { rpcError } from '../support/misbehaviours.ts';
import { covers } from '../requirements/requirement.ts';
import { all, artifactText, callTool, RawA2a, say } from './a2a-raw.ts';
import { startA2aWorld } from './a2a-world.ts';
import type { A2aWorld } from './a2a-world.ts';

let world: A2aWorld;
let wrongMode: BadPeer;
let wantsExtension: BadPeer;

beforeAll(async () => {
  const refuses = (code: number) => ({
    on: { SendMessage: rpcError(code, 'no'), SendStreamingMessage: rpcError(code, 'no') },
  });
  wrongMode = await startBadPeer(refuses(-32005));
  wantsExtension = await startBadPeer(refuses(-32008));
  world = await startA2aWorld({
    peers: [
      { id: 'wrong-mode', a2a: wrongMode.cardUrl },
      { id: 'wants-extension', a2a: wantsExtension.cardUrl },
    ],
  });
});

afterAll(async () => {
  await world.close();
  await wrongMode.close();
  await wantsExtension.close();
});

const outputOf = (task: Task) => task.artifacts?.flatMap(({ parts }) => parts) ?? [];

describe('SendMessage', () => {
  test('a tool answers with a task, an agent that answers directly with a message', async () => {
    covers('A2A-3.1.1-01', 'A2A-3.4.1-01', 'A2A-4.1.4-01');
    const tool = await world.tools.rpc('SendMessage', callTool('echo', { text: 'hi' }));
    expect(Object.keys(tool.body.result!)).toEqual(['task']);
    expect(tool.body.result!.task).toMatchObject({
      status: { state: 'TASK_STATE_COMPLETED' },
      contextId: expect.stringMatching(/./),
    });
    expect(artifactText(tool.body.result!.task!)).toBe('hi');
    const echo = await world.agent.rpc('SendMessage', say('echo hi'));
    expect(Object.keys(echo.body.result!)).toEqual(['message']);
    expect(echo.body.result!.message).toEqual({
      messageId: expect.stringMatching(/./),
      contextId: expect.stringMatching(/./),
      role: 'ROLE_AGENT',
      parts: [{ text: 'hi', mediaType: 'text/plain' }],
    });
  });

  test('a tool that wants a model asks the caller that activated the extension, and no other', async () => {
    const headers = { 'A2A-Extensions': 'urn:isthmus:ext:tool-call:v1' };
    const params = callTool('ask_model', { prompt: 'Sum it up' });
    const asked = (await world.tools.rpc('SendMessage', params, { headers })).body.result!.task!;
    expect(asked.status.state).toBe('TASK_STATE_INPUT_REQUIRED');
    const [key] = asked.status.message!.parts.flatMap(({ data }) =>
      data === undefined ? [] : [(data as { key: string }).key],
    );
    const response = { role: 'assistant', model: 'm', content: { type: 'text', text: 'Short' } };
    // The answer needs no header: what the caller can do was said when the task began.
    const answered = await world.tools.rpc('SendMessage', {
      message: {
        messageId: 'the-models-answer',
        taskId: asked.id,
        role: 'ROLE_USER',
        parts: [{ data: { key, response } }],
      },
    });
    expect(artifactText(answered.body.result!.task!)).toBe('Model: {"type":"text","text":"Short"}');
    const plain = (await world.tools.rpc('SendMessage', params)).body.result!.task!;
    expect(plain.status.state).toBe('TASK_STATE_REJECTED');
  });

  test('arguments that do not fit are asked for again, with what the tool takes', async () => {
    const { task } = (await world.tools.rpc('SendMessage', callTool('add', { a: 'one' }))).body
      .result!;
    expect(task?.status.state).toBe('TASK_STATE_INPUT_REQUIRED');
    const [said, shown] = task!.status.message!.parts;
    expect(said?.text).toContain('b: is required; a: must be number');
    expect(shown?.data).toMatchObject({ skills: [{ id: 'add', inputSchema: { type: 'object' } }] });
    const message = {
      messageId: 'better',
      taskId: task!.id,
      role: 'ROLE_USER',
      parts: [{ data: { a: 1, b: 2 } }],
    };
    const better = await world.tools.rpc('SendMessage', { message });
    expect(better.body.result!.task?.status.state).toBe('TASK_STATE_COMPLETED');
  });

  test('a finished task takes no more messages and stays as it is', async () => {
    covers('A2A-3.1.1-02');
    const running = await world.agent.task({
      ...say('cancelable'),
      configuration: { returnImmediately: true },
    });
    await world.agent.rpc('CancelTask', { id: running.id });
    const ids = [running.id];
    for (const text of ['task done', 'fail', 'reject']) {
      ids.push((await world.agent.task(say(text))).id);
    }
    const states = [];
    for (const id of ids) {
      const before = await world.agent.until(id, ({ status }) => !/WORKING/.test(status.state));
      states.push(before.status.state);
      const { body } = await world.agent.rpc('SendMessage', say('more', { taskId: id }));
      expect(body.error?.code).toBe(-32004);
      expect(await world.agent.get(id)).toEqual(before);
    }
    expect(states).toEqual([
      'TASK_STATE_CANCELED',
      'TASK_STATE_COMPLETED',
      'TASK_STATE_FAILED',
      'TASK_STATE_REJECTED',
    ]);
  });

  test('a blocking call answers when the work is done', async () => {
    covers('A2A-3.2.2-01');
    const task = await world.tools.task(callTool('slow', { ms: 200 }));
    expect(task.status.state).toBe('TASK_STATE_COMPLETED');
    expect(artifactText(task)).toBe('Waited 200 ms');
  });

  test('a blocking call answers when the task waits for its caller', async () => {
    covers('A2A-3.2.2-02');
    const form = await world.tools.task(callTool('ask_form'));
    expect(form.status.state).toBe('TASK_STATE_INPUT_REQUIRED');
    const url = await world.tools.task(callTool('ask_url', { url: 'https://example.org/grant' }));
    expect(url.status.state).toBe('TASK_STATE_AUTH_REQUIRED');
  });

  test('the answer holds every part of the output', async () => {
    covers('A2A-3.2.2-03', 'A2A-4.1.6-01', 'A2A-4.1.7-01');
    const task = await world.tools.task(callTool('all_content'));
    const parts = outputOf(task);
    expect(parts.map((part) => ['text', 'raw', 'url', 'data'].filter((k) => k in part))).toEqual(
      parts.map((part) => [Object.keys(part).find((k) => /^(text|raw|url|data)$/.test(k))]),
    );
    expect(parts[0]?.text).toBe('Plain text');
    const image = parts.find(({ mediaType }) => mediaType === 'image/png');
    expect(Buffer.from(image!.raw!, 'base64').subarray(1, 4).toString()).toBe('PNG');
    const add = await world.tools.task(callTool('add', { a: 1, b: 2 }));
    expect(outputOf(add)).toContainEqual(expect.objectContaining({ data: { sum: 3 } }));
    for (const { artifacts = [] } of [task, add]) {
      expect(new Set(artifacts.map(({ artifactId }) => artifactId)).size).toBe(artifacts.length);
      for (const artifact of artifacts) expect(artifact.parts.length).toBeGreaterThan(0);
    }
    const binary = await world.agent.task(say('binary'));
    expect(outputOf(binary)[0]?.raw).toBe(ONE_PIXEL_PNG.toString('base64'));
  });

  test('returnImmediately answers while the work goes on', async () => {
    covers('A2A-3.2.2-04', 'A2A-3.1.3-01');
    const configuration = { returnImmediately: true };
    const gated = await world.agent.task({ ...say('gated now'), configuration });
    expect(gated.status.state).toBe('TASK_STATE_WORKING');
    const slow = await world.tools.task({ ...callTool('slow', { ms: 500 }), configuration });
    expect(['TASK_STATE_SUBMITTED', 'TASK_STATE_WORKING']).toContain(slow.status.state);
    world.open('now');
    const done = ({ status }: Task) => status.state === 'TASK_STATE_COMPLETED';
    expect(artifactText(await world.agent.until(gated.id, done))).toBe('passed now');
    expect(artifactText(await world.tools.until(slow.id, done))).toBe('Waited 500 ms');
  });

  test('a task that the peer has begun outlives the connection of a blocking call', async () => {
    const controller = new AbortController();
    const { signal } = controller;
    const call = world.agent.rpc('SendMessage', say('gated dropped'), { signal });
    await expect
      .poll(() => world.agentPeer.ledger.some(({ text }) => text === 'gated dropped'))
      .toBe(true);
    await new Promise((resolve) => setTimeout(resolve, 100));
    controller.abort();
    await expect(call).rejects.toThrow(/abort/i);
    world.open('dropped');
    const finished = async () => {
      const { body } = await world.agent.rpc('ListTasks', { includeArtifacts: true });
      return body.result!.tasks!.map(artifactText);
    };
    await expect.poll(finished).toContain('passed dropped');
  });

  test('a call that nobody waits for before anything happened is stopped at the server', async () => {
    const controller = new AbortController();
    const slow = callTool('slow', { ms: 30_000, key: 'abandoned' });
    const call = world.tools.rpc('SendMessage', slow, { signal: controller.signal });
    const started = () => world.server.ledger.executionsByKey().get('abandoned');
    await expect.poll(started).toBe(1);
    controller.abort();
    await expect(call).rejects.toThrow(/abort/i);
    const stopped = () =>
      world.server.ledger.of('cancelled').map((entry) => entry.arguments?.['key']);
    await expect.poll(stopped).toContain('abandoned');
  });

  test('historyLength cuts the history from its old end', async () => {
    covers('A2A-3.2.4-01', 'A2A-3.2.4-02');
    const first = await world.agent.task(say('ask2'));
    await world.agent.task(say('Galahad', { taskId: first.id }));
    const last = await world.agent.task({
      ...say('the grail', { taskId: first.id }),
      configuration: { historyLength: 1 },
    });
    expect(last.status.state).toBe('TASK_STATE_COMPLETED');
    expect(last.history).toHaveLength(1);
    const whole = await world.agent.get(first.id);
    expect(whole.history!.length).toBeGreaterThan(3);
    const one = await world.agent.rpc('GetTask', { id: first.id, historyLength: 1 });
    expect(one.body.result!['history']).toEqual(whole.history!.slice(-1));
    const none = await world.agent.rpc('GetTask', { id: first.id, historyLength: 0 });
    expect(none.body.result).not.toHaveProperty('history');
    const sent = await world.agent.task({
      ...say('task x'),
      configuration: { historyLength: 0 },
    });
    expect(sent).not.toHaveProperty('history');
    const list = await world.agent.rpc('ListTasks', { historyLength: 0 });
    for (const task of list.body.result!.tasks!) expect(task).not.toHaveProperty('history');
  });
});

describe('CancelTask', () => {
  test('a running tool is stopped at the server', async () => {
    covers('A2A-3.1.5-01');
    const task = await world.tools.task({
      ...callTool('slow', { ms: 30_000, key: 'to-cancel' }),
      configuration: { returnImmediately: true },
    });
    await expect.poll(() => world.server.ledger.executionsByKey().get('to-cancel')).toBe(1);
    const { body } = await world.tools.rpc('CancelTask', { id: task.id });
    expect(body.result!['status']).toMatchObject({ state: 'TASK_STATE_CANCELED' });
    expect(body.result).toEqual(await world.tools.get(task.id));
    await expect
      .poll(() => world.server.ledger.of('cancelled').map((e) => e.arguments?.['key']))
      .toContain('to-cancel');
  });

  test('a finished or unknown task cannot be canceled', async () => {
    covers('A2A-3.1.5-02', 'A2A-3.1.5-03');
    const task = await world.agent.task(say('task x'));
    const finished = await world.agent.rpc('CancelTask', { id: task.id });
    expect(finished.body.error?.code).toBe(-32002);
    const unknown = await world.agent.rpc('CancelTask', { id: 'no-such-task' });
    expect(unknown.body.error?.code).toBe(-32001);
  });

  test('canceling twice changes nothing and reaches the agent once', async () => {
    covers('A2A-3.3.1-01');
    const running = await world.agent.task({
      ...say('cancelable'),
      configuration: { returnImmediately: true },
    });
    const cancels = () =>
      world.agentPeer.received.filter(({ rpcMethod, path }) =>
        /CancelTask|:cancel/.test(rpcMethod ?? path),
      ).length;
    const before = cancels();
    await world.agent.rpc('CancelTask', { id: running.id });
    const once = await world.agent.until(running.id, (t) => t.status.state.endsWith('CANCELED'));
    await world.agent.rpc('CancelTask', { id: running.id });
    expect(await world.agent.get(running.id)).toEqual(once);
    expect(cancels() - before).toBe(1);
  });
});

describe('versions, extensions and what is not offered', () => {
  test('a patch number makes no difference', async () => {
    covers('A2A-3.6-01');
    const { body } = await world.agent.rpc('SendMessage', say('task x'), { version: '1.0.1' });
    expect(body.result!.task!.status.state).toBe('TASK_STATE_COMPLETED');
  });

  test('each version is answered in its own words; no version means 0.3', async () => {
    covers('A2A-3.6.2-01', 'A2A-3.6.2-03');
    const current = await world.agent.task(say('task x'));
    expect(current).not.toHaveProperty('kind');
    expect(current.status.state).toBe('TASK_STATE_COMPLETED');
    const parts = [{ kind: 'text', text: 'task x' }];
    const message = { kind: 'message', messageId: 'old', role: 'user', parts };
    for (const version of ['0.3', '']) {
      const { body } = await world.agent.rpc('message/send', { message }, { version });
      expect(body.result).toMatchObject({ kind: 'task', status: { state: 'completed' } });
    }
  });

  test('an unknown version is refused', async () => {
    covers('A2A-3.6.2-02');
    for (const version of ['2.0', '9.9', 'banana']) {
      const { body } = await world.agent.rpc('SendMessage', say('task x'), { version, id: 3 });
      expect(body).toMatchObject({ id: 3, error: { code: -32009 } });
    }
  });

  test('push notifications and the extended card answer with their own errors', async () => {
    covers('A2A-3.3.4-01', 'A2A-3.3.4-02');
    const params = { taskId: 'x', id: 'y', url: 'https://example.org/hook' };
    for (const verb of ['Create', 'Get', 'Delete']) {
      const { body } = await world.agent.rpc(`${verb}TaskPushNotificationConfig`, params);
      expect(body.error?.code).toBe(-32003);
    }
    const list = await world.agent.rpc('ListTaskPushNotificationConfigs', params);
    expect(list.body.error?.code).toBe(-32003);
    const configured = await world.agent.rpc('SendMessage', {
      ...say('task x'),
      configuration: { taskPushNotificationConfig: { url: 'https://example.org/hook' } },
    });
    expect(configured.body.error?.code).toBe(-32003);
    const extended = await world.agent.rpc('GetExtendedAgentCard', {});
    expect(extended.body.error?.code).toBe(-32004);
    const { body } = await world.agent.rest('GET', '/.well-known/agent-card.json');
    expect(body['capabilities']).toMatchObject({
      pushNotifications: false,
      extendedAgentCard: false,
    });
  });

  test('an activated extension is echoed, an unknown version of it is not', async () => {
    covers('A2A-4.6.3-01');
    const v1 = 'urn:isthmus:ext:tool-call:v1';
    for (const face of [world.agent, world.tools]) {
      const known = await face.rpc('SendMessage', say('x'), { headers: { 'a2a-extensions': v1 } });
      expect(known.headers.get('a2a-extensions')).toBe(v1);
      const unknown = await face.rpc('SendMessage', say('x'), {
        headers: { 'a2a-extensions': 'urn:isthmus:ext:tool-call:v9' },
      });
      expect(unknown.body.error).toBeUndefined();
      expect(unknown.headers.get('a2a-extensions')).toBeNull();
    }
  });

  test('all operations answer to their names', async () => {
    covers('A2A-5.3-01');
    const methods =
      'SendMessage SendStreamingMessage GetTask ListTasks CancelTask SubscribeToTask ' +
      'CreateTaskPushNotificationConfig GetTaskPushNotificationConfig ' +
      'ListTaskPushNotificationConfigs DeleteTaskPushNotificationConfig GetExtendedAgentCard';
    for (const method of methods.split(' ')) {
      const [first] = await all(world.agent.stream(method, {}));
      expect((first!.json['error'] as { code?: number } | undefined)?.code).not.toBe(-32601);
    }
  });

  test('errors of A2A keep their codes, those of the agent too', async () => {
    covers('A2A-5.4-01');
    const { id } = await world.agent.task(say('task x'));
    const codeOf = async (method: string, params: unknown, version = '1.0') =>
      (await world.agent.rpc(method, params, { version })).body.error?.code;
    expect(await codeOf('GetTask', { id: 'absent' })).toBe(-32001);
    expect(await codeOf('CancelTask', { id })).toBe(-32002);
    expect(await codeOf('GetTaskPushNotificationConfig', { taskId: id, id: 'x' })).toBe(-32003);
    expect(await codeOf('SendMessage', say('more', { taskId: id }))).toBe(-32004);
    expect(await codeOf('GetTask', { id }, '7.0')).toBe(-32009);
    const wrong = new RawA2a(world.gateway.a2a('wrong-mode'));
    const wants = new RawA2a(world.gateway.a2a('wants-extension'));
    expect((await wrong.rpc('SendMessage', say('x'))).body.error?.code).toBe(-32005);
    expect((await wants.rpc('SendMessage', say('x'))).body.error?.code).toBe(-32008);
  });

  test('ids come back as they were sent, in plain JSON; streams are event streams', async () => {
    covers('A2A-9.1-01', 'A2A-9.3-01');
    for (const id of [7, '7', 0]) {
      const { body, headers } = await world.agent.rpc('SendMessage', say('echo x'), { id });
      expect(body).toMatchObject({ jsonrpc: '2.0', id, result: {} });
      expect(body).not.toHaveProperty('error');
      expect(headers.get('content-type')).toBe('application/json');
    }
    const text = JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method: 'SendStreamingMessage',
      params: say('echo x'),
    });
    const response = await world.agent.fetch('POST', '/', text);
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    await response.text();
  });
});

describe('the official client', () => {
  for (const version of ['1.0', '0.3'] as const) {
    test(`speaks JSON-RPC ${version} with an agent and with tools`, async () => {
      const dialect = { version, binding: 'JSONRPC' } as const;
      const cards = (peer: string) => `${world.gateway.a2a(peer)}/.well-known/agent-card.json`;
      const agent = await connectA2a(cards('agent'), dialect);
      const said = asMessage(await agent.sendMessage(userRequest('echo hello')));
      expect(textOf(said.parts)).toBe('hello');
      const asked = asTask(await agent.sendMessage(userRequest('ask')));
      const answered = asTask(await agent.sendMessage(userRequest('Bern', { taskId: asked.id })));
      expect(textOf(answered.artifacts[0]?.parts)).toBe('city: Bern');
      const read = await agent.getTask({ id: asked.id, tenant: '' });
      expect(textOf(read.artifacts[0]?.parts)).toBe('city: Bern');
      const tools = await connectA2a(cards('tools'), dialect);
      const task = asTask(
        await tools.sendMessage(
          userRequest([dataPart({ tool: 'echo', arguments: { text: 'over' } })]),
        ),
      );
      expect(textOf(task.artifacts[0]?.parts)).toBe('over');
    });
  }
});
