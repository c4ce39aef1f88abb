/**
 * Verifies a card's signatures as somebody would who has only the specs: JOSE on the document as it
 * was fetched. Nothing in here is shared with the gateway.
 *
 * Spec: A2A 1.0 §8.4, RFC 7515, RFC 8785
 */
import canonicalize from 'canonicalize';
import { createLocalJWKSet, decodeProtectedHeader, flattenedVerify } from 'jose';
import type { FlattenedJWSInput, JSONWebKeySet, JWSHeaderParameters } from 'jose';
import { objectIn, objectsIn, textIn, type Json } from './site.ts';

/** A signature that was found good. */
export interface GoodSignature {
  readonly header: JWSHeaderParameters;
}

/**
 * The signatures of a card that are good over its canonical form. Throws when it has none, and the
 * error of the last one when all are bad: one that is good is enough, others may be for verifiers
 * that read cards in another way.
 */
export async function verifyCard(text: string, jwks: JSONWebKeySet): Promise<GoodSignature[]> {
  const { signatures, ...content } = JSON.parse(text) as Json;
  const payload = base64url(canonical(content));
  const keys = createLocalJWKSet(jwks);
  const good: GoodSignature[] = [];
  let last: unknown = new Error('the card is not signed');
  for (const one of objectsIn(signatures)) {
    const jws: FlattenedJWSInput = {
      protected: textIn(one['protected']),
      signature: textIn(one['signature']),
      payload,
    };
    try {
      await flattenedVerify(jws, keys, { algorithms: ['ES256'] });
      good.push({ header: decodeProtectedHeader(jws) });
    } catch (error) {
      last = error;
    }
  }
  if (good.length === 0) throw last;
  return good;
}

/** RFC 8785. */
export function canonical(value: Json): string {
  const text = canonicalize(value);
  if (text === undefined) throw new Error('not canonicalizable');
  return text;
}

function base64url(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64url');
}

/**
 * A card without the members that a reader of its protobuf definition would not have: those that
 * are neither REQUIRED nor `optional` and have their default value.
 * Spec: A2A 1.0 §8.4.1 rule 1
 */
export function withoutDefaults(card: Json): Json {
  const copy = structuredClone(card);
  drop(copy, ['securitySchemes', 'securityRequirements', 'signatures']);
  const capabilities = objectIn(copy['capabilities']);
  drop(capabilities, ['extensions']);
  for (const extension of listIn(capabilities['extensions'])) {
    drop(extension, ['uri', 'description', 'required']);
  }
  for (const one of listIn(copy['supportedInterfaces'])) drop(one, ['tenant']);
  for (const skill of listIn(copy['skills'])) {
    drop(skill, ['examples', 'inputModes', 'outputModes', 'securityRequirements']);
  }
  return copy;
}

function listIn(value: unknown): Json[] {
  return value === undefined ? [] : objectsIn(value);
}

function drop(from: Json, names: readonly string[]): void {
  for (const name of names) if (isDefault(from[name])) delete from[name];
}

function isDefault(value: unknown): boolean {
  if (value === '' || value === false || value === 0) return true;
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}

/** Every single change that can be made to a leaf of a document, as documents. */
export function* tampered(text: string): Generator<{ where: string; text: string }> {
  const { signatures, ...content } = JSON.parse(text) as Json;
  for (const path of leaves(content)) {
    const copy = structuredClone(content);
    const last = path.at(-1) ?? '';
    let at = copy;
    for (const step of path.slice(0, -1)) at = at[step] as Json;
    const value = at[last];
    at[last] = typeof value === 'boolean' ? !value : `${String(value)}x`;
    yield { where: path.join('.'), text: JSON.stringify({ ...copy, signatures }) };
  }
  yield { where: 'a new member', text: JSON.stringify({ ...content, extra: 'x', signatures }) };
}

function leaves(value: unknown): string[][] {
  if (typeof value !== 'object' || value === null) return [[]];
  return Object.entries(value).flatMap(([name, inner]) =>
    leaves(inner).map((rest) => [name, ...rest]),
  );
}
