/**
 * Looks at one task again and again: at the pace that the server asks for, at once when the server
 * tells of a change, and patiently while the server is away.
 *
 * Spec: MCP Tasks extension "Task Polling", "Task Status Notifications"
 */
import type { Clock } from '../../model/ids.ts';
import { isObject } from '../../model/json.ts';
import { tasksExtension } from '../../model/mcp.ts';
import type { PeerContext } from '../../ports/peer.ts';
import { askServer, type Conversation, type Dialect, type SessionName } from './conversation.ts';
import { isPassing, rpcFailed } from './faults.ts';
import { readTask, type DetailedTask } from './tasks.ts';

const shortestPollMs = 250;
const longestPollMs = 30_000;
const usualPollMs = 1000;
/** A look for an expired task comes a little after its time, so that it is over at the server too. */
const expiryGraceMs = 100;
/** How long a server may be away before its task is given up. */
const awayMs = 5 * 60_000;
const invalidParams = -32602;

/** What a watch needs from its peer. */
export interface TaskWatchParts {
  readonly peerId: string;
  readonly clock: Clock;
  readonly requestMs: number;
}

/** Watches a task. `stop` it when it is not needed any more. */
export class TaskWatch {
  readonly #dialect: Dialect;
  readonly #taskId: string;
  readonly #session: SessionName | undefined;
  readonly #context: PeerContext;
  readonly #parts: TaskWatchParts;
  #wake = Promise.withResolvers<void>();
  #subscription: Conversation | undefined;
  #subscribed = false;
  #tried = false;
  #stopped = false;
  #heard: DetailedTask | undefined;

  constructor(
    dialect: Dialect,
    task: { taskId: string; session?: SessionName | undefined },
    context: PeerContext,
    parts: TaskWatchParts,
  ) {
    this.#dialect = dialect;
    this.#taskId = task.taskId;
    this.#session = task.session;
    this.#context = context;
    this.#parts = parts;
  }

  /** The task now: as it was just created, or as the server shows it. */
  async first(seed?: DetailedTask): Promise<DetailedTask | 'gone'> {
    return seed?.status === 'working' ? this.next(seed) : this.#look();
  }

  /** The task after the next change or poll. */
  async next(before: DetailedTask): Promise<DetailedTask | 'gone'> {
    this.#subscribe();
    await this.pause(Math.min(this.#pace(before), this.#untilExpiry(before)));
    const heard = this.#heard;
    this.#heard = undefined;
    return heard ?? this.#look();
  }

  /** A subscription tells of changes, but not of a task that vanished: polling goes on, slower. */
  #pace({ pollIntervalMs }: DetailedTask): number {
    const wanted = pollIntervalMs ?? (this.#subscribed ? longestPollMs : usualPollMs);
    const shortest = this.#subscribed ? usualPollMs : shortestPollMs;
    return Math.min(Math.max(wanted, shortest), longestPollMs);
  }

  /** Spec: MCP Tasks extension "Task Polling": after its time the server may delete the task. */
  #untilExpiry({ expiresAt }: DetailedTask): number {
    const left = (expiresAt ?? Infinity) - this.#parts.clock();
    return left > 0 ? left + expiryGraceMs : Infinity;
  }

  /** Waits, unless something wakes the watch. Throws when the caller goes away. */
  async pause(ms: number): Promise<void> {
    const { signal } = this.#context;
    signal.throwIfAborted();
    const over = Promise.withResolvers<void>();
    const timer = setTimeout(() => over.resolve(), ms);
    const abort = (): void => over.resolve();
    signal.addEventListener('abort', abort, { once: true });
    await Promise.race([over.promise, this.#wake.promise]);
    clearTimeout(timer);
    signal.removeEventListener('abort', abort);
    this.#wake = Promise.withResolvers<void>();
    signal.throwIfAborted();
  }

  /** Has the next look happen now. */
  wake(): void {
    this.#wake.resolve();
  }

  stop(): void {
    this.#stopped = true;
    this.#subscription?.release();
  }

  /** `tasks/get`; a server that is away is asked again for a while. */
  async #look(): Promise<DetailedTask | 'gone'> {
    const params = { taskId: this.#taskId };
    const since = this.#parts.clock();
    for (let delay = 500; ; delay = Math.min(delay * 2, longestPollMs)) {
      try {
        const outcome = await askServer(
          this.#dialect,
          { method: 'tasks/get', params },
          this.#context,
          {
            stage: 'task',
            silenceMs: this.#parts.requestMs,
            session: this.#session,
          },
        );
        if ('result' in outcome) return readTask(this.#parts.peerId, outcome.result, this.#taskId);
        if (outcome.error.code === invalidParams) return 'gone';
        throw rpcFailed(this.#parts.peerId, outcome.error);
      } catch (error) {
        if (!isPassing(error) || this.#parts.clock() - since > awayMs) throw error;
        await this.pause(delay);
      }
    }
  }

  /** Listens for changes where the server offers that. Polling goes on until it has agreed. */
  #subscribe(): void {
    if (this.#tried || this.#dialect.era !== 'modern') return;
    this.#tried = true;
    void this.#listen().catch(() => undefined);
  }

  async #listen(): Promise<void> {
    const { capabilities } = await this.#dialect.describe(this.#context);
    const extensions = capabilities['extensions'];
    if (!isObject(extensions) || !Object.hasOwn(extensions, tasksExtension)) return;
    if (this.#stopped) return;
    const subscription = this.#dialect.open(
      'subscriptions/listen',
      { notifications: { taskIds: [this.#taskId] } },
      this.#context,
      { stage: 'stream', silenceMs: 24 * 3600_000 },
    );
    this.#subscription = subscription;
    try {
      for (;;) {
        const incoming = await subscription.next();
        if (incoming === undefined || incoming.kind === 'outcome') return;
        if (incoming.method === 'notifications/subscriptions/acknowledged') {
          const agreed = incoming.params['notifications'];
          const ids = isObject(agreed) ? agreed['taskIds'] : undefined;
          this.#subscribed = Array.isArray(ids) && ids.includes(this.#taskId);
          // What changed before the subscription began is seen by one more look.
          this.wake();
        }
        if (incoming.method === 'notifications/tasks') {
          this.#heard = readTask(this.#parts.peerId, incoming.params, this.#taskId);
          this.wake();
        }
      }
    } finally {
      this.#subscribed = false;
      subscription.release();
      this.wake();
    }
  }
}
