import { randomBytes } from 'node:crypto';

/** Random bytes, fresh at each call. */
export type RandomBytes = (size: number) => Buffer;

/** Makes identifiers; injected so that tests are repeatable. */
export type MintId = () => string;

const poolBytes = 4096;

/** Random bytes drawn from the system in blocks: asking it for a few costs as much as for many. */
export function pooledRandomBytes(): RandomBytes {
  let pool = Buffer.alloc(0);
  let used = 0;
  return (size) => {
    if (size > poolBytes) return randomBytes(size);
    if (used + size > pool.length) {
      pool = randomBytes(poolBytes);
      used = 0;
    }
    used += size;
    return pool.subarray(used - size, used);
  };
}

/**
 * Fresh identifiers of 16 random bytes, base64url: they cannot be guessed or enumerated.
 *
 * Spec: MCP Tasks extension, "Security Considerations"; A2A 1.0 §3.1 (unique task ids)
 */
export function createMintId(random: RandomBytes = randomBytes): MintId {
  return () => {
    for (;;) {
      const id = random(16).toString('base64url');
      // People give ids to commands, where one that begins with "-" is an option.
      if (!id.startsWith('-')) return id;
    }
  };
}

/** The current time in milliseconds since the epoch; injected so that tests own the clock. */
export type Clock = () => number;

/** A time in milliseconds as A2A and MCP write it: ISO 8601, UTC, milliseconds. */
export function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}
