import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Writable } from 'node:stream';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';
import { startGateway } from '../../src/main.ts';
import type { Gateway } from '../../src/main.ts';
import { createLogger } from '../../src/observe/log.ts';
import { covers } from '../requirements/requirement.ts';
import { all, callTool, expectClear, fieldOf, RawA2a, say } from './a2a-raw.ts';
import type { Answer, Body } from './a2a-raw.ts';
import { startA2aWorld } from './a2a-world.ts';
import type { A2aWorld } from './a2a-world.ts';

let world: A2aWorld;
let received = 0;

beforeAll(async () => {
  world = await startA2aWorld({ limits: { body: '64KiB' } });
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

describe('bodies', () => {
  test('what is not JSON is a parse error', async () => {
    covers('A2A-9.5-01');
    for (const text of ['{', '', '\uFEFF{', '\uFEFF', 'hello', '{"a":1}}']) {
      const answer = await world.agent.post('', text);
      expect([answer.status, answer.body.id, answer.body.error?.code]).toEqual([400, null, -32700]);
      expectClear(answer);
    }
    const rest = await world.agent.post('/message:send', '{');
    expect(rest.status).toBe(400);
    expectClear(rest);
  });

  test('a byte order mark before good JSON is no error', async () => {
    const request = { jsonrpc: '2.0', id: 1, method: 'SendMessage', params: say('echo hi') };
    const { body } = await world.agent.post('', `\uFEFF${JSON.stringify(request)}`);
    expect(body.result).toHaveProperty('message');
  });

  test('what is no JSON-RPC request is an invalid request', async () => {
    covers('A2A-9.5-02');
    const call = { jsonrpc: '2.0', id: 1, method: 'SendMessage', params: say('echo never') };
    const bad: unknown[] = [
      [],
      'x',
      7,
      null,
      true,
      [call],
      [call, call],
      { ...call, jsonrpc: '1.0' },
      { id: 1, method: 'SendMessage' },
      { jsonrpc: '2.0', id: 1 },
      { ...call, method: 7 },
      { ...call, method: '' },
      { ...call, id: {} },
      { ...call, id: 1.5 },
    ];
    for (const body of bad) {
      const answer = await world.agent.post('', JSON.stringify(body));
      expect([answer.status, answer.body.error?.code]).toEqual([400, -32600]);
      expectClear(answer);
    }
    expectUntouched();
  });

  test('another media type is refused in both bindings', async () => {
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data']) {
      const headers = { 'content-type': type };
      const rpc = await world.agent.post('', JSON.stringify({}), { headers });
      expect([rpc.status, rpc.body.error?.code]).toEqual([400, -32005]);
      const rest = await world.agent.post('/message:send', JSON.stringify(say('x')), { headers });
      expect([rest.status, rest.body.error?.details?.[0]?.reason]).toEqual([
        400,
        'CONTENT_TYPE_NOT_SUPPORTED',
      ]);
      expectClear(rpc);
      expectClear(rest);
    }
    expectUntouched();
  });

  test('a body that is too large is refused, with and without a declared length', async () => {
    const text = JSON.stringify(say('x'.repeat(100_000)));
    const rpc = await world.agent.post('', text);
    expect([rpc.status, rpc.body.error?.code]).toEqual([413, -32600]);
    const rest = await world.agent.post('/message:send', text);
    expect([rest.status, rest.body.error?.code]).toEqual([413, 413]);
    expectClear(rpc);
    expectClear(rest);
    const huge = await world.agent.post('', JSON.stringify(say('x'.repeat(30_000_000))));
    expect(huge.status).toBe(413);
    expect(await sendChunked(world.agent, text)).toMatch(/^HTTP\/1\.1 413 /);
    expectUntouched();
  });

  test('JSON that is nested too deeply is refused', async () => {
    const nested = (depth: number) => {
      const data = `${'['.repeat(depth)}"[["${']'.repeat(depth)}`;
      return JSON.stringify(say('echo deep')).replace('"parts":[', `"parts":[{"data":${data}},`);
    };
    const call = (depth: number) =>
      `{"jsonrpc":"2.0","id":1,"method":"SendMessage","params":${nested(depth)}}`;
    expect((await world.agent.post('', call(200))).body.result).toBeDefined();
    received = world.agentPeer.ledger.length;
    for (const depth of [300, 5000, 15_000]) {
      const rpc = await world.agent.post('', call(depth));
      expect(rpc.body.error?.code).toBe(-32602);
      const rest = await world.agent.post('/message:send', nested(depth));
      expect(rest.status).toBe(400);
      expectClear(rpc);
      expectClear(rest);
    }
    expectUntouched();
  });

  test('bytes that are no UTF-8 are refused', async () => {
    const body = Buffer.concat([Buffer.from('{"jsonrpc":"2.0","x":"'), Buffer.from([0xff, 0xfe])]);
    const response = await fetch(world.agent.url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    });
    const answer = (await response.json()) as Body;
    expect([response.status, answer.error?.code]).toEqual([400, -32700]);
  });
});

describe('methods and parameters', () => {
  test('an unknown method is not found', async () => {
    covers('A2A-9.5-03');
    for (const version of ['1.0', '0.3']) {
      for (const method of ['tasks/none', 'constructor', '__proto__', 'toString', 'sendmessage']) {
        const answer = await world.agent.rpc(method, {}, { version, id: 'm' });
        expect([answer.status, answer.body.id, answer.body.error?.code]).toEqual([
          200,
          'm',
          -32601,
        ]);
        expectClear(answer);
      }
    }
  });

  test('parameters of the wrong shape are invalid', async () => {
    covers('A2A-9.5-04');
    const bad: [string, unknown, string | undefined][] = [
      ['SendMessage', [], undefined],
      ['SendMessage', 'x', undefined],
      ['SendMessage', undefined, 'params'],
      ['SendMessage', {}, 'message'],
      ['SendMessage', { message: 'hello' }, 'message'],
      ['SendMessage', { ...say('x'), configuration: 7 }, 'configuration'],
      [
        'SendMessage',
        { ...say('x'), configuration: { historyLength: -1 } },
        'configuration.historyLength',
      ],
      [
        'SendMessage',
        { ...say('x'), configuration: { returnImmediately: 'yes' } },
        'configuration.returnImmediately',
      ],
      ['GetTask', {}, 'id'],
      ['GetTask', { id: 'x', historyLength: 'many' }, 'historyLength'],
      ['CancelTask', {}, 'id'],
      ['SubscribeToTask', {}, 'id'],
    ];
    for (const [method, params, field] of bad) {
      const answer = await world.agent.rpc(method, params);
      expect([method, answer.body.error?.code, fieldOf(answer)]).toEqual([method, -32602, field]);
      expectClear(answer);
    }
    expectUntouched();
  });
});

describe('places', () => {
  test('a task of one peer does not exist at another', async () => {
    covers('A2A-3.3.2-02');
    const { id } = await world.agent.task(say('task x'));
    const foreign = await world.tools.rpc('GetTask', { id });
    const random = await world.tools.rpc('GetTask', { id: 'AAAAAAAAAAAAAAAAAAAAAA' });
    expect([foreign.status, foreign.body]).toEqual([random.status, random.body]);
    const viaRest = await world.tools.rest('GET', `/tasks/${id}`);
    const randomRest = await world.tools.rest('GET', '/tasks/AAAAAAAAAAAAAAAAAAAAAA');
    expect([viaRest.status, viaRest.body]).toEqual([randomRest.status, randomRest.body]);
    for (const method of ['CancelTask', 'SubscribeToTask']) {
      expect((await world.tools.rpc(method, { id })).body).toEqual(foreign.body);
    }
    const sent = await world.tools.rpc('SendMessage', say('x', { taskId: id }));
    expect(sent.body.error).toEqual(foreign.body.error);
  });

  test('a context id that was sealed for another peer is refused', async () => {
    const { contextId } = await world.agent.task(say('task x'));
    const { message } = callTool('echo', { text: 'x' });
    const answer = await world.tools.rpc('SendMessage', { message: { ...message, contextId } });
    expect([answer.body.error?.code, fieldOf(answer)]).toEqual([-32602, 'contextId']);
  });

  test('unknown peers, routes and verbs get JSON', async () => {
    const nobody = new RawA2a(world.gateway.a2a('nobody'));
    const answers: [number, Promise<Answer>][] = [
      [404, nobody.rpc('SendMessage', say('x'))],
      [404, nobody.rest('GET', '/.well-known/agent-card.json')],
      [404, world.agent.rest('GET', '/nothing')],
      [404, world.agent.rest('GET', '/message:send')],
      [404, world.agent.rest('PUT', '/tasks/x', {})],
      [405, world.agent.rest('GET', '')],
      [405, world.agent.rest('DELETE', '/')],
    ];
    for (const [status, pending] of answers) {
      const answer = await pending;
      expect([answer.status, answer.body.error?.code]).toEqual([status, status]);
      expectClear(answer);
    }
  });
});

describe('caps', () => {
  test('too many open questions answer 429 and say when to come again', async () => {
    const capped = await startA2aWorld({ limits: { openInterruptsPerPrincipal: 1 } });
    await capped.agent.task(say('ask'));
    const rpc = await capped.agent.rpc('SendMessage', say('ask'));
    expect([rpc.status, rpc.body.error?.code]).toEqual([429, -32603]);
    const rest = await capped.agent.rest('POST', '/message:send', say('ask'));
    expect(rest.body.error).toMatchObject({ code: 429, status: 'RESOURCE_EXHAUSTED' });
    for (const answer of [rpc, rest]) {
      expect(answer.headers.get('retry-after')).toBe('60');
      expectClear(answer);
    }
    await capped.close();
  });
});

describe('errors', () => {
  test('each has a code, a text and typed details', async () => {
    covers('A2A-3.3.2-03', 'A2A-9.5-06');
    const { id } = await world.agent.task(say('task x'));
    const faults: [string, unknown, number][] = [
      ['SendMessage', {}, -32602],
      ['GetTask', { id: 'no' }, -32001],
      ['CancelTask', { id }, -32002],
      ['GetTaskPushNotificationConfig', { taskId: id, id: 'x' }, -32003],
      ['SendMessage', say('more', { taskId: id }), -32004],
      ['SubscribeToTask', { id }, -32004],
      ['GetExtendedAgentCard', {}, -32004],
    ];
    for (const [method, params, code] of faults) {
      const answer = await world.agent.rpc(method, params);
      expect(answer.body.error?.code).toBe(code);
      expectClear(answer);
      expect(answer.body.error!.data!.length).toBeGreaterThan(0);
      for (const detail of answer.body.error!.data!) {
        expect(detail['@type']).toBe('type.googleapis.com/google.rpc.ErrorInfo');
      }
    }
    const version = await world.agent.rpc('GetTask', { id }, { version: '3.0' });
    expect(version.body.error?.data?.[0]?.['@type']).toMatch(/ErrorInfo$/);
  });
});

describe('a store that cannot be written', () => {
  test('shows no internals', async () => {
    covers('A2A-9.5-05');
    const dir = mkdtempSync(join(tmpdir(), 'isthmus-broken-'));
    const broken = await startOn(dir);
    const agent = new RawA2a(`${broken.publicUrl}/a2a/agent`);
    await agent.task(say('task x'));
    const saboteur = new DatabaseSync(join(dir, 'isthmus.db'));
    saboteur.exec('DROP TABLE event; DROP TABLE task;');
    saboteur.close();
    const answers = [
      await agent.rpc('SendMessage', say('task y')),
      await agent.rpc('GetTask', { id: 'AAAAAAAAAAAAAAAAAAAAAA' }),
      await agent.rpc('ListTasks', {}),
      await agent.rest('GET', '/tasks'),
    ];
    for (const answer of answers) {
      expect(answer.body.error?.code).toBeDefined();
      expectClear(answer);
      expect(JSON.stringify(answer.body)).not.toMatch(/sqlite|SELECT|INSERT|\.db|\/tmp|database/i);
    }
    expect(answers[2]!.body.error!.code).toBe(-32603);
    expect(answers[3]!.status).toBe(500);
    const [first] = await all(agent.stream('SendStreamingMessage', say('task z')));
    expect(first!.json).toHaveProperty('error');
    await broken.close();
    rmSync(dir, { recursive: true });
  });
});

/** A gateway whose files the test knows. */
async function startOn(dir: string): Promise<Gateway> {
  const parsed = parseConfig(
    JSON.stringify({
      gateway: {
        listen: { host: '127.0.0.1', port: 0 },
        organization: { id: 'test', name: 'Test' },
      },
      store: { url: `sqlite:${join(dir, 'isthmus.db')}` },
      keys: { dir: join(dir, 'keys') },
      peers: [{ id: 'agent', a2a: { card: world.agentPeer.cardUrl } }],
      limits: { drain: '500ms' },
      egress: { allowLoopback: true },
    }),
    { env: {}, readFile: () => '' },
  );
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.mistakes));
  const destination = new Writable({ write: (_chunk, _encoding, done) => done() });
  return startGateway(parsed.config, createLogger({ level: 'debug', destination }));
}

/** Sends a body in chunks, without a length; the status line of the answer. */
async function sendChunked(face: RawA2a, text: string): Promise<string> {
  const { hostname, port, pathname } = new URL(face.url);
  const socket = connect(Number(port), hostname);
  socket.on('error', () => {});
  await once(socket, 'connect');
  socket.write(
    `POST ${pathname} HTTP/1.1\r\nHost: ${hostname}:${port}\r\n` +
      'Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n' +
      `${text.length.toString(16)}\r\n${text}\r\n`,
  );
  const [answer] = (await once(socket, 'data')) as [Buffer];
  socket.destroy();
  return answer.toString();
}
