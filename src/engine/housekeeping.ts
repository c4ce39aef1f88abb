/**
 * What the engine does by itself: picks up unfinished tasks after a restart, ends questions that
 * nobody answers, forgets finished tasks.
 */
import { isInterrupted } from '../model/a2a.ts';
import { GatewayError } from '../model/errors.ts';
import type { Clock } from '../model/ids.ts';
import { protocolOf, type PeerRegistry } from '../ports/peer.ts';
import type { TaskRow, TaskStore } from '../ports/task-store.ts';
import type { TaskCache } from './task-cache.ts';
import type { TaskDriver } from './task-driver.ts';
import type { TaskFacts } from './task-facts.ts';
import type { TaskLog } from './task-log.ts';

/** What housekeeping works with. */
export interface HousekeepingTools {
  store: TaskStore;
  peers: PeerRegistry;
  cache: TaskCache;
  driver: TaskDriver;
  log: TaskLog;
  clock: Clock;
  replica: string;
  /** Tasks that could not be stored, and that nobody drives since. */
  lost: Set<string>;
}

const recoveredAtOnce = 64;
const expiredAtOnce = 100;
const sweptAtOnce = 500;

/** Picks up every unfinished task. Resolves when all are driven; they settle by themselves. */
export async function recoverTasks(tools: HousekeepingTools): Promise<void> {
  const rows = await tools.store.unfinished();
  if (rows.length === 0) return;
  const started = tools.clock();
  tools.log.recoveryStarted(rows.length);
  for (let at = 0; at < rows.length; at += recoveredAtOnce) {
    const batch = rows.slice(at, at + recoveredAtOnce);
    await Promise.all(batch.map((row) => recoverTask(tools, row)));
  }
  tools.log.recoveryFinished(rows.length, tools.clock() - started);
}

async function recoverTask(tools: HousekeepingTools, row: TaskRow): Promise<void> {
  const { store, peers, cache, driver, log, replica } = tools;
  const epoch = await store.adopt(row.id, replica);
  if (epoch === undefined) return;
  const peer = peers.get(row.peerId);
  const sends = row.facts['sending'] !== undefined || row.facts['cancelRequested'] === true;
  const protocol = peer && protocolOf(peer, row.position);
  const isWaiting = row.state === 'TASK_STATE_INPUT_REQUIRED' && !isAskedByUs(row);
  if (protocol === 'a2a' && isWaiting && !sends) {
    // The agent waits for our caller and needs nobody to watch it.
    log.recovery(row, 'waiting');
    return;
  }
  const live = await cache.get(row.id);
  if (live === undefined) return;
  if (peer === undefined) {
    log.recovery(row, 'outcome-unknown');
    driver.fail(
      live,
      new GatewayError('peer-unavailable', `"${row.peerId}" is no longer served here.`),
    );
    return;
  }
  log.recovery(row, 'followed');
  const { sending } = live.facts;
  driver.drive(live, {}, (context) => peer.resume(live.position, context, sending));
  if (live.facts.cancelRequested === true) void driver.cancelAtPeer(live, peer).catch(() => {});
}

/** A callback asked: the agent itself may be at work, whatever the task waits for. */
function isAskedByUs({ facts }: TaskRow): boolean {
  const { questions } = facts as unknown as TaskFacts;
  return questions.some(({ ours }) => ours === true);
}

/** One round of timers and retention. */
export async function sweepTasks(tools: HousekeepingTools): Promise<void> {
  const { store, peers, cache, driver, log, clock } = tools;
  try {
    for (const id of await store.due(clock(), expiredAtOnce)) {
      const live = await cache.get(id);
      if (live === undefined || !isInterrupted(live.state)) continue;
      const peer = peers.get(live.peerId);
      if (peer !== undefined) driver.release(live, peer);
      driver.end(live, 'TASK_STATE_FAILED', 'The question was not answered in time.', 'expired');
    }
    for (const id of tools.lost) {
      const row = await store.read(id);
      tools.lost.delete(id);
      if (row !== undefined && row.expiresAt === null) await recoverTask(tools, row);
    }
    for (const id of await store.sweep(clock(), sweptAtOnce)) cache.drop(id);
  } catch (error) {
    log.internal('housekeeping', error);
  }
}
