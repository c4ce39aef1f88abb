/**
 * The vault: tokens of third parties, sealed at rest under a key of their person, client and peer,
 * and the wishes for consent that wait at links.
 */
import { LRUCache } from 'lru-cache';
import { GatewayError } from '../../model/errors.ts';
import type { Clock, MintId } from '../../model/ids.ts';
import { isObject } from '../../model/json.ts';
import { personKey, type Person, type Principal } from '../../model/principal.ts';
import type {
  ConnectionOutcome,
  ConnectionRequest,
  Connections,
  ConnectionUse,
  ConnectionView,
} from '../../ports/connections.ts';
import type { Seal } from '../../ports/seal.ts';
import type { SecretStore } from '../../ports/secret-store.ts';
import type { ConnectionService, GrantedTokens } from './connection-service.ts';
import { ConsentWaiters } from './consent-waiters.ts';
import { heldFrom, hostsOf, idOf, isSameUse, useFrom, valueOf, type Held } from './held.ts';
import { linkText } from './link.ts';

/** What the vault works with. */
export interface VaultOptions {
  readonly secrets: SecretStore;
  readonly seal: Pick<Seal, 'sealStable'>;
  /** The services in force. */
  readonly service: (id: string) => ConnectionService | undefined;
  /** Whether the operator lets a peer have tokens of a service, where it is now. */
  readonly mayUse: (use: ConnectionUse) => boolean;
  readonly publicUrl: string;
  readonly clock: Clock;
  readonly mintId: MintId;
  /** How long a wish for consent waits (ms): as long as a question of a task. */
  readonly requestTtlMs: number;
  /** How often a waiter looks by itself, for decisions made at another replica (ms). */
  readonly pollMs?: number;
  /** Hears that a token could not be revoked at its service. */
  readonly onRevocationFailed?: (connection: string, error: unknown) => void;
}

/** A wish for consent that is open. */
export interface OpenRequest extends ConnectionUse {
  readonly id: string;
  readonly principal: Principal;
}

const tokenKind = 'connection';
const requestKind = 'connect-request';

/** A token is renewed so long before it ends (ms). */
const marginMs = 30_000;
const pollMs = 5000;
/** A peer makes us renew one connection that often at most (ms). */
const refusalMs = 60_000;
const maxRefusals = 10_000;

/** See the file comment. */
export class Vault implements Connections {
  readonly #options: VaultOptions;
  readonly #waiters = new ConsentWaiters();
  /** Refreshes that are under way, by the id of their connection. */
  readonly #refreshing = new Map<string, Promise<Held | undefined>>();
  /** When connections were last renewed because their peer had refused the token. */
  readonly #refusals = new LRUCache<string, number>({ max: maxRefusals });

  constructor(options: VaultOptions) {
    this.#options = options;
  }

  async accessToken(
    principal: Principal,
    use: ConnectionUse,
    signal?: AbortSignal,
  ): Promise<string> {
    signal?.throwIfAborted();
    const held = await this.#usable(principal, use);
    if (held === undefined) throw this.#needed(use);
    if (!this.#isEnding(held)) return held.accessToken;
    const fresh = await this.#refreshed(principal, held);
    signal?.throwIfAborted();
    if (fresh === undefined) throw this.#needed(use);
    return fresh.accessToken;
  }

  async refused(
    principal: Principal,
    use: ConnectionUse,
    { token, signal }: { token: string; signal?: AbortSignal },
  ): Promise<string | undefined> {
    signal?.throwIfAborted();
    const held = await this.#usable(principal, use);
    if (held === undefined) throw this.#needed(use);
    // Another call has renewed it meanwhile.
    if (held.accessToken !== token) return held.accessToken;
    if (held.refreshToken === undefined) {
      await this.#keep(principal, { ...held, refused: true });
      throw this.#needed(use);
    }
    const id = idOf(principal, use);
    if (!this.#refreshing.has(id)) {
      const last = this.#refusals.get(id) ?? -Infinity;
      if (this.#options.clock() - last < refusalMs) {
        const now = (await this.#usable(principal, use))?.accessToken;
        return now === token ? undefined : now;
      }
      this.#refusals.set(id, this.#options.clock());
    }
    const fresh = await this.#refreshed(principal, held);
    if (fresh === undefined) throw this.#needed(use);
    return fresh.accessToken;
  }

  async isConnected(principal: Principal, use: ConnectionUse): Promise<boolean> {
    const held = await this.#usable(principal, use);
    return held !== undefined && (held.refreshToken !== undefined || !this.#isOver(held));
  }

  async list(person: Person): Promise<ConnectionView[]> {
    const secrets = await this.#options.secrets.ofOwner(tokenKind, personKey(person));
    return secrets.flatMap(({ id, value }) => {
      const held = heldFrom(value);
      if (held === undefined) return [];
      const { connection, client, peerId, scopes, since, issuer } = held;
      const name = this.#options.service(connection)?.name ?? connection;
      const host = new URL(issuer).host;
      const peerHosts = hostsOf(held);
      return [{ id, connection, name, host, client, peerId, peerHosts, scopes, since }];
    });
  }

  async remove(person: Person, id: string): Promise<boolean> {
    const { secrets } = this.#options;
    const mine = await secrets.ofOwner(tokenKind, personKey(person));
    if (!mine.some((secret) => secret.id === id)) return false;
    const taken = await secrets.take(tokenKind, id);
    const held = taken && heldFrom(taken.value);
    if (held !== undefined) await this.#revoke(held);
    return held !== undefined;
  }

  async request(principal: Principal, use: ConnectionUse): Promise<ConnectionRequest> {
    const { secrets, mintId, clock, seal, publicUrl, requestTtlMs } = this.#options;
    const { connection, peerId, resource, origins } = use;
    const service = this.#service(connection);
    if (!this.#options.mayUse(use)) throw notFor(use);
    const id = mintId();
    const { organization, issuer, subject, client, scopes } = principal;
    await secrets.put({
      kind: requestKind,
      id,
      owner: personKey(principal),
      value: {
        connection,
        peerId,
        resource,
        origins: [...origins],
        principal: { organization, issuer, subject, client, scopes: [...scopes] },
      },
      expiresAt: clock() + requestTtlMs,
    });
    const host = new URL(service.settings.issuer).host;
    return {
      id,
      url: `${publicUrl.replace(/\/$/, '')}/connect/${linkText(seal, { request: id })}`,
      message: `"${peerId}" needs access to your account at ${service.name} (${host}). Open the link to decide.`,
    };
  }

  /** A wish that waits; undefined when it was decided on, taken back, forbidden or has expired. */
  async openRequest(id: string): Promise<OpenRequest | undefined> {
    const secret = await this.#options.secrets.get(requestKind, id);
    if (secret === undefined || secret.value['declined'] === true) return undefined;
    const use = useFrom(secret.value);
    const { principal } = secret.value;
    if (use === undefined || !isObject(principal) || !this.#options.mayUse(use)) return undefined;
    return { id, ...use, principal: principal as unknown as Principal };
  }

  /** The person said no. */
  async decline(request: OpenRequest): Promise<void> {
    const { secrets, clock, requestTtlMs } = this.#options;
    await secrets.put({
      kind: requestKind,
      id: request.id,
      owner: personKey(request.principal),
      value: { declined: true },
      expiresAt: clock() + requestTtlMs,
    });
    this.#waiters.wake(idOf(request.principal, request));
  }

  /** The person said yes, and the service gave tokens. */
  async grant(request: OpenRequest, tokens: GrantedTokens): Promise<void> {
    const { issuer, clientId } = this.#service(request.connection).settings;
    const { connection, peerId, resource, origins } = request;
    const { client } = request.principal;
    const since = this.#options.clock();
    const before = await this.#held(request.principal, request);
    const use = { connection, peerId, resource, origins };
    const kept = this.#heldOf({ ...use, issuer, clientId, client, since }, tokens);
    await this.#keep(request.principal, kept);
    await this.#options.secrets.delete(requestKind, request.id);
    const id = idOf(request.principal, request);
    this.#refusals.delete(id);
    this.#waiters.wake(id);
    if (before !== undefined && before.accessToken !== kept.accessToken) await this.#revoke(before);
  }

  async withdraw(id: string): Promise<void> {
    await this.#options.secrets.delete(requestKind, id);
  }

  async isOpen(id: string): Promise<boolean> {
    const secret = await this.#options.secrets.get(requestKind, id);
    return secret !== undefined && secret.value['declined'] !== true;
  }

  async settled(
    request: { id: string; use: ConnectionUse; principal: Principal },
    signal: AbortSignal,
  ): Promise<ConnectionOutcome> {
    const key = idOf(request.principal, request.use);
    for (;;) {
      signal.throwIfAborted();
      const woken = this.#waiters.next(key, this.#options.pollMs ?? pollMs, signal);
      const outcome = await this.#outcome(request);
      if (outcome !== undefined) {
        woken.leave();
        return outcome;
      }
      await woken.promise;
    }
  }

  async #outcome({
    id,
    use,
    principal,
  }: {
    id: string;
    use: ConnectionUse;
    principal: Principal;
  }): Promise<ConnectionOutcome | undefined> {
    if (await this.isConnected(principal, use)) return 'connected';
    const secret = await this.#options.secrets.get(requestKind, id);
    if (secret === undefined) return 'expired';
    return secret.value['declined'] === true ? 'declined' : undefined;
  }

  /** One refresh at a time, whoever asks; undefined when the person has to consent again. */
  async #refreshed(principal: Principal, held: Held): Promise<Held | undefined> {
    const id = idOf(principal, held);
    const running = this.#refreshing.get(id);
    if (running !== undefined) return running;
    const refresh = this.#refresh(principal, held).finally(() => this.#refreshing.delete(id));
    this.#refreshing.set(id, refresh);
    return refresh;
  }

  async #refresh(principal: Principal, seen: Held): Promise<Held | undefined> {
    const held = await this.#held(principal, seen);
    // Whoever came first has renewed it.
    if (held === undefined || held.accessToken !== seen.accessToken) return held;
    const { refreshToken } = held;
    const tokens =
      refreshToken === undefined
        ? undefined
        : await this.#service(held.connection).refresh(refreshToken);
    // Removed while we asked: it stays removed.
    const still = await this.#held(principal, held);
    if (still?.accessToken !== held.accessToken) {
      if (tokens !== undefined) await this.#revoke(this.#heldOf(held, tokens));
      return still;
    }
    if (tokens === undefined) {
      await this.#options.secrets.delete(tokenKind, idOf(principal, held));
      return undefined;
    }
    const fresh = this.#heldOf(held, {
      ...(refreshToken !== undefined && { refreshToken }),
      ...tokens,
    });
    await this.#keep(principal, fresh);
    return fresh;
  }

  #heldOf(
    about: ConnectionUse & Pick<Held, 'issuer' | 'clientId' | 'client' | 'since'>,
    tokens: GrantedTokens,
  ): Held {
    const { connection, peerId, resource, origins, issuer, clientId, client, since } = about;
    const { accessToken, refreshToken, expiresInMs, scopes } = tokens;
    return {
      connection,
      peerId,
      resource,
      origins,
      issuer,
      clientId,
      client,
      accessToken,
      ...(refreshToken !== undefined && { refreshToken }),
      ...(expiresInMs !== undefined && { expiresAt: this.#options.clock() + expiresInMs }),
      scopes,
      since,
    };
  }

  async #keep(principal: Principal, held: Held): Promise<void> {
    await this.#options.secrets.put({
      kind: tokenKind,
      id: idOf(principal, held),
      owner: personKey(principal),
      value: valueOf(held),
    });
  }

  /** What may be sent to the peer, or be renewed for it. */
  async #usable(principal: Principal, use: ConnectionUse): Promise<Held | undefined> {
    const held = await this.#held(principal, use);
    return held?.refused === true || !this.#options.mayUse(use) ? undefined : held;
  }

  /** Spec: RFC 9207 §1, OAuth 2.1 §7.14 (credentials belong to the issuer that gave them) */
  async #held(principal: Principal, use: ConnectionUse): Promise<Held | undefined> {
    const service = this.#options.service(use.connection);
    if (service === undefined) return undefined;
    const secret = await this.#options.secrets.get(tokenKind, idOf(principal, use));
    if (secret === undefined || secret.owner !== personKey(principal)) return undefined;
    const held = heldFrom(secret.value);
    if (held === undefined || !isSameUse(held, use)) return undefined;
    const { issuer, clientId } = service.settings;
    return held.issuer === issuer && held.clientId === clientId ? held : undefined;
  }

  async #revoke(held: Held): Promise<void> {
    const service = this.#options.service(held.connection);
    if (service?.settings.issuer !== held.issuer) return;
    try {
      await service.revoke(held);
    } catch (error) {
      this.#options.onRevocationFailed?.(held.connection, error);
    }
  }

  #isEnding({ expiresAt }: Held): boolean {
    return expiresAt !== undefined && expiresAt - marginMs <= this.#options.clock();
  }

  #isOver({ expiresAt }: Held): boolean {
    return expiresAt !== undefined && expiresAt <= this.#options.clock();
  }

  #service(id: string): ConnectionService {
    const service = this.#options.service(id);
    if (service !== undefined) return service;
    throw new GatewayError(
      'peer-unavailable',
      `The connection "${id}" is no longer configured here. Ask the operator of the gateway.`,
      { facts: { connection: id } },
    );
  }

  #needed({ connection }: ConnectionUse): GatewayError {
    const name = this.#options.service(connection)?.name ?? connection;
    return new GatewayError(
      'connection-needed',
      `This needs your consent at ${name}. Call it from a client that can show you a link, and open it.`,
      { facts: { connection } },
    );
  }
}

function notFor({ connection, peerId }: ConnectionUse): GatewayError {
  return new GatewayError(
    'peer-unavailable',
    `"${peerId}" may not be given tokens of the connection "${connection}" where it is now. Ask the operator of the gateway, who can list its origin at the connection.`,
    { facts: { connection, peer: peerId } },
  );
}
