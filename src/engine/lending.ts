/**
 * What a caller says about lending tools goes to the switchboard alone: it is taken out of what it
 * sends, so that no reference of a lease is stored, shown in a history, or sent on.
 */
import type { Message } from '../model/a2a.ts';
import { isObject, type JsonObject } from '../model/json.ts';
import { leaseExtension, leaseMeta } from '../model/lease.ts';

interface Said {
  message: Message;
  metadata?: JsonObject;
  meta?: JsonObject;
}

/**
 * The same work without it, and what was said; the message's own goes before the request's. Both
 * names are taken out everywhere: the one that means nothing here may mean something to the peer.
 */
export function withoutLending<W extends Said>(
  work: W,
): { work: W; lending: JsonObject | undefined } {
  const { message, metadata, meta } = work;
  const found = [
    message.metadata?.[leaseExtension],
    metadata?.[leaseExtension],
    meta?.[leaseMeta],
  ].find((said) => said !== undefined);
  if (![message.metadata, metadata, meta].some(hasMember)) return { work, lending: undefined };
  const clean = {
    ...work,
    message: { ...message, ...(message.metadata && { metadata: without(message.metadata) }) },
    ...(metadata && { metadata: without(metadata) }),
    ...(meta && { meta: without(meta) }),
  };
  if (found === undefined) return { work: clean, lending: undefined };
  // What is no object is for the switchboard to refuse.
  return { work: clean, lending: isObject(found) ? found : { lend: found } };
}

function hasMember(members: JsonObject | undefined): boolean {
  return members !== undefined && (leaseExtension in members || leaseMeta in members);
}

function without(members: JsonObject): JsonObject {
  const { [leaseExtension]: _ofA2a, [leaseMeta]: _ofMcp, ...rest } = members;
  return rest;
}
