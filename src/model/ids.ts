import { randomBytes } from 'node:crypto';

/** Makes identifiers; injected so that tests are repeatable. */
export type MintId = () => string;

/**
 * A fresh identifier of 128 random bits, base64url: it cannot be guessed or enumerated.
 *
 * Spec: MCP Tasks extension, "Security Considerations"; A2A 1.0 §3.1 (unique task ids)
 */
export const mintId: MintId = () => randomBytes(16).toString('base64url');

/** The current time in milliseconds since the epoch; injected so that tests own the clock. */
export type Clock = () => number;

/** A time in milliseconds as A2A and MCP write it: ISO 8601, UTC, milliseconds. */
export function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}
