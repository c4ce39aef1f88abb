/** What the gateway, as a client, really sends to an A2A agent, and what it makes of the answers. */
import { afterEach, describe, expect, it } from 'vitest';
import { covers } from '../requirements/requirement.ts';
import { startA2aAgent } from '../support/a2a-agent.ts';
import type { Behaviour } from '../support/a2a-agent-behaviours.ts';
import { TOOL_CALL_EXTENSION } from '../support/a2a-agent-card.ts';
import type { A2aBinding } from '../support/a2a-agent-card.ts';
import { artifact, textPart } from '../support/a2a-parts.ts';
import { startBadPeer } from '../support/bad-peer.ts';
import type { BadPeer } from '../support/bad-peer.ts';
import { BAD_TASK, serveCard } from '../support/bad-peer-defaults.ts';
import type { BadPeerScript } from '../support/bad-peer-script.ts';
import { startGateway } from '../support/gateway.ts';
import {
  anyEvent,
  chunkIn,
  cutStream,
  endStreamEarly,
  html,
  result,
  rpcError,
  stallStream,
  statusIn,
  stream,
  taskIn,
  taskInState,
} from '../support/misbehaviours.ts';
import { WireClient } from '../support/wire-client.ts';
import { RawA2a, artifactText, say } from './a2a-raw.ts';

const open: { close(): Promise<void> }[] = [];

afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

/** A gateway in front of one agent, and a client of each of its faces. */
async function facesOf(card: string) {
  const gateway = await startGateway({ peers: [{ id: 'agent', a2a: card }] });
  open.push(gateway);
  return {
    gateway,
    a2a: new RawA2a(gateway.a2a('agent')),
    mcp: new WireClient(gateway.mcp('agent')),
  };
}

async function facesOfScript(script: BadPeerScript) {
  const peer = await startBadPeer(script);
  open.push(peer);
  return { peer, ...(await facesOf(peer.cardUrl)) };
}

async function facesOfAgent(behaviours: Record<string, Behaviour> = {}) {
  const agent = await startA2aAgent({ behaviours });
  open.push(agent);
  return { agent, ...(await facesOf(agent.cardUrl)) };
}

/** Has the gateway send, get, subscribe and cancel: the stream ends early, then stays open. */
const allOperations: BadPeerScript['on'] = {
  SendStreamingMessage: endStreamEarly(),
  GetTask: taskInState('WORKING'),
  SubscribeToTask: stallStream(),
  CancelTask: taskInState('CANCELED'),
};

/** The requests of all those operations. */
async function operate(peer: BadPeer, a2a: RawA2a) {
  const task = await a2a.task({ ...say('go'), configuration: { returnImmediately: true } });
  await expect.poll(() => peer.requestsOf('SubscribeToTask').length).toBeGreaterThan(0);
  expect((await a2a.rpc('CancelTask', { id: task.id })).body.error).toBeUndefined();
  const sent = peer.requests.filter(({ method }) => method !== 'card');
  const methods = new Set(sent.map(({ method }) => method));
  expect([...methods].toSorted()).toEqual([
    'CancelTask',
    'GetTask',
    'SendStreamingMessage',
    'SubscribeToTask',
  ]);
  return sent;
}

const text = { capabilities: {} };
const states = /^TASK_STATE_(SUBMITTED|WORKING|COMPLETED|FAILED|CANCELED|REJECTED)$/;

describe('a request to an agent', () => {
  it.each<A2aBinding>(['JSONRPC', 'HTTP+JSON'])(
    'carries the version in use, over %s',
    async (binding) => {
      covers('A2A-3.6.1-01');
      const card = serveCard(undefined, ['1.0'], [binding]);
      const { peer, a2a } = await facesOfScript({ card, on: allOperations });
      const sent = await operate(peer, a2a);
      expect(sent.map(({ headers }) => headers['a2a-version'])).toEqual(sent.map(() => '1.0'));
      expect(new Set(sent.map(({ path }) => path.split('/')[2]))).toEqual(
        new Set([binding === 'JSONRPC' ? 'jsonrpc' : 'rest']),
      );
    },
  );

  it('carries the tenant that the interface names', async () => {
    covers('A2A-4.4.6-02');
    const card = serveCard(
      (good) => {
        const interfaces = good['supportedInterfaces'] as object[];
        return {
          ...good,
          supportedInterfaces: interfaces.map((one) => ({ ...one, tenant: 't1' })),
        };
      },
      ['1.0'],
      ['JSONRPC'],
    );
    const { peer, a2a } = await facesOfScript({ card, on: allOperations });
    const sent = await operate(peer, a2a);
    const tenants = sent.map(({ body }) => (body as { params: { tenant?: string } }).params.tenant);
    expect(tenants).toEqual(sent.map(() => 't1'));
  });

  it('carries the tenant in its path, over HTTP+JSON', async () => {
    covers('A2A-4.4.6-02');
    const card = serveCard(
      (good) => {
        const interfaces = good['supportedInterfaces'] as object[];
        return {
          ...good,
          supportedInterfaces: interfaces.map((one) => ({ ...one, tenant: 't1' })),
        };
      },
      ['1.0'],
      ['HTTP+JSON'],
    );
    const { peer, a2a } = await facesOfScript({ card });
    await a2a.rpc('SendMessage', say('go'));
    expect(peer.requestsOf('other').map(({ path }) => path)).toEqual([
      '/a2a/rest/t1/message:stream',
    ]);
  });

  it('carries the extensions in use as a header, and none that the agent does not know', async () => {
    covers('A2A-9.2-01');
    const knowing = await facesOfScript({ on: allOperations });
    const sent = await operate(knowing.peer, knowing.a2a);
    expect(sent.map(({ headers }) => headers['a2a-extensions'])).toEqual(
      sent.map(() => TOOL_CALL_EXTENSION),
    );
    const card = serveCard((good) => ({ ...good, capabilities: { streaming: true } }));
    const plain = await facesOfScript({ card, on: allOperations });
    const others = await operate(plain.peer, plain.a2a);
    expect(others.flatMap(({ headers }) => headers['a2a-extensions'] ?? [])).toEqual([]);
  });

  it('that follows up names the task and the context of the agent', async () => {
    covers('A2A-3.4.2-03');
    const begun: { taskId: string; contextId: string }[] = [];
    const { agent, a2a, mcp } = await facesOfAgent({
      ask: (turn) => {
        const { taskId, contextId } = turn.live;
        begun.push({ taskId, contextId });
        turn.begin();
        turn.ask([textPart('Which city?')], async (answer) => {
          answer.begin();
          answer.complete([artifact('answer', [textPart(answer.argument)])]);
        });
      },
    });
    const asked = await a2a.task(say('ask'));
    const answered = await a2a.task(say('Rome', { taskId: asked.id, contextId: asked.contextId }));
    expect(artifactText(answered)).toBe('Rome');
    const held = await mcp.call('ask', { message: 'ask' }, text);
    const { taskId } = held['structuredContent'] as { taskId: string };
    await mcp.call('answer_task', { taskId, answer: 'Oslo' }, text);
    const followUps = agent.ledger.filter((entry) => ['Rome', 'Oslo'].includes(entry.text));
    expect(followUps.map((entry) => entry.taskId)).toEqual(begun.map((one) => one.taskId));
    expect(followUps.map((entry) => entry.contextId)).toEqual(begun.map((one) => one.contextId));
    const known = begun.map((one) => one.taskId);
    expect(known).toHaveLength(2);
    expect(known).not.toContain(asked.id);
    expect(known).not.toContain(taskId);
  });
});

describe("an agent's answer", () => {
  it('that wants an extension is told to an A2A caller as such, to an MCP caller in words', async () => {
    covers('A2A-3.3.4-03');
    const refusal = rpcError(-32008, 'SECRET');
    const on = { SendMessage: refusal, SendStreamingMessage: refusal };
    const { a2a, mcp } = await facesOfScript({ on });
    const { body } = await a2a.rpc('SendMessage', say('go'));
    expect(body.error).toMatchObject({
      code: -32008,
      data: [{ reason: 'EXTENSION_SUPPORT_REQUIRED' }],
    });
    const rest = await a2a.rest('POST', '/message:send', say('go'));
    expect(rest.status).toBe(400);
    const got = await mcp.call('echo', { message: 'go' }, text);
    expect(got).toMatchObject({ isError: true });
    expect(JSON.stringify(got['content'])).toMatch(/agent.*extension/);
    expect(JSON.stringify([body, rest.body, got])).not.toContain('SECRET');
  });

  it('whose stream is cut is read from the task', async () => {
    covers('A2A-3.7-01');
    const on = {
      SendStreamingMessage: cutStream(),
      GetTask: taskInState('COMPLETED', 'from the task'),
    };
    const { peer, a2a, mcp } = await facesOfScript({ on });
    const task = await a2a.task(say('go'));
    expect(task.status.state).toBe('TASK_STATE_COMPLETED');
    expect(artifactText(task)).toBe('from the task');
    expect(peer.requestsOf('GetTask').map(({ body }) => body)).toMatchObject([
      { params: { id: BAD_TASK.id } },
    ]);
    const got = await mcp.call('echo', { message: 'go' }, text);
    expect(got['structuredContent']).toMatchObject({ text: 'from the task' });
    expect(peer.requestsOf('SendStreamingMessage')).toHaveLength(2);
  });

  it('with a state that does not exist is a failure, at once and in the middle', async () => {
    covers('A2A-4.1.3-01');
    for (const answer of [
      stream([taskIn('BANANA')], 'end'),
      stream([taskIn('WORKING'), statusIn('BANANA')], 'end'),
    ]) {
      const on = { SendStreamingMessage: answer, GetTask: taskInState('BANANA') };
      const { a2a, mcp } = await facesOfScript({ on });
      const { body } = await a2a.rpc('SendMessage', say('go'));
      const said = body.result?.task?.status;
      expect(said?.state).toBe('TASK_STATE_FAILED');
      expect(said?.message?.parts[0]?.text).toMatch(/^The agent "agent" sent /);
      const stored = (await a2a.rpc('ListTasks', {})).body.result?.tasks ?? [];
      for (const task of stored) expect(task.status.state).toMatch(states);
      const got = await mcp.call('echo', { message: 'go' }, text);
      expect(got).toMatchObject({ isError: true });
      expect(JSON.stringify([body, stored, got])).not.toContain('BANANA');
    }
  });

  it('that breaks the protocol fails its task, or is InvalidAgentResponse where there is none', async () => {
    covers('A2A-5.4-03');
    const on = {
      SendMessage: result({}),
      SendStreamingMessage: [result({}), stallStream()],
      CancelTask: html(),
    };
    const { a2a } = await facesOfScript({ on });
    const failed = await a2a.task(say('go'));
    expect(failed.status.state).toBe('TASK_STATE_FAILED');
    const [said] = failed.status.message?.parts ?? [];
    expect(said?.text).toMatch(/^The agent "agent" sent an answer that is not A2A\./);
    const { id } = await a2a.task({ ...say('go'), configuration: { returnImmediately: true } });
    const { body } = await a2a.rpc('CancelTask', { id });
    expect(body.error).toMatchObject({
      code: -32006,
      data: [{ reason: 'INVALID_AGENT_RESPONSE' }],
    });
    const rest = await a2a.rest('POST', `/tasks/${id}:cancel`);
    expect(rest.status).toBe(500);
    expect((await a2a.get(id)).status.state).toBe('TASK_STATE_WORKING');
  });
});

describe('chunks of an artifact', () => {
  it('extend it where they are marked so, and replace it where they are not', async () => {
    covers('A2A-4.2.2-02');
    const gate = Promise.withResolvers<void>();
    const chunk = (turn: Parameters<Behaviour>[0], said: string, append: boolean) =>
      turn.produce(artifact('text', [textPart(said)]), { append, lastChunk: false });
    const join: Behaviour = (turn) => {
      turn.begin();
      chunk(turn, 'one ', false);
      chunk(turn, 'two ', true);
      chunk(turn, 'three', true);
    };
    const { a2a, mcp } = await facesOfAgent({
      stream: (turn, agent) => {
        void join(turn, agent);
        turn.complete();
      },
      task: async (turn, agent) => {
        void join(turn, agent);
        if (turn.argument === 'later') await gate.promise;
        chunk(turn, 'four', false);
        turn.complete();
      },
    });
    const { id } = await a2a.task({
      ...say('task later'),
      configuration: { returnImmediately: true },
    });
    await a2a.until(id, (task) => artifactText(task) === 'one two three');
    gate.resolve();
    const done = await a2a.until(id, ({ status }) => status.state === 'TASK_STATE_COMPLETED');
    expect(done.artifacts).toHaveLength(1);
    expect(artifactText(done)).toBe('four');
    for (const [word, expected] of [
      ['stream', 'one two three'],
      ['task', 'four'],
    ] as const) {
      const got = await mcp.call(word, { message: 'now' }, text);
      expect(got['structuredContent']).toMatchObject({ text: expected });
    }
  });

  it('stay parts for A2A, as at the agent, and are one text for MCP, also after a restart', async () => {
    const { agent, a2a, mcp, gateway } = await facesOfAgent({
      stream: (turn) => {
        turn.begin();
        for (const [at, said] of ['one ', 'two ', 'three'].entries()) {
          turn.produce(artifact('poem', [textPart(said)]), { append: at > 0, lastChunk: at === 2 });
        }
        turn.produce(artifact('letter', [textPart('Dear Ann,'), textPart('I am well.')]));
        turn.complete();
      },
    });
    const { id } = await a2a.task(say('stream now'));
    const textsOf = ({ artifacts = [] }: Awaited<ReturnType<RawA2a['get']>>) =>
      artifacts.map(({ parts }) => parts.map((part) => part.text));
    const expected = [
      ['one ', 'two ', 'three'],
      ['Dear Ann,', 'I am well.'],
    ];
    const { tasks = [] } =
      (await new RawA2a(`${agent.url}/a2a/jsonrpc`).rpc('ListTasks', { includeArtifacts: true }))
        .body.result ?? {};
    expect(tasks.map(textsOf)).toEqual([expected]);
    for (const restarted of [false, true]) {
      if (restarted) await gateway.restart();
      expect(textsOf(await a2a.get(id))).toEqual(expected);
      const got = await mcp.call('get_task', { taskId: id }, text);
      expect(got['structuredContent']).toMatchObject({
        text: 'one two three\n\nDear Ann,\nI am well.',
      });
      const { result: list } = await mcp.request('resources/list');
      expect(list?.['resources']).toMatchObject([
        { name: 'poem', mimeType: 'text/plain', size: 13 },
        { name: 'letter' },
      ]);
      const [poem, letter] = (list?.['resources'] ?? []) as { uri: string }[];
      const contents = async (uri = '') =>
        (await mcp.request('resources/read', { uri })).result?.['contents'];
      expect(await contents(poem?.uri)).toMatchObject([{ text: 'one two three' }]);
      expect(await contents(letter?.uri)).toMatchObject([
        { text: 'Dear Ann,' },
        { text: 'I am well.' },
      ]);
    }
  });

  it('stay one text for MCP when the rest of them is read from the task after a restart', async () => {
    const gate = Promise.withResolvers<void>();
    const { a2a, mcp, gateway } = await facesOfAgent({
      stream: async (turn) => {
        const chunk = (said: string, append: boolean) =>
          turn.produce(artifact('poem', [textPart(said)]), { append, lastChunk: false });
        turn.begin();
        chunk('one ', false);
        chunk('two ', true);
        await gate.promise;
        chunk('three', true);
        turn.complete();
      },
    });
    const { id } = await a2a.task({
      ...say('stream now'),
      configuration: { returnImmediately: true },
    });
    await a2a.until(id, (task) => artifactText(task) === 'one two ');
    const restarted = gateway.restart();
    gate.resolve();
    await restarted;
    const done = await a2a.until(id, ({ status }) => status.state === 'TASK_STATE_COMPLETED');
    expect(done.artifacts?.map(({ parts }) => parts.map((part) => part.text))).toEqual([
      ['one ', 'two ', 'three'],
    ]);
    const got = await mcp.call('get_task', { taskId: id }, text);
    expect(got['structuredContent']).toMatchObject({ text: 'one two three' });
  });

  it('stay one text for MCP where the agent tells the artifact again, and not where it replaces it', async () => {
    const begun = [taskIn('WORKING'), chunkIn('one ', false), chunkIn('two ')];
    const whole = (...texts: string[]) =>
      anyEvent({
        artifactUpdate: {
          taskId: BAD_TASK.id,
          contextId: BAD_TASK.contextId,
          artifact: { artifactId: 'result', parts: texts.map((said) => ({ text: said })) },
          append: false,
          lastChunk: true,
        },
      });
    for (const [told, expected] of [
      [whole('one ', 'two ', 'three'), 'one two three'],
      [whole('Dear Ann,', 'I am well.'), 'Dear Ann,\nI am well.'],
    ] as const) {
      const on = { SendStreamingMessage: stream([...begun, told, statusIn('COMPLETED')], 'end') };
      const { mcp } = await facesOfScript({ on });
      const got = await mcp.call('echo', { message: 'now' }, text);
      expect(got['structuredContent']).toMatchObject({ text: expected });
    }
  });

  it('are taken by the thousand', async () => {
    const chunks = Array.from({ length: 10_000 }, (_, n) => chunkIn(`${n} `, n > 0, n === 9_999));
    const events = [taskIn('WORKING'), ...chunks, statusIn('COMPLETED')];
    const { a2a, mcp } = await facesOfScript({
      on: { SendStreamingMessage: stream(events, 'end') },
    });
    const { artifacts = [] } = await a2a.task(say('go'));
    expect(artifacts).toHaveLength(1);
    expect(artifacts[0]?.parts).toHaveLength(10_000);
    const got = await mcp.call('echo', { message: 'now' }, text);
    const all = Array.from({ length: 10_000 }, (_, n) => `${n} `).join('');
    expect(got['structuredContent']).toMatchObject({ text: all });
  });
});
