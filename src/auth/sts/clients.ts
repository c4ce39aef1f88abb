/** Finds clients and their keys: registered ones, and those that describe themselves. */
import type { JWTVerifyGetKey } from 'jose';
import type { Clock } from '../../model/ids.ts';
import {
  isClientUrl,
  maxMetadataBytes,
  parseClientMetadata,
  type ClientMetadata,
  type ClientUrlRules,
} from './client-metadata.ts';
import type { Client, ClientTrust, GrantType, RegisteredClient } from './client.ts';
import { keyLookup, parseKeySet, type KeySet } from './key-set.ts';
import { createFetchGate, RemoteDocuments, type FetchLimits } from './remote-documents.ts';

/** What finding clients needs. */
export interface ClientsOptions {
  /** The client that the operator registered under an id. */
  readonly registered: (clientId: string) => RegisteredClient | undefined;
  /**
   * What an organization lets the client at this URL do, when one trusts it. Nothing is fetched for
   * others. Absent: no client describes itself.
   */
  readonly trusted?: (clientId: string) => ClientTrust | undefined;
  /** The guarded client, for documents and key sets of clients. */
  readonly fetch: typeof fetch;
  readonly urlRules?: ClientUrlRules;
  readonly fetchLimits?: FetchLimits;
  /** For one document (ms). Default 5,000. */
  readonly fetchTimeoutMs?: number;
  /** A host is not asked again for so long after it failed (ms). Default 10,000. */
  readonly fetchPauseMs?: number;
  readonly clock: Clock;
}

/** The clients that may authenticate. */
export interface Clients {
  /** Undefined when it is unknown, trusted by nobody, or its document cannot be used. */
  find(clientId: string): Promise<Client | undefined>;
  /** The keys of this client alone. Undefined when they cannot be had. */
  keysOf(client: Client): Promise<JWTVerifyGetKey | undefined>;
  /** Its keys fetched anew, for a key that is missing. Undefined when that was done lately. */
  renewedKeysOf(client: Client): Promise<JWTVerifyGetKey | undefined>;
}

const maxKeySetBytes = 64 * 1024;
/** How often a missing key may cause a fetch. */
const renewAfterMs = 30_000;

const grantTypes = {
  client_credentials: true,
  'urn:ietf:params:oauth:grant-type:jwt-bearer': true,
  'urn:ietf:params:oauth:grant-type:token-exchange': true,
} as const satisfies Record<GrantType, true>;

/** Builds the directory of clients. */
export function createClients(options: ClientsOptions): Clients {
  const { registered, trusted, fetch, clock, urlRules } = options;
  const shared = {
    fetch,
    clock,
    gate: createFetchGate(options.fetchLimits),
    ...(options.fetchTimeoutMs !== undefined && { timeoutMs: options.fetchTimeoutMs }),
    ...(options.fetchPauseMs !== undefined && { pauseMs: options.fetchPauseMs }),
  };
  const documents = new RemoteDocuments<ClientMetadata>({
    ...shared,
    parse: parseClientMetadata,
    maxBytes: maxMetadataBytes,
  });
  const keySets = new RemoteDocuments<KeySet>({
    ...shared,
    parse: parseKeySet,
    maxBytes: maxKeySetBytes,
  });
  // A lookup keeps the imported keys, so there is one per set.
  const lookups = new WeakMap<KeySet, JWTVerifyGetKey>();
  const lookupOf = (keys: KeySet): JWTVerifyGetKey => {
    const lookup = lookups.get(keys) ?? keyLookup(keys);
    lookups.set(keys, lookup);
    return lookup;
  };
  return {
    async find(clientId) {
      const known = registered(clientId);
      if (known !== undefined) return known;
      const trust = isClientUrl(clientId, urlRules) ? trusted?.(clientId) : undefined;
      const metadata = trust && (await documents.get(clientId));
      return trust && metadata && described(trust, metadata);
    },
    async keysOf({ jwks, jwksUri }) {
      const keys = jwks ?? (jwksUri === undefined ? undefined : await keySets.get(jwksUri));
      return keys && lookupOf(keys);
    },
    async renewedKeysOf({ clientId, jwks, jwksUri }) {
      if (jwksUri !== undefined) {
        const keys = await keySets.renewed(jwksUri, renewAfterMs);
        return keys && lookupOf(keys);
      }
      if (jwks === undefined || registered(clientId) !== undefined) return undefined;
      const metadata = await documents.renewed(clientId, renewAfterMs);
      return metadata?.jwks && lookupOf(metadata.jwks);
    },
  };
}

/** A client as both sides want it: what the operator lets it do, and what it says of itself. */
function described(trust: ClientTrust, metadata: ClientMetadata): Client {
  const { clientId, jwks, jwksUri, algorithm } = metadata;
  const allowed = trust.grants ?? (Object.keys(grantTypes) as GrantType[]);
  return {
    ...trust,
    clientId,
    ...(jwks !== undefined && { jwks }),
    ...(jwksUri !== undefined && { jwksUri }),
    ...(algorithm !== undefined && { algorithm }),
    grants: allowed.filter((grant) => metadata.grantTypes.includes(grant)),
    requiresDpop: metadata.requiresDpop || trust.requiresDpop === true,
  };
}
