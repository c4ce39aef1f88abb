/**
 * Seals what leaves the gateway and must come back unread and unchanged. `aad` binds a sealed text
 * to its use; opening with another one fails.
 */
import type { JsonObject } from '../model/json.ts';

/** Authenticated encryption with the gateway's own key. */
export interface Seal {
  /** A fresh sealed text at each call, base64url. */
  seal(value: JsonObject, aad: string): string;
  /** The value, or undefined when the text was not sealed here, for this use. */
  open(text: string, aad: string): JsonObject | undefined;
  /** The same sealed text for the same input: for identifiers that must be stable. */
  sealStable(text: string, aad: string): string;
  openStable(sealed: string, aad: string): string | undefined;
}
