/**
 * A card, the key of its owner, and signatures of every kind over it: good ones and forged ones.
 */
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import canonicalize from 'canonicalize';
import { calculateJwkThumbprint, exportJWK, FlattenedSign, type JWK } from 'jose';
import { signCard } from '../../src/discovery/card-signature.ts';

/** A card that every reader sees alike. */
export const plainCard = {
  name: 'Travel',
  description: 'Books trips.',
  supportedInterfaces: [
    { url: 'https://travel.example/a2a', protocolBinding: 'JSONRPC', protocolVersion: '1.0' },
  ],
  provider: { url: 'https://travel.example', organization: 'Travel' },
  version: '1.2.3',
  capabilities: { streaming: true, pushNotifications: false },
  defaultInputModes: ['text/plain'],
  defaultOutputModes: ['text/plain'],
  skills: [{ id: 'book', name: 'Book', description: 'Books.', tags: ['travel'] }],
};

/** Where the owner publishes its keys. */
export const jku = 'https://travel.example/.well-known/jwks.json';

const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const { kty, crv, x, y } = await exportJWK(pair.publicKey);

/** The owner's private key. */
export const { privateKey } = pair;
/** Its id. */
export const kid = await calculateJwkThumbprint({ kty, crv, x, y });
/** Its public half. */
export const jwk: JWK = { kty, crv, x, y, kid, use: 'sig', alg: 'ES256' };

/** The card as its owner signs it. */
export const signed = (card: object = plainCard) => signCard(card, { kid, privateKey }, { jku });

/** A protected header, encoded. */
export const encoded = (header: object) =>
  Buffer.from(JSON.stringify(header)).toString('base64url');

/** One signature over the canonical form of a card, by whatever key and header a test wants. */
export async function forged(
  wish: {
    card?: object;
    /** Members of the protected header; undefined takes one out. */
    head?: Record<string, unknown>;
    key?: KeyObject | Uint8Array;
  } = {},
) {
  const { card = plainCard, head = {}, key = privateKey } = wish;
  const header = JSON.parse(JSON.stringify({ alg: 'ES256', typ: 'JOSE', kid, ...head }));
  const jws = await new FlattenedSign(new TextEncoder().encode(canonicalize(card)))
    .setProtectedHeader(header)
    .sign(key);
  const signature = { protected: jws.protected ?? '', signature: jws.signature };
  return { ...card, signatures: [signature] };
}
