/** Public keys in the configuration: a JWK Set, or the text of one that `${file:…}` brought. */
import { z } from 'zod';

const publicKey = z.looseObject({
  kty: z.enum(['EC', 'RSA', 'OKP'], { error: 'expected a public key (EC, RSA or OKP)' }),
  d: z.undefined({ error: 'this is a private key; only its public half belongs here' }).optional(),
});

/** A key set that `${file:…}` brought is its text. */
function fromJson(value: unknown): unknown {
  if (typeof value !== 'string') return value;
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}

/** A JWK Set of public keys. */
export const jwks = z.preprocess(
  fromJson,
  z.strictObject({ keys: z.array(publicKey).min(1, 'expected at least one key') }),
);
