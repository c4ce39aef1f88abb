/**
 * Small secrets with an owner and an end: sessions of people, transactions that are under way,
 * tokens of third parties. Values are sealed at rest, bound to their place: a row that was moved or
 * given to another owner does not open.
 */
import type { JsonObject } from '../model/json.ts';

/** A secret and what is known of it without opening it. */
export interface Secret {
  /** What it is, such as `session`; part of its key. */
  readonly kind: string;
  /** Its id within the kind. A bearer's secret is never an id: use its digest. */
  readonly id: string;
  /** Whose it is: the key by which `ofOwner` finds it. */
  readonly owner: string;
  readonly value: JsonObject;
  /** When it ends (ms); never when absent. */
  readonly expiresAt?: number;
}

/** The store's port. Secrets that have expired, or cannot be opened, are absent. */
export interface SecretStore {
  /** Adds or replaces. Resolves when it is on disk. */
  put(secret: Secret): Promise<void>;
  get(kind: string, id: string): Promise<Secret | undefined>;
  /** Removes and returns it: of many that take at the same time, one gets it. */
  take(kind: string, id: string): Promise<Secret | undefined>;
  /** False when there was none. */
  delete(kind: string, id: string): Promise<boolean>;
  /** In the order of their ids. */
  ofOwner(kind: string, owner: string): Promise<Secret[]>;
  /** Forgets some of what has expired; how many. Call it again until there is nothing more. */
  sweep(now: number): Promise<number>;
}

/** Seals what is kept at rest, under a key that has an id and can be replaced. */
export interface SecretSeal {
  seal(value: JsonObject, aad: string): Promise<string>;
  /** Undefined when it was sealed for another place, or under a key that is gone. */
  open(sealed: string, aad: string): Promise<JsonObject | undefined>;
}
