/** All clients: those that the operator entered, that describe themselves, and that registered. */
import type { JsonObject } from '../../model/json.ts';
import type { ClientPayload } from './adapter.ts';
import { digest } from './account.ts';
import { readClientMetadata, type ClientOrigin } from './client-metadata.ts';
import { createDocumentClients, createKeySets } from './client-metadata-document.ts';
import type { KeySet } from '../sts/key-set.ts';
import { createFetchGate } from '../sts/remote-documents.ts';
import type { AuthorizationServerOptions, Lifetimes, RegisteredClient } from './options.ts';

/** The clients. */
export interface Clients {
  /** `busy` when its document has to be fetched and too many are, also for this caller alone. */
  find(id: string, caller?: string): Promise<ClientPayload | 'busy' | undefined>;
  /** The key set that a client published at this URL. */
  keySet(url: string, caller?: string): Promise<KeySet | 'busy' | undefined>;
  /** Adds one that registered itself, for a while. */
  register(client: ClientPayload): Promise<void>;
  /** Keeps one that registered itself for as long as it may have tokens. */
  used(id: string): Promise<void>;
  originOf(id: string): ClientOrigin;
}

type Options = Pick<
  AuthorizationServerOptions,
  'store' | 'clock' | 'fetch' | 'clients' | 'cimd' | 'registration'
> & { readonly lifetimes: Lifetimes };

const kind = 'as.Client';
const owner = 'registration';

/** Builds the lookup. Throws when a client of the operator cannot be used. */
export function createClients(options: Options): Clients {
  const { store, clock, lifetimes, cimd, registration = false } = options;
  const entered = new Map((options.clients ?? []).map((one) => [one.id, enteredClient(one)]));
  const shared = { fetch: options.fetch, clock, gate: createFetchGate({ atOnce: 64 }) };
  const documents = cimd && createDocumentClients({ ...shared, ...cimd });
  const keySets = createKeySets(shared);
  const registered = async (id: string): Promise<ClientPayload | undefined> => {
    if (!registration) return undefined;
    return (await store.get(kind, digest(id)))?.value as ClientPayload | undefined;
  };
  const put = (client: ClientPayload, seconds: number): Promise<void> =>
    store.put({
      kind,
      id: digest(client.client_id),
      owner,
      value: JSON.parse(JSON.stringify(client)) as JsonObject,
      expiresAt: clock() + seconds * 1000,
    });
  return {
    find: async (id, caller) =>
      entered.get(id) ?? (await documents?.find(id, caller)) ?? (await registered(id)),
    keySet: (url, caller) => keySets.look(url, caller),
    register: (client) => put(client, lifetimes.unusedRegistration),
    used: async (id) => {
      const client = entered.has(id) ? undefined : await registered(id);
      if (client !== undefined) await put(client, lifetimes.grant + lifetimes.consent);
    },
    originOf: (id) => {
      if (entered.has(id)) return 'operator';
      return id.includes('://') ? 'document' : 'registration';
    },
  };
}

function enteredClient(client: RegisteredClient): ClientPayload {
  const { id, name, redirectUris, jwks, jwksUri, dpopBound } = client;
  const isPublic = jwks === undefined && jwksUri === undefined;
  const read = readClientMetadata(
    {
      client_name: name,
      redirect_uris: redirectUris,
      grant_types: ['authorization_code', 'refresh_token'],
      token_endpoint_auth_method: isPublic ? 'none' : 'private_key_jwt',
      jwks,
      jwks_uri: jwksUri,
      dpop_bound_access_tokens: dpopBound,
    },
    { origin: 'operator' },
  );
  if (read.flaw !== undefined) {
    throw new Error(`The client "${id}" cannot be used: ${read.flaw.description}`);
  }
  return { ...read.metadata, client_id: id };
}
