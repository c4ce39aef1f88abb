/**
 * One signature of a card before any key is looked for: what is refused whoever signed it.
 *
 * Spec: A2A 1.0 §8.4.2, RFC 7515 §4 and §7.2
 */
import { isObject, type JsonObject } from '../model/json.ts';
import { plainText, shortened } from '../translate/plain-text.ts';
import { jsonFlaw } from '../translate/strict-json.ts';
import { isAllowed, type CardAlgorithm } from './pinned-keys.ts';

/** Why a card's signature does not count. The first three are about the document itself. */
export type SignatureRule =
  | 'too-large'
  | 'unreadable-card'
  | 'too-many-signatures'
  | 'malformed-signature'
  | 'missing-kid'
  | 'algorithm-not-allowed'
  | 'critical-header'
  | 'unpinned-key'
  | 'key-mismatch'
  | 'bad-signature';

/** `reason` goes on where a sentence says "the card is refused:". */
export interface Refusal {
  readonly kind: 'refused';
  readonly rule: SignatureRule;
  readonly reason: string;
}

const maxHeader = 8192;

/** One signature as far as it can be read before a key is chosen. Spec: A2A 1.0 §4.4.7 */
export interface CardJws {
  readonly protected: string;
  readonly signature: string;
  readonly kid: string;
  readonly algorithm: CardAlgorithm;
}

/** Reads one element of `signatures`, or says why it cannot count whoever made it. */
export function parseJws(entry: unknown): CardJws | Refusal {
  if (!isObject(entry)) return malformed('is not an object');
  const { protected: head, signature, header } = entry;
  // Spec: A2A 1.0 §8.4.2: the payload is the card. Another one would prove something else.
  if (Object.hasOwn(entry, 'payload')) return malformed('brings a payload of its own');
  if (typeof head !== 'string' || typeof signature !== 'string') {
    return malformed('lacks "protected" or "signature"');
  }
  const parameters = head.length > maxHeader ? undefined : parseHeader(head);
  if (parameters === undefined) return malformed('has an unreadable protected header');
  if (header !== undefined && header !== null && !isObject(header)) {
    return malformed('has an unprotected header that is not an object');
  }
  const loose = header ?? {};
  // Spec: RFC 7515 §7.2.1 (names are disjoint), §4.1.11 (crit is integrity protected)
  const twice = Object.keys(loose).find((name) => Object.hasOwn(parameters, name));
  if (twice !== undefined) return malformed(`names ${quoted(twice)} in both of its headers`);
  const { alg, kid } = parameters;
  if (typeof alg !== 'string' || !isAllowed(alg)) {
    const named = typeof alg === 'string' ? quoted(alg) : 'none in its protected header';
    return refuse(
      'algorithm-not-allowed',
      `its signature names the algorithm ${named}; only asymmetric ones such as ES256 count`,
    );
  }
  // Spec: RFC 7515 §4.1.11: what is critical and not understood makes a signature invalid.
  if ([parameters, loose].some((one) => Object.hasOwn(one, 'crit') || Object.hasOwn(one, 'b64'))) {
    return refuse('critical-header', 'its signature asks for a JWS extension ("crit" or "b64")');
  }
  if (typeof kid !== 'string' || kid === '') {
    return refuse('missing-kid', 'its signature names no key ("kid") in its protected header');
  }
  return { protected: head, signature, kid, algorithm: alg };
}

function parseHeader(encoded: string): Record<string, unknown> | undefined {
  const bytes = Buffer.from(encoded, 'base64url');
  // Base64 decoding forgives: only the one canonical spelling counts.
  if (bytes.toString('base64url') !== encoded) return undefined;
  const value = readObject(bytes.toString('utf8'));
  return typeof value === 'string' ? undefined : value;
}

function malformed(what: string): Refusal {
  return { kind: 'refused', rule: 'malformed-signature', reason: `its signature ${what}` };
}

function refuse(rule: SignatureRule, reason: string): Refusal {
  return { kind: 'refused', rule, reason };
}

/** A word of a stranger, fit to be shown in a message. */
export function quoted(word: string): string {
  return JSON.stringify(shortened(plainText(word), 64));
}

/** A JSON object, or what makes the text one that two readers could take differently. */
export function readObject(text: string): JsonObject | string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return 'it is not JSON';
  }
  if (!isObject(value)) return 'it is not a JSON object';
  const flaw = jsonFlaw(text);
  return flaw === undefined ? (value as JsonObject) : flaws[flaw];
}

const flaws = {
  'duplicate-member': 'a member stands twice in one object',
  'too-deep': 'it is nested too deeply',
  'too-many-members': 'it has too many members',
} as const;
