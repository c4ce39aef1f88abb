/**
 * Keys and tokens that anybody can guess: zeros, repetitions, counting, words, and what is left
 * standing from an example. Keys that were made at random are never among them: each rule hits one
 * in less than 10^7.
 */

/** What stands where a secret was to be put in. None occurs in random base64url by chance. */
const placeholder =
  /change.?me|change.?it|replace.?me|passw[o0]rd|placeholder|insecure|isthmus|your.?(?:key|token|secret)|(?:my|the|top|super|very).?secret|secret.?key|default.?key|example/i;

/** Fewest different bytes among 32: of random ones there are 20 or more. */
const fewestBytes = 16;
/** Fewest different characters among 32: random hexadecimal digits have 11 or more. */
const fewestCharacters = 8;

/** Why a secret of at least 32 bytes can be guessed, as the end of a sentence; else undefined. */
export function weaknessOf(secret: Uint8Array): string | undefined {
  if (secret.every((byte) => byte === 0)) return 'is all zeros';
  if (secret.every((byte) => byte >= 0x20 && byte < 0x7f)) return 'is text';
  return patternOf(secret, fewestBytes);
}

/** The same of a secret as it is written in its file. */
export function textWeaknessOf(text: string): string | undefined {
  if (placeholder.test(text)) return 'was left standing from an example';
  if (/^(?:[a-z_ .-]+|[A-Z_ .-]+|[0-9_ .-]+)$/.test(text))
    return 'is made of words or digits alone';
  return patternOf(Buffer.from(text), fewestCharacters);
}

function patternOf(secret: Uint8Array, fewest: number): string | undefined {
  if (periodOf(secret) <= secret.length / 2) return 'repeats itself';
  if (isCounting(secret)) return 'counts';
  return new Set(secret).size < fewest ? 'has too few different characters' : undefined;
}

/** The length of the shortest beginning that the whole is a repetition of. */
function periodOf(bytes: Uint8Array): number {
  for (let period = 1; period < bytes.length; period += 1) {
    if (bytes.every((byte, index) => index < period || byte === bytes[index - period])) {
      return period;
    }
  }
  return bytes.length;
}

function isCounting(bytes: Uint8Array): boolean {
  const step = ((bytes[1] ?? 0) - (bytes[0] ?? 0)) & 255;
  return bytes.every(
    (byte, index) => index === 0 || ((byte - (bytes[index - 1] ?? 0)) & 255) === step,
  );
}
