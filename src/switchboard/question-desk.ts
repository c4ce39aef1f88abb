/**
 * Where callbacks ask the lender's caller: whoever runs a task that something is lent for is at the
 * desk, shows the questions as part of that task, and brings the answers.
 */
import { RefusedCallError } from './refused-call.ts';
import type { MintId } from '../model/ids.ts';
import type { JsonObject } from '../model/json.ts';
import { callbackKeyPrefix, type PeerQuestion } from '../ports/peer.ts';

/** Who shows questions of a task. */
export interface Attendant {
  /** The questions or the note have changed. */
  changed(): void;
}

interface Waiting {
  readonly question: PeerQuestion & { peerKey: string };
  readonly answer: (response: JsonObject) => void;
  readonly refuse: (error: RefusedCallError) => void;
}

interface Place {
  attendant: Attendant | undefined;
  readonly waiting: Map<string, Waiting>;
  note: string | undefined;
}

/** So many questions of callbacks may be open in one task. */
const mostQuestions = 16;

/** See the file comment. */
export class QuestionDesk {
  readonly #mintId: MintId;
  readonly #places = new Map<string, Place>();

  constructor({ mintId }: { mintId: MintId }) {
    this.#mintId = mintId;
  }

  /** Shows the questions of a task from now on; whoever did so before does not any more. */
  attend(task: string, attendant: Attendant): void {
    const place = this.#places.get(task);
    if (place === undefined) {
      this.#places.set(task, { attendant, waiting: new Map(), note: undefined });
    } else place.attendant = attendant;
  }

  /** Nobody shows questions of a task any more: those that wait are refused. */
  leave(task: string, attendant: Attendant): void {
    const place = this.#places.get(task);
    if (place?.attendant !== attendant) return;
    this.#places.delete(task);
    for (const { refuse } of place.waiting.values()) refuse(nobodyThere());
  }

  /** The questions that are open in a task. */
  questions(task: string): PeerQuestion[] {
    return [...(this.#places.get(task)?.waiting.values() ?? [])].map(({ question }) => question);
  }

  /**
   * Asks, and waits for the answer as MCP has it (`{ action, content? }` for elicitations). Throws
   * `unsupported` where nobody can be asked, and the signal's reason.
   */
  async ask(
    task: string | undefined,
    request: Pick<PeerQuestion, 'request' | 'url' | 'loss'>,
    signal: AbortSignal,
  ): Promise<JsonObject> {
    const place = task === undefined ? undefined : this.#places.get(task);
    if (place === undefined) throw nobodyThere();
    if (place.waiting.size >= mostQuestions) {
      throw new RefusedCallError(
        'too-many',
        'Too many questions of this task are open. Wait for them.',
      );
    }
    signal.throwIfAborted();
    const peerKey = `${callbackKeyPrefix}${this.#mintId()}`;
    const question = { ...request, peerKey, answerAs: 'response' as const, ours: true as const };
    const { promise, resolve, reject } = Promise.withResolvers<JsonObject>();
    const abort = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', abort, { once: true });
    place.waiting.set(peerKey, { question, answer: resolve, refuse: reject });
    place.attendant?.changed();
    try {
      return await promise;
    } finally {
      signal.removeEventListener('abort', abort);
      place.waiting.delete(peerKey);
      place.attendant?.changed();
    }
  }

  /** Answers a question; false when it does not wait any more. */
  answer(task: string, peerKey: string, response: JsonObject): boolean {
    const waiting = this.#places.get(task)?.waiting.get(peerKey);
    if (waiting === undefined) return false;
    this.#places.get(task)?.waiting.delete(peerKey);
    waiting.answer(response);
    return true;
  }

  /** Tells the task's caller what is going on; the last note counts. */
  note(task: string | undefined, text: string): void {
    const place = task === undefined ? undefined : this.#places.get(task);
    if (place === undefined) return;
    place.note = text;
    place.attendant?.changed();
  }

  /** The note that was not shown yet. */
  takeNote(task: string): string | undefined {
    const place = this.#places.get(task);
    const note = place?.note;
    if (place !== undefined) place.note = undefined;
    return note;
  }
}

function nobodyThere(): RefusedCallError {
  return new RefusedCallError(
    'unsupported',
    'This needs an answer of the person who lent the tool, and nobody can be asked now.',
  );
}
