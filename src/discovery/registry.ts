/**
 * The MCP Registry's read API over the peers. What differs from the registry: a peer has one
 * version at a time, the one it names now, so that version lists hold one entry and nothing is
 * ever `deleted`: a peer that has gone is gone.
 *
 * Spec: MCP Registry API v0.1 (OpenAPI), `/v0.1/servers` and below
 */
import { endpointsOf, identityOfPeer, isUnavailable, unavailableMark } from './identity.ts';
import type { Place, ServerIdentity } from './identity.ts';
import type { PeerListing } from './listing.ts';
import { cursorAfter, listQuery, wantsDeleted } from './registry-query.ts';
import type { ListQuery } from './registry-query.ts';

/** A peer in the shape of `server.json`. */
export interface ServerDetail extends ServerIdentity {
  $schema: string;
  remotes: { type: 'streamable-http'; url: string }[];
}

/** What the registry says about an entry. Spec: MCP Registry API v0.1, `ServerResponse` */
export interface ServerResponse {
  server: ServerDetail;
  _meta: {
    'io.modelcontextprotocol.registry/official': {
      status: 'active';
      statusChangedAt: string;
      publishedAt: string;
      updatedAt: string;
      isLatest: true;
    };
    'dev.isthmus/unavailable'?: true;
  };
}

/** An answer of the API: JSON text, or an error with its status. */
export type RegistryAnswer = { body: string } | { status: 400 | 404; error: string };

/** A peer as the API finds and shows it. */
export interface RegistryEntry {
  readonly name: string;
  readonly version: string;
  readonly changedAt: number;
  /** The name that programs use and the one that people read, in lower case: what `search` looks through. */
  readonly words: string;
  readonly json: string;
}

/** Where the API is. */
export const registryPath = '/v0.1/servers';

/** The entry of a peer. */
export function serverResponseOf(
  listing: PeerListing,
  place: Place,
  identity = identityOfPeer(listing, place),
): ServerResponse {
  const { id, addedAt, changedAt } = listing;
  const added = new Date(addedAt).toISOString();
  return {
    server: {
      $schema: 'https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json',
      ...identity,
      remotes: [{ type: 'streamable-http', url: endpointsOf(place, id).mcp }],
    },
    _meta: {
      'io.modelcontextprotocol.registry/official': {
        status: 'active',
        statusChangedAt: added,
        publishedAt: added,
        updatedAt: new Date(changedAt).toISOString(),
        isLatest: true,
      },
      ...(isUnavailable(listing) && unavailableMark),
    },
  };
}

/** The API over one state of the directory. */
export class Registry {
  /** In the order of their names, which is the order of the pages. */
  readonly #entries: readonly RegistryEntry[];
  readonly #byName: ReadonlyMap<string, RegistryEntry>;

  constructor(
    listings: readonly PeerListing[],
    place: Place,
    made = (listing: PeerListing): RegistryEntry => entryOf(listing, place),
  ) {
    this.#entries = listings
      .map((listing) => made(listing))
      .toSorted((a, b) => (a.name < b.name ? -1 : 1));
    this.#byName = new Map(this.#entries.map((entry) => [entry.name, entry]));
  }

  /** Answers a GET below `/v0.1/servers`. `path` is as it came, still encoded, without the query. */
  answer(path: string, params: URLSearchParams): RegistryAnswer {
    const rest = path.slice(registryPath.length).replace(/\/$/, '');
    if (rest === '') {
      const query = listQuery(params);
      return 'error' in query ? { status: 400, ...query } : { body: this.#page(query) };
    }
    const named = /^\/(.+?)\/versions(?:\/([^/]+))?$/.exec(rest);
    const name = decoded(named?.[1]);
    if (name === undefined) return { status: 404, error: 'Server not found' };
    const deleted = wantsDeleted(params);
    if (typeof deleted === 'object') return { status: 400, ...deleted };
    const entry = this.#byName.get(name);
    if (entry === undefined) return { status: 404, error: 'Server not found' };
    if (named?.[2] === undefined) return { body: listOf([entry]) };
    const version = decoded(named[2]);
    if (version === 'latest' || version === entry.version) return { body: entry.json };
    return { status: 404, error: 'Server version not found' };
  }

  /**
   * The answers that do not depend on a query, as files: all entries on one page, since files know
   * no cursors, then each peer's list of versions and each entry by `latest` and by its version.
   */
  *files(): Generator<{ path: string; json: string }> {
    yield { path: `${registryPath}/index.json`, json: listOf(this.#entries) };
    for (const entry of this.#entries) {
      const folder = `${registryPath}/${entry.name}/versions`;
      yield { path: `${folder}/index.json`, json: listOf([entry]) };
      yield { path: `${folder}/latest`, json: entry.json };
      if (fileName.test(entry.version)) {
        yield { path: `${folder}/${entry.version}`, json: entry.json };
      }
    }
  }

  #page({ after, limit, search, since, version }: ListQuery): string {
    const found: RegistryEntry[] = [];
    for (const entry of this.#entries) {
      if (after !== undefined && entry.name <= after) continue;
      if (search !== undefined && !entry.words.includes(search)) continue;
      if (since !== undefined && entry.changedAt < since) continue;
      if (version !== undefined && !isVersion(entry, version)) continue;
      found.push(entry);
      // One more than the page holds tells whether there is another.
      if (found.length > limit) break;
    }
    const page = found.slice(0, limit);
    const last = found.length > limit ? page.at(-1) : undefined;
    return listOf(page, last && cursorAfter(last.name));
  }
}

/** Whether `version` of a query names the entry's. A `+` that was not encoded arrives as a space. */
function isVersion(entry: RegistryEntry, version: string): boolean {
  if (version === 'latest' || version === entry.version) return true;
  return version.replaceAll('+', ' ') === entry.version.replaceAll('+', ' ');
}

/** A version is a peer's own text: only what cannot be a path or another file becomes a name. */
const fileName = /^(?!index\.json$)[A-Za-z0-9][A-Za-z0-9._+-]{0,100}$/;

/** Builds the entry of one peer. */
export function entryOf(
  listing: PeerListing,
  place: Place,
  identity = identityOfPeer(listing, place),
): RegistryEntry {
  const response = serverResponseOf(listing, place, identity);
  const { name, title, version } = response.server;
  return {
    name,
    version,
    changedAt: listing.changedAt,
    words: `${name}\n${title}`.toLowerCase(),
    json: JSON.stringify(response),
  };
}

/** Spec: MCP Registry API v0.1, `ServerList` */
function listOf(entries: readonly RegistryEntry[], nextCursor?: string): string {
  const metadata = { count: entries.length, ...(nextCursor !== undefined && { nextCursor }) };
  const servers = entries.map(({ json }) => json).join(',');
  return `{"servers":[${servers}],"metadata":${JSON.stringify(metadata)}}`;
}

/** Names hold an encoded slash; some proxies decode it on the way. */
function decoded(segment: string | undefined): string | undefined {
  try {
    return segment === undefined ? undefined : decodeURIComponent(segment);
  } catch {
    return undefined;
  }
}
