import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startLegacyServer, type LegacyServer } from '../../../test/support/legacy-server.ts';
import {
  ableClient,
  answer,
  call,
  contextOf,
  mcpPeer,
  say,
  Turn,
} from '../../../test/support/mcp-peer-driver.ts';
import type { JsonObject } from '../../model/json.ts';
import type { McpPeer } from './peer.ts';

let server: LegacyServer;
let peer: McpPeer;
beforeEach(async () => {
  server = await startLegacyServer();
  peer = mcpPeer(server.url);
});
afterEach(async () => {
  await peer.close();
  await server.close();
});

const trip = { city: 'Bern', nights: 3 };
const yes = (content: JsonObject): JsonObject => ({ action: 'accept', content });

async function started(name: string, args: JsonObject, stage: string) {
  const turn = new Turn();
  const message = { messageId: 'm1', role: 'ROLE_USER' as const, parts: [] };
  const done = turn.read(peer.start({ message, call: { name, arguments: args } }, contextOf()));
  done.catch(() => undefined);
  await expect.poll(() => turn.position['stage']).toBe(stage);
  return { turn, done };
}

describe('a legacy server', () => {
  it.each(['2025-11-25', '2025-06-18'])('of %s is found out and called', async (revision) => {
    const old = await startLegacyServer({ protocolVersion: revision });
    const itsPeer = mcpPeer(old.url);
    const turn = await call(itsPeer, 'add', { a: 2, b: 3 });
    expect(turn.last.outcome).toMatchObject({ result: { structuredContent: { sum: 5 } } });
    expect((await itsPeer.catalogue(contextOf())).revision).toBe(revision);
    await itsPeer.close();
    await old.close();
  });

  it('has one session per principal and set of features, and is told when we leave', async () => {
    await Promise.all([call(peer, 'echo', { text: 'a' }), call(peer, 'echo', { text: 'b' })]);
    expect(server.sessionCount()).toBe(1);
    await call(peer, 'echo', { text: 'c' }, contextOf({ features: ableClient }));
    expect(server.sessionCount()).toBe(2);
    await peer.close();
    await expect.poll(() => server.sessionCount()).toBe(0);
  });

  it('that forgot the session gets a new one, and the call runs once', async () => {
    await call(peer, 'echo', { text: 'a' });
    await server.forgetSessions();
    const turn = await call(peer, 'record', { key: 'k' });
    expect(turn.output).toBe('Recorded k');
    expect(server.ledger.of('executed', 'record')).toHaveLength(1);
  });

  it('shows progress', async () => {
    const turn = await call(peer, 'progress', { steps: 3, stepMs: 10 });
    const seen = turn.events.flatMap((e) => (e.kind === 'progress' ? [e.progress] : []));
    expect(seen).toEqual([1, 2, 3]);
  });

  it('is told by notifications/cancelled to stop', async () => {
    const { turn, done } = await started('slow', { ms: 10_000 }, 'open');
    await expect.poll(() => server.ledger.of('executed', 'slow').length).toBe(1);
    await peer.cancel(turn.position, contextOf());
    await done;
    expect(turn.last.state).toBe('TASK_STATE_CANCELED');
    await expect.poll(() => server.ledger.of('cancelled', 'slow').length).toBe(1);
  });

  it('tells of changed lists and subscribed resources', async () => {
    const stop = new AbortController();
    const heard: unknown[] = [];
    const filter = { tools: true, prompts: true, resources: true, uris: ['test://notes/first'] };
    const following = (async () => {
      for await (const change of peer.changes(filter, contextOf({ signal: stop.signal }))) {
        heard.push(change);
      }
    })();
    await expect
      .poll(async () => {
        server.triggerResourceChange('test://notes/first', String(Math.random()));
        return JSON.stringify(heard);
      })
      .toContain('test://notes/first');
    const before = await peer.catalogue(contextOf());
    server.triggerToolChange('extra');
    await expect.poll(() => JSON.stringify(heard)).toContain('tools');
    const after = await peer.catalogue(contextOf());
    expect(after.version).not.toBe(before.version);
    expect(after.tools.map(({ name }) => name)).toContain('extra');
    stop.abort();
    await following;
  });
});

describe('a question of a legacy server', () => {
  it('interrupts an open call, and the answer goes on with it', async () => {
    const asked = await call(peer, 'ask_form');
    expect(asked.states).toEqual(['TASK_STATE_INPUT_REQUIRED']);
    expect(asked.open[0]?.request.params).toMatchObject({ message: 'Where to?' });
    const again = await answer(peer, asked, { '*': yes({ city: 'B', nights: 3 }) });
    expect(again.text).toContain('city');
    const done = await answer(peer, again, { '*': yes(trip) });
    expect(done.last.outcome).toMatchObject({ result: { structuredContent: { trip } } });
    expect(server.ledger.of('executed', 'ask_form')).toHaveLength(1);
  });

  it('belongs to its own call among several', async () => {
    const asked = await Promise.all(
      ['one', 'two', 'three'].map(() => call(peer, 'ask_rounds', { rounds: 1 })),
    );
    const done = await Promise.all(
      asked.map((turn, index) => answer(peer, turn, { '*': yes({ answer: `answer ${index}` }) })),
    );
    expect(done.map(({ output }) => output)).toEqual(['answer 0', 'answer 1', 'answer 2']);
  });

  it('is lost with the process where events have no ids, unless the tool may be repeated', async () => {
    const plain = await startLegacyServer({ numbersEvents: false });
    const first = mcpPeer(plain.url);
    const asked = await call(first, 'ask_form');
    await first.close();
    const restarted = mcpPeer(plain.url);
    await expect(answer(restarted, asked, { '*': yes(trip) })).rejects.toMatchObject({
      code: 'outcome-unknown',
    });
    const resumed = new Turn().read(restarted.resume(asked.position, contextOf()));
    await expect(resumed).rejects.toMatchObject({ code: 'outcome-unknown' });
    await restarted.close();
    const careful = mcpPeer(plain.url, { idempotentTools: ['ask_form'] });
    const safe = await call(careful, 'ask_form');
    await careful.close();
    const repeating = mcpPeer(plain.url, { idempotentTools: ['ask_form'] });
    const again = await new Turn().read(repeating.resume(safe.position, contextOf()));
    expect(again.states).toEqual(['TASK_STATE_INPUT_REQUIRED']);
    await repeating.close();
    await plain.close();
  });

  it('is found again by a later process where events have ids', async () => {
    const first = mcpPeer(server.url);
    const asked = await call(first, 'ask_form');
    await first.close();
    const later = mcpPeer(server.url);
    const resumed = await new Turn().read(later.resume(asked.position, contextOf()));
    expect(resumed.states).toEqual(['TASK_STATE_INPUT_REQUIRED']);
    resumed.position = asked.position;
    const done = await answer(later, resumed, { '*': yes(trip) });
    expect(done.states.at(-1)).toBe('TASK_STATE_COMPLETED');
    await later.close();
  });

  it('that is a link needs authorization, asked for or thrown', async () => {
    const url = 'https://login.example.org/authorize';
    const asked = await call(peer, 'ask_url', { url });
    expect(asked.states).toEqual(['TASK_STATE_AUTH_REQUIRED']);
    const done = await answer(peer, asked, { '*': { action: 'accept' } });
    expect(done.output).toBe('The user chose accept');

    const thrown = await call(peer, 'ask_url_error', { url, elicitationId: 'e1' });
    expect(thrown.states).toEqual(['TASK_STATE_AUTH_REQUIRED']);
    expect(thrown.open[0]?.url?.candidates).toEqual([url]);
    const later = await answer(peer, thrown, { '*': { action: 'accept' } });
    expect(later.output).toBe('Authorized');
    const declined = await call(peer, 'ask_url_error', { url, elicitationId: 'e2' });
    const failed = await answer(peer, declined, { '*': { action: 'decline' } });
    expect(failed.states).toEqual(['TASK_STATE_FAILED']);
    expect(failed.text).toContain('declined');
  });

  it('for a completion goes to a client that has a model, and to no other', async () => {
    const context = contextOf({ features: ableClient });
    const asked = await call(peer, 'ask_model', { prompt: 'Hi' }, context);
    const response = { role: 'assistant', model: 'm', content: { type: 'text', text: 'Hello' } };
    const done = await answer(peer, asked, { '*': response }, context);
    expect(done.output).toContain('Hello');
    const refused = await call(peer, 'ask_model', { prompt: 'Hi' });
    expect(refused.last.state).toBe('TASK_STATE_FAILED');
  });
});

describe('a task of a legacy server', () => {
  it('is made where the tool demands it, and followed to its result', async () => {
    const turn = await call(peer, 'long_task', { ms: 200 });
    expect(turn.states).toEqual(['TASK_STATE_WORKING', 'TASK_STATE_COMPLETED']);
    expect(turn.output).toBe('Worked 200 ms');
    const failed = await call(peer, 'failing_task');
    expect(failed.last.state).toBe('TASK_STATE_FAILED');
    expect(failed.text).toContain('It went wrong');
  });

  it('asks on its result request, and goes on with the answer', async () => {
    const asked = await say(peer, [
      { data: { tool: 'asking_task', arguments: { question: 'Color?' } } },
    ]);
    expect(asked.last.state).toBe('TASK_STATE_INPUT_REQUIRED');
    const done = await answer(peer, asked, { '*': yes({ answer: 'blue' }) });
    expect(done.output).toBe('Heard blue');
  });

  it('is cancelled', async () => {
    const { turn, done } = await started('long_task', { ms: 5000 }, 'task');
    await peer.cancel(turn.position, contextOf());
    await done;
    expect(turn.last.state).toBe('TASK_STATE_CANCELED');
  });

  it('is picked up after a restart while the server still knows it', async () => {
    const { turn } = await started('long_task', { ms: 600 }, 'task');
    const restarted = mcpPeer(server.url);
    const resumed = await new Turn().read(restarted.resume(turn.position, contextOf()));
    expect(resumed.output).toBe('Worked 600 ms');
    expect(server.ledger.of('executed', 'long_task')).toHaveLength(1);
    await restarted.close();
  });
});

describe('a legacy server that misbehaves', () => {
  it.each([
    ['disconnect', 'peer-unavailable'],
    ['cut', 'peer-unavailable'],
    ['html', 'peer-unavailable'],
    ['not-json', 'peer-protocol'],
    ['wrong-id', 'peer-protocol'],
    ['unauthorized', 'peer-refused'],
  ] as const)('by %s fails the call with %s', async (fault, code) => {
    await call(peer, 'echo', { text: 'first' });
    server.failNext(fault, 'tools/call');
    await expect(call(peer, 'echo', { text: 'hi' })).rejects.toMatchObject({ code });
    expect((await call(peer, 'echo', { text: 'hi' })).output).toBe('hi');
  });
});
