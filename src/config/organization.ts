/** An entry of `organizations`: who we federate with. Trust is pinned here, and never learnt. */
import { z } from 'zod';
import { later } from './words.ts';

/** Whether a card must be signed with a pinned key, is checked if it is, or is not checked. */
export const signaturePolicies = ['require', 'prefer', 'ignore'] as const;

const hostName = z
  .string({ error: 'expected a host name' })
  .regex(/^[a-z0-9-]+(\.[a-z0-9-]+)*$/i, 'expected a host name such as partner.example')
  .transform((name) => name.toLowerCase());

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

/** Who we federate with. Trust is pinned here, and never learnt. */
export const organization = z.strictObject({
  id: z
    .string({ error: 'expected an identifier of a-z, 0-9 and "-"' })
    .regex(/^[a-z0-9-]{1,63}$/, 'expected an identifier of a-z, 0-9 and "-"'),
  /** Hosts, and those below them, whose peers are this organization's. */
  domains: z.array(hostName).default([]),
  /** The keys that its cards are signed with. */
  cardKeys: z
    .strictObject({
      jwks: z.preprocess(
        fromJson,
        z.strictObject({ keys: z.array(publicKey).min(1, 'expected at least one key') }),
      ),
    })
    .optional(),
  clientIds: later("naming an organization's clients"),
  cardSignatures: z
    .enum(signaturePolicies, { error: `expected ${signaturePolicies.join(', ')}` })
    .default('prefer'),
});

/** An organization that we federate with. */
export type OrganizationConfig = z.output<typeof organization>;
