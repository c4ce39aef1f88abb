/**
 * Pages of a principal's tasks. A page token is sealed over its owner and filter: it means nothing
 * elsewhere.
 *
 * Spec: A2A 1.0 §3.1.4 (ListTasks: order, page size, cursors)
 */
import { GatewayError } from '../model/errors.ts';
import type { OwnerKey } from '../model/principal.ts';
import type { Seal } from '../ports/seal.ts';
import type { RowFilter, TaskRow, TaskStore } from '../ports/task-store.ts';
import type { TaskFilter, TaskPage, TaskView } from '../ports/tasks.ts';

const defaultPageSize = 50;
const maxPageSize = 100;

interface Listing {
  store: TaskStore;
  seal: Seal;
  owner: OwnerKey;
  filter: TaskFilter;
}

/** One page; `viewOf` reads a task whole. Throws `invalid-params` for a bad size or token. */
export async function listTasks(
  listing: Listing,
  viewOf: (row: TaskRow) => Promise<TaskView | undefined>,
): Promise<TaskPage> {
  const { store, seal, owner, filter } = listing;
  const pageSize = filter.pageSize ?? defaultPageSize;
  if (!Number.isInteger(pageSize) || pageSize < 1 || pageSize > maxPageSize) {
    throw new GatewayError('invalid-params', `pageSize goes from 1 to ${maxPageSize}.`, {
      facts: { field: 'pageSize' },
    });
  }
  const { peerId, contextId, state, statusAfter } = filter;
  const aad = JSON.stringify(['tasks', owner, peerId, contextId, state, statusAfter]);
  const after = cursor(seal, filter.pageToken, aad);
  const rowFilter: RowFilter = {
    owner,
    peerId,
    limit: pageSize + 1,
    ...(contextId !== undefined && { contextId }),
    ...(state !== undefined && { state }),
    ...(statusAfter !== undefined && { statusAfter }),
    ...(after !== undefined && { after }),
  };
  const { rows, total } = await store.list(rowFilter);
  const shown = rows.slice(0, pageSize);
  const last = shown.at(-1);
  const views = await Promise.all(shown.map(viewOf));
  return {
    tasks: views.filter((view) => view !== undefined),
    nextPageToken:
      rows.length > pageSize && last !== undefined
        ? seal.seal({ statusAt: last.statusAt, id: last.id }, aad)
        : '',
    pageSize,
    totalSize: total,
  };
}

function cursor(
  seal: Seal,
  token: string | undefined,
  aad: string,
): { statusAt: number; id: string } | undefined {
  if (token === undefined || token === '') return undefined;
  const { statusAt, id } = seal.open(token, aad) ?? {};
  if (typeof statusAt !== 'number' || typeof id !== 'string') {
    throw new GatewayError(
      'invalid-params',
      'This pageToken is not from an earlier page of the same list. Start without one.',
      { facts: { field: 'pageToken' } },
    );
  }
  return { statusAt, id };
}
