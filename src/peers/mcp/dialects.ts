/**
 * The dialect of one server: probed when first needed, kept until the server shows that it speaks
 * another one now.
 */
import { LRUCache } from 'lru-cache';
import type { Clock } from '../../model/ids.ts';
import { ownerKey, type OwnerKey } from '../../model/principal.ts';
import type { PeerContext } from '../../ports/peer.ts';
import { abortable, within } from './abortable.ts';
import type { Dialect, ServerDescription } from './conversation.ts';
import { probeEra } from './era.ts';
import { LegacyDialect } from './legacy-dialect.ts';
import { ModernDialect, type DialectParts } from './modern-dialect.ts';
import type { SessionLimits } from './sessions.ts';

/** A legacy server may have been updated: its era is asked again after this time. */
const legacyRecheckMs = 10 * 60_000;
/** A description is asked anew after this time at the latest. */
const descriptionMs = 5 * 60_000;

/** Descriptions that are kept, where each caller has its own. */
const maxDescriptions = 500;

/** Finds out how a server wants to be spoken to. */
export class Dialects {
  readonly #parts: DialectParts;
  readonly #limits: SessionLimits;
  readonly #clock: Clock;
  #current: Dialect | undefined;
  #probedAt = 0;
  readonly #retired: Dialect[] = [];
  /** By caller: one who may not speak to the server must not fail the others. */
  readonly #probing = new Map<OwnerKey, Promise<Dialect>>();
  readonly #descriptions = new LRUCache<string, { value: ServerDescription; until: number }>({
    max: maxDescriptions,
  });
  readonly #keyOf: (context: PeerContext) => string;

  /** `perCaller`: the server may describe itself to each caller in another way. */
  constructor(
    parts: DialectParts,
    limits: SessionLimits,
    { clock, perCaller }: { clock: Clock; perCaller: boolean },
  ) {
    this.#parts = parts;
    this.#limits = limits;
    this.#clock = clock;
    this.#keyOf = perCaller ? ({ principal }) => ownerKey(principal) : () => '';
  }

  /** The dialect in use. Throws GatewayError when the server cannot be asked. */
  async of(context: PeerContext): Promise<Dialect> {
    if (this.#current !== undefined) return this.#current;
    const owner = ownerKey(context.principal);
    let probing = this.#probing.get(owner);
    if (probing === undefined) {
      probing = this.#probe(context).finally(() => this.#probing.delete(owner));
      this.#probing.set(owner, probing);
    }
    return abortable(probing, context.signal);
  }

  /** The server spoke as if it were of the other era: ask again. */
  invalidate(): void {
    if (this.#current?.era === 'modern') this.#current = undefined;
    this.#descriptions.clear();
  }

  /** A legacy server that failed may be a modern one by now. */
  recheck(context: PeerContext): void {
    const old = this.#current;
    if (old?.era !== 'legacy' || this.#clock() - this.#probedAt < legacyRecheckMs) return;
    this.#probedAt = this.#clock();
    void this.#ask(context).then(
      (era) => {
        if (era.kind !== 'modern' || this.#current !== old) return;
        // Calls that are open in its sessions go on; the sessions end when nobody uses them.
        this.#retired.push(old);
        this.#keep(era.description, context);
        this.#current = this.#modern();
      },
      () => undefined,
    );
  }

  async close(): Promise<void> {
    const all = this.#current === undefined ? this.#retired : [...this.#retired, this.#current];
    await Promise.all(all.map((dialect) => dialect.close()));
  }

  #modern(): Dialect {
    return new ModernDialect(this.#parts, (asker) => this.#describe(asker));
  }

  async #probe(context: PeerContext): Promise<Dialect> {
    const era = await this.#ask(context);
    const legacy = era.kind === 'modern' ? undefined : await this.#legacy(context);
    if (this.#current !== undefined) {
      // Another caller was told first.
      await legacy?.close();
      return this.#current;
    }
    if (era.kind === 'modern') this.#keep(era.description, context);
    this.#current = legacy ?? this.#modern();
    this.#probedAt = this.#clock();
    return this.#current;
  }

  /**
   * Nonsense may be the answer of a modern server in trouble too: only one that shakes hands is
   * taken for legacy from now on.
   */
  async #legacy(context: PeerContext): Promise<Dialect> {
    const legacy = new LegacyDialect(this.#parts, this.#limits, this.#clock);
    try {
      await this.#shared((signal) => legacy.describe({ ...context, signal }));
      return legacy;
    } catch (error) {
      await legacy.close();
      throw error;
    }
  }

  async #describe(context: PeerContext): Promise<ServerDescription> {
    const known = this.#descriptions.get(this.#keyOf(context));
    if (known !== undefined && this.#clock() < known.until) return known.value;
    const era = await abortable(this.#ask(context), context.signal);
    if (era.kind === 'modern') return this.#keep(era.description, context);
    this.invalidate();
    return (await this.of(context)).describe(context);
  }

  #keep(value: ServerDescription, context: PeerContext): ServerDescription {
    const freshMs = Math.min(Math.max(value.ttlMs ?? descriptionMs, 5000), descriptionMs);
    this.#descriptions.set(this.#keyOf(context), { value, until: this.#clock() + freshMs });
    return value;
  }

  #ask(context: PeerContext): ReturnType<typeof probeEra> {
    const { connectMs } = this.#limits;
    return this.#shared((signal) => probeEra(this.#parts, { ...context, signal }, connectMs));
  }

  /** Whoever waits shares the answer: no single caller's abort ends the question. */
  #shared<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { peerId } = this.#parts.wire;
    return within({ peerId, stage: 'connect', ms: this.#limits.connectMs * 2 }, work);
  }
}
