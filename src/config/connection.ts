/** An entry of `connections`: a third-party service at which the gateway is an OAuth client. */
import { z } from 'zod';
import { httpUrl, origin, secureUrl, word } from './words.ts';

/** Parameters of the authorization request that are the flow's own. */
const ownParameters =
  /^(client_id|client_secret|redirect_uri|response_type|response_mode|scope|state|nonce|code_challenge|code_challenge_method|resource|request|request_uri|client_assertion.*)$/;

const scopeToken = z
  .string({ error: 'expected a scope' })
  .regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/, 'expected a scope without spaces');

const issuer = secureUrl.refine((text) => {
  const url = new URL(text);
  return url.search === '' && url.hash === '';
}, 'expected an issuer: a URL without query and fragment');

const resource = httpUrl.refine(
  (text) => new URL(text).hash === '',
  'expected a URL without fragment',
);

/** One entry of `connections`. */
export const connection = z
  .strictObject({
    id: z
      .string({ error: 'expected an identifier of a-z, 0-9 and "-", at most 63 characters' })
      .regex(
        /^[a-z0-9-]{1,63}$/,
        'expected an identifier of a-z, 0-9 and "-", at most 63 characters',
      ),
    /** What people are shown; the id when absent. */
    name: word('a name').optional(),
    /** The authorization server, exactly as its metadata spells it. */
    issuer,
    /** The URL of the gateway's own client metadata document when absent. */
    clientId: word('a client id').optional(),
    clientSecret: word('a client secret').optional(),
    /** A private key for `private_key_jwt`: a JWK or a PKCS#8 PEM. */
    key: word('a private key').optional(),
    scopes: z.array(scopeToken).default([]),
    /** The resource that tokens are for (RFC 8707). */
    resource: resource.optional(),
    /**
     * The origins that may be given its tokens. Without them only peers of the configuration are.
     */
    origins: z.array(origin).optional(),
    /** Further parameters of the authorization request, such as `prompt` or `access_type`. */
    authorizationParams: z
      .record(
        z
          .string()
          .refine((name) => !ownParameters.test(name), 'this parameter is set by the gateway'),
        z.string({ error: 'expected a string' }),
      )
      .default({}),
  })
  .refine(({ clientSecret, key }) => clientSecret === undefined || key === undefined, {
    message: 'expected clientSecret or key, not both',
    path: ['key'],
  });
