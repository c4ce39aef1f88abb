/**
 * Counts and times what goes to a peer, whatever connector is behind it: one `peer.call` per
 * exchange, up to the first sign of life where the answer is a stream of events.
 */
import { GatewayError, isPeerFault } from '../model/errors.ts';
import type { Principal } from '../model/principal.ts';
import type { EventLog } from '../observe/events.ts';
import type { PeerEvent } from '../ports/peer.ts';
import type { ManagedPeer } from './registry.ts';

/** The same peer, with every exchange recorded. */
export function measured(peer: ManagedPeer, events: EventLog): ManagedPeer {
  const record = (operation: string, started: number, error?: unknown): void => {
    const durationMs = performance.now() - started;
    const code = error === undefined ? 'ok' : codeOf(error);
    events.emit({ event: 'peer.call', peer: peer.id, operation, outcome: code, durationMs });
    // What the caller got wrong is the caller's to hear, not the operator's.
    if (isPeerFault(error) || code === 'internal') {
      events.emit({ event: 'peer.error', peer: peer.id, operation, code, error });
    }
  };
  const promised = async <T>(operation: string, call: () => Promise<T>): Promise<T> => {
    const started = performance.now();
    try {
      const result = await call();
      record(operation, started);
      return result;
    } catch (error) {
      record(operation, started, error);
      throw error;
    }
  };
  const work = {
    id: peer.id,
    dedupes: peer.dedupes,
    start: (...args: Parameters<ManagedPeer['start']>) =>
      streamed('start', peer.start(...args), record),
    followUp: (...args: Parameters<ManagedPeer['followUp']>) =>
      streamed('followUp', peer.followUp(...args), record),
    resume: (...args: Parameters<ManagedPeer['resume']>) =>
      streamed('resume', peer.resume(...args), record),
    cancel: (...args: Parameters<ManagedPeer['cancel']>) =>
      promised('cancel', () => peer.cancel(...args)),
    close: () => peer.close(),
    ...(peer.withheld !== undefined && {
      withheld: (name: string, principal: Principal) => peer.withheld?.(name, principal),
    }),
  };
  if (peer.protocol === 'a2a') {
    return {
      ...work,
      protocol: 'a2a',
      card: (context) => peer.card(context),
      cardText: async (context) => peer.cardText?.(context),
      extendedCard: (context) => promised('extendedCard', () => peer.extendedCard(context)),
    };
  }
  return {
    ...work,
    protocol: 'mcp',
    catalogue: (context) => peer.catalogue(context),
    request: (method, params, context, onNotification) =>
      promised(method, () => peer.request(method, params, context, onNotification)),
    changes: (filter, context) => peer.changes(filter, context),
  };
}

/** Whoever waited has left: that is nobody's fault. */
function codeOf(error: unknown): string {
  if (error instanceof GatewayError) return error.code;
  return error instanceof Error && error.name === 'AbortError' ? 'canceled' : 'internal';
}

async function* streamed(
  operation: string,
  source: AsyncIterable<PeerEvent>,
  record: (operation: string, started: number, error?: unknown) => void,
): AsyncGenerator<PeerEvent> {
  const started = performance.now();
  let heard = false;
  try {
    for await (const event of source) {
      if (!heard) record(operation, started);
      heard = true;
      yield event;
    }
  } catch (error) {
    if (!heard) record(operation, started, error);
    throw error;
  }
}
