/**
 * Follows changes at a server: a `subscriptions/listen` stream of a modern one; the standalone
 * stream of a legacy session with `resources/subscribe`. Reconnects by itself.
 *
 * Spec: MCP 2026-07-28 basic/patterns/subscriptions; 2025-11-25 server/resources "Subscriptions"
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { JsonObject } from '../../model/json.ts';
import type { ChangeFilter, PeerChange, PeerContext } from '../../ports/peer.ts';
import { askServer, type Dialect } from './conversation.ts';

/** What following changes needs from its peer. */
export interface ChangesParts {
  readonly requestMs: number;
  readonly dialect: (context: PeerContext) => Promise<Dialect>;
  /** Hears of every change of a list. */
  readonly onListChange: () => void;
  /** Whether a subscriber is to be told of changes that may have come while there was no way. */
  readonly isMissed?: boolean;
}

const longestDelayMs = 30_000;
/** A subscription may be silent for as long as nothing changes. */
const silenceMs = 24 * 3600_000;
/** How often a legacy session is looked after, in case it was lost without a word. */
const checkMs = 15_000;
/** Changes that nobody has read yet; equal ones are merged, but for log messages. */
const maxQueued = 256;

/** Yields changes until the signal aborts. */
export async function* changesOf(
  parts: ChangesParts,
  filter: ChangeFilter,
  context: PeerContext,
): AsyncGenerator<PeerChange, void, undefined> {
  const { signal } = context;
  let isAgain = false;
  for (let delay = 500; !signal.aborted; delay = Math.min(delay * 2, longestDelayMs)) {
    try {
      const dialect = await parts.dialect(context);
      const stream =
        dialect.era === 'modern'
          ? modernChanges(dialect, filter, context)
          : legacyChanges(dialect, filter, context, parts.requestMs);
      for await (const change of stream) {
        if (change.kind === 'connected') {
          delay = 500;
          if (isAgain && parts.isMissed === true) yield* listsOf(filter);
          isAgain = true;
          continue;
        }
        if (change.kind !== 'resource' && change.kind !== 'log') parts.onListChange();
        yield change;
      }
    } catch {
      // Best effort: the next attempt may find the server again.
    }
    await sleep(delay, undefined, { signal, ref: false }).catch(() => undefined);
  }
}

/** A change of every list that a subscriber wants to hear of. */
function* listsOf(filter: ChangeFilter): Generator<PeerChange> {
  for (const kind of ['tools', 'prompts', 'resources'] as const) {
    if (filter[kind] === true) yield { kind };
  }
}

type Followed = PeerChange | { kind: 'connected' };

async function* modernChanges(
  dialect: Dialect,
  filter: ChangeFilter,
  context: PeerContext,
): AsyncGenerator<Followed, void, undefined> {
  const notifications: JsonObject = {
    ...(filter.tools === true && { toolsListChanged: true }),
    ...(filter.prompts === true && { promptsListChanged: true }),
    ...(filter.resources === true && { resourcesListChanged: true }),
    ...(filter.uris !== undefined && { resourceSubscriptions: filter.uris }),
  };
  const conversation = dialect.open('subscriptions/listen', { notifications }, context, {
    stage: 'stream',
    silenceMs,
  });
  const release = (): void => conversation.release();
  context.signal.addEventListener('abort', release, { once: true });
  try {
    for (;;) {
      const incoming = await conversation.next();
      if (incoming === undefined || incoming.kind !== 'notification') return;
      if (incoming.method === 'notifications/subscriptions/acknowledged') {
        yield { kind: 'connected' };
      }
      const change = changeOf(incoming.method, incoming.params);
      if (change !== undefined) yield change;
    }
  } finally {
    context.signal.removeEventListener('abort', release);
    conversation.release();
  }
}

async function* legacyChanges(
  dialect: Dialect,
  filter: ChangeFilter,
  context: PeerContext,
  requestMs: number,
): AsyncGenerator<Followed, void, undefined> {
  const queue = new Map<string, PeerChange>();
  let logs = 0;
  let wake = Promise.withResolvers<void>();
  const abort = (): void => wake.resolve();
  const hear = (method: string, params: JsonObject): void => {
    const change = changeOf(method, params);
    if (change === undefined || !wanted(filter, change)) return;
    const key = change.kind === 'log' ? `log ${(logs += 1)}` : JSON.stringify(change);
    if (queue.size < maxQueued) queue.set(key, change);
    wake.resolve();
  };
  const listening = await dialect.listen(context, hear, abort);
  context.signal.addEventListener('abort', abort, { once: true });
  try {
    await subscribe(dialect, 'resources/subscribe', filter, context, requestMs);
    yield { kind: 'connected' };
    while (!context.signal.aborted) {
      const [entry] = queue;
      if (entry !== undefined) {
        queue.delete(entry[0]);
        yield entry[1];
        continue;
      }
      wake = Promise.withResolvers<void>();
      const timer = setTimeout(() => wake.resolve(), checkMs);
      await wake.promise;
      clearTimeout(timer);
      // A lost session was replaced: what it had subscribed to is subscribed to again.
      if (!context.signal.aborted && listening.lost()) return;
    }
  } finally {
    context.signal.removeEventListener('abort', abort);
    listening.stop();
    const last = { ...context, signal: AbortSignal.timeout(requestMs) };
    await subscribe(dialect, 'resources/unsubscribe', filter, last, requestMs).catch(
      () => undefined,
    );
  }
}

async function subscribe(
  dialect: Dialect,
  method: 'resources/subscribe' | 'resources/unsubscribe',
  filter: ChangeFilter,
  context: PeerContext,
  requestMs: number,
): Promise<void> {
  for (const uri of filter.uris ?? []) {
    await askServer(dialect, { method, params: { uri } }, context, {
      stage: 'request',
      silenceMs: requestMs,
    });
  }
}

function changeOf(method: string, params: JsonObject): PeerChange | undefined {
  switch (method) {
    case 'notifications/tools/list_changed':
      return { kind: 'tools' };
    case 'notifications/prompts/list_changed':
      return { kind: 'prompts' };
    case 'notifications/resources/list_changed':
      return { kind: 'resources' };
    case 'notifications/resources/updated':
      return typeof params['uri'] === 'string'
        ? { kind: 'resource', uri: params['uri'] }
        : undefined;
    case 'notifications/message':
      return { kind: 'log', params };
    default:
      return undefined;
  }
}

function wanted(filter: ChangeFilter, change: PeerChange): boolean {
  switch (change.kind) {
    case 'tools':
      return filter.tools === true;
    case 'prompts':
      return filter.prompts === true;
    case 'resources':
      return filter.resources === true;
    case 'resource':
      // Servers may report a part of what was subscribed to.
      return filter.uris?.some((uri) => change.uri.startsWith(uri)) === true;
    case 'log':
      return filter.logs === true;
    default:
      return change satisfies never;
  }
}
