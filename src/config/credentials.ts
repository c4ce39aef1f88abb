/** `credentials` of a peer: how the gateway identifies itself, or its caller through it. */
import { createPrivateKey, type JsonWebKeyInput } from 'node:crypto';
import { z } from 'zod';
import { flag } from './units.ts';
import { httpUrl, word } from './words.ts';

/** How the gateway identifies itself to an authorization server. */
export interface ClientConfig {
  /** The authorization server, by its issuer: exactly as its metadata spells it. */
  readonly issuer: string;
  /** The gateway's own client metadata document when absent. */
  readonly clientId?: string;
  /** With neither a secret nor a key, the gateway signs with its own keys. */
  readonly clientSecret?: string;
  /** A private key as a JWK or as PKCS#8 PEM. */
  readonly key?: string;
  readonly scopes: readonly string[];
  /** What tokens are for; the peer's own URL when absent. Spec: RFC 8707 §2 */
  readonly resource?: string;
  /** Binds tokens to a key of the gateway. Spec: RFC 9449 */
  readonly dpop: boolean;
}

/** How the gateway identifies itself to a peer. */
export type PeerCredentials =
  | { readonly type: 'none' }
  | { readonly type: 'bearer'; readonly token: string }
  | (ClientConfig & { readonly type: 'client_credentials'; readonly audience?: string })
  | (ClientConfig & { readonly type: 'token_exchange'; readonly audience?: string })
  | (ClientConfig & {
      readonly type: 'id_jag';
      /** The issuer that makes the identity assertions. */
      readonly idp: string;
      readonly idpClientId?: string;
      readonly idpClientSecret?: string;
      readonly idpKey?: string;
    })
  | { readonly type: 'user_oauth'; readonly connection: string };

/** Spec: RFC 8414 §2: https, without query and fragment; plain http for loopback alone. */
const issuer = httpUrl.transform((text, context) => {
  const { protocol, hostname, search, hash } = new URL(text);
  const loopback = /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/.test(hostname);
  if (search === '' && hash === '' && !/[?#]$/.test(text) && (protocol === 'https:' || loopback)) {
    return text;
  }
  context.addIssue({
    code: 'custom',
    message: 'expected an issuer: an https URL without query and fragment',
  });
  return z.NEVER;
});

/** Spec: RFC 8707 §2: an absolute URI without a fragment. */
const resource = word('an absolute URI without a fragment').refine(
  (text) => URL.canParse(text) && !text.includes('#'),
  'expected an absolute URI without a fragment',
);

/** Spec: RFC 6749 §3.3 */
const scope = word('a scope').regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/, 'expected one scope per entry');

const privateKey = word('a private key as a JWK or PKCS#8 PEM').refine(
  isPrivateKey,
  'expected a private key as a JWK or PKCS#8 PEM',
);

const bothGiven = 'give either a secret or a key, not both';

const client = {
  issuer,
  clientId: word('a client id').optional(),
  clientSecret: word('a client secret').optional(),
  key: privateKey.optional(),
  scopes: z.array(scope).default([]),
  resource: resource.optional(),
  dpop: flag().default(false),
};
const audience = word('an audience').optional();
const oneProof = (value: { clientSecret?: unknown; key?: unknown }) =>
  value.clientSecret === undefined || value.key === undefined;
const secretAndKey = { path: ['key'], error: bothGiven };

const shapes = {
  none: z.strictObject({ type: z.literal('none') }),
  bearer: z.strictObject({
    type: z.literal('bearer'),
    token: word('a token').regex(/^[\w.~+/-]+=*$/, 'expected a token without spaces'),
  }),
  client_credentials: z
    .strictObject({ type: z.literal('client_credentials'), ...client, audience })
    .refine(oneProof, secretAndKey),
  token_exchange: z
    .strictObject({ type: z.literal('token_exchange'), ...client, audience })
    .refine(oneProof, secretAndKey),
  id_jag: z
    .strictObject({
      type: z.literal('id_jag'),
      ...client,
      idp: issuer,
      idpClientId: word('a client id').optional(),
      idpClientSecret: word('a client secret').optional(),
      idpKey: privateKey.optional(),
    })
    .refine(oneProof, secretAndKey)
    .refine(
      ({ idpClientSecret, idpKey }) => idpClientSecret === undefined || idpKey === undefined,
      { path: ['idpKey'], error: bothGiven },
    ),
  user_oauth: z.strictObject({
    type: z.literal('user_oauth'),
    connection: word('the id of an entry of connections'),
  }),
} as const satisfies Record<PeerCredentials['type'], z.ZodType>;

const types = Object.keys(shapes);
const expected = `expected ${types.slice(0, -1).join(', ')} or ${types.at(-1)}`;

function isType(value: string): value is keyof typeof shapes {
  return Object.hasOwn(shapes, value);
}

/** The schema. Mistakes name the member and never repeat a value. */
export const credentials = z
  .looseObject({ type: z.string({ error: expected }) })
  .transform((value, context): PeerCredentials => {
    if (!isType(value.type)) {
      context.addIssue({ code: 'custom', path: ['type'], message: expected });
      return z.NEVER;
    }
    const result = shapes[value.type].safeParse(value);
    if (result.success) return result.data;
    for (const issue of result.error.issues) context.issues.push({ ...issue, input: undefined });
    return z.NEVER;
  });

function isPrivateKey(text: string): boolean {
  try {
    const key = text.trimStart().startsWith('{')
      ? createPrivateKey({ key: JSON.parse(text) as JsonWebKeyInput['key'], format: 'jwk' })
      : createPrivateKey({ key: text, format: 'pem', type: 'pkcs8' });
    return key.asymmetricKeyType !== undefined;
  } catch {
    // What the parsers say may quote the key.
    return false;
  }
}
