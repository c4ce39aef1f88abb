/**
 * What must be accepted once: DPoP proofs, client assertions, authorization grants.
 *
 * Spec: RFC 9449 §11.1, RFC 7523 §3 (item 7)
 */

/** Remembers ids until they could not be used any more. */
export interface ReplayStore {
  /**
   * True for exactly one caller per id, however many ask at the same time and on whichever replica.
   * `expiresAt` in milliseconds: from then on the id may be forgotten. It is on disk when this
   * resolves; with `isSoon` no later than the next write to the same database that is waited for.
   */
  firstUse(id: string, expiresAt: number, options?: { isSoon?: boolean }): Promise<boolean>;
  /** Forgets some of what has expired; how many. Call it again until there is nothing more. */
  sweep(now: number): Promise<number>;
}
