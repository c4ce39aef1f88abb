import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AgentCard, Task } from '../../src/model/a2a.ts';
import { covers } from '../requirements/requirement.ts';
import { asTask, connectA2a } from '../support/a2a-client.ts';
import { dataPart, textOf, userRequest } from '../support/a2a-parts.ts';
import { startBadPeer } from '../support/bad-peer.ts';
import type { BadPeer } from '../support/bad-peer.ts';
import { rpcError } from '../support/misbehaviours.ts';
import { all, artifactText, callTool, eventsOf, RawA2a, say } from './a2a-raw.ts';
import type { Answer } from './a2a-raw.ts';
import { startA2aWorld } from './a2a-world.ts';
import type { A2aWorld } from './a2a-world.ts';

let world: A2aWorld;
let wrongMode: BadPeer;

beforeAll(async () => {
  const refused = rpcError(-32005, 'no');
  wrongMode = await startBadPeer({
    on: { SendMessage: refused, SendStreamingMessage: refused },
  });
  world = await startA2aWorld({ peers: [{ id: 'wrong-mode', a2a: wrongMode.cardUrl }] });
});

afterAll(async () => {
  await world.close();
  await wrongMode.close();
});

const cardPath = '/.well-known/agent-card.json';
const cardOf = async (face: RawA2a, path = cardPath, version = '1.0') =>
  (await face.rest('GET', path, undefined, { version })).body as unknown as AgentCard &
    Record<string, unknown>;
const sendTask = async (face: RawA2a, params: unknown): Promise<Task> => {
  const { body } = await face.rest('POST', '/message:send', params);
  if (body.task === undefined) throw new Error(JSON.stringify(body));
  return body.task;
};
const reasonOf = ({ body }: Answer) => (body.error?.details ?? body.error?.data)?.[0]?.reason;

describe('the card', () => {
  test('is whole at both well-known paths, for an agent and for tools', async () => {
    covers('A2A-4.4.1-01', 'A2A-4.4.5-01', 'A2A-5.2-01');
    for (const face of [world.agent, world.tools]) {
      const card = await cardOf(face);
      expect(await cardOf(face, '/.well-known/agent.json')).toEqual(card);
      for (const member of ['name', 'description', 'version'] as const) {
        expect(card[member]).toMatch(/./);
      }
      for (const member of ['defaultInputModes', 'defaultOutputModes', 'skills'] as const) {
        expect(card[member].length).toBeGreaterThan(0);
      }
      expect(card.capabilities.streaming).toBe(true);
      expect(
        card.supportedInterfaces.map((one) => `${one.protocolBinding} ${one.protocolVersion}`),
      ).toEqual(['JSONRPC 1.0', 'HTTP+JSON 1.0', 'JSONRPC 0.3', 'HTTP+JSON 0.3']);
      for (const skill of card.skills) {
        for (const member of ['id', 'name', 'description'] as const) {
          expect(skill[member]).toMatch(/./);
        }
        expect(skill.tags.length).toBeGreaterThan(0);
      }
    }
  });

  test('an agent keeps its own words, tools come with their schemas', async () => {
    const agent = await cardOf(world.agent);
    expect(agent.skills.map(({ id }) => id)).toEqual(
      world.agentPeer.card.skills.map(({ id }) => id),
    );
    expect(agent.provider).toEqual({ organization: 'Tests', url: 'https://tests.example' });
    const tools = await cardOf(world.tools);
    expect(tools.skills.map(({ id }) => id)).toEqual(
      expect.arrayContaining(['echo', 'add', 'read_resource', 'get_prompt']),
    );
    const [extension] = tools.capabilities.extensions!;
    expect(extension!.uri).toBe('urn:isthmus:ext:tool-call:v1');
    expect(extension!.params!['tools']).toHaveProperty('echo.inputSchema.properties.text');
  });

  test('a reader that names no version finds the members of 0.3 as well', async () => {
    const card = await cardOf(world.tools, cardPath, '');
    expect(card).toMatchObject({
      protocolVersion: '0.3.0',
      url: world.tools.url,
      preferredTransport: 'JSONRPC',
      additionalInterfaces: [
        { url: world.tools.url, transport: 'JSONRPC' },
        { url: world.tools.url, transport: 'HTTP+JSON' },
      ],
    });
    expect(card.supportedInterfaces).toHaveLength(4);
    expect(await cardOf(world.tools)).not.toHaveProperty('url');
  });

  test('has an ETag that changes with the tools, and is not sent twice', async () => {
    const first = await world.tools.rest('GET', cardPath);
    const etag = first.headers.get('etag')!;
    expect(first.headers.get('cache-control')).toBe('public, max-age=60');
    const again = await world.tools.rest('GET', cardPath, undefined, {
      headers: { 'if-none-match': `"x", W/${etag}` },
    });
    expect(again.status).toBe(304);
    world.server.triggerToolChange('extra');
    await expect
      .poll(async () => (await world.tools.rest('GET', cardPath)).headers.get('etag'), {
        timeout: 5000,
      })
      .not.toBe(etag);
    expect((await cardOf(world.tools)).version).not.toBe(first.body['version']);
    const head = await world.tools.fetch('HEAD', cardPath, undefined);
    expect(head.status).toBe(200);
    expect((await world.tools.rest('POST', cardPath, {})).status).toBe(405);
  });

  test('every interface of it works', async () => {
    covers('A2A-4.4.6-01');
    const task = await world.agent.task(say('task x'));
    const card = await cardOf(world.agent);
    for (const { url, protocolBinding, protocolVersion } of card.supportedInterfaces) {
      const face = new RawA2a(url);
      const legacy = protocolVersion === '0.3';
      const framing = { version: protocolVersion };
      const { body } =
        protocolBinding === 'JSONRPC'
          ? await face.rpc(legacy ? 'tasks/get' : 'GetTask', { id: task.id }, framing)
          : await face.rest('GET', `${legacy ? '/v1' : ''}/tasks/${task.id}`, undefined, framing);
      expect(body.result?.['id'] ?? body['id']).toBe(task.id);
    }
  });

  test('of a peer that was never reached is a 503 that says so', async () => {
    const gone = await startBadPeer();
    await gone.close();
    const lonely = await startA2aWorld({ peers: [{ id: 'gone', a2a: gone.cardUrl }] });
    const { status, body, headers } = await new RawA2a(lonely.gateway.a2a('gone')).rest(
      'GET',
      cardPath,
    );
    expect(status).toBe(503);
    expect(headers.get('retry-after')).toBe('5');
    expect(body.error).toMatchObject({ code: 503, status: 'UNAVAILABLE' });
    await lonely.close();
  });
});

describe('HTTP+JSON', () => {
  test('messages are sent to both routes, in both media types', async () => {
    covers('A2A-11.1-01', 'A2A-11.3.1-01', 'A2A-11.7-01');
    for (const type of [
      'application/json',
      'application/a2a+json',
      'application/json; charset=utf-8',
    ]) {
      const headers = { 'content-type': type };
      const sent = await world.agent.rest('POST', '/message:send', say('task x'), { headers });
      expect(sent.status).toBe(200);
      expect(sent.body.task!.status.state).toBe('TASK_STATE_COMPLETED');
      const text = JSON.stringify(say('stream 3'));
      const response = await world.agent.fetch('POST', '/message:stream', text, { headers });
      const events = await all(eventsOf(response));
      expect(events[0]!.json).toHaveProperty('task');
      for (const { json } of events) expect(json).not.toHaveProperty('jsonrpc');
    }
  });

  test('the version may be a header in any case, or a query parameter', async () => {
    covers('A2A-3.2.6-01', 'A2A-3.6.1-02');
    const { id } = await world.agent.task(say('task x'));
    const none = { version: '' };
    const upper = await world.agent.rest('GET', `/tasks/${id}`, undefined, {
      ...none,
      headers: { 'a2a-VERSION': '1.0' },
    });
    const query = await world.agent.rest('GET', `/tasks/${id}?A2A-Version=1.0`, undefined, none);
    for (const { body } of [upper, query]) {
      expect(body['status']).toMatchObject({ state: 'TASK_STATE_COMPLETED' });
    }
  });

  test('a task is read, listed, answered and canceled in either binding', async () => {
    covers('A2A-5.1-01', 'A2A-5.1-02', 'A2A-11.3.2-01');
    const asked = await world.agent.task(say('ask'));
    const read = await world.agent.rest('GET', `/tasks/${asked.id}`);
    expect(read.body).toEqual((await world.agent.rpc('GetTask', { id: asked.id })).body.result);
    const listed = await world.agent.rest('GET', '/tasks?includeArtifacts=true');
    const { body } = await world.agent.rpc('ListTasks', { includeArtifacts: true });
    expect(listed.body).toEqual(body.result);
    const answered = await sendTask(world.agent, say('Bern', { taskId: asked.id }));
    expect(answered.status.state).toBe('TASK_STATE_COMPLETED');
    const running = await sendTask(world.agent, {
      ...say('cancelable'),
      configuration: { returnImmediately: true },
    });
    await world.agent.until(running.id, ({ status }) => status.state.endsWith('WORKING'));
    const canceled = await world.agent.rest('POST', `/tasks/${running.id}:cancel`);
    expect(canceled.status).toBe(200);
    expect(canceled.body['status']).toMatchObject({ state: 'TASK_STATE_CANCELED' });
    for (const id of ['with%20space', 'a%2Fb', '%C3%A4', encodeURIComponent('100%')]) {
      const { status, body: missing } = await world.agent.rest('GET', `/tasks/${id}`);
      expect([status, missing.error?.status]).toEqual([404, 'NOT_FOUND']);
    }
    expect((await world.agent.rest('GET', '/tasks/%E0%A4%A')).status).toBe(400);
  });

  test('subscribing works by POST and by GET', async () => {
    covers('A2A-11.3.2-02');
    const { id } = await sendTask(world.agent, {
      ...say('gated both'),
      configuration: { returnImmediately: true },
    });
    const streams = await Promise.all(
      ['POST', 'GET'].map((verb) => world.agent.fetch(verb, `/tasks/${id}:subscribe`, undefined)),
    );
    world.open('both');
    for (const response of streams) {
      expect(response.headers.get('content-type')).toBe('text/event-stream');
      const events = await all(eventsOf(response));
      expect(events.at(-1)!.json).toMatchObject({
        statusUpdate: { status: { state: 'TASK_STATE_COMPLETED' } },
      });
    }
  });

  test('query parameters are decoded and read by their types', async () => {
    covers('A2A-11.5-01', 'A2A-11.5-02', 'A2A-5.6.1-02');
    const contextId = 'a&b %c';
    const params = callTool('echo', { text: 'found' });
    const task = await sendTask(world.tools, { message: { ...params.message, contextId } });
    await sendTask(world.tools, { message: { ...callTool('ask_form').message, contextId } });
    const list = async (query: Record<string, string>) => {
      const search = new URLSearchParams({ contextId, ...query });
      const { body } = await world.tools.rest('GET', `/tasks?${search.toString()}`);
      return body;
    };
    expect((await list({})).tasks).toHaveLength(2);
    const found = await list({ status: 'TASK_STATE_COMPLETED', includeArtifacts: 'true' });
    expect(found.tasks!.map(artifactText)).toEqual(['found']);
    expect((await list({ includeArtifacts: 'false' })).tasks![0]).not.toHaveProperty('artifacts');
    expect((await list({ historyLength: '0' })).tasks![0]).not.toHaveProperty('history');
    const page = await list({ pageSize: '1' });
    expect(page).toMatchObject({ pageSize: 1, totalSize: 2 });
    const next = await list({ pageSize: '1', pageToken: page['nextPageToken'] as string });
    expect(next.tasks!.map(({ id }) => id)).toEqual([task.id]);
    for (const time of ['2025-11-09T10:30:00Z', '2025-11-09T10:30:00.000Z']) {
      expect((await list({ statusTimestampAfter: time })).tasks).toHaveLength(2);
    }
    expect((await list({ statusTimestampAfter: '2999-01-01T00:00:00Z' })).tasks).toEqual([]);
  });

  test('push configurations and the extended card have routes with their own errors', async () => {
    covers('A2A-11.3.3-01', 'A2A-11.3.4-01');
    const configs = '/tasks/x/pushNotificationConfigs';
    const answers = [
      await world.agent.rest('POST', configs, { url: 'https://example.org/hook' }),
      await world.agent.rest('GET', `${configs}/y`),
      await world.agent.rest('GET', configs),
      await world.agent.rest('DELETE', `${configs}/y`),
      await world.agent.rest('DELETE', `${configs}/y`, {}),
    ];
    for (const answer of answers) {
      expect([answer.status, reasonOf(answer)]).toEqual([400, 'PUSH_NOTIFICATION_NOT_SUPPORTED']);
    }
    const extended = await world.agent.rest('GET', '/extendedAgentCard');
    expect([extended.status, reasonOf(extended)]).toEqual([400, 'UNSUPPORTED_OPERATION']);
  });

  test('a fault has the same reason in both bindings, and its own status here', async () => {
    covers('A2A-5.1-03', 'A2A-5.4-02', 'A2A-11.6-01', 'A2A-11.6-02', 'A2A-11.6-03');
    const { id } = await world.agent.task(say('task x'));
    const wrong = new RawA2a(world.gateway.a2a('wrong-mode'));
    const { agent } = world;
    const more = say('more', { taskId: id });
    const version = '7.0';
    const faults: [string, number, Promise<Answer>, Promise<Answer>][] = [
      ['TASK_NOT_FOUND', 404, agent.rpc('GetTask', { id: 'no' }), agent.rest('GET', '/tasks/no')],
      [
        'TASK_NOT_CANCELABLE',
        400,
        agent.rpc('CancelTask', { id }),
        agent.rest('POST', `/tasks/${id}:cancel`),
      ],
      [
        'UNSUPPORTED_OPERATION',
        400,
        agent.rpc('SendMessage', more),
        agent.rest('POST', '/message:send', more),
      ],
      [
        'CONTENT_TYPE_NOT_SUPPORTED',
        400,
        wrong.rpc('SendMessage', say('x')),
        wrong.rest('POST', '/message:send', say('x')),
      ],
      [
        'VERSION_NOT_SUPPORTED',
        400,
        agent.rpc('GetTask', { id }, { version }),
        agent.rest('GET', `/tasks/${id}`, undefined, { version }),
      ],
      [
        'INVALID_PARAMS',
        400,
        agent.rpc('SendMessage', {}),
        agent.rest('POST', '/message:send', {}),
      ],
    ];
    for (const [reason, status, viaRpc, viaRest] of faults) {
      const [rpc, rest] = [await viaRpc, await viaRest];
      expect([reasonOf(rpc), reasonOf(rest)]).toEqual([reason, reason]);
      expect([rest.status, rest.body.error?.code]).toEqual([status, status]);
      expect(rest.body.error?.message).toMatch(/./);
      expect(rest.headers.get('content-type')).toMatch(/^application\/(a2a\+)?json/);
      for (const detail of rest.body.error!.details!) {
        expect(detail).toMatchObject({
          '@type': 'type.googleapis.com/google.rpc.ErrorInfo',
          domain: 'a2a-protocol.org',
        });
      }
    }
  });
});

describe('the JSON that goes out', () => {
  /** Keys of everything but metadata, data and params, which are other people's. */
  const keysOf = (value: unknown): string[] => {
    if (Array.isArray(value)) return value.flatMap(keysOf);
    if (typeof value !== 'object' || value === null) return [];
    return Object.entries(value).flatMap(([key, inner]) =>
      ['metadata', 'data', 'params'].includes(key) ? [key] : [key, ...keysOf(inner)],
    );
  };

  test('has camelCase members, the names of the enums, and times in UTC', async () => {
    covers('A2A-5.5-01', 'A2A-5.5-02', 'A2A-5.6.1-01');
    const texts = ['task x', 'stream 3', 'ask', 'fail', 'binary'];
    const seen: unknown[] = [await cardOf(world.agent), await cardOf(world.tools)];
    for (const text of texts) {
      seen.push(await world.agent.task(say(text)), await sendTask(world.agent, say(text)));
      seen.push(...(await all(world.agent.updates('SendStreamingMessage', say(text)))));
    }
    seen.push((await world.tools.rest('GET', '/tasks?includeArtifacts=true')).body);
    seen.push((await world.agent.rpc('ListTasks', {})).body.result);
    for (const key of seen.flatMap(keysOf)) expect(key).toMatch(/^[a-z][A-Za-z0-9]*$/);
    const all_ = JSON.stringify(seen);
    const values = (member: string) =>
      [...all_.matchAll(new RegExp(`"${member}":"([^"]*)"`, 'g'))].map(([, value]) => value!);
    expect(values('state').length).toBeGreaterThan(10);
    for (const state of values('state')) expect(state).toMatch(/^TASK_STATE_[A-Z_]+$/);
    for (const role of values('role')) expect(role).toMatch(/^ROLE_(USER|AGENT)$/);
    for (const time of values('timestamp')) {
      expect(time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    }
  });
});

describe('the official client', () => {
  for (const version of ['1.0', '0.3'] as const) {
    test(`speaks HTTP+JSON ${version} with an agent and with tools`, async () => {
      const dialect = { version, binding: 'HTTP+JSON' } as const;
      const agent = await connectA2a(`${world.agent.url}${cardPath}`, dialect);
      const asked = asTask(await agent.sendMessage(userRequest('ask')));
      const answered = asTask(await agent.sendMessage(userRequest('Bern', { taskId: asked.id })));
      expect(textOf(answered.artifacts[0]?.parts)).toBe('city: Bern');
      const read = await agent.getTask({ id: asked.id, tenant: '' });
      expect(textOf(read.artifacts[0]?.parts)).toBe('city: Bern');
      const tools = await connectA2a(`${world.tools.url}${cardPath}`, dialect);
      const call = dataPart({ tool: 'echo', arguments: { text: 'over' } });
      const task = asTask(await tools.sendMessage(userRequest([call])));
      expect(textOf(task.artifacts[0]?.parts)).toBe('over');
    });
  }
});
