/**
 * Keeps what the library has to remember: sealed, found by digests, and used once where the library
 * itself would look first and write later.
 */
import type { Adapter, AdapterFactory, AdapterPayload, Client } from 'oidc-provider';
import type { Clock } from '../../model/ids.ts';
import type { JsonObject } from '../../model/json.ts';
import type { ReplayStore } from '../../ports/replay-store.ts';
import type { SecretStore } from '../../ports/secret-store.ts';
import { addressGroup, isSharedAddress } from '../remote-address.ts';
import { digest } from './account.ts';
import type { IncomingMessage } from 'node:http';
import type { Library } from './library.ts';
import type { OpenInteractions } from './open-interactions.ts';

/** What the adapters work with. */
export interface AdapterParts {
  readonly library: Library;
  readonly store: SecretStore;
  readonly replay: ReplayStore;
  readonly clock: Clock;
  readonly clients: {
    find(id: string, caller?: string): Promise<ClientPayload | 'busy' | undefined>;
  };
  readonly interactions: OpenInteractions;
  /** Requests that failed because too many documents of clients are being fetched. */
  readonly busy: WeakSet<IncomingMessage>;
}

/** A client's metadata as the library takes it. */
export type ClientPayload = ReturnType<Client['metadata']>;

/** What ends with the grant that it came from. */
const grantable = ['AuthorizationCode', 'RefreshToken', 'AccessToken'] as const;

/** A key is kept at least so long: client assertions and DPoP proofs live no longer. */
const replayWindowMs = 15 * 60_000;

/** An adapter per model of the library. */
export function adaptersOver(parts: AdapterParts): AdapterFactory {
  return (model) => {
    if (model === 'Client') return clientAdapter(parts);
    if (model === 'ReplayDetection') return replayAdapter(parts);
    return new StoredModel(model, parts);
  };
}

class StoredModel implements Adapter {
  readonly #model: string;
  readonly #parts: AdapterParts;

  constructor(model: string, parts: AdapterParts) {
    this.#model = model;
    this.#parts = parts;
  }

  async upsert(id: string, payload: AdapterPayload, expiresIn?: number): Promise<void> {
    const { store, clock } = this.#parts;
    const expiresAt = expiresIn === undefined ? undefined : clock() + expiresIn * 1000;
    if (this.#model === 'Interaction') await this.#makeRoom(digest(id), expiresAt);
    await store.put({
      kind: kindOf(this.#model),
      id: digest(id),
      owner: ownerOf(this.#model, payload),
      value: asJson(this.#model === 'RefreshToken' ? this.#bound(payload) : payload),
      ...(expiresAt !== undefined && { expiresAt }),
    });
  }

  async find(id: string): Promise<AdapterPayload | undefined> {
    const secret = await this.#parts.store.get(kindOf(this.#model), digest(id));
    return secret?.value;
  }

  /** Only sessions have a `uid`, and it is their owner. */
  async findByUid(uid: string): Promise<AdapterPayload | undefined> {
    const [secret] = await this.#parts.store.ofOwner(kindOf(this.#model), uid);
    return secret?.value;
  }

  /** There are no device codes. */
  async findByUserCode(): Promise<undefined> {
    return undefined;
  }

  /**
   * Of many that use a code or a refresh token at the same time one succeeds; every other use ends
   * the grant, so that what the first one got from it ends too.
   *
   * Spec: RFC 6749 §4.1.2 (code), OAuth 2.1 §4.3.1 (refresh tokens)
   */
  async consume(id: string): Promise<void> {
    const { library, store, replay, clock } = this.#parts;
    const kind = kindOf(this.#model);
    const secret = await store.get(kind, digest(id));
    if (secret === undefined) throw new library.errors.InvalidGrant('the grant has ended');
    const end = (secret.expiresAt ?? clock()) + replayWindowMs;
    if (!(await replay.firstUse(`${kind}:${secret.id}`, end))) {
      await this.#endGrant(secret.owner);
      throw new library.errors.InvalidGrant('it has been used already');
    }
    await store.put({
      ...secret,
      value: { ...secret.value, consumed: Math.floor(clock() / 1000) },
    });
  }

  async destroy(id: string): Promise<void> {
    if (this.#model === 'Interaction') this.#parts.interactions.closed(digest(id));
    await this.#parts.store.delete(kindOf(this.#model), digest(id));
  }

  async revokeByGrantId(grantId: string): Promise<void> {
    const { store } = this.#parts;
    for (const model of grantable) {
      const kind = kindOf(model);
      const secrets = await store.ofOwner(kind, grantId);
      await Promise.all(secrets.map(({ id }) => store.delete(kind, id)));
    }
  }

  async #makeRoom(id: string, expiresAt = Infinity): Promise<void> {
    const { library, store, interactions } = this.#parts;
    const address = addressOf(library.Provider.ctx?.req);
    for (const old of interactions.opened(id, { ...address, expiresAt })) {
      await store.delete(kindOf('Interaction'), old);
    }
  }

  async #endGrant(grantId: string): Promise<void> {
    // Without its grant no token of it is refreshed, also one that is being written right now.
    await this.#parts.store.delete(kindOf('Grant'), digest(grantId));
    await this.revokeByGrantId(grantId);
  }

  /**
   * The library binds the refresh tokens of public clients alone. Those of a client with keys could
   * turn a bound token into a bearer token.
   *
   * Spec: RFC 9449 §5
   */
  #bound(payload: AdapterPayload): AdapterPayload {
    const jkt = this.#parts.library.Provider.ctx?.oidc.entities.AccessToken?.jkt;
    return payload.jkt === undefined && jkt !== undefined ? { ...payload, jkt } : payload;
  }
}

/** Looking for an id is using it: the library would look first and write later. */
function replayAdapter({ replay, clock }: AdapterParts): Adapter {
  return {
    ...unused,
    upsert: async () => undefined,
    find: async (id) => {
      const first = await replay.firstUse(`as.replay:${id}`, clock() + replayWindowMs);
      return first ? undefined : { jti: id, kind: 'ReplayDetection' };
    },
  };
}

function clientAdapter({ clients, library, busy }: AdapterParts): Adapter {
  return {
    ...unused,
    find: async (id) => {
      const req = library.Provider.ctx?.req;
      const found = await clients.find(id, callerOf(req));
      if (found !== 'busy') return found;
      if (req !== undefined) busy.add(req);
      return undefined;
    },
  };
}

function addressOf(req: IncomingMessage | undefined): { address?: string } {
  const address = req?.socket.remoteAddress;
  return address === undefined ? {} : { address };
}

/** Whom to count a fetch for; undefined when many may have this address. */
export function callerOf(req: IncomingMessage | undefined): string | undefined {
  const address = req?.socket.remoteAddress;
  return isSharedAddress(address) ? undefined : addressGroup(address);
}

async function nothing(): Promise<undefined> {
  return undefined;
}

const unused: Adapter = {
  upsert: () => Promise.reject(new Error('Nothing is written here.')),
  find: nothing,
  findByUid: nothing,
  findByUserCode: nothing,
  consume: nothing,
  destroy: nothing,
  revokeByGrantId: nothing,
};

function kindOf(model: string): string {
  return `as.${model}`;
}

function ownerOf(model: string, payload: AdapterPayload): string {
  if (model === 'Session') return payload.uid ?? '';
  if (model === 'Grant') return payload.accountId ?? '';
  return payload.grantId ?? '';
}

function asJson(payload: AdapterPayload): JsonObject {
  return JSON.parse(JSON.stringify(payload)) as JsonObject;
}
