/**
 * The work of one task that something is lent for: what its peer says, and what callbacks ask
 * meanwhile, as one stream. The peer's own stream outlives a turn that a callback's question
 * interrupted: it is read on when the answer is there.
 */
import { isInterrupted, isTerminal, type TaskState } from '../model/a2a.ts';
import type { MintId } from '../model/ids.ts';
import type { LeaseOffer } from '../model/lease.ts';
import type { PeerEvent, PeerQuestion } from '../ports/peer.ts';
import { stateOfQuestions } from '../translate/questions.ts';
import type { Attendant, QuestionDesk } from './question-desk.ts';

type Events = AsyncGenerator<PeerEvent, void, undefined>;
type Source = (signal: AbortSignal) => AsyncIterable<PeerEvent>;
type Status = PeerEvent & { kind: 'status' };

/** What it needs. */
export interface LentWorkOptions {
  readonly task: string;
  readonly desk: QuestionDesk;
  readonly mintId: MintId;
}

/** What the peer says next. */
interface Next {
  readonly result: Promise<IteratorResult<PeerEvent>>;
  isThere: boolean;
}

/** See the file comment. One at a time reads from it. */
export class LentWork implements Attendant {
  /** The last offer: kept in memory alone, and gone with the task. */
  offer: LeaseOffer | undefined;
  readonly #options: LentWorkOptions;
  #reading: AbortController | undefined;
  #iterator: AsyncIterator<PeerEvent> | undefined;
  #next: Next | undefined;
  /** What the peer itself said last. */
  #status: Status | undefined;
  /** The keys of the callbacks' questions that were shown last. */
  #shown = '';
  #wake = Promise.withResolvers<void>();
  #isOver = false;

  constructor(options: LentWorkOptions) {
    this.#options = options;
    options.desk.attend(options.task, this);
  }

  /** The questions or the note have changed. */
  changed(): void {
    this.#wake.resolve();
  }

  /** Reads this from the peer from now on. */
  follow(source: Source): void {
    this.#letGo();
    this.#reading = new AbortController();
    this.#iterator = source(this.#reading.signal)[Symbol.asyncIterator]();
    this.#next = undefined;
  }

  /** Nothing more comes of it. */
  close(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#letGo();
    this.#options.desk.leave(this.#options.task, this);
    this.changed();
  }

  /** Everything that happens, until the turn or the work is over or the signal aborts. */
  async *events(signal: AbortSignal): Events {
    const abort = (): void => this.#wake.resolve();
    signal.addEventListener('abort', abort, { once: true });
    try {
      while (!signal.aborted && !this.#isOver) {
        yield* this.#questionsAndNotes();
        const event = await this.#heard();
        if (event === 'woken') continue;
        if (event === undefined) {
          // The peer waits for its own answer, and callbacks may still ask.
          if (this.#questions().length === 0) return;
          await this.#wake.promise;
          continue;
        }
        if (event.kind === 'status') this.#status = event;
        yield this.#merged(event);
        if (event.kind === 'message') return;
        if (event.kind === 'status' && isTerminal(event.state)) return;
      }
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  *#questionsAndNotes(): Generator<PeerEvent> {
    this.#wake = Promise.withResolvers();
    const { desk, task, mintId } = this.#options;
    const asked = this.#questions();
    const keys = asked.map(({ peerKey }) => peerKey).join(' ');
    if (keys !== this.#shown) {
      this.#shown = keys;
      yield this.#merged(this.#status ?? { kind: 'status', state: 'TASK_STATE_WORKING' });
    }
    const note = desk.takeNote(task);
    const isWaiting = this.#status !== undefined && isInterrupted(this.#status.state);
    if (note === undefined || isWaiting || asked.length > 0) return;
    yield {
      kind: 'status',
      state: 'TASK_STATE_WORKING',
      message: { messageId: mintId(), role: 'ROLE_AGENT', parts: [{ text: note }] },
    };
  }

  /** What the peer says next; that something else has happened; or that it says no more. */
  async #heard(): Promise<PeerEvent | 'woken' | undefined> {
    const iterator = this.#iterator;
    if (iterator === undefined) return undefined;
    const next = (this.#next ??= this.#read(iterator));
    if (!next.isThere) await this.#wake.promise;
    if (!next.isThere || this.#next !== next) return 'woken';
    this.#next = undefined;
    const heard = await next.result;
    if (heard.done !== true) return heard.value;
    this.#iterator = undefined;
    return undefined;
  }

  /** Peers may be silent for long while callbacks come: it is waited for once, not at each wake. */
  #read(iterator: AsyncIterator<PeerEvent>): Next {
    const next = { result: iterator.next(), isThere: false };
    const there = (): void => {
      next.isThere = true;
      this.changed();
    };
    // A failure is thrown where it is read, and nowhere else.
    next.result.then(there, there);
    return next;
  }

  /** A status with the questions of callbacks beside the peer's own. */
  #merged(event: PeerEvent): PeerEvent {
    const asked = this.#questions();
    if (event.kind !== 'status' || isTerminal(event.state) || asked.length === 0) return event;
    const isOwn = isInterrupted(event.state);
    const questions = [...(isOwn ? (event.questions ?? []) : []), ...asked];
    const state: TaskState = isOwn ? 'TASK_STATE_INPUT_REQUIRED' : stateOfQuestions(questions);
    const { message, ...rest } = event;
    return { ...rest, state, questions, ...(isOwn && message !== undefined && { message }) };
  }

  #questions(): PeerQuestion[] {
    return this.#options.desk.questions(this.#options.task);
  }

  #letGo(): void {
    const iterator = this.#iterator;
    this.#reading?.abort();
    this.#iterator = undefined;
    this.#next = undefined;
    if (iterator !== undefined) void Promise.resolve(iterator.return?.()).catch(() => {});
  }
}
