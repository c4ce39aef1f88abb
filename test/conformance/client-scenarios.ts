/**
 * The client-side authorization scenarios of `@modelcontextprotocol/conformance`, and which of them
 * are about a gateway whose operator pins, for each peer, the authorization server, the client and
 * the scopes.
 */
import type { SpecVersion } from './run.ts';

/** How the operator of the gateway sets up the peer. */
export type Setup =
  | { readonly type: 'client_credentials' }
  | { readonly type: 'id_jag' }
  | {
      readonly type: 'user_oauth';
      readonly scopes?: readonly string[];
      readonly clientId?: string;
      readonly clientSecret?: string;
    };

/** A scenario that is run. */
export interface FittingScenario {
  readonly setup: Setup;
  /** Left out: an extension, which belongs to no revision. */
  readonly versions?: readonly SpecVersion[];
  /** What the call through the gateway comes to. */
  readonly call: 'answered' | 'refused';
  /** Checks that are missed by design: the operator does what they look for. */
  readonly byOperator?: readonly string[];
}

/** A scenario that is not run, and why. */
interface OtherScenario {
  readonly reason: string;
}

const both = ['2025-11-25', '2026-07-28'] as const;
const current = ['2026-07-28'] as const;

const person = { type: 'user_oauth', clientId: 'isthmus', clientSecret: 'a secret' } as const;
const publicPerson = { type: 'user_oauth', clientId: 'isthmus' } as const;

const metadata = {
  setup: publicPerson,
  versions: both,
  call: 'answered',
  byOperator: ['client-registration'],
} as const;
const accepts = { setup: publicPerson, versions: current, call: 'answered' } as const;
const rejects = { setup: publicPerson, versions: current, call: 'refused' } as const;

const pinnedScopes =
  'Scopes are what the operator wrote for the connection; no challenge and no metadata of a peer chooses them.';
const march = 'The protected resource metadata of 2025-06-18 is not in this revision.';

/** Every scenario whose name begins with `auth/`. */
export const authScenarios: Readonly<Record<string, FittingScenario | OtherScenario>> = {
  'auth/metadata-default': metadata,
  'auth/metadata-var1': metadata,
  'auth/metadata-var2': metadata,
  'auth/metadata-var3': metadata,
  'auth/basic-cimd': {
    setup: {
      type: 'user_oauth',
      clientId: 'https://conformance-test.local/client-metadata.json',
    },
    versions: both,
    call: 'answered',
  },
  'auth/scope-from-www-authenticate': { reason: pinnedScopes },
  'auth/scope-from-scopes-supported': { reason: pinnedScopes },
  'auth/scope-omitted-when-undefined': {
    setup: publicPerson,
    versions: both,
    call: 'answered',
  },
  'auth/scope-step-up': {
    reason:
      'A person is asked once, for all scopes of the connection. Only credentials that need no person step up.',
  },
  'auth/scope-retry-limit': {
    setup: { ...publicPerson, scopes: ['mcp:admin'] },
    versions: both,
    call: 'refused',
  },
  'auth/token-endpoint-auth-basic': { setup: person, versions: both, call: 'answered' },
  'auth/token-endpoint-auth-post': { setup: person, versions: both, call: 'answered' },
  'auth/token-endpoint-auth-none': { setup: publicPerson, versions: both, call: 'answered' },
  // The context of the scenario brings the client.
  'auth/pre-registration': { setup: { type: 'user_oauth' }, versions: both, call: 'answered' },
  'auth/2025-03-26-oauth-metadata-backcompat': { reason: march },
  'auth/2025-03-26-oauth-endpoint-fallback': { reason: march },
  'auth/resource-mismatch': {
    reason:
      'What tokens are for is pinned too: before consent no metadata of the peer is read, so that none can mislead.',
  },
  'auth/offline-access-scope': {
    setup: { ...publicPerson, scopes: ['mcp:basic', 'offline_access'] },
    versions: current,
    call: 'answered',
  },
  'auth/offline-access-not-supported': {
    setup: { ...publicPerson, scopes: ['mcp:basic', 'mcp:read'] },
    versions: current,
    call: 'answered',
  },
  'auth/authorization-server-migration': {
    reason:
      'The authorization server is pinned: a peer that names another one is not followed there.',
  },
  'auth/iss-supported': accepts,
  'auth/iss-not-advertised': accepts,
  'auth/iss-supported-missing': rejects,
  'auth/iss-wrong-issuer': rejects,
  'auth/iss-unexpected': rejects,
  'auth/iss-normalized': rejects,
  'auth/metadata-issuer-mismatch': rejects,
  'auth/client-credentials-jwt': { setup: { type: 'client_credentials' }, call: 'answered' },
  'auth/client-credentials-basic': { setup: { type: 'client_credentials' }, call: 'answered' },
  'auth/enterprise-managed-authorization': { setup: { type: 'id_jag' }, call: 'answered' },
  'auth/dpop': {
    reason:
      'It wants a person’s consent; tokens of connections are not bound to keys, those of machines are.',
  },
  'auth/dpop-nonce': {
    reason:
      'It wants a person’s consent; tokens of connections are not bound to keys, those of machines are.',
  },
  'auth/wif-jwt-bearer': {
    reason:
      'The gateway signs with keys of its own; there are no credentials for a workload’s JWT.',
  },
};
