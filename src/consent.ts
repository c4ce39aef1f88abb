/** Connections of people to third parties, put together: the vault, the pages and the flow. */
import { createConnectEndpoint, type ConnectOptions } from './auth/connect/connect-endpoint.ts';
import { ConnectionServices } from './auth/connect/connection-services.ts';
import { ConsentFlow } from './auth/connect/consent-flow.ts';
import { Vault } from './auth/connect/vault.ts';
import type { SigningKeys } from './auth/signing-keys.ts';
import type { Config } from './config/schema.ts';
import { mayHaveTokens } from './config/token-places.ts';
import type { Clock, MintId, RandomBytes } from './model/ids.ts';
import { anonymous } from './model/principal.ts';
import type { EventLog } from './observe/events.ts';
import type { Seal } from './ports/seal.ts';
import type { SecretStore } from './ports/secret-store.ts';
import type { PageHandler } from './identity.ts';

/** What it is made of. */
export interface ConsentParts {
  readonly config: Config;
  readonly publicUrl: string;
  readonly keys: SigningKeys;
  /** The guarded client. */
  readonly fetch: typeof fetch;
  readonly secrets: SecretStore;
  readonly seal: Seal;
  readonly clock: Clock;
  readonly mintId: MintId;
  readonly random: RandomBytes;
  readonly events: EventLog;
  /** Whether a peer is one of the configuration's. */
  readonly isConfigured: (peerId: string) => boolean;
}

/** See the file comment. */
export interface Consent {
  /** The vault: who is connected to what. */
  readonly connections: Vault;
  /** The pages below `/connect`, once there are tasks to show. */
  pages(around: Pick<ConnectOptions, 'tasks' | 'people' | 'ownerOf' | 'nameOf'>): PageHandler;
  /** Puts other services in force. */
  reconfigure(config: Config): void;
}

/** Builds it. */
export function openConsent(parts: ConsentParts): Consent {
  const { config, events, seal, publicUrl } = parts;
  const ownId = `${publicUrl}/oauth-client.json`;
  const services = new ConnectionServices({
    ...parts,
    own: { clientId: ownId, keys: parts.keys },
  });
  let inForce = config.connections;
  const putInForce = ({ connections }: Config): void => {
    inForce = connections;
    services.reconfigure(connections.map((each) => ({ clientId: ownId, ...each })));
  };
  putInForce(config);
  const shared = { ...parts, service: (id: string) => services.of(id) };
  const vault = new Vault({
    ...shared,
    mayUse: ({ connection, peerId, origins }) => {
      const known = inForce.find(({ id }) => id === connection);
      const peer = { origins, isConfigured: parts.isConfigured(peerId) };
      return known !== undefined && mayHaveTokens(known, peer);
    },
    requestTtlMs: config.limits.interruptTtl,
    onRevocationFailed: (connection, error) =>
      events.emit({ event: 'internal.error', where: `revoking a token of ${connection}`, error }),
  });
  const flow = new ConsentFlow({ ...shared, vault });
  return {
    connections: vault,
    pages: (around) => {
      const endpoint = createConnectEndpoint({
        ...around,
        seal,
        vault,
        flow,
        service: shared.service,
        publicUrl,
        onEvent: (event) => events.emit(event),
      });
      return async (req, res, path) => {
        if (path !== '/connect' && !path.startsWith('/connect/')) return false;
        await endpoint(req, res, { path, principal: anonymous });
        return true;
      };
    },
    reconfigure: putInForce,
  };
}
