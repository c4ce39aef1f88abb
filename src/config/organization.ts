/** An entry of `organizations`: who we federate with. Trust is pinned here, and never learnt. */
import { z } from 'zod';
import { scope } from './auth.ts';
import { jwks } from './jwks.ts';
import { httpUrl, word } from './words.ts';

/** Whether a card must be signed with a pinned key, is checked if it is, or is not checked. */
export const signaturePolicies = ['require', 'prefer', 'ignore'] as const;

const hostName = z
  .string({ error: 'expected a host name' })
  .regex(/^[a-z0-9-]+(\.[a-z0-9-]+)*$/i, 'expected a host name such as partner.example')
  .transform((name) => name.toLowerCase());

/** Who we federate with. Trust is pinned here, and never learnt. */
export const organization = z.strictObject({
  id: z
    .string({ error: 'expected an identifier of a-z, 0-9 and "-"' })
    .regex(/^[a-z0-9-]{1,63}$/, 'expected an identifier of a-z, 0-9 and "-"'),
  /** What people call it. */
  name: word('a name').optional(),
  /** Hosts, and those below them, whose peers are this organization's. */
  domains: z.array(hostName).default([]),
  /** The keys that its cards are signed with. */
  cardKeys: z.strictObject({ jwks }).optional(),
  /** URLs of the metadata documents of its clients. */
  clientIds: z.array(httpUrl).default([]),
  /** What its callers may do here at the most, whatever their tokens say. */
  scopes: z.array(scope).default([]),
  cardSignatures: z
    .enum(signaturePolicies, { error: `expected ${signaturePolicies.join(', ')}` })
    .default('prefer'),
});

/** An organization that we federate with. */
export type OrganizationConfig = z.output<typeof organization>;
