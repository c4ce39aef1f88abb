import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { anonymous, ownerKey } from '../model/principal.ts';
import type { TaskStore } from '../ports/task-store.ts';
import type { TaskEvent } from '../ports/tasks.ts';
import { openDatabase } from '../store/sqlite/database.ts';
import { SqliteTaskStore } from '../store/sqlite/task-store.ts';
import { LiveTask } from './live-task.ts';

let dir: string;
let store: SqliteTaskStore;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'isthmus-live-task-'));
  store = new SqliteTaskStore(openDatabase(join(dir, 'tasks.db')));
});
afterEach(async () => {
  await store.close();
  rmSync(dir, { recursive: true, force: true });
});

function newTask(tasks: Pick<TaskStore, 'create' | 'append' | 'tail'>): LiveTask {
  const id = randomUUID();
  return new LiveTask(
    {
      store: tasks as TaskStore,
      clock: Date.now,
      replica: 'test',
      taskTtlMs: 60_000,
      interruptTtlMs: 60_000,
      nameContext: () => 'context',
      checkMayWait: () => {},
      onState: () => {},
      onEnd: () => {},
      onLost: () => {},
    },
    {
      id,
      owner: ownerKey(anonymous),
      peerId: 'p',
      task: { id, contextId: 'context', status: { state: 'TASK_STATE_WORKING' } },
      facts: { principal: anonymous, questions: [], usedKeys: [] },
    },
  );
}

const note = (text: string): TaskEvent => ({ kind: 'metadata', metadata: { text } });

describe('durable', () => {
  it.each(Array.from({ length: 12 }, (_, turns) => turns))(
    'waits for what is applied %i turns after a write has ended',
    async (turns) => {
      let isLate: Promise<void> | undefined;
      const live = newTask({
        create: (row, events) => store.create(row, events),
        tail: (id, after, limit) => store.tail(id, after, limit),
        append: async (change) => {
          const kept = await store.append(change);
          isLate ??= (async () => {
            for (let turn = 0; turn < turns; turn += 1) await Promise.resolve();
            live.apply([note('second')]);
          })();
          return kept;
        },
      });
      await live.commit();
      live.apply([note('first')]);
      await live.durable();
      await isLate;
      await live.durable();
      expect(await store.read(live.id)).toMatchObject({ lastSeq: 3 });
    },
  );
});
