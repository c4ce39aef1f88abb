/**
 * The sessions that are open with one legacy server: one for each principal and each set of
 * things that its client can answer, made when first needed.
 */
import type { Clock } from '../../model/ids.ts';
import { ownerKey } from '../../model/principal.ts';
import type { PeerContext } from '../../ports/peer.ts';
import { abortable } from './abortable.ts';
import { clientCapabilities } from './capabilities.ts';
import type { SessionName } from './conversation.ts';
import type { DialectParts } from './modern-dialect.ts';
import { Session } from './session.ts';

/** How sessions are kept. */
export interface SessionLimits {
  /** The longest silence of the server during the handshake. */
  readonly connectMs: number;
  /** A session without calls and listeners is left after this time. */
  readonly unusedMs: number;
}

/** Hands out sessions. */
export class Sessions {
  readonly #parts: DialectParts;
  readonly #limits: SessionLimits;
  readonly #clock: Clock;
  readonly #sessions = new Map<string, Entry>();
  readonly #sweep: NodeJS.Timeout;

  constructor(parts: DialectParts, limits: SessionLimits, clock: Clock) {
    this.#parts = parts;
    this.#limits = limits;
    this.#clock = clock;
    this.#sweep = setInterval(() => this.#leaveUnused(), limits.unusedMs / 2);
    this.#sweep.unref();
  }

  /** The session that a task was made in, if it is still known; else the caller's. */
  async named(name: SessionName | undefined, context: PeerContext): Promise<Session> {
    if (name === undefined) return this.of(context);
    for (const { session } of this.#sessions.values()) {
      if (session?.id === name.id && !session.ended) return session;
    }
    const session = Session.adopt(this.#parts, name, this.#clock());
    this.#sessions.set(`adopted\n${name.id}`, { begun: Promise.resolve(session), session });
    return session;
  }

  /** The session of this caller. Callers that ask at once share one handshake. */
  async of(context: PeerContext): Promise<Session> {
    const key = keyOf(context);
    let entry = this.#sessions.get(key);
    if (entry === undefined || entry.session?.ended === true) {
      entry = this.#begin(key, context);
    }
    const session = await abortable(entry.begun, context.signal);
    session.lastUsed = this.#clock();
    return session;
  }

  /** Forgets a session that the server does not know any more. */
  async lost(session: Session): Promise<void> {
    this.#forget(session);
    await session.end(false);
  }

  /** Leaves every session; one with a running task is only put down, so that it can be found. */
  async close(): Promise<void> {
    clearInterval(this.#sweep);
    const begun = await Promise.allSettled([...this.#sessions.values()].map((entry) => entry.begun));
    this.#sessions.clear();
    await Promise.all(
      begun.map((session) =>
        session.status === 'fulfilled'
          ? session.value.end(session.value.tasks.size === 0)
          : undefined,
      ),
    );
  }

  #begin(key: string, context: PeerContext): Entry {
    // The handshake serves everybody who waits for it: no single caller's abort ends it.
    const handshake = { ...context, signal: AbortSignal.timeout(this.#limits.connectMs * 2) };
    const begun = Session.begin(this.#parts, handshake, {
      silenceMs: this.#limits.connectMs,
      now: this.#clock(),
    });
    const entry: Entry = { begun };
    this.#sessions.set(key, entry);
    begun.then(
      (session) => {
        entry.session = session;
      },
      () => {
        if (this.#sessions.get(key) === entry) this.#sessions.delete(key);
      },
    );
    return entry;
  }

  #leaveUnused(): void {
    const limit = this.#clock() - this.#limits.unusedMs;
    for (const { session } of this.#sessions.values()) {
      if (session === undefined || session.lastUsed > limit) continue;
      if (session.calls.size > 0 || session.listeners.size > 0) continue;
      this.#forget(session);
      void session.end(true);
    }
  }

  #forget(session: Session): void {
    for (const [key, entry] of this.#sessions) {
      if (entry.session === session) this.#sessions.delete(key);
    }
  }
}

interface Entry {
  readonly begun: Promise<Session>;
  session?: Session;
}

function keyOf(context: PeerContext): string {
  const capabilities = clientCapabilities(context.features, 'legacy');
  return `${ownerKey(context.principal)}\n${JSON.stringify(capabilities)}`;
}
