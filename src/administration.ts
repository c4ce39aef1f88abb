/**
 * What is decided about peers while the gateway runs: its parts, wired.
 */
import { createAdminApi, type AdminApi, type AdminOptions } from './admin/api.ts';
import type { PolicyInForce } from './admin/permissions-api.ts';
import { RuntimePeers } from './admin/runtime-peers.ts';
import { parsePeer } from './config/load.ts';
import type { PeerConfig, ResolvedPeerConfig } from './config/peer.ts';
import type { Config } from './config/schema.ts';
import { runtimeMistakes } from './config/token-places.ts';
import { DefinitionBook } from './discovery/definition-book.ts';
import type { LiveDirectory } from './discovery/directory.ts';
import type { JsonObject } from './model/json.ts';
import type { EventLog } from './observe/events.ts';
import type { DefinitionPolicy } from './ports/definitions.ts';
import type { PeerRegistry } from './ports/peer.ts';
import type { PeerStore } from './ports/peer-store.ts';
import { callerNamed, configuredCallers } from './policy-callers.ts';
import { gatewayTools } from './translate/gateway-tools.ts';

/** The registry of peers, where it is administered. */
interface AdministeredRegistry extends PeerRegistry {
  configOf(id: string): PeerConfig | undefined;
  sourceOf(id: string): 'config' | 'runtime' | undefined;
  addRuntime(configs: readonly ResolvedPeerConfig[]): { added: string[]; removed: string[] };
  removeRuntime(id: string): { added: string[]; removed: string[] };
}

/** What administration needs. */
export interface AdministrationParts {
  readonly store: PeerStore;
  readonly peers: AdministeredRegistry;
  readonly directory: LiveDirectory;
  readonly definitions: DefinitionBook;
  readonly events: EventLog;
  /** The peers in force have changed. */
  readonly changed: (change: { added: string[]; removed: string[] }) => void;
  /** Whether an `Authorization` header proves who administers. */
  readonly mayAdminister: (authorization: string | undefined) => boolean;
  /** The headers that tell a caller with a token which scope it lacks. */
  readonly challenge: () => Record<string, string>;
  /** Every id that the configuration names, also of peers that are not found yet. */
  readonly configuredIds?: () => readonly string[];
  /** The ids of the organizations that a peer may belong to. */
  readonly organizations: () => readonly string[];
  /** The connections that people can make. */
  readonly connections: () => Config['connections'];
  /** The configuration in force. */
  readonly config: () => Config;
  readonly leases: AdminOptions['leases'];
  /** Finds out what stands behind a URL: `{ a2a: … }` or `{ mcp: … }`. */
  readonly resolve?: (url: URL, signal: AbortSignal) => Promise<JsonObject>;
}

/** The pinned definitions, under the policies of their peers. */
export async function openDefinitions(parts: {
  readonly store: PeerStore;
  /** The policy of a peer; that of a peer which is not in force yet is `review`. */
  readonly policyOf: (peerId: string) => DefinitionPolicy | undefined;
  readonly events: EventLog;
  readonly onDecision: (peer: string) => void;
}): Promise<DefinitionBook> {
  const { store, policyOf, events, onDecision } = parts;
  return DefinitionBook.open({
    store,
    policyOf: (id) => policyOf(id) ?? 'review',
    ownNames: gatewayTools.map(({ name }) => name),
    events,
    onDecision,
    clock: Date.now,
  });
}

/** Puts the peers in force that were added at runtime, and opens the admin API. */
export async function openAdministration(parts: AdministrationParts): Promise<AdminApi> {
  const { store, peers, directory, definitions, events, changed, organizations, resolve } = parts;
  const runtime = new RuntimePeers<PeerConfig>({
    store,
    registry: {
      sourceOf: (id) => peers.sourceOf(id),
      addRuntime: (configs) => changed(peers.addRuntime(configs.filter(isResolved))),
      removeRuntime: (id) => changed(peers.removeRuntime(id)),
    },
    ...(parts.configuredIds && { configuredIds: parts.configuredIds }),
    parse: (entry) => parsed(entry, organizations(), parts.connections()),
    ...(resolve !== undefined && { resolve }),
    forget: async (id) => {
      await definitions.forget(id);
      await store.deleteListing(id);
    },
    events,
    clock: Date.now,
  });
  await runtime.load();
  return createAdminApi({
    peers: () =>
      peers.list().map(({ id, protocol }) => ({
        id,
        kind: protocol,
        source: peers.sourceOf(id) ?? 'config',
        entry: peers.configOf(id) ?? {},
      })),
    runtime,
    definitions,
    directory,
    policy: policyOver(parts.config),
    leases: parts.leases,
    mayAdminister: parts.mayAdminister,
    challenge: parts.challenge,
    fault: (error, where) => events.emit({ event: 'internal.error', where, error }),
  });
}

function policyOver(config: () => Config): PolicyInForce {
  return {
    callers: () => configuredCallers(config()),
    callerNamed: ({ organization = config().gateway.organization.id, ...rest }) => {
      const { principal } = callerNamed({ organization, ...rest }, config());
      return { id: 'query', kind: 'query', principal };
    },
    rules: () => config().lending,
    ownOrganization: () => config().gateway.organization.id,
  };
}

/** What is kept at runtime was found already. */
function isResolved(config: PeerConfig): config is ResolvedPeerConfig {
  return config.kind !== 'discover';
}

function parsed(
  entry: JsonObject,
  organizations: readonly string[],
  connections: Config['connections'],
): ReturnType<typeof parsePeer> {
  const result = parsePeer(entry);
  if (!result.ok) return result;
  const mistakes = runtimeMistakes(result.config, connections);
  const { organization } = result.config;
  if (organization !== undefined && !organizations.includes(organization)) {
    const message = 'expected the id of an entry of organizations';
    mistakes.push({ path: 'organization', message });
  }
  return mistakes.length > 0 ? { ok: false, mistakes } : result;
}
