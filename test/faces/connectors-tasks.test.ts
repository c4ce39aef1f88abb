/** What the gateway, as a client, does with the tasks of an MCP server. */
import { afterEach, describe, expect, it } from 'vitest';
import { covers } from '../requirements/requirement.ts';
import type { BadPeerScript } from '../support/bad-peer-script.ts';
import { startTasksServer } from '../support/tasks-server.ts';
import { ABLE } from '../support/wire-client.ts';
import { artifactText, callTool, sayParts } from './a2a-raw.ts';
import type { RawA2a } from './a2a-raw.ts';
import {
  answer,
  discovering,
  facesOf,
  metaOf,
  Opened,
  paramsOf,
  saying,
  scripted,
} from './scripted-server.ts';

const opened = new Opened();
afterEach(() => opened.close());

const extension = 'io.modelcontextprotocol/tasks';
const text = { capabilities: {} };
const work = callTool('work', { text: 'a' });
const later = { ...work, configuration: { returnImmediately: true } };
const about = ['tasks/get', 'tasks/update', 'tasks/cancel'];

const question = {
  method: 'elicitation/create',
  params: {
    mode: 'form',
    message: 'Which city?',
    requestedSchema: {
      type: 'object',
      properties: { city: { type: 'string', minLength: 2 } },
      required: ['city'],
    },
  },
};

interface Shown {
  status: string;
  [member: string]: unknown;
}

/** A server with one task, `täsk/1`, that shows what `shown` says at each look. */
function taskServer(shown: (looks: number, updates: number) => Shown): BadPeerScript['on'] {
  let looks = 0;
  let updates = 0;
  const now = new Date().toISOString();
  const task = { taskId: 'täsk/1', createdAt: now, lastUpdatedAt: now, ttlMs: null };
  const pace = { pollIntervalMs: 20 };
  return {
    'server/discover': discovering({ tools: {}, extensions: { [extension]: {} } }),
    'tools/call': answer(() => ({ resultType: 'task', ...task, ...pace, status: 'working' })),
    'tasks/get': answer(() => ({ ...task, ...pace, ...shown((looks += 1), updates) })),
    'tasks/update': answer(() => {
      updates += 1;
      return {};
    }),
    'tasks/cancel': answer(() => ({})),
  };
}

const working = { status: 'working' };
const done = { status: 'completed', result: { resultType: 'complete', ...saying('the end') } };

/** The states of a task as the gateway tells them. */
async function stateOf(a2a: RawA2a, id: string): Promise<string> {
  return (await a2a.get(id)).status.state;
}

describe('a request about a task', () => {
  it('declares the extension, and carries the id of the task as its name', async () => {
    covers('TASKS-capability-02', 'TASKS-headers-01');
    const asks = { status: 'input_required', inputRequests: { k1: question } };
    const on = taskServer((_looks, updates) => (updates === 0 ? asks : working));
    const { peer, a2a } = await scripted(on ?? {}, opened);
    const { id } = await a2a.task(work);
    expect(await stateOf(a2a, id)).toBe('TASK_STATE_INPUT_REQUIRED');
    await a2a.task({
      ...sayParts([{ data: { city: 'Rome' } }], { taskId: id }),
      configuration: { returnImmediately: true },
    });
    await expect.poll(() => peer.requestsOf('tasks/update').length).toBe(1);
    await a2a.rpc('CancelTask', { id });
    await expect.poll(() => peer.requestsOf('tasks/cancel').length).toBe(1);
    const requests = peer.requests.filter(({ method }) => about.includes(method));
    expect([...new Set(requests.map(({ method }) => method))].toSorted()).toEqual([
      'tasks/cancel',
      'tasks/get',
      'tasks/update',
    ]);
    const encoded = `=?base64?${Buffer.from('täsk/1').toString('base64')}?=`;
    for (const request of requests) {
      expect(paramsOf(request)['taskId']).toBe('täsk/1');
      expect(request.headers['mcp-name']).toBe(encoded);
      expect(request.headers['mcp-method']).toBe(request.method);
    }
    for (const request of [...requests, ...peer.requestsOf('tools/call')]) {
      const declared = metaOf(request)['io.modelcontextprotocol/clientCapabilities'];
      expect(declared).toMatchObject({ extensions: { [extension]: {} } });
    }
  });

  it('to cancel it is tasks/cancel, and nothing else cancels it', async () => {
    covers('TASKS-cancellation-01');
    const { peer, a2a, mcp, gateway } = await scripted(taskServer(() => working) ?? {}, opened);
    const { id } = await a2a.task(later);
    await expect.poll(() => peer.requestsOf('tasks/get').length).toBeGreaterThan(0);
    const { body } = await a2a.rpc('CancelTask', { id });
    expect(body.result).toMatchObject({ status: { state: 'TASK_STATE_CANCELED' } });
    expect(peer.requestsOf('tasks/cancel').map(paramsOf)).toMatchObject([{ taskId: 'täsk/1' }]);
    const { taskId } = await mcp.call('work', { text: 'a' });
    const notified = await fetch(gateway.mcp('server'), {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        'mcp-protocol-version': '2026-07-28',
        'mcp-method': 'notifications/cancelled',
      },
      body: JSON.stringify({
        jsonrpc: '2.0',
        method: 'notifications/cancelled',
        params: {
          requestId: 1,
          _meta: { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' },
        },
      }),
    });
    expect(notified.status).toBeLessThan(500);
    const looks = peer.requestsOf('tasks/get').length;
    await expect.poll(() => peer.requestsOf('tasks/get').length).toBeGreaterThan(looks);
    const { result } = await mcp.request('tasks/get', { taskId });
    expect(result).toMatchObject({ status: 'working' });
    expect(peer.requestsOf('tasks/cancel')).toHaveLength(1);
    await mcp.request('tasks/cancel', { taskId });
    await expect.poll(() => peer.requestsOf('tasks/cancel').length).toBe(2);
    expect(peer.requestsOf('notifications/cancelled')).toEqual([]);
  });
});

describe('a call that the server may make a task of', () => {
  it('ends in the same outcome, whether it does or not', async () => {
    covers('TASKS-capability-04');
    const server = { ...taskServer((looks) => (looks < 3 ? working : done)) };
    const asTask = server['tools/call'];
    if (typeof asTask !== 'function') throw new Error('one behaviour');
    const at = { ...server, 'tools/call': [answer(() => saying('the end')), asTask] };
    const { peer, a2a } = await scripted(at, opened);
    const direct = await a2a.task(work);
    const followed = await a2a.task(work);
    for (const task of [direct, followed]) {
      expect(task.status.state).toBe('TASK_STATE_COMPLETED');
      expect(task.artifacts).toHaveLength(1);
      expect(artifactText(task)).toBe('the end');
    }
    const shape = ({ artifacts = [] }: typeof direct) =>
      artifacts.map(({ artifactId: _id, ...rest }) => rest);
    expect(shape(followed)).toEqual(shape(direct));
    expect(peer.requestsOf('tasks/get').length).toBeGreaterThan(2);
    const other = await scripted(
      { ...at, 'tools/call': [answer(() => saying('the end')), asTask] },
      opened,
    );
    const { _meta: _who, ...first } = await other.mcp.call('work', { text: 'a' });
    const { taskId } = await other.mcp.call('work', { text: 'a' });
    const { result } = await other.mcp.pollTask(String(taskId));
    expect(result).toEqual(first);
  });
});

describe("a question of a server's task", () => {
  it('is asked like any other, in the words of the caller', async () => {
    covers('TASKS-keys-03');
    const server = opened.add(await startTasksServer());
    const { a2a, mcp } = await facesOf(server.url, opened);
    const asked = await a2a.task(callTool('confirm_delete', { filename: 'a.txt' }));
    expect(asked.status.state).toBe('TASK_STATE_INPUT_REQUIRED');
    const data = asked.status.message?.parts.find((part) => part.data !== undefined)?.data;
    expect(data).toMatchObject({
      request: {
        method: 'elicitation/create',
        params: {
          message: 'Delete a.txt?',
          requestedSchema: { properties: { confirm: { type: 'boolean' } }, required: ['confirm'] },
        },
      },
    });
    const wrong = await a2a.task(sayParts([{ data: { confirm: 'no' } }], { taskId: asked.id }));
    expect(wrong.status.state).toBe('TASK_STATE_INPUT_REQUIRED');
    const right = await a2a.task(sayParts([{ data: { confirm: true } }], { taskId: asked.id }));
    expect(artifactText(right)).toBe('Deleted a.txt');

    const { taskId } = await mcp.call('confirm_delete', { filename: 'b.txt' });
    const isAsked = (task: Record<string, unknown>) => task['status'] === 'input_required';
    const { inputRequests } = await mcp.pollTask(String(taskId), isAsked);
    const [[key, request] = []] = Object.entries(inputRequests as object) as [string, unknown][];
    expect(request).toMatchObject({
      method: 'elicitation/create',
      params: { message: 'Delete b.txt?' },
    });
    const inputResponses = { [String(key)]: { action: 'decline' } };
    await mcp.request('tasks/update', { taskId, inputResponses });
    const { result } = await mcp.pollTask(String(taskId));
    expect(result).toMatchObject(saying('Kept b.txt (decline)'));

    const linksOnly = { capabilities: { ...ABLE, elicitation: { url: {} } } };
    const other = await mcp.call('confirm_delete', { filename: 'c.txt' }, linksOnly);
    const mute = await mcp.pollTask(String(other['taskId']));
    expect(mute).not.toHaveProperty('inputRequests');
    expect(mute).toMatchObject({ status: 'completed', result: { isError: true } });
  });

  it('is answered once, and under its own key alone', async () => {
    covers('TASKS-update-03');
    // The server shows the question for some looks more after it was answered.
    const asks = { status: 'input_required', inputRequests: { k1: question } };
    let stale = 0;
    const shown = (_looks: number, updates: number) =>
      updates === 0 || (stale += 1) < 5 ? asks : done;
    const { peer, a2a, mcp } = await scripted(taskServer(shown) ?? {}, opened);
    const { id } = await a2a.task(work);
    const reply = () => sayParts([{ data: { city: 'Rome' } }], { taskId: id });
    await Promise.all([a2a.rpc('SendMessage', reply()), a2a.rpc('SendMessage', reply())]);
    await a2a.until(id, ({ status }) => status.state === 'TASK_STATE_COMPLETED');
    const late = await a2a.rpc('SendMessage', reply());
    expect(late.body.error).toMatchObject({ code: -32004 });
    const sent = () =>
      peer.requestsOf('tasks/update').map((one) => paramsOf(one)['inputResponses']);
    expect(sent()).toEqual([{ k1: { action: 'accept', content: { city: 'Rome' } } }]);

    const { peer: other, mcp: client } = await scripted(
      taskServer((_looks, updates) => (updates === 0 ? asks : done)) ?? {},
      opened,
    );
    expect(mcp).not.toBe(client);
    const { taskId } = await client.call('work', { text: 'a' });
    const isAsked = (task: Record<string, unknown>) => task['status'] === 'input_required';
    const { inputRequests } = await client.pollTask(String(taskId), isAsked);
    const [key = ''] = Object.keys(inputRequests as object);
    const accept = { action: 'accept', content: { city: 'Oslo' } };
    await client.request('tasks/update', { taskId, inputResponses: { k1x: accept, nope: accept } });
    expect(other.requestsOf('tasks/update')).toEqual([]);
    const both = { [key]: accept, nope: accept };
    await client.request('tasks/update', { taskId, inputResponses: both });
    await client.request('tasks/update', { taskId, inputResponses: both });
    await client.pollTask(String(taskId));
    expect(other.requestsOf('tasks/update').map((one) => paramsOf(one)['inputResponses'])).toEqual([
      { k1: accept },
    ]);
  });
});

describe('a task status', () => {
  it('that does not exist fails the task, for both kinds of caller', async () => {
    const { a2a, mcp } = await scripted(taskServer(() => ({ status: 'napping' })) ?? {}, opened);
    const { status } = await a2a.task(work);
    expect(status.state).toBe('TASK_STATE_FAILED');
    expect(status.message?.parts[0]?.text).toMatch(
      /"server" broke the protocol: a task has a status/,
    );
    const { taskId } = await mcp.call('work', { text: 'a' });
    expect(await mcp.pollTask(String(taskId))).toMatchObject({
      status: 'completed',
      result: { isError: true },
    });
    const direct = await mcp.call('work', { text: 'a' }, text);
    expect(direct).toMatchObject({ isError: true });
  });
});
