/** The section `auth`: whose tokens are accepted, which clients are known, where people log in. */
import { z } from 'zod';
import { jwks } from './jwks.ts';
import { duration, flag } from './units.ts';
import { httpUrl, secureUrl, word } from './words.ts';

const algorithm = z.enum(
  [
    'ES256',
    'ES384',
    'ES512',
    'RS256',
    'RS384',
    'RS512',
    'PS256',
    'PS384',
    'PS512',
    'EdDSA',
    'Ed25519',
  ],
  { error: 'expected an asymmetric JWS algorithm such as ES256' },
);

/** A scope as tokens carry it. */
export const scope = z
  .string({ error: 'expected a scope' })
  .regex(
    /^(?:admin|lend|peer:(?:\*|[a-z0-9-]{1,63}):(?:read|call))$/,
    'expected a scope such as peer:travel:call, peer:*:read, lend or admin',
  );

const organizationId = word('an organization id');

/** How people of an organization log in at its provider. */
const login = z.strictObject({
  clientId: word('the client id of the gateway at this provider'),
  /** Without one the gateway proves itself with its own keys (private_key_jwt). */
  clientSecret: word('a client secret').optional(),
  scopes: z.array(word('a scope')).default(['openid', 'profile', 'email']),
  /** The provider's name for people. */
  name: word('a name').optional(),
});

const issuer = z.strictObject({
  issuer: secureUrl,
  organization: organizationId,
  algorithms: z.array(algorithm).min(1, 'expected at least one algorithm').default(['ES256']),
  /** Where its keys are, when its metadata does not say so. */
  jwksUri: secureUrl.optional(),
  /** Takes access tokens whose header has no type. */
  acceptUntyped: flag().default(false),
  /** Scopes that each of its tokens has, whatever it says. */
  grants: z.array(scope).default([]),
  /** Whether its identity assertions (ID-JAG) are exchanged for tokens. */
  assertions: flag().default(false),
  /** The tenant of a shared issuer that is this organization. */
  tenant: word('a tenant').optional(),
  login: login.optional(),
});

const client = z.strictObject({
  clientId: word('a client id'),
  organization: organizationId,
  jwks: jwks.optional(),
  jwksUri: secureUrl.optional(),
  /** What it may ask for. */
  scopes: z.array(scope).default([]),
  /** Resources whose tokens it may ask about: those that it serves. */
  introspects: z.array(httpUrl).default([]),
});

/** A client of the authorization server for people's clients. */
const publicClient = z.strictObject({
  clientId: word('a client id'),
  name: word('a name').optional(),
  redirectUris: z.array(word('a redirect URI')).min(1, 'expected at least one redirect URI'),
});

const authorizationServer = z.strictObject({
  /** Whether anybody may register a client (RFC 7591). */
  registration: flag().default(false),
  /** Whether a client may be known by the URL of its metadata document. */
  clientMetadataDocuments: flag().default(true),
  clients: z.array(publicClient).default([]),
  /** Scopes that a person may give to a client, by organization; of ours when absent. */
  scopes: z.array(scope).default(['peer:*:read', 'peer:*:call']),
});

/** Spec: RFC 7519 §4.1.4 ("no more than a few minutes") */
const mostLeeway = 300_000;

/** The section, with its defaults. */
export const auth = z
  .strictObject({
    mode: z.enum(['open', 'oauth'], { error: 'expected open or oauth' }).default('open'),
    issuers: z.array(issuer).default([]),
    clients: z.array(client).default([]),
    /** How far clocks may differ. */
    leeway: duration()
      .refine((ms) => ms <= mostLeeway, 'expected 5m at the most')
      .prefault('60s'),
    /** How long the gateway's own tokens are good for. */
    tokenTtl: duration().prefault('10m'),
    authorizationServer: authorizationServer.optional(),
  })
  .superRefine(({ issuers, clients, authorizationServer: as }, context) => {
    const mistake = (path: (string | number)[], message: string) =>
      context.addIssue({ code: 'custom', path, message });
    const seen = new Set<string>();
    for (const [index, entry] of issuers.entries()) {
      if (seen.has(entry.issuer)) mistake(['issuers', index, 'issuer'], 'used by another issuer');
      seen.add(entry.issuer);
    }
    const known = new Set<string>();
    for (const [index, entry] of clients.entries()) {
      if (known.has(entry.clientId)) {
        mistake(['clients', index, 'clientId'], 'used by another client');
      }
      known.add(entry.clientId);
      const isUrl = /^https?:\/\//.test(entry.clientId);
      if (entry.jwks !== undefined && entry.jwksUri !== undefined) {
        mistake(['clients', index, 'jwksUri'], 'expected one of jwks and jwksUri');
      } else if (entry.jwks === undefined && entry.jwksUri === undefined && !isUrl) {
        const message =
          'expected jwks or jwksUri; only a client id that is a URL leads to its keys';
        mistake(['clients', index], message);
      }
    }
    const homes = new Set<string>();
    for (const [index, { organization, login: at }] of issuers.entries()) {
      if (at === undefined) continue;
      if (homes.has(organization)) {
        const message = 'people of this organization log in at another issuer already';
        mistake(['issuers', index, 'login'], message);
      }
      homes.add(organization);
    }
    if (as !== undefined && !issuers.some((entry) => entry.login !== undefined)) {
      mistake(
        ['authorizationServer'],
        'expected an entry of issuers with login, where people log in',
      );
    }
  });
