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

/** The same work without it, and what was said; the message's own goes before the request's. */
export function withoutLending<W extends Said>(
  work: W,
): { work: W; lending: JsonObject | undefined } {
  const { message, metadata, meta } = work;
  const found = [
    message.metadata?.[leaseExtension],
    metadata?.[leaseExtension],
    meta?.[leaseMeta],
  ].find((said) => said !== undefined);
  if (found === undefined) return { work, lending: undefined };
  const clean = {
    ...work,
    message: {
      ...message,
      ...(message.metadata && { metadata: without(message.metadata, leaseExtension) }),
    },
    ...(metadata && { metadata: without(metadata, leaseExtension) }),
    ...(meta && { meta: without(meta, leaseMeta) }),
  };
  // What is no object is for the switchboard to refuse.
  return { work: clean, lending: isObject(found) ? found : { lend: found } };
}

function without(object: JsonObject, member: string): JsonObject {
  const { [member]: _gone, ...rest } = object;
  return rest;
}
