/**
 * Watches work at an agent until it settles: by its stream, by subscribing again after a cut, or by
 * asking, and always by asking when the stream leaves a doubt.
 *
 * Spec: A2A 1.0 §3.1.6 (SubscribeToTask), §3.5 (streaming and polling)
 */
import type { StreamResponse, Task } from '../../model/a2a.ts';
import { isTerminal } from '../../model/a2a.ts';
import { GatewayError } from '../../model/errors.ts';
import type { PeerContext, PeerEvent } from '../../ports/peer.ts';
import type { AgentClient } from './client.ts';
import type { Contact } from './contact.ts';
import type { EventReader } from './event-reader.ts';
import { unavailableFault } from './faults.ts';
import type { Progress } from './progress.ts';

/** Polling of a task that waits for an authorization starts at this pace. */
const authPauseMs = 1_000;

/** How soon a status that was kept back is looked at again. */
const heldPauseMs = 500;

/** What to watch, and with what. */
export interface Watch {
  peerId: string;
  client: AgentClient;
  progress: Progress;
  contact: Contact;
  context: PeerContext;
  /** Silence on a stream after which the agent is asked how the task stands. */
  idleMs: number;
  /** Whether the agent streams. */
  streams: boolean;
}

/**
 * Yields everything until the work settles. `reader` is a stream that is open already, `task` the
 * task as it was just fetched.
 */
export async function* follow(
  watch: Watch,
  start: { reader?: EventReader; task?: Task } = {},
): AsyncGenerator<PeerEvent, void, undefined> {
  const { client, progress, contact, context } = watch;
  let { reader, task } = start;
  let subscribes = watch.streams;
  let resumed = false;
  try {
    for (;;) {
      if (reader) {
        const ended = yield* read(watch, reader, resumed);
        reader = undefined;
        if (ended === 'settled') return;
        if (ended === 'refused') subscribes = false;
        resumed = true;
      }
      const taskId = progress.position?.taskId;
      if (taskId === undefined) throw unavailableFault({ peerId: watch.peerId, stage: 'send' });
      task ??= await contact.reach(() => client.getTask(taskId, context));
      if (progress.lacks(task)) contact.news();
      yield* progress.fromTask(task);
      task = undefined;
      if (progress.settled) return;
      if (resumed || !subscribes) await contact.wait(pauseOf(progress));
      if (subscribes) reader = await contact.reach(() => client.subscribe(taskId, context));
      resumed = true;
    }
  } finally {
    reader?.stop();
  }
}

type ReadingEnd = 'settled' | 'ended' | 'refused';

/** Reads one stream to its end, or until asking is better than reading on. */
async function* read(
  watch: Watch,
  reader: EventReader,
  resumed: boolean,
): AsyncGenerator<PeerEvent, ReadingEnd, undefined> {
  const { progress, contact } = watch;
  // After a cut, events may be missing until the agent has sent the whole task.
  let whole = !resumed;
  try {
    for (;;) {
      const got = await reader.next(progress.holds ? heldPauseMs : watch.idleMs);
      if (got === 'ended') return 'ended';
      if (got === 'silent') {
        if (yield* isBehind(watch)) return progress.settled ? 'settled' : 'ended';
        continue;
      }
      contact.made();
      contact.news();
      whole ||= got.event.task !== undefined;
      if (!whole && isFinal(got.event)) yield* catchUp(watch);
      if (!progress.settled) yield* progress.from(got.event);
      if (progress.settled) return 'settled';
    }
  } catch (error) {
    // Nothing is known yet that could be asked for: the caller hears why.
    if (progress.position === undefined) throw error;
    if (resumed && isRefusal(error)) return 'refused';
    await contact.lost(error);
    return 'ended';
  } finally {
    reader.stop();
  }
}

/** Asks behind the back of a silent stream. What it missed is told, and the stream given up. */
async function* isBehind(watch: Watch): AsyncGenerator<PeerEvent, boolean, undefined> {
  const { client, progress, contact, context } = watch;
  const { position } = progress;
  if (!position) return false;
  let task: Task;
  try {
    task = await client.getTask(position.taskId, context);
  } catch (error) {
    await contact.lost(error);
    return false;
  }
  contact.made();
  if (!progress.lacks(task)) return false;
  yield* progress.fromTask(task);
  return true;
}

/** Before the last word of a stream with a gap: what the gap held, if the agent still knows. */
async function* catchUp(watch: Watch): AsyncGenerator<PeerEvent, void, undefined> {
  const { client, progress, context } = watch;
  const taskId = progress.position?.taskId;
  if (taskId === undefined) return;
  let task: Task;
  try {
    task = await client.getTask(taskId, context);
  } catch (error) {
    context.signal.throwIfAborted();
    if (error instanceof GatewayError) return;
    throw error;
  }
  yield* progress.fromTask(task);
}

function isFinal({ statusUpdate }: StreamResponse): boolean {
  return statusUpdate !== undefined && isTerminal(statusUpdate.status.state);
}

/** The agent does not let this task be subscribed to: it is asked from now on. */
function isRefusal(error: unknown): boolean {
  return error instanceof GatewayError && (error.code === 'unsupported' || isMissingPage(error));
}

function isMissingPage(error: GatewayError): boolean {
  return error.facts['status'] === 404 || error.facts['status'] === 405;
}

function pauseOf({ status }: Progress): number {
  return status?.state === 'TASK_STATE_AUTH_REQUIRED' ? authPauseMs : 0;
}
