/** What a ListTasks request asks for. Spec: A2A 1.0 §3.1.4 (filters), §5.6.1 (timestamps) */
import type { ListTasksRequest } from '@a2a-js/sdk';
import { GatewayError } from '../model/errors.ts';
import type { TaskFilter } from '../ports/tasks.ts';
import { isUnspecified, stateFromSdk } from './wire.ts';

/** An ISO 8601 date and time; the zone may be missing, which means UTC. */
const isoDateTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?$/i;

/** The engine's filter. Throws `invalid-params` that names the member that is wrong. */
export function taskFilter(params: ListTasksRequest, peerId: string): TaskFilter {
  const filter: TaskFilter = { peerId };
  if (params.contextId !== '') filter.contextId = params.contextId;
  if (!isUnspecified(params.status)) {
    const state = stateFromSdk(params.status);
    if (state === undefined) throw wrong('status', 'is not a task state of A2A 1.0');
    filter.state = state;
  }
  if (params.pageSize !== undefined) filter.pageSize = params.pageSize;
  if (params.pageToken !== '') filter.pageToken = params.pageToken;
  if (params.statusTimestampAfter !== undefined && params.statusTimestampAfter !== '') {
    filter.statusAfter = timeOf(params.statusTimestampAfter);
  }
  return filter;
}

function timeOf(text: string): number {
  const zone = isoDateTime.exec(text);
  const time = zone === null ? NaN : Date.parse(zone[2] === undefined ? `${text}Z` : text);
  if (Number.isNaN(time)) {
    throw wrong('statusTimestampAfter', 'must be an ISO 8601 time, such as 2026-01-31T12:00:00Z');
  }
  return time;
}

function wrong(field: string, what: string): GatewayError {
  return new GatewayError('invalid-params', `${field} ${what}.`, { facts: { field } });
}
