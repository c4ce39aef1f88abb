/**
 * `isthmus well-known`: the discovery documents as static files, byte for byte as they are served.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { CardEndpoint, cardPaths } from './a2a/card-endpoint.ts';
import {
  authorizationServersAt,
  describeResource,
} from './auth/resource-server/protected-resource.ts';
import { openSigningKeys } from './auth/signing-keys.ts';
import type { Config } from './config/schema.ts';
import { staticDocuments } from './discovery/documents.ts';
import { declaredIn } from './identity.ts';
import { GatewayError } from './model/errors.ts';
import { createMintId, pooledRandomBytes, type Clock } from './model/ids.ts';
import type { EventLog } from './observe/events.ts';
import type { Peers } from './peer-factory.ts';
import { gatewayPeerId } from './ports/peer.ts';
import type { KnownListing } from './ports/peer-store.ts';
import { createPublication } from './publication.ts';

/** A file that was written, or why it was not. */
export interface WrittenDocument {
  path: string;
  problem?: string;
  /** The configuration wants it so. */
  meant?: true;
}

/** How long the peers may take to describe themselves (ms). */
const patienceMs = 30_000;

/** Writes each document of the public peers below `out`, at the path of its URL. */
export async function writeWellKnown(
  config: Config,
  parts: {
    peers: Peers;
    events: EventLog;
    /** Since when peers are known. */
    known?: readonly KnownListing[];
    clock?: Clock;
  },
  out: string,
): Promise<WrittenDocument[]> {
  const { listen, organization } = config.gateway;
  const { publicUrl = `http://${listen.host}:${listen.port}` } = config.gateway;
  const keys = openSigningKeys(config.keys.dir);
  const mintId = createMintId(pooledRandomBytes());
  const { known, ...rest } = parts;
  const listings = known && { known };
  const publication = createPublication({
    ...rest,
    keys,
    ...(config.auth.mode === 'oauth' && { access: () => declaredIn(config) }),
    publicUrl,
    organization,
    mintId,
    listings,
  });
  const { directory, place, agents, cards } = publication;
  await directory.settled(patienceMs);
  const written: WrittenDocument[] = [];
  const write = (path: string, body: string | Uint8Array): void => {
    const file = join(out, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, body);
    written.push({ path: file });
  };
  const log = { event: () => {} };
  const endpoint = new CardEndpoint({ ...cards, peers: agents, publicUrl, organization, log });
  const shown = directory.list().filter((listing) => listing.public);
  for (const id of [gatewayPeerId, ...shown.map((listing) => listing.id)]) {
    const base = id === gatewayPeerId ? '' : `/a2a/${id}`;
    const paths = [...cardPaths].map((path) => `${base}${path}`);
    try {
      const body = await endpoint.document(id);
      for (const path of paths) write(path, body);
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
      const meant = error.code === 'unsupported' && { meant: true as const };
      const { message: problem } = error;
      written.push(...paths.map((path) => ({ path: join(out, path), problem, ...meant })));
    }
  }
  for (const { path, body } of staticDocuments(directory, place, config.limits.aggregateTools))
    write(path, body);
  write('/.well-known/jwks.json', JSON.stringify(keys.current().jwks));
  for (const { path, body } of accessDocuments(
    config,
    publicUrl,
    shown.map(({ id }) => id),
  )) {
    write(path, body);
  }
  directory.close();
  return written;
}

/** Where clients learn who gives out tokens for each face; none where nobody asks for any. */
function accessDocuments(
  config: Config,
  publicUrl: string,
  ids: readonly string[],
): { path: string; body: string }[] {
  if (config.auth.mode === 'open') return [];
  const { authorizationServer } = config.auth;
  const issuers = config.auth.issuers.map(({ issuer }) => issuer);
  const as = authorizationServer === undefined ? {} : { as: `${publicUrl}/as` };
  const own = { sts: `${publicUrl}/sts`, ...as };
  const peers = ids.flatMap((id) => [`/mcp/${id}`, `/a2a/${id}`]);
  return ['/mcp', '/a2a', ...peers].map((resource) => {
    const document = describeResource(resource, {
      publicUrl,
      authorizationServers: authorizationServersAt(resource, { own, issuers }),
      name: config.gateway.organization.name,
    });
    // A directory and a file cannot have one name: the documents of peers lie below that of all.
    const isOfAll = resource === '/mcp' || resource === '/a2a';
    const path = `/.well-known/oauth-protected-resource${resource}`;
    return { path: isOfAll ? `${path}/index.json` : path, body: JSON.stringify(document) };
  });
}
