/**
 * The sessions that are open with one legacy server: one for each principal and each set of
 * things that its client can answer, made when first needed.
 */
import { GatewayError } from '../../model/errors.ts';
import type { Clock } from '../../model/ids.ts';
import { ownerKey, type OwnerKey } from '../../model/principal.ts';
import type { PeerContext } from '../../ports/peer.ts';
import { abortable, within } from './abortable.ts';
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
  #seenOutside = false;

  constructor(parts: DialectParts, limits: SessionLimits, clock: Clock) {
    this.#parts = parts;
    this.#limits = limits;
    this.#clock = clock;
    this.#sweep = setInterval(() => this.#leaveUnused(), limits.unusedMs / 2);
    this.#sweep.unref();
  }

  /** The session that a task was made in, if it is still known; else the caller's. */
  async named(name: SessionName, context: PeerContext): Promise<Session> {
    for (const { session } of this.#sessions.values()) {
      if (session?.id === name.id && !session.ended) return session;
    }
    const session = Session.adopt(this.#parts, name, context.principal, this.#clock);
    this.#sessions.set(`${this.#keyOf(context)}\n${name.id}`, {
      begun: Promise.resolve(session),
      owner: ownerKey(context.principal),
      session,
      calls: 0,
    });
    return session;
  }

  /** The session of this caller. Callers that ask at once share one handshake. */
  async of(context: PeerContext): Promise<Session> {
    return this.#ready(this.#entry(this.#keyOf(context), context), context);
  }

  /**
   * A session for a call. Where the server asks on the standalone stream, a call gets a session of
   * its own while there are not too many: only then it is clear what a question is about.
   */
  async forCall(context: PeerContext): Promise<{ session: Session; done: () => void }> {
    const key = this.#keyOf(context);
    let entry = this.#entry(key, context);
    for (let n = 1; n < maxOwnSessions && entry.calls > 0; n += 1) {
      if (!this.#asksOutside || this.#parts.wire.isShared) break;
      entry = this.#entry(`${key}\n#${n}`, context);
    }
    entry.calls += 1;
    const done = (): void => {
      entry.calls -= 1;
    };
    try {
      const session = await this.#ready(entry, context);
      return { session, done };
    } catch (error) {
      done();
      throw error;
    }
  }

  /** Forgets a session that the server does not know any more. */
  async lost(session: Session): Promise<void> {
    this.#forget(session);
    await session.end(false);
  }

  /** Leaves every session; one with running work is only put down, so that it can be found. */
  async close(): Promise<void> {
    clearInterval(this.#sweep);
    const begun = await Promise.allSettled(
      [...this.#sessions.values()].map((entry) => entry.begun),
    );
    this.#sessions.clear();
    const sessions = begun.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    await Promise.all(sessions.map((session) => session.end(!hasWork(session))));
  }

  get #asksOutside(): boolean {
    for (const { session } of this.#sessions.values()) {
      if (session?.asksOutside === true) this.#seenOutside = true;
    }
    return this.#seenOutside;
  }

  #entry(key: string, context: PeerContext): Entry {
    const entry = this.#sessions.get(key);
    return entry === undefined || entry.session?.ended === true ? this.#begin(key, context) : entry;
  }

  async #ready(entry: Entry, context: PeerContext): Promise<Session> {
    const session = await abortable(entry.begun, context.signal);
    session.lastUsed = this.#clock();
    return session;
  }

  #begin(key: string, context: PeerContext): Entry {
    const owner = ownerKey(context.principal);
    this.#makeRoom(owner);
    // The handshake serves everybody who waits for it: no single caller's abort ends it.
    const { connectMs } = this.#limits;
    const limit = { peerId: this.#parts.wire.peerId, stage: 'connect', ms: connectMs * 2 } as const;
    const begun = within(limit, (signal) =>
      Session.begin(
        this.#parts,
        { ...context, signal },
        { silenceMs: connectMs, clock: this.#clock },
      ),
    );
    const entry: Entry = { begun, owner, calls: 0 };
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

  /** One caller cannot have the gateway open sessions without end by changing its capabilities. */
  #makeRoom(owner: OwnerKey): void {
    const own = [...this.#sessions.values()].filter((entry) => entry.owner === owner);
    if (own.length < maxSessionsPerOwner) return;
    const idle = own
      .flatMap(({ session }) => (session === undefined || isBusy(session) ? [] : [session]))
      .sort((a, b) => a.lastUsed - b.lastUsed)[0];
    if (idle === undefined) {
      throw new GatewayError('too-many', 'Too many sessions are open for this caller.', {
        facts: { peer: this.#parts.wire.peerId, retryAfterMs: 1000 },
      });
    }
    this.#forget(idle);
    void idle.end(true);
  }

  /** A connection is one session, for whoever uses it. */
  #keyOf(context: PeerContext): string {
    return this.#parts.wire.isShared ? '' : keyOf(context);
  }

  #leaveUnused(): void {
    if (this.#parts.wire.isShared) return;
    const limit = this.#clock() - this.#limits.unusedMs;
    for (const { session } of this.#sessions.values()) {
      if (session === undefined || session.lastUsed > limit) continue;
      if (isBusy(session)) continue;
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
  readonly owner: OwnerKey;
  readonly begun: Promise<Session>;
  session?: Session;
  /** Calls that run in it, or are about to. */
  calls: number;
}

/** Sessions that one caller may have for the sake of questions without a call. */
const maxOwnSessions = 8;

const maxSessionsPerOwner = 64;

function isBusy(session: Session): boolean {
  return session.calls.size > 0 || session.listeners.size > 0 || session.tasks.size > 0;
}

function hasWork(session: Session): boolean {
  return session.tasks.size > 0 || session.unanswered.size > 0;
}

function keyOf(context: PeerContext): string {
  const capabilities = clientCapabilities(context.features, 'legacy');
  return `${ownerKey(context.principal)}\n${JSON.stringify(capabilities)}`;
}
