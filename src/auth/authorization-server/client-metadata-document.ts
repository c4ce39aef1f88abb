/**
 * Clients that are known by a URL, at which they describe themselves.
 *
 * Spec: draft-ietf-oauth-client-id-metadata-document-00 §3 (the URL), §4 (the document), §6.5
 * (SSRF); MCP 2026-07-28 basic/authorization, "Client ID Metadata Documents"
 */
import { isObject } from '../../model/json.ts';
import type { Clock } from '../../model/ids.ts';
import { isClientUrl, maxMetadataBytes, type ClientUrlRules } from '../sts/client-metadata.ts';
import { parseKeySet, type KeySet } from '../sts/key-set.ts';
import { RemoteDocuments, type FetchGate } from '../sts/remote-documents.ts';
import type { ClientPayload } from './adapter.ts';
import { readClientMetadata } from './client-metadata.ts';

/** Clients by the URL of their document. */
export interface DocumentClients {
  /**
   * Undefined when the URL is none, is not allowed, or its document is not accepted; `busy` when it
   * cannot be fetched now.
   */
  find(clientId: string, caller?: string): Promise<ClientPayload | 'busy' | undefined>;
}

/** What fetching needs. */
interface FetchParts {
  /** The guarded client: refuses redirects and private addresses. */
  readonly fetch: typeof fetch;
  readonly clock: Clock;
  readonly gate: FetchGate;
}

/** What the lookup needs. */
export interface DocumentClientsOptions extends FetchParts, ClientUrlRules {
  readonly allowed: (clientId: URL) => boolean;
}

/** Builds the lookup. */
export function createDocumentClients({
  fetch,
  clock,
  gate,
  allowed,
  ...rules
}: DocumentClientsOptions): DocumentClients {
  const documents = new RemoteDocuments<ClientPayload>({
    fetch,
    clock,
    gate,
    parse: clientOf,
    maxBytes: maxMetadataBytes,
    timeoutMs: 5000,
  });
  return {
    find: async (clientId, caller) => {
      const isAllowed = isClientUrl(clientId, rules) && allowed(new URL(clientId));
      return isAllowed ? documents.look(clientId, caller) : undefined;
    },
  };
}

/** Key sets of clients by their URLs: changed keys count after a minute. */
export function createKeySets(parts: FetchParts): RemoteDocuments<KeySet> {
  return new RemoteDocuments<KeySet>({
    ...parts,
    parse: parseKeySet,
    maxBytes: 64 * 1024,
    timeoutMs: 2500,
    keepMs: { min: 60_000, max: 60_000 },
  });
}

/** The client that a document describes; undefined when it does not describe one of ours. */
function clientOf(document: unknown, url: string): ClientPayload | undefined {
  // Spec: draft §4: `client_id` is the URL, compared as strings; there are no shared secrets.
  if (!isObject(document) || document['client_id'] !== url) return undefined;
  if ('client_secret' in document || 'client_secret_expires_at' in document) return undefined;
  const read = readClientMetadata(document, { origin: 'document' });
  if (read.flaw !== undefined) return undefined;
  // Spec: draft §6.2: the keys are the client's own.
  const { jwks_uri: keysAt } = read.metadata;
  if (typeof keysAt === 'string' && new URL(keysAt).origin !== new URL(url).origin) {
    return undefined;
  }
  return { ...read.metadata, client_id: url };
}
