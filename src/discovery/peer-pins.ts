/**
 * The pins of one peer. What was seen first is taken for approved; what the peer then offers instead
 * is judged by its policy. A name that goes away keeps its pin: coming back as something else is a
 * change like any other.
 *
 * A name that was never seen before, at a peer that was:
 * - under `block` it waits for approval, because under a new name a changed tool is a new one;
 * - under `review` and `accept` it is shown at once, and told. A server's list grows, and what was
 *   approved stays as it was: nobody who calls a tool by its name gets another one.
 *
 * A peer decides how many names and how much text it offers, so both are bounded. At the bound a pin
 * may make room when its name has not been offered for a day and nobody has decided on it. That gives
 * a peer nothing that it does not have: under `block` the name waits when it comes back, under
 * `review` it could have come back under another name.
 */
import type { Clock } from '../model/ids.ts';
import type { DefinitionPin, DefinitionPolicy, DefinitionRef } from '../ports/definitions.ts';
import type { DefinitionNews } from './definition-news.ts';
import { bytesOf, extendedSelfName, selfName, type Offered } from './definitions.ts';
import type { NameIndex } from './name-index.ts';

/** What the pins of a peer need. */
export interface PeerPinsOptions {
  readonly policy: () => DefinitionPolicy;
  /** The names of all peers. */
  readonly names: NameIndex;
  readonly news: DefinitionNews;
  readonly writer: { save(pin: DefinitionPin): void; drop(pin: DefinitionPin): void };
  readonly clock: Clock;
}

/** More names than this are not taken from one peer. */
const maxPins = 2000;
/** More text than this is not kept of one peer (bytes). */
const maxBytes = 8 * 1024 * 1024;
/** How often it is looked for names that may make room (ms). */
const searchMs = 60_000;
/** How long a name must have been away to make room (ms). */
const vanishedMs = 24 * 3_600_000;

interface Kept {
  pin: DefinitionPin;
  bytes: number;
  seenAt: number;
}

/** See the file comment. */
export class PeerPins {
  readonly news: DefinitionNews;
  readonly #options: PeerPinsOptions;
  /** In the order of first sight. */
  readonly #kept = new Map<string, Kept>();
  #bytes = 0;
  /** When nothing could make room, so that not every name of a look searches again. */
  #fullAt = -Infinity;

  constructor(options: PeerPinsOptions) {
    this.#options = options;
    this.news = options.news;
  }

  /** Whether the peer was ever seen. */
  get isEmpty(): boolean {
    return this.#kept.size === 0;
  }

  get({ kind, name }: Omit<DefinitionRef, 'peer'>): DefinitionPin | undefined {
    return this.#kept.get(keyOf(kind, name))?.pin;
  }

  /** In the order of first sight. */
  list(): DefinitionPin[] {
    return [...this.#kept.values()].map(({ pin }) => pin);
  }

  /** Takes what the store remembers. */
  load(pin: DefinitionPin): void {
    this.#set(pin);
    this.#options.names.add(pin);
  }

  /** Takes a decision. */
  decide(pin: DefinitionPin): void {
    this.#put(pin);
  }

  /** Forgets everything, without a trace in the store. */
  clear(): void {
    for (const { pin } of this.#kept.values()) this.#options.names.remove(pin);
    this.#kept.clear();
    this.#bytes = 0;
  }

  /**
   * The pin of a definition that the peer offers, as it is after that. Undefined when there is no
   * room for it. `isFirst`: nothing of the peer had been seen before this look.
   */
  take(ref: DefinitionRef, found: Offered, isFirst: boolean): DefinitionPin | undefined {
    const kept = this.#kept.get(keyOf(ref.kind, ref.name));
    if (kept === undefined) return this.#admit(ref, found, isFirst);
    const { pin } = kept;
    kept.seenAt = this.#options.clock();
    if (pin.hash === found.hash) return this.#restore(pin);
    // Under `accept` nothing waits but what somebody refused.
    const known = pin.pending?.hash === found.hash;
    if (known && (pin.status === 'rejected' || this.#options.policy() !== 'accept')) return pin;
    return this.#offer(kept, found);
  }

  /** A name that was never seen. */
  #admit(ref: DefinitionRef, found: Offered, isFirst: boolean): DefinitionPin | undefined {
    if (!this.#hasRoom(1, found.bytes)) return undefined;
    const { names, clock, policy } = this.#options;
    const seen = clock();
    const findings = names.findings(ref);
    for (const { reason } of findings) this.news.note({ fact: 'flagged', ...ref, reason });
    const poses = findings.some(({ poses: isPose }) => isPose);
    const unasked = !isFirst && !this.#isPublic(ref, found);
    const held = (poses && policy() !== 'accept') || (unasked && policy() === 'block');
    const { hash, definition } = found;
    const pin: DefinitionPin = {
      ...ref,
      hash: held ? null : hash,
      definition: held ? null : definition,
      firstSeen: seen,
      status: held ? 'pending' : 'approved',
      pending: held ? { hash, definition, seenAt: seen } : null,
      decided: null,
    };
    names.add(pin);
    this.#put(pin, found.bytes);
    this.news.note({ fact: 'pinned', ...ref, waits: held });
    return pin;
  }

  /** What an extended card repeats was approved as part of the card that everybody reads. */
  #isPublic({ kind, name }: DefinitionRef, { hash }: Offered): boolean {
    if (kind === 'extended-skill') return this.get({ kind: 'skill', name })?.hash === hash;
    const isSelf = kind === 'server' && name === extendedSelfName;
    return isSelf && this.get({ kind, name: selfName })?.hash === hash;
  }

  /** The peer offers something else than what is pinned, and than what is known to wait. */
  #offer({ pin, bytes }: Kept, found: Offered): DefinitionPin | undefined {
    const { policy, clock } = this.#options;
    const isTaken = policy() === 'accept';
    const next = isTaken ? found.bytes : bytesOf(pin.definition) + found.bytes;
    if (next > bytes && !this.#hasRoom(0, next - bytes)) return undefined;
    this.news.note({ fact: 'changed', kind: pin.kind, name: pin.name });
    const { hash, definition } = found;
    const changed: DefinitionPin = isTaken
      ? { ...pin, hash, definition, status: 'approved', pending: null }
      : { ...pin, status: 'pending', pending: { hash, definition, seenAt: clock() } };
    this.#put(changed, next);
    return changed;
  }

  /** The peer offers the pinned definition again. A refusal of the other one stays on record. */
  #restore(pin: DefinitionPin): DefinitionPin {
    if (pin.status !== 'pending') return pin;
    this.news.note({ fact: 'restored', kind: pin.kind, name: pin.name });
    const next: DefinitionPin = { ...pin, status: 'approved', pending: null };
    this.#put(next);
    return next;
  }

  #hasRoom(pins: number, bytes: number): boolean {
    const fits = (): boolean =>
      this.#kept.size + pins <= maxPins && this.#bytes + bytes <= maxBytes;
    if (fits()) return true;
    const now = this.#options.clock();
    if (Math.abs(now - this.#fullAt) < searchMs) return false;
    for (const [key, { pin, bytes: freed, seenAt }] of this.#kept) {
      if (!mayGo(pin) || now - seenAt < vanishedMs) continue;
      this.#kept.delete(key);
      this.#bytes -= freed;
      this.#options.names.remove(pin);
      this.#options.writer.drop(pin);
      if (fits()) return true;
    }
    this.#fullAt = now;
    return false;
  }

  #put(pin: DefinitionPin, bytes?: number): void {
    this.#set(pin, bytes);
    this.#options.writer.save(pin);
  }

  #set(pin: DefinitionPin, bytes = bytesOf(pin.definition) + bytesOf(pin.pending?.definition)) {
    const key = keyOf(pin.kind, pin.name);
    const known = this.#kept.get(key);
    this.#bytes += bytes - (known?.bytes ?? 0);
    // What the store remembers may have been there until the gateway stopped.
    this.#kept.set(key, { pin, bytes, seenAt: known?.seenAt ?? this.#options.clock() });
  }
}

/** Nobody decided on it, and no change of what was approved waits. */
function mayGo({ kind, decided, hash, pending }: DefinitionPin): boolean {
  return kind !== 'server' && decided === null && (hash === null || pending === null);
}

function keyOf(kind: string, name: string): string {
  return `${kind}\n${name}`;
}
