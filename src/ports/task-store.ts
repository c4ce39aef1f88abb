/**
 * Where tasks live. One row and one event log per task. Every promise resolves after the data is on
 * disk; appends that arrive together may share one transaction.
 */
import type { TaskState } from '../model/a2a.ts';
import type { JsonObject } from '../model/json.ts';
import type { OwnerKey } from '../model/principal.ts';
import type { SequencedEvent } from './tasks.ts';

/** The part of a row that changes while the task lives. */
export interface TaskProgress {
  state: TaskState;
  /** When the state was entered (ms). */
  statusAt: number;
  updatedAt: number;
  lastSeq: number;
  /** How to find the work at the peer; see the connector. */
  position: JsonObject | null;
  /** What the engine must remember: open questions, intent to send, raw outcome. */
  facts: JsonObject;
  /** When a timer of this task is due (ms); null without one. */
  deadline: number | null;
  /** When the finished task may be forgotten (ms); null while it runs. */
  expiresAt: number | null;
}

/** A task as stored, without its events. */
export interface TaskRow extends TaskProgress {
  id: string;
  owner: OwnerKey;
  peerId: string;
  contextId: string;
  createdAt: number;
  /** The replica that drives the task. */
  replica: string;
  /** Rises with each change of runner; fences the writes of the one before. */
  epoch: number;
}

/** A change of one task: new events and the row as it is after them. */
export interface TaskAppend {
  id: string;
  epoch: number;
  /** The `lastSeq` that the row must have for the change to be valid. */
  fromSeq: number;
  events: SequencedEvent[];
  progress: TaskProgress;
}

/** Which rows to list: newest status first, ties by id. */
export interface RowFilter {
  owner: OwnerKey;
  peerId: string;
  contextId?: string;
  state?: TaskState;
  statusAfter?: number;
  limit: number;
  /** Only rows behind this one. */
  after?: { statusAt: number; id: string };
}

/** The store's port. A store has one writer. */
export interface TaskStore {
  create(row: TaskRow, events: SequencedEvent[]): Promise<void>;
  /** False when the fence does not hold: the row has another epoch or sequence, or is gone. */
  append(change: TaskAppend): Promise<boolean>;
  read(id: string): Promise<TaskRow | undefined>;
  /** Events with `seq > after`, in order, at most `limit`. */
  tail(id: string, after: number, limit: number): Promise<SequencedEvent[]>;
  list(filter: RowFilter): Promise<{ rows: TaskRow[]; total: number }>;
  /** Rows that are not terminal, oldest first. */
  unfinished(): Promise<TaskRow[]>;
  /** Takes over a row for a replica; the new epoch, or undefined when the row is gone. */
  adopt(id: string, replica: string): Promise<number | undefined>;
  /** Ids of rows whose timer is due. */
  due(now: number, limit: number): Promise<string[]>;
  /** How many tasks of each owner wait for their caller. */
  waiting(): Promise<Map<OwnerKey, number>>;
  /** Deletes finished rows that have expired, with their events; their ids. */
  sweep(now: number, limit: number): Promise<string[]>;
  /** Waits for the last flush and closes. */
  close(): Promise<void>;
}
