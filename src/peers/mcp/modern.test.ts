import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  ableClient,
  answer,
  call,
  contextOf,
  follow,
  mcpPeer,
  say,
  Turn,
} from '../../../test/support/mcp-peer-driver.ts';
import { startModernServer, type ModernServer } from '../../../test/support/modern-server.ts';
import type { McpPeer } from './peer.ts';

let server: ModernServer;
let peer: McpPeer;
beforeEach(async () => {
  server = await startModernServer();
  peer = mcpPeer(server.url);
});
afterEach(async () => {
  await peer.close();
  await server.close();
});

const trip = { city: 'Bern', nights: 3 };

describe('a tool call at a modern server', () => {
  it('answers with an artifact, a state and the raw result', async () => {
    const turn = await call(peer, 'add', { a: 2, b: 3 });
    expect(turn.states).toEqual(['TASK_STATE_COMPLETED']);
    expect(turn.last.outcome).toMatchObject({
      result: { resultType: 'complete', structuredContent: { sum: 5 } },
    });
    const parts = turn.events.flatMap((e) => (e.kind === 'artifact' ? e.artifact.parts : []));
    expect(parts).toContainEqual(expect.objectContaining({ data: { sum: 5 } }));
  });

  it('keeps an error of the tool as a failed task with its text', async () => {
    const turn = await call(peer, 'soft_error');
    expect(turn.states).toEqual(['TASK_STATE_FAILED']);
    expect(turn.text).toContain('No flights on that day');
    expect(turn.last.outcome).toMatchObject({ result: { isError: true } });
  });

  it('is rejected when the tool does not exist', async () => {
    const turn = await call(peer, 'no_such_tool');
    expect(turn.states).toEqual(['TASK_STATE_REJECTED']);
    expect(turn.last.outcome).toMatchObject({ error: { code: -32602 } });
  });

  it('shows progress, and that it works once it takes longer', async () => {
    const turn = await call(peer, 'progress', { steps: 4, stepMs: 150 });
    expect(turn.states).toEqual(['TASK_STATE_WORKING', 'TASK_STATE_COMPLETED']);
    const seen = turn.events.flatMap((e) => (e.kind === 'progress' ? [e.progress] : []));
    expect(seen).toEqual([1, 2, 3, 4]);
  });

  it('repeats an argument in the header that the tool asks for', async () => {
    const turn = await call(peer, 'in_region', { region: 'Zürich' });
    expect(turn.output).toBe('In Zürich');
  });

  it('is cancelled by closing its stream', async () => {
    const turn = new Turn();
    const context = contextOf();
    const message = { messageId: 'm1', role: 'ROLE_USER' as const, parts: [] };
    const running = turn.read(
      peer.start({ message, call: { name: 'slow', arguments: { ms: 10_000 } } }, context),
    );
    await expect.poll(() => server.ledger.of('executed', 'slow').length).toBe(1);
    await peer.cancel(turn.position, context);
    await running;
    expect(turn.last.state).toBe('TASK_STATE_CANCELED');
    await expect.poll(() => server.ledger.of('cancelled', 'slow').length).toBe(1);
  });
});

describe('a question of a modern server', () => {
  it('interrupts, and the answer completes the call', async () => {
    const asked = await call(peer, 'ask_form');
    expect(asked.states).toEqual(['TASK_STATE_INPUT_REQUIRED']);
    expect(asked.open[0]).toMatchObject({
      peerKey: 'trip',
      answerAs: 'response',
      request: { method: 'elicitation/create', params: { message: 'Where to?' } },
    });
    const done = await answer(peer, asked, { trip: { action: 'accept', content: trip } });
    expect(done.states).toEqual(['TASK_STATE_COMPLETED']);
    expect(done.last.outcome).toMatchObject({ result: { structuredContent: { trip } } });
  });

  it('is still open after a restart, and can be answered', async () => {
    const asked = await call(peer, 'ask_form');
    const restarted = mcpPeer(server.url);
    const resumed = await new Turn().read(restarted.resume(asked.position, contextOf()));
    expect(resumed.open[0]).toMatchObject({ peerKey: 'trip' });
    resumed.position = asked.position;
    const done = await answer(restarted, resumed, { trip: { action: 'decline' } });
    expect(done.output).toBe('The user chose decline');
  });

  it('is asked again when the answer does not fit, naming the field', async () => {
    const asked = await call(peer, 'ask_form');
    const again = await answer(peer, asked, {
      trip: { action: 'accept', content: { city: 'Bern', nights: 99 } },
    });
    expect(again.states).toEqual(['TASK_STATE_INPUT_REQUIRED']);
    expect(again.text).toContain('nights');
    expect(server.ledger.of('executed', 'ask_form')).toEqual([]);
  });

  it('keeps the answers that were given when one of two is missing', async () => {
    const asked = await call(peer, 'ask_two');
    expect(asked.open.map(({ peerKey }) => peerKey)).toEqual(['left', 'right']);
    const partial = await answer(peer, asked, {
      left: { action: 'accept', content: { answer: 'L' } },
    });
    expect(partial.states).toEqual(['TASK_STATE_INPUT_REQUIRED']);
    expect(partial.open.map(({ peerKey }) => peerKey)).toEqual(['right']);
    expect(partial.text).toContain('Right?');
    const done = await follow(peer, partial, [{ text: 'R' }]);
    expect(done.output).toBe('L R');
  });

  it('may be followed by others', async () => {
    let turn = await call(peer, 'ask_rounds', { rounds: 2 });
    turn = await answer(peer, turn, { q1: { action: 'accept', content: { answer: 'one' } } });
    turn = await answer(peer, turn, { q2: { action: 'accept', content: { answer: 'two' } } });
    expect(turn.output).toBe('one, two');
  });

  it('with state alone is no question: the call is repeated until it is done', async () => {
    const turn = await call(peer, 'come_back', { times: 2 });
    expect(turn.states).toEqual(['TASK_STATE_WORKING', 'TASK_STATE_COMPLETED']);
    expect(turn.output).toBe('Came back 2 times');
  });

  it('that is a link needs authorization', async () => {
    const url = 'https://login.example.org/authorize';
    const asked = await call(peer, 'ask_url', { url });
    expect(asked.states).toEqual(['TASK_STATE_AUTH_REQUIRED']);
    expect(asked.open[0]?.url).toEqual({ candidates: [url], text: 'Please authorize the access' });
    const done = await answer(peer, asked, { visit: { action: 'accept' } });
    expect(done.output).toBe('The user chose accept');
  });

  it('goes to the client only as far as the client can answer', async () => {
    const context = contextOf({ features: ableClient });
    const asked = await call(peer, 'ask_model', { prompt: 'Hi' }, context);
    expect(asked.open[0]?.request.method).toBe('sampling/createMessage');
    const response = { role: 'assistant', model: 'm', content: { type: 'text', text: 'Hello' } };
    const done = await answer(peer, asked, { sample: response }, context);
    expect(done.output).toContain('Hello');
    const refused = await call(peer, 'ask_model', { prompt: 'Hi' });
    expect(refused.last.state).toBe('TASK_STATE_REJECTED');
  });
});

describe('a message to a modern server', () => {
  it('calls the tool that it names', async () => {
    const turn = await say(peer, [{ data: { tool: 'echo', arguments: { text: 'hi' } } }]);
    expect(turn.output).toBe('hi');
  });

  it('that names none is asked which, also after a restart', async () => {
    const turn = await say(peer, [{ text: 'hello' }]);
    expect(turn.states).toEqual(['TASK_STATE_INPUT_REQUIRED']);
    expect(JSON.stringify(turn.last.message)).toContain('echo');
    const resumed = await new Turn().read(mcpPeer(server.url).resume(turn.position, contextOf()));
    expect(JSON.stringify(resumed.last.message)).toContain('echo');
    const done = await follow(peer, turn, [{ data: { tool: 'echo', arguments: { text: 'ok' } } }]);
    expect(done.output).toBe('ok');
  });

  it('with arguments that do not fit is asked for better ones, naming the field', async () => {
    const turn = await say(peer, [{ data: { tool: 'add', arguments: { a: 1, b: 'two' } } }]);
    expect(turn.states).toEqual(['TASK_STATE_INPUT_REQUIRED']);
    expect(turn.text).toContain('b');
    const done = await follow(peer, turn, [{ data: { a: 1, b: 2 } }]);
    expect(done.last.outcome).toMatchObject({ result: { structuredContent: { sum: 3 } } });
  });

  it('reads resources and prompts', async () => {
    const note = await say(peer, [
      { data: { tool: 'read_resource', arguments: { uri: 'test://notes/first' } } },
    ]);
    expect(JSON.stringify(note.events)).toContain('The first note');
    const prompt = await say(peer, [
      {
        data: {
          tool: 'get_prompt',
          arguments: { name: 'review', arguments: { language: 'perl' } },
        },
      },
    ]);
    expect(JSON.stringify(prompt.events)).toContain('Review this perl');
  });
});

describe('the catalogue of a modern server', () => {
  it('has the members as the server sent them, under a version that follows the content', async () => {
    const first = await peer.catalogue(contextOf());
    expect(first.revision).toBe('2026-07-28');
    expect(first.tools.find(({ name }) => name === 'echo')).toMatchObject({
      _meta: { 'example.org/kept': true },
    });
    const changes = peer.changes({ tools: true }, contextOf());
    const heard = changes[Symbol.asyncIterator]().next();
    await expect
      .poll(async () => {
        server.triggerToolChange('extra');
        const state = await Promise.race([heard, new Promise((r) => setTimeout(r, 100, 'none'))]);
        return state === 'none' ? state : (state as IteratorResult<unknown>).value;
      })
      .toEqual({ kind: 'tools' });
    const second = await peer.catalogue(contextOf());
    const again = await peer.catalogue(contextOf());
    expect(again.version).toBe(second.version);
  });

  it('changes with a resource that somebody follows', async () => {
    const stop = new AbortController();
    const filter = { uris: ['test://notes/first'] };
    const heard: unknown[] = [];
    const following = (async () => {
      for await (const change of peer.changes(filter, contextOf({ signal: stop.signal }))) {
        heard.push(change);
      }
    })();
    await expect
      .poll(() => {
        server.triggerResourceChange('test://notes/first', 'Changed');
        return heard[0];
      })
      .toEqual({ kind: 'resource', uri: 'test://notes/first' });
    stop.abort();
    await following;
  });

  it('relays other requests raw', async () => {
    const result = await peer.request('prompts/get', { name: 'illustrated' }, contextOf());
    expect(result['messages']).toHaveLength(3);
    await expect(peer.request('prompts/get', { name: 'nope' }, contextOf())).rejects.toMatchObject({
      code: 'peer-error',
      facts: { rpc: { code: -32602 } },
    });
  });
});

describe('a modern server that misbehaves', () => {
  it.each([
    ['disconnect', 'peer-unavailable'],
    ['cut', 'peer-unavailable'],
    ['html', 'peer-unavailable'],
    ['unavailable', 'peer-unavailable'],
    ['not-json', 'peer-protocol'],
    ['not-rpc', 'peer-protocol'],
    ['wrong-id', 'peer-protocol'],
    ['unauthorized', 'peer-refused'],
  ] as const)('by %s fails the call with %s', async (fault, code) => {
    await peer.catalogue(contextOf());
    server.failNext(fault, 'tools/call');
    await expect(call(peer, 'echo', { text: 'hi' })).rejects.toMatchObject({
      code,
      facts: { peer: 'tools', stage: 'call' },
    });
    expect((await call(peer, 'echo', { text: 'hi' })).output).toBe('hi');
  });

  it('by silence fails the call after the idle time, naming the stage', async () => {
    const hasty = mcpPeer(server.url, {
      timeouts: { requestMs: 1000, connectMs: 1000, idleMs: 300 },
    });
    await hasty.catalogue(contextOf());
    server.failNext('hang', 'tools/call');
    await expect(call(hasty, 'echo', { text: 'hi' })).rejects.toMatchObject({
      code: 'peer-timeout',
      facts: { stage: 'call', timeoutMs: 300 },
    });
  });

  it('that is away is named without its address', async () => {
    const away = mcpPeer('http://127.0.0.1:9/mcp');
    const failure = await call(away, 'echo').catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'peer-unavailable', facts: { stage: 'connect' } });
    expect(String(failure)).not.toContain('127.0.0.1');
  });

  it('repeats nothing after a restart that may have run, except what is safe', async () => {
    const position = {
      stage: 'open',
      callId: 'c1',
      work: { method: 'tools/call', params: { name: 'record', arguments: { key: 'k' } } },
    };
    const resumed = new Turn().read(
      peer.resume({ ...position, work: { ...position.work, idempotent: false } }, contextOf()),
    );
    await expect(resumed).rejects.toMatchObject({ code: 'outcome-unknown' });
    expect(server.ledger.of('executed', 'record')).toEqual([]);
    const safe = await new Turn().read(
      peer.resume({ ...position, work: { ...position.work, idempotent: true } }, contextOf()),
    );
    expect(safe.output).toBe('Recorded k');
  });
});
