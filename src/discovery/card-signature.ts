/**
 * Signatures of agent cards: ours made, those of others checked.
 *
 * A signature is worth what its key is worth, and a card cannot vouch for its own key: `jku`, `jwk`
 * and `x5c` say who wrote them, not whom to trust. Only pinned keys count, and the document is
 * checked as it was fetched, not as a parser rebuilt it.
 *
 * Spec: A2A 1.0 §8.4 (agent card signing), RFC 7515 (JWS), RFC 8785 (JCS)
 */
import { createHash, type KeyObject } from 'node:crypto';
import { p256 } from '@noble/curves/nist.js';
import { base64url, errors, flattenedVerify, importJWK, type JWK } from 'jose';
import type { JsonObject } from '../model/json.ts';
import {
  canonicalFormsSliced,
  withoutDefaults,
  type CanonicalTexts,
  type CardForm,
} from './card-forms.ts';
import {
  parseJws,
  quoted,
  readObject,
  type CardJws,
  type Refusal,
  type SignatureRule,
} from './card-jws.ts';
import { fits, pinnedKeys, type PinnedKey, type PinnedKeys } from './pinned-keys.ts';
import { atOnce, inSlices, type Sliced } from './slices.ts';

/** A private key that signs cards: P-256. */
export interface CardKey {
  readonly kid: string;
  readonly privateKey: KeyObject;
}

/** A card with our signatures in place of any that it had. */
export type SignedCard = JsonObject & { signatures: { protected: string; signature: string }[] };

/**
 * Signs a card in its wire form. Default values are taken out of the result, so that what is served
 * is what was signed. A card that readers may rebuild in different ways (members outside the 1.0
 * schema, empty values) carries a signature per way; a reader needs one that fits. The same card
 * and key make the same bytes, so that nothing changes where nothing has changed.
 * Spec: A2A 1.0 §8.4.2 (alg, typ and kid in the protected header; jku may be), RFC 7518 §3.4 (ES256), RFC 6979 (no randomness)
 */
export function signCard(card: object, key: CardKey, options: SigningOptions = {}): SignedCard {
  return atOnce(signing(card as JsonObject, key, options));
}

/** The same for cards of any size, in slices, between which others have their turn. */
export function signCardInSlices(
  card: object,
  key: CardKey,
  options: SigningOptions = {},
): Promise<SignedCard> {
  return inSlices(signing(card as JsonObject, key, options));
}

/** How a card is signed. */
export interface SigningOptions {
  readonly jku?: string;
  /** What was made of the parts of other cards of the same moment; parts are not made twice. */
  readonly texts?: CanonicalTexts;
}

function* signing(
  card: JsonObject,
  key: CardKey,
  { jku, texts }: SigningOptions,
): Sliced<SignedCard> {
  const { signatures: _replaced, ...wire } = card;
  const body = withoutDefaults(wire);
  const header = { alg: 'ES256', typ: 'JOSE', kid: key.kid, ...(jku !== undefined && { jku }) };
  const protectedHeader = base64url.encode(JSON.stringify(header));
  const secret = base64url.decode(key.privateKey.export({ format: 'jwk' }).d ?? '');
  const forms = yield* canonicalFormsSliced(body, texts);
  const signatures: SignedCard['signatures'] = [];
  for (const payload of forms.keys()) {
    const digest = yield* digestOf(protectedHeader, payload);
    const signature = p256.sign(digest, secret, { lowS: false, prehash: false });
    signatures.push({ protected: protectedHeader, signature: base64url.encode(signature) });
  }
  return { ...body, signatures };
}

/** In bytes; a whole number of groups of three, which base64 encodes on their own. */
const hashedAtOnce = 192 * 1024;

/** Spec: RFC 7515 §5.1 (the signing input), RFC 7518 §3.4 (its SHA-256 is what is signed) */
function* digestOf(protectedHeader: string, payload: string): Sliced<Buffer> {
  const hash = createHash('sha256').update(`${protectedHeader}.`);
  const bytes = Buffer.from(payload);
  for (let at = 0; at < bytes.length; at += hashedAtOnce) {
    hash.update(bytes.toString('base64url', at, Math.min(at + hashedAtOnce, bytes.length)));
    yield hashedAtOnce;
  }
  return hash.digest();
}

/** What the signatures of a card are worth. */
export type CardVerification =
  | {
      readonly kind: 'verified';
      readonly kid: string;
      readonly algorithm: string;
      readonly form: CardForm;
      /** What the signature covers, which is all that may be relied on. */
      readonly card: JsonObject;
    }
  | { readonly kind: 'unsigned'; readonly card: JsonObject }
  | Refusal;

/** More than a rotation or a joint card needs; each costs a public-key operation. */
const maxSignatures = 16;

/** In characters. Each signature is checked over each form, at some 5 ms a MiB. */
const maxCard = 4 * 1024 * 1024;

/**
 * Verifies a card as it was fetched. One signature by a pinned key suffices; nothing is fetched.
 * Spec: A2A 1.0 §8.4.3
 */
export async function verifyCard(text: string, pinned: PinnedKeys): Promise<CardVerification> {
  if (text.length > maxCard) return refuse('too-large', 'it is larger than 4 MiB');
  const card = readObject(text);
  if (typeof card === 'string') return refuse('unreadable-card', card);
  const { signatures } = card;
  if (signatures === undefined || signatures === null) return { kind: 'unsigned', card };
  if (!Array.isArray(signatures)) {
    return refuse('malformed-signature', 'its "signatures" is not a list');
  }
  if (signatures.length === 0) return { kind: 'unsigned', card };
  if (signatures.length > maxSignatures) {
    const count = `it carries ${signatures.length} signatures`;
    return refuse('too-many-signatures', `${count}, and at most ${maxSignatures} are looked at`);
  }
  let forms: SigningInput[];
  try {
    forms = await signingInputs(card);
  } catch {
    // Only numbers and characters that no JSON text can carry stop canonicalization.
    return refuse('unreadable-card', 'it holds a number or a character without a canonical form');
  }
  const keys = await pinnedKeys(pinned);
  let nearest: Refusal | undefined;
  for (const entry of signatures) {
    // The first good one ends the search.
    const outcome = await verifyEntry(entry, forms, keys);
    if (outcome.kind === 'verified') return outcome;
    if (nearest === undefined || rank(outcome) > rank(nearest)) nearest = outcome;
  }
  return nearest ?? { kind: 'unsigned', card };
}

/** Of several refusals the one that came nearest to trust tells most. */
const order: readonly SignatureRule[] = [
  'malformed-signature',
  'missing-kid',
  'algorithm-not-allowed',
  'critical-header',
  'unpinned-key',
  'key-mismatch',
  'bad-signature',
];

function rank({ rule }: Refusal): number {
  return order.indexOf(rule);
}

/** One form of the card; `encoded` is what is hashed, made once however many signatures there are. */
interface SigningInput {
  readonly payload: string;
  readonly form: CardForm;
  readonly encoded: string;
}

async function signingInputs(card: JsonObject): Promise<SigningInput[]> {
  return Array.from(await inSlices(canonicalFormsSliced(card)), ([payload, form]) => ({
    payload,
    form,
    encoded: Buffer.from(payload).toString('base64url'),
  }));
}

type Verified = Extract<CardVerification, { kind: 'verified' }>;

async function verifyEntry(
  entry: unknown,
  forms: readonly SigningInput[],
  pinned: readonly PinnedKey[],
): Promise<Verified | Refusal> {
  const jws = parseJws(entry);
  if ('kind' in jws) return jws;
  const { kid, algorithm } = jws;
  const named = pinned.filter((key) => key.kid === kid);
  if (named.length === 0) {
    return refuse(
      'unpinned-key',
      `its signature names the key ${quoted(kid)}, which is not pinned`,
    );
  }
  let checked = false;
  for (const { jwk } of named.filter((key) => fits(key.jwk, algorithm))) {
    for (const { payload, form, encoded } of forms) {
      // The first that is good ends the search.
      const valid = await isSignedBy(jwk, jws, encoded);
      if (valid === undefined) break;
      if (valid) {
        return { kind: 'verified', kid, algorithm, form, card: JSON.parse(payload) as JsonObject };
      }
      checked = true;
    }
  }
  return checked
    ? refuse('bad-signature', `its signature by the key ${quoted(kid)} does not fit its content`)
    : refuse('key-mismatch', `the pinned key ${quoted(kid)} is not one for ${algorithm}`);
}

/** Undefined when the key cannot be used at all. */
async function isSignedBy(jwk: JWK, jws: CardJws, payload: string): Promise<boolean | undefined> {
  try {
    const key = await importJWK(jwk, jws.algorithm);
    const { protected: header, signature } = jws;
    const flattened = { payload, protected: header, signature };
    await flattenedVerify(flattened, key, { algorithms: [jws.algorithm] });
    return true;
  } catch (error) {
    const { JWSInvalid, JWSSignatureVerificationFailed } = errors;
    return error instanceof JWSSignatureVerificationFailed || error instanceof JWSInvalid
      ? false
      : undefined;
  }
}

function refuse(rule: SignatureRule, reason: string): Refusal {
  return { kind: 'refused', rule, reason };
}
