/** The task engine, with its bounds from the configuration. */
import { callerBounds } from './caller-limits.ts';
import type { Config } from './config/schema.ts';
import { TaskEngine, type EngineOptions } from './engine/task-engine.ts';

const cancelWaitMs = 900;
const progressEveryMs = 250;
const sweepEveryMs = 1000;

/** Builds it. Nothing is driven until it has recovered. */
export function openTasks(
  config: Config,
  parts: Omit<EngineOptions, 'limits' | 'replica'>,
): TaskEngine {
  const { taskTtl, interruptTtl, openInterruptsPerPrincipal } = config.limits;
  return new TaskEngine({
    ...parts,
    replica: parts.mintId(),
    limits: {
      taskTtlMs: taskTtl,
      interruptTtlMs: interruptTtl,
      openInterruptsPerPrincipal,
      runningTasksPerPrincipal: callerBounds(config).runningTasks,
      cancelWaitMs,
      progressEveryMs,
      sweepEveryMs,
    },
  });
}
