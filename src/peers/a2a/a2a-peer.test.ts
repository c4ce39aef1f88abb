import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { A2aAgent, A2aAgentOptions } from '../../../test/support/a2a-agent.ts';
import { startA2aAgent } from '../../../test/support/a2a-agent.ts';
import type { Artifact, Message } from '../../model/a2a.ts';
import { anonymous } from '../../model/principal.ts';
import type { OpenQuestion, PeerContext, PeerEvent } from '../../ports/peer.ts';
import { mergeArtifact } from '../../translate/artifacts.ts';
import { createEgress } from '../guarded-fetch.ts';
import type { A2aPeer } from './a2a-peer.ts';
import { createA2aPeer } from './a2a-peer.ts';

const timeouts = { requestMs: 3_000, connectMs: 2_000, idleMs: 1_000, recoverMs: 2_000 };

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  await Promise.all(closers.splice(0).map((close) => close()));
});

let minted = 0;
beforeEach(() => {
  minted = 0;
});

/** With `fetch` alone, every dialect goes through the SDK's transports. */
function connectOver(way: 'request' | 'fetch', cardUrl: string): A2aPeer {
  const egress = createEgress({ allow: [], allowLoopback: true });
  const peer = createA2aPeer({
    id: 'travel',
    card: new URL(cardUrl),
    egress: way === 'request' ? egress : { fetch: egress.fetch },
    timeouts,
    dedupesMessageId: false,
    clock: Date.now,
    mintId: () => `minted-${++minted}`,
  });
  closers.push(
    () => peer.close(),
    () => egress.close(),
  );
  return peer;
}

async function agent(options: A2aAgentOptions = {}): Promise<A2aAgent> {
  const started = await startA2aAgent(options);
  closers.push(() => started.close());
  return started;
}

function context(more: Partial<PeerContext> = {}): PeerContext {
  return { principal: anonymous, signal: AbortSignal.timeout(15_000), ...more };
}

function message(text: string, messageId = 'm-1'): Message {
  return { messageId, role: 'ROLE_USER', parts: [{ text }] };
}

async function all(events: AsyncIterable<PeerEvent>): Promise<PeerEvent[]> {
  const list: PeerEvent[] = [];
  for await (const event of events) list.push(event);
  return list;
}

const kinds = (events: PeerEvent[]) =>
  events.map((one) => (one.kind === 'status' ? one.state.replace('TASK_STATE_', '') : one.kind));

const dialects = [
  ['JSONRPC', '1.0', true, 'request'],
  ['JSONRPC', '1.0', true, 'fetch'],
  ['HTTP+JSON', '1.0', true, 'fetch'],
  ['JSONRPC', '0.3', true, 'fetch'],
  ['HTTP+JSON', '0.3', true, 'fetch'],
  ['JSONRPC', '1.0', false, 'request'],
  ['JSONRPC', '1.0', false, 'fetch'],
  ['HTTP+JSON', '0.3', false, 'fetch'],
] as const;

describe.each(dialects)('an agent on %s %s, streaming: %s, over %s', (...dialect) => {
  const [binding, version, streaming, way] = dialect;
  const connect = (cardUrl: string) => connectOver(way, cardUrl);

  const start = async (more: A2aAgentOptions = {}) => {
    const capabilities = {
      streaming,
      pushNotifications: false,
      extendedAgentCard: false,
      extensions: [
        {
          uri: 'urn:isthmus:ext:tool-call:v1',
          description: '',
          required: false,
          params: undefined,
        },
      ],
    };
    return agent({ versions: [version], bindings: [binding], card: { capabilities }, ...more });
  };

  it('answers with a direct message, and hears the id of the caller’s own message', async () => {
    const started = await start();
    const events = await all(
      connect(started.cardUrl).start({ message: message('echo hello', 'mine') }, context()),
    );
    expect(events).toMatchObject([
      { kind: 'message', message: { role: 'ROLE_AGENT', parts: [{ text: 'hello' }] } },
    ]);
    expect(started.ledger).toMatchObject([{ messageId: 'mine', text: 'echo hello' }]);
  });

  it('works, produces and completes', async () => {
    const started = await start();
    const events = await all(
      connect(started.cardUrl).start({ message: message('stream 3 5') }, context()),
    );
    expect(kinds(events).slice(0, 2)).toEqual(['position', 'context']);
    expect(kinds(events).at(-1)).toBe('COMPLETED');
    const artifacts = events
      .filter((one) => one.kind === 'artifact')
      .reduce<Artifact[]>((known, update) => mergeArtifact(known, update), []);
    const text = artifacts.flatMap((one) => one.parts.map((part) => part.text)).join('');
    expect(text).toBe('line 1\nline 2\nline 3\n');
    expect(started.ledger).toHaveLength(1);
  });

  it('asks, is answered in the same task, and completes', async () => {
    const started = await start();
    const peer = connect(started.cardUrl);
    const first = await all(peer.start({ message: message('ask') }, context()));
    const asked = first.at(-1);
    expect(asked).toMatchObject({
      kind: 'status',
      state: 'TASK_STATE_INPUT_REQUIRED',
      questions: [{ answerAs: 'text', request: { params: { message: 'Which city?' } } }],
    });
    const { position, open } = interrupted(first);
    const events = await all(
      peer.followUp(position, { message: answer(open, { answer: 'Oslo' }), open }, context()),
    );
    expect(kinds(events).at(-1)).toBe('COMPLETED');
    expect(events).toContainEqual(
      expect.objectContaining({
        kind: 'artifact',
        artifact: expect.objectContaining({
          parts: [expect.objectContaining({ text: 'city: Oslo' })],
        }),
      }),
    );
    expect(started.ledger.map((one) => one.messageId)).toEqual(['m-1', 'answer-1']);
    expect(started.ledger[1]?.taskId).toBe(position['taskId']);
  });

  it('is watched while it waits for an authorization, until it goes on by itself', async () => {
    const started = await start();
    const events: PeerEvent[] = [];
    for await (const event of connect(started.cardUrl).start(
      { message: message('auth') },
      context(),
    )) {
      events.push(event);
      if (event.kind === 'status' && event.state === 'TASK_STATE_AUTH_REQUIRED') {
        const id = started.waitingForAuth()[0] ?? '';
        setTimeout(() => started.completeAuth(id), 50);
      }
    }
    expect(events).toContainEqual(
      expect.objectContaining({
        state: 'TASK_STATE_AUTH_REQUIRED',
        questions: [expect.objectContaining({ answerAs: 'none' })],
      }),
    );
    expect(kinds(events).at(-1)).toBe('COMPLETED');
    expect(started.ledger).toHaveLength(1);
  });

  it('is canceled on request, and says no when it cannot be', async () => {
    const started = await start();
    const peer = connect(started.cardUrl);
    const events: PeerEvent[] = [];
    for await (const event of peer.start({ message: message('cancelable') }, context())) {
      events.push(event);
      if (event.kind === 'position') await peer.cancel(event.position, context());
    }
    expect(kinds(events).at(-1)).toBe('CANCELED');
    for await (const event of peer.start({ message: message('uncancelable 100') }, context())) {
      if (event.kind !== 'position') continue;
      await expect(peer.cancel(event.position, context())).rejects.toMatchObject({
        code: 'task-not-cancelable',
      });
    }
  });

  it('no longer knows a task: canceling it and picking it up say so', async () => {
    const started = await start();
    const peer = connect(started.cardUrl);
    const position = { taskId: 'gone', contextId: 'c' };
    await expect(peer.cancel(position, context())).rejects.toMatchObject({
      code: 'peer-error',
      message: 'The agent "travel" no longer knows this task. Start it again.',
    });
    await expect(all(peer.resume(position, context()))).rejects.toMatchObject({
      code: 'peer-error',
    });
  });
});

it('an agent of 0.2 is spoken to in the methods of 0.3', async () => {
  const behind = await agent({ versions: ['0.3'], bindings: ['JSONRPC'] });
  const served: unknown = await (await fetch(behind.cardUrl)).json();
  const card = { ...(served as object), protocolVersion: '0.2.6' };
  const host = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(card));
  });
  await new Promise<void>((resolve) => host.listen(0, '127.0.0.1', resolve));
  closers.push(async () => {
    host.closeAllConnections();
    host.close();
  });
  const { port } = host.address() as AddressInfo;
  const peer = connectOver('request', `http://127.0.0.1:${port}/card.json`);
  const events = await all(peer.start({ message: message('echo hello') }, context()));
  expect(events).toMatchObject([{ kind: 'message', message: { parts: [{ text: 'hello' }] } }]);
  const [call] = behind.received.filter(({ method }) => method === 'POST');
  expect(call?.rpcMethod).toMatch(/^message\/(send|stream)$/);
  expect(call?.body).toMatchObject({
    params: { message: { kind: 'message' }, configuration: { acceptedOutputModes: [] } },
  });
});

function interrupted(events: PeerEvent[]) {
  const position = events.flatMap((one) => (one.kind === 'position' ? [one.position] : [])).at(-1);
  const last = events.at(-1);
  const questions = last?.kind === 'status' ? (last.questions ?? []) : [];
  const open: OpenQuestion[] = questions.map((one, index) => ({ ...one, key: `key-${index}` }));
  return { position: position ?? {}, open };
}

function answer(open: OpenQuestion[], content: Record<string, string>): Message {
  const key = open[0]?.key ?? '';
  return {
    messageId: 'answer-1',
    role: 'ROLE_USER',
    parts: [{ data: { key, response: { action: 'accept', content } } }],
  };
}
