/**
 * Servers in an answer of an MCP registry: one, or a list of servers or of one server's versions.
 *
 * Spec: MCP Registry API v0.1 (GET /v0.1/servers, …/versions, …/versions/{version})
 */
import { isObject } from '../../model/json.ts';
import { listMember, textMember } from '../../translate/json-document.ts';
import { shown } from './candidate.ts';

/** One server of the registry. */
export interface RegistryServer {
  /** Its `server.json`. */
  readonly server: unknown;
  /** A JSON pointer into the answer. */
  readonly pointer: string;
  readonly withdrawn?: string;
  readonly warnings: readonly string[];
}

/** The servers of an answer, only the newest version of each; and whether there are more pages. */
export function registryServers(value: unknown): { servers: RegistryServer[]; more: boolean } {
  if (isObject(value) && isObject(value['server'])) {
    return { servers: [serverFrom(value, '/server')], more: false };
  }
  const all = listMember(value, 'servers')
    .map((entry, index) => ({ entry, index }))
    .filter(({ entry }) => isObject(entry));
  const newest = new Map<string, { entry: unknown; index: number }>();
  for (const one of all) {
    const name = textMember(serverOf(one.entry), 'name') ?? `#${one.index}`;
    // Newest first is the registry's order; `isLatest` says it outright.
    if (!newest.has(name) || isLatest(one.entry)) newest.set(name, one);
  }
  const servers = [...newest.values()].map(({ entry, index }) =>
    serverFrom(entry, `/servers/${index}`),
  );
  const metadata = isObject(value) ? value['metadata'] : undefined;
  return { servers, more: textMember(metadata, 'nextCursor') !== undefined };
}

function serverOf(entry: unknown): unknown {
  return isObject(entry) && isObject(entry['server']) ? entry['server'] : entry;
}

function serverFrom(entry: unknown, pointer: string): RegistryServer {
  const status = textMember(officialMeta(entry), 'status') ?? textMember(serverOf(entry), 'status');
  return { server: serverOf(entry), pointer, warnings: [], ...statusEffect(status) };
}

/** A status that is not known is no licence to connect. */
function statusEffect(status: string | undefined): Partial<RegistryServer> {
  switch (status) {
    case undefined:
    case 'active':
      return {};
    case 'deprecated':
      return { warnings: ['the registry lists it as deprecated'] };
    case 'deleted':
      return { withdrawn: 'the registry lists it as deleted' };
    default:
      return {
        withdrawn: `the registry gives it the status "${shown(status, 40)}", which is not known here`,
      };
  }
}

function isLatest(entry: unknown): boolean {
  const meta = officialMeta(entry);
  return isObject(meta) && meta['isLatest'] === true;
}

function officialMeta(entry: unknown): unknown {
  const meta = isObject(entry) ? entry['_meta'] : undefined;
  return isObject(meta) ? meta['io.modelcontextprotocol.registry/official'] : undefined;
}
