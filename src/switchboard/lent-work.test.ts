import { setImmediate as turn } from 'node:timers/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import type { PeerEvent } from '../ports/peer.ts';
import { LentWork } from './lent-work.ts';
import { QuestionDesk } from './question-desk.ts';

/** A peer whose words the test gives it. */
class Peer {
  readonly #said: PeerEvent[] = [];
  #wake = Promise.withResolvers<void>();
  #isOver = false;
  signal: AbortSignal | undefined;

  say(event: PeerEvent): void {
    this.#said.push(event);
    this.#wake.resolve();
  }

  end(): void {
    this.#isOver = true;
    this.#wake.resolve();
  }

  async *events(signal: AbortSignal): AsyncGenerator<PeerEvent> {
    this.signal = signal;
    signal.addEventListener('abort', () => this.end());
    for (;;) {
      yield* this.#said.splice(0);
      if (this.#isOver) return;
      await this.#wake.promise;
      this.#wake = Promise.withResolvers();
    }
  }
}

let count: number;
let desk: QuestionDesk;
let peer: Peer;
let work: LentWork;

beforeEach(() => {
  count = 0;
  const mintId = (): string => `id${(count += 1)}`;
  desk = new QuestionDesk({ mintId });
  work = new LentWork({ task: 't', desk, mintId });
  peer = new Peer();
  work.follow((signal) => peer.events(signal));
});

const working: PeerEvent = { kind: 'status', state: 'TASK_STATE_WORKING' };
const request = { method: 'elicitation/create', params: { mode: 'form', message: 'Allow it?' } };
const asked = {
  request,
  peerKey: 'callback-id1',
  answerAs: 'response',
  ours: true,
};

/** Reads in the background. */
function reading(signal = new AbortController().signal) {
  const heard: PeerEvent[] = [];
  const done = (async () => {
    for await (const event of work.events(signal)) heard.push(event);
  })();
  return { heard, done };
}

async function settle(): Promise<void> {
  for (let index = 0; index < 5; index += 1) await turn();
}

describe('work that something is lent for', () => {
  it('asks what a callback asks, and goes on where the peer was when that is answered', async () => {
    const { heard } = reading();
    peer.say(working);
    await settle();
    const answer = desk.ask('t', { request }, new AbortController().signal);
    await settle();
    expect(heard).toEqual([
      working,
      { kind: 'status', state: 'TASK_STATE_INPUT_REQUIRED', questions: [asked] },
    ]);
    desk.answer('t', 'callback-id1', { action: 'accept' });
    expect(await answer).toEqual({ action: 'accept' });
    await settle();
    expect(heard.slice(2)).toEqual([working]);
  });

  it('keeps the peer’s stream over the end of a turn', async () => {
    const first = new AbortController();
    const turnOne = reading(first.signal);
    const answer = desk.ask('t', { request }, new AbortController().signal);
    await settle();
    first.abort();
    await turnOne.done;
    expect(peer.signal?.aborted).toBe(false);
    desk.answer('t', 'callback-id1', { action: 'decline' });
    await answer;
    const turnTwo = reading();
    peer.say({ kind: 'status', state: 'TASK_STATE_COMPLETED' });
    await turnTwo.done;
    expect(turnTwo.heard.at(-1)).toEqual({ kind: 'status', state: 'TASK_STATE_COMPLETED' });
  });

  it('shows questions of the peer and of callbacks together', async () => {
    const { heard } = reading();
    const own = { request, answerAs: 'text' as const };
    peer.say({ kind: 'status', state: 'TASK_STATE_INPUT_REQUIRED', questions: [own] });
    await settle();
    void desk.ask('t', { request }, new AbortController().signal).catch(() => {});
    await settle();
    expect(heard.at(-1)).toEqual({
      kind: 'status',
      state: 'TASK_STATE_INPUT_REQUIRED',
      questions: [own, asked],
    });
  });

  it('tells of calls while the peer is at work, and the last one only', async () => {
    const { heard } = reading();
    peer.say(working);
    await settle();
    desk.note('t', 'one');
    desk.note('t', 'two');
    await settle();
    expect(heard.slice(1)).toEqual([
      {
        kind: 'status',
        state: 'TASK_STATE_WORKING',
        message: { messageId: 'id1', role: 'ROLE_AGENT', parts: [{ text: 'two' }] },
      },
    ]);
  });

  it('refuses whoever waits when the task is over, and stops reading', async () => {
    const { done } = reading();
    const answer = desk.ask('t', { request }, new AbortController().signal);
    const refused = answer.catch((error: unknown) => error);
    await settle();
    work.close();
    await done;
    expect(await refused).toMatchObject({ code: 'unsupported' });
    expect(peer.signal?.aborted).toBe(true);
    await expect(desk.ask('t', { request }, new AbortController().signal)).rejects.toThrow(
      'nobody can be asked now',
    );
  });

  it('passes on what the peer throws', async () => {
    work.follow(async function* () {
      yield working;
      throw new Error('broken');
    });
    await expect(reading().done).rejects.toThrow('broken');
  });

  it('has no more than 16 questions of callbacks at a time', async () => {
    const signal = new AbortController().signal;
    for (let index = 0; index < 16; index += 1) {
      void desk.ask('t', { request }, signal).catch(() => {});
    }
    await expect(desk.ask('t', { request }, signal)).rejects.toThrow('Too many questions');
  });
});
