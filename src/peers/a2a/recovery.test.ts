import { createServer } from 'node:net';
import type { AddressInfo, Server } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { startA2aAgent } from '../../../test/support/a2a-agent.ts';
import type { A2aAgent, A2aAgentOptions } from '../../../test/support/a2a-agent.ts';
import { startBadPeer } from '../../../test/support/bad-peer.ts';
import type { BadPeer } from '../../../test/support/bad-peer.ts';
import * as bad from '../../../test/support/misbehaviours.ts';
import { serveCard } from '../../../test/support/bad-peer-defaults.ts';
import type { Message } from '../../model/a2a.ts';
import { anonymous } from '../../model/principal.ts';
import type { OpenQuestion, PeerContext, PeerEvent, PeerFollowUp } from '../../ports/peer.ts';
import { createEgress } from '../guarded-fetch.ts';
import type { A2aPeer, A2aPeerOptions } from './a2a-peer.ts';
import { createA2aPeer } from './a2a-peer.ts';

type BadPeerScript = NonNullable<Parameters<typeof startBadPeer>[0]>;

const timeouts = { requestMs: 400, connectMs: 1_000, idleMs: 150, recoverMs: 1_200 };

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  await Promise.all(closers.splice(0).map((close) => close()));
});

const connect = (cardUrl: string, more?: Partial<A2aPeerOptions>) =>
  connectOver('request', cardUrl, more);

/** With `fetch` alone, every dialect goes through the SDK's transports. */
function connectOver(
  way: 'request' | 'fetch',
  cardUrl: string,
  more: Partial<A2aPeerOptions> = {},
): A2aPeer {
  const egress = createEgress({ allow: [], allowLoopback: true });
  const peer = createA2aPeer({
    id: 'travel',
    card: new URL(cardUrl),
    egress: way === 'request' ? egress : { fetch: egress.fetch },
    timeouts,
    dedupesMessageId: false,
    clock: Date.now,
    mintId: () => 'minted',
    ...more,
  });
  closers.push(
    () => peer.close(),
    () => egress.close(),
  );
  return peer;
}

async function badPeer(script: BadPeerScript): Promise<BadPeer> {
  const peer = await startBadPeer(script);
  closers.push(() => peer.close());
  return peer;
}

async function agent(options: A2aAgentOptions = {}): Promise<A2aAgent> {
  const started = await startA2aAgent(options);
  closers.push(() => started.close());
  return started;
}

const context = (more: Partial<PeerContext> = {}): PeerContext => ({
  principal: anonymous,
  signal: AbortSignal.timeout(10_000),
  ...more,
});

const message = (text: string, messageId = 'm-1'): Message => ({
  messageId,
  role: 'ROLE_USER',
  parts: [{ text }],
});

async function all(events: AsyncIterable<PeerEvent>): Promise<PeerEvent[]> {
  const list: PeerEvent[] = [];
  for await (const event of events) list.push(event);
  return list;
}

const words = (events: PeerEvent[]) =>
  events.map((one) => {
    if (one.kind === 'status') return one.state.replace('TASK_STATE_', '');
    if (one.kind !== 'artifact') return one.kind;
    const text = one.artifact.parts.map((part) => part.text).join('|');
    return `${one.append ? '+' : '='}${text}`;
  });

const go = (peer: A2aPeer, more: Partial<PeerContext> = {}) =>
  all(peer.start({ message: message('go') }, context(more)));

/** How many messages reached the peer, by whatever name. */
const sends = (peer: BadPeer) =>
  peer.requests.filter((one) => /^(Send|message\/)/.test(one.method)).length;

const position = { taskId: 'bad-task', contextId: 'bad-context' };

const dialects = [
  ['1.0', 'JSONRPC', 'request'],
  ['1.0', 'JSONRPC', 'fetch'],
  ['1.0', 'HTTP+JSON', 'fetch'],
  ['0.3', 'JSONRPC', 'fetch'],
  ['0.3', 'HTTP+JSON', 'fetch'],
] as const;

describe.each(dialects)('a stream that breaks, on %s %s over %s', (version, binding, way) => {
  const connect = (cardUrl: string) => connectOver(way, cardUrl);
  const card = serveCard((one) => one, [version], [binding]);

  it('is taken up again, and what was missed is told as a whole', async () => {
    const peer = await badPeer({
      card,
      on: {
        SendStreamingMessage: bad.cutStream([bad.taskIn('WORKING'), bad.chunkIn('a', false)]),
        GetTask: bad.taskInState('WORKING', 'ab'),
        SubscribeToTask: bad.stream(
          [bad.taskIn('WORKING', 'abc'), bad.chunkIn('d'), bad.statusIn('COMPLETED')],
          'end',
        ),
      },
    });
    expect(words(await go(connect(peer.cardUrl)))).toEqual([
      'position',
      'context',
      'WORKING',
      '=a',
      '=ab',
      '=abc',
      '+d',
      'COMPLETED',
    ]);
    expect(sends(peer)).toBe(1);
  });

  it('and ended early is asked about; the finished task is told once', async () => {
    const peer = await badPeer({
      card,
      on: {
        SendStreamingMessage: bad.endStreamEarly([bad.taskIn('WORKING'), bad.chunkIn('a', false)]),
        GetTask: bad.taskInState('COMPLETED', 'a'),
      },
    });
    expect(words(await go(connect(peer.cardUrl)))).toEqual([
      'position',
      'context',
      'WORKING',
      '=a',
      'COMPLETED',
    ]);
    expect(peer.requestsOf('SubscribeToTask')).toHaveLength(0);
  });
});

describe('a stream that breaks', () => {
  it('and falls silent is asked about, and goes on where nothing was missed', async () => {
    const peer = await badPeer({
      on: {
        SendStreamingMessage: bad.stallStream([bad.taskIn('WORKING')]),
        GetTask: [bad.taskInState('WORKING'), bad.taskInState('COMPLETED', 'x')],
      },
    });
    expect(words(await go(connect(peer.cardUrl)))).toEqual([
      'position',
      'context',
      'WORKING',
      '=x',
      'COMPLETED',
    ]);
    expect(peer.requestsOf('GetTask')).toHaveLength(2);
    expect(peer.requestsOf('SubscribeToTask')).toHaveLength(0);
  });

  it('is asked about before the last word, when the new stream does not begin with the task', async () => {
    const peer = await badPeer({
      on: {
        SendStreamingMessage: bad.cutStream([bad.taskIn('WORKING')]),
        GetTask: [bad.taskInState('WORKING'), bad.taskInState('COMPLETED', 'in the gap')],
        SubscribeToTask: bad.stream([bad.statusIn('COMPLETED')], 'end'),
      },
    });
    expect(words(await go(connect(peer.cardUrl))).slice(2)).toEqual([
      'WORKING',
      '=in the gap',
      'COMPLETED',
    ]);
  });

  it('and cannot be subscribed to is polled', async () => {
    const peer = await badPeer({
      on: {
        SendStreamingMessage: bad.endStreamEarly(),
        GetTask: [
          bad.taskInState('WORKING'),
          bad.taskInState('WORKING'),
          bad.taskInState('COMPLETED', 'x'),
        ],
        SubscribeToTask: bad.rpcError(-32004, 'no'),
      },
    });
    expect(words(await go(connect(peer.cardUrl))).at(-1)).toBe('COMPLETED');
    expect(peer.requestsOf('SubscribeToTask')).toHaveLength(1);
  });

  it('is asked about when the busy agent said that it may be asked', async () => {
    const peer = await badPeer({
      on: {
        SendStreamingMessage: bad.cutStream(),
        GetTask: [bad.status(503, '', { 'retry-after': '1' }), bad.taskInState('COMPLETED', 'x')],
      },
    });
    const before = Date.now();
    expect(words(await go(connect(peer.cardUrl))).at(-1)).toBe('COMPLETED');
    expect(Date.now() - before).toBeGreaterThan(950);
  });

  it('is given up when the agent stays away for too long; the stage is named', async () => {
    const peer = await badPeer({
      on: { SendStreamingMessage: bad.cutStream(), GetTask: bad.disconnect() },
    });
    await expect(go(connect(peer.cardUrl))).rejects.toMatchObject({
      code: 'peer-unavailable',
      facts: { peer: 'travel', stage: 'get-task' },
    });
  });

  it('because the agent forgot everything says so, and nothing is sent again', async () => {
    const first = await agent();
    const peer = connect(first.cardUrl);
    let restarted: A2aAgent | undefined;
    const following = (async () => {
      for await (const event of peer.start({ message: message('cancelable') }, context())) {
        if (event.kind !== 'position') continue;
        await first.close();
        restarted = await agent({ port: first.port });
      }
    })();
    await expect(following).rejects.toMatchObject({
      code: 'peer-error',
      message: 'The agent "travel" no longer knows this task. Start it again.',
    });
    expect(restarted?.ledger).toEqual([]);
  });

  it('before the task is known fails the call, without a second send', async () => {
    for (const broken of [bad.cutStream([]), bad.endStreamEarly([]), bad.disconnect()]) {
      const peer = await badPeer({ on: { SendStreamingMessage: broken } });
      await expect(go(connect(peer.cardUrl))).rejects.toMatchObject({
        code: 'peer-unavailable',
        facts: { peer: 'travel', stage: 'send' },
      });
      expect(peer.requestsOf('SendStreamingMessage')).toHaveLength(1);
    }
  });
});

describe('picking up', () => {
  const turn = { message: message('task done') };

  it('work with a position tells it whole and follows it', async () => {
    const peer = await badPeer({
      on: {
        GetTask: bad.taskInState('WORKING', 'a'),
        SubscribeToTask: bad.stream(
          [bad.taskIn('WORKING', 'a'), bad.chunkIn('b'), bad.statusIn('COMPLETED')],
          'end',
        ),
      },
    });
    const events = await all(connect(peer.cardUrl).resume(position, context()));
    expect(words(events)).toEqual(['=a', 'WORKING', '+b', 'COMPLETED']);
  });

  it('a start whose fate is unknown is refused, and not sent', async () => {
    const started = await agent();
    const resume = connect(started.cardUrl).resume(undefined, context(), { kind: 'start', turn });
    await expect(all(resume)).rejects.toMatchObject({ code: 'outcome-unknown' });
    expect(started.ledger).toEqual([]);
  });

  it('a start is sent again to an agent that refuses what it has seen', async () => {
    const started = await agent({ dedupesMessageId: true });
    const peer = connect(started.cardUrl, { dedupesMessageId: true });
    await all(peer.start(turn, context()));
    const events = await all(peer.resume(undefined, context(), { kind: 'start', turn }));
    expect(words(events).at(-1)).toBe('COMPLETED');
    expect(started.ledger.map((one) => one.messageId)).toEqual(['m-1', 'm-1']);
  });

  it('an answer that is on record is followed, not sent', async () => {
    const started = await agent();
    const peer = connect(started.cardUrl);
    const { place, followUp } = await asked(peer);
    await all(peer.followUp(place, followUp, context()));
    const events = await all(peer.resume(place, context(), { kind: 'followUp', turn: followUp }));
    expect(words(events).at(-1)).toBe('COMPLETED');
    expect(started.ledger).toHaveLength(2);
  });

  it('an answer that may be lost is asked for again, in words that say so', async () => {
    const started = await agent();
    const peer = connect(started.cardUrl);
    const { place, followUp } = await asked(peer);
    const events = await all(peer.resume(place, context(), { kind: 'followUp', turn: followUp }));
    const notice = 'The last answer may not have reached the agent "travel". Please answer again.';
    expect(events.at(-1)).toMatchObject({
      kind: 'status',
      state: 'TASK_STATE_INPUT_REQUIRED',
      message: { messageId: 'minted', parts: [{ text: notice }, { text: 'Which city?' }] },
      questions: [{ request: { params: { message: `${notice}\nWhich city?` } } }],
    });
    expect(started.ledger).toHaveLength(1);
  });

  it('an answer is sent again to an agent that refuses what it has seen', async () => {
    const started = await agent({ dedupesMessageId: true });
    const peer = connect(started.cardUrl, { dedupesMessageId: true });
    const { place, followUp } = await asked(peer);
    const events = await all(peer.resume(place, context(), { kind: 'followUp', turn: followUp }));
    expect(words(events).at(-1)).toBe('COMPLETED');
    expect(started.ledger.map((one) => one.messageId)).toEqual(['m-1', 'a-1']);
  });
});

describe('an answer that breaks on its way', () => {
  const open: OpenQuestion[] = [
    {
      key: 'k',
      answerAs: 'text',
      request: {
        method: 'elicitation/create',
        params: {
          mode: 'form',
          message: 'The agent needs more input before it can go on.',
          requestedSchema: {
            type: 'object',
            properties: { answer: { type: 'string', title: 'Answer' } },
            required: ['answer'],
          },
        },
      },
    },
  ];
  const followUp: PeerFollowUp = { message: message('Oslo', 'a-1'), open };

  it('is found at the agent and followed, without a second send', async () => {
    const peer = await badPeer({
      on: {
        SendStreamingMessage: bad.disconnect(),
        GetTask: bad.taskInState('COMPLETED', 'Oslo'),
      },
    });
    const events = await all(connect(peer.cardUrl).followUp(position, followUp, context()));
    expect(words(events)).toEqual(['=Oslo', 'COMPLETED']);
    expect(peer.requestsOf('SendStreamingMessage')).toHaveLength(1);
  });

  it('is asked for again when the agent still waits', async () => {
    const peer = await badPeer({
      on: { SendStreamingMessage: bad.disconnect(), GetTask: bad.taskInState('INPUT_REQUIRED') },
    });
    const events = await all(connect(peer.cardUrl).followUp(position, followUp, context()));
    expect(words(events)).toEqual(['INPUT_REQUIRED']);
    expect(JSON.stringify(events)).toContain('may not have reached');
    expect(peer.requestsOf('SendStreamingMessage')).toHaveLength(1);
  });

  it('to a task that has ended meanwhile tells how it ended', async () => {
    const peer = await badPeer({
      on: {
        SendStreamingMessage: bad.rpcError(-32004, 'terminal'),
        GetTask: bad.taskInState('CANCELED'),
      },
    });
    const events = await all(connect(peer.cardUrl).followUp(position, followUp, context()));
    expect(words(events)).toEqual(['CANCELED']);
  });

  it('is not taken for unanswered when the agent first shows the task as it was', async () => {
    const peer = await badPeer({
      on: {
        SendStreamingMessage: bad.stream(
          [bad.taskIn('INPUT_REQUIRED'), bad.statusIn('WORKING'), bad.statusIn('COMPLETED')],
          'end',
        ),
      },
    });
    const events = await all(connect(peer.cardUrl).followUp(position, followUp, context()));
    expect(words(events)).toEqual(['WORKING', 'COMPLETED']);
  });

  it('is asked the same again when the agent really wants it again', async () => {
    const peer = await badPeer({
      on: {
        SendStreamingMessage: bad.stream([bad.taskIn('INPUT_REQUIRED')], 'end'),
        SubscribeToTask: bad.rpcError(-32004, 'no'),
        GetTask: bad.taskInState('INPUT_REQUIRED'),
      },
    });
    const events = await all(connect(peer.cardUrl).followUp(position, followUp, context()));
    expect(words(events)).toEqual(['INPUT_REQUIRED']);
  });
});

describe('the URL of an authorization', () => {
  it('that was opened sends nothing, and the agent is watched until it goes on', async () => {
    const started = await agent();
    const peer = connect(started.cardUrl);
    const first: PeerEvent[] = [];
    for await (const event of peer.start({ message: message('auth') }, context())) {
      first.push(event);
      if (event.kind === 'status' && event.state === 'TASK_STATE_AUTH_REQUIRED') break;
    }
    const { place, open } = waiting(first);
    setTimeout(() => started.completeAuth(place['taskId'] as string), 300);
    const accept = { key: 'key-0', response: { action: 'accept' } };
    const opened: Message = { messageId: 'a-1', role: 'ROLE_USER', parts: [{ data: accept }] };
    const events = await all(peer.followUp(place, { message: opened, open }, context()));
    expect(words(events)).not.toContain('AUTH_REQUIRED');
    expect(words(events).at(-1)).toBe('COMPLETED');
    expect(started.ledger).toHaveLength(1);
  });
});

describe('a hung agent', () => {
  it('fails by its deadline with the stage named', async () => {
    const cases: [BadPeerScript, string][] = [
      [{ card: bad.hang() }, 'card'],
      [{ on: { SendStreamingMessage: bad.hang() } }, 'send'],
      [{ on: { SendStreamingMessage: bad.hangAfterHeaders('text/event-stream') } }, 'send'],
      [
        {
          card: serveCard((card) => ({ ...card, capabilities: {} })),
          on: { SendMessage: bad.hang() },
        },
        'send',
      ],
    ];
    for (const [script, stage] of cases) {
      const peer = await badPeer(script);
      await expect(go(connect(peer.cardUrl))).rejects.toMatchObject({
        code: 'peer-timeout',
        facts: { peer: 'travel', stage },
      });
    }
  });

  it('is let go at once when the caller leaves, and nothing is canceled', async () => {
    const peer = await badPeer({ on: { SendStreamingMessage: bad.stallStream() } });
    const leaving = new AbortController();
    const events = connect(peer.cardUrl).start(
      { message: message('go') },
      context({ signal: leaving.signal }),
    );
    setTimeout(() => leaving.abort(new Error('gone')), 100);
    const before = Date.now();
    await expect(all(events)).rejects.toThrow('gone');
    expect(Date.now() - before).toBeLessThan(400);
    await expect.poll(() => peer.requestsOf('SendStreamingMessage')[0]?.aborted).toBe(true);
    expect(peer.requestsOf('CancelTask')).toHaveLength(0);
  });

  it('at the TCP level is an agent that cannot be reached, whatever the method', async () => {
    const server: Server = createServer((socket) => void socket.destroy());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    const peer = connect(`http://127.0.0.1:${port}/card.json`);
    const failure = await go(peer).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'peer-unavailable', facts: { stage: 'connect' } });
    expect(String(failure)).not.toContain(String(port));
  });
});

async function asked(peer: A2aPeer) {
  const { place, open } = waiting(await all(peer.start({ message: message('ask') }, context())));
  const followUp: PeerFollowUp = { message: message('Oslo', 'a-1'), open };
  return { place, followUp };
}

function waiting(events: PeerEvent[]) {
  const place =
    events.flatMap((one) => (one.kind === 'position' ? [one.position] : [])).at(-1) ?? {};
  const last = events.at(-1);
  const questions = last?.kind === 'status' ? (last.questions ?? []) : [];
  const open: OpenQuestion[] = questions.map((one, index) => ({ ...one, key: `key-${index}` }));
  return { place, open };
}
