/**
 * What other organizations lend to this gateway, for as long as a task lasts: each offer that is
 * taken in is an MCP server, which only that task's work can be lent. The reference and the key that
 * it is bound to are sealed at rest.
 */
import { exportJWK, importJWK, type CryptoKey, type JWK } from 'jose';
import { randomDPoPKeyPair, type CryptoKeyPair } from 'openid-client';
import {
  leaseCredentials,
  type LeaseCredentialsParts,
} from './auth/credentials/lease-credentials.ts';
import type { Config } from './config/schema.ts';
import { organizationOf } from './discovery/card-trust.ts';
import type { MintId } from './model/ids.ts';
import type { JsonObject } from './model/json.ts';
import type { LeaseOffer } from './model/lease.ts';
import type { Principal } from './model/principal.ts';
import type { Egress } from './peers/guarded-fetch.ts';
import { createMcpPeer, type McpPeer } from './peers/mcp/peer.ts';
import { renewingEgress } from './peers/renewing-egress.ts';
import type { SecretStore } from './ports/secret-store.ts';
import type { BorrowedPeer } from './switchboard/candidates.ts';
import { borrowedPrefix } from './switchboard/lendable.ts';

/** What they are made with. */
export interface BorrowedPeersParts extends Omit<
  LeaseCredentialsParts,
  'peerId' | 'fetch' | 'allowLoopback'
> {
  readonly config: () => Config;
  readonly egress: Egress;
  readonly secrets: SecretStore;
  readonly mintId: MintId;
}

interface Borrowed extends BorrowedPeer {
  readonly peer: McpPeer;
}

const kind = 'borrowed';
const owner = 'switchboard';

/** See the file comment. */
export class BorrowedPeers {
  readonly #parts: BorrowedPeersParts;
  readonly #borrowed = new Map<string, Borrowed>();
  /** Ids by task. */
  readonly #ofTask = new Map<string, string[]>();

  constructor(parts: BorrowedPeersParts) {
    this.#parts = parts;
  }

  /** Reads back what is borrowed still. */
  async load(): Promise<void> {
    for (const { id, value } of await this.#parts.secrets.ofOwner(kind, owner)) {
      const { task, offer, publicKey, privateKey } = value;
      const pair = {
        publicKey: (await importJWK(publicKey as JWK, 'ES256')) as CryptoKey,
        privateKey: (await importJWK(privateKey as JWK, 'ES256', {
          extractable: true,
        })) as CryptoKey,
      };
      if (typeof task === 'string') this.#add(id, task, offer as unknown as LeaseOffer, pair);
    }
  }

  get(id: string): McpPeer | undefined {
    return this.#borrowed.get(id)?.peer;
  }

  /** What bounds a borrowed peer. */
  describe(id: string): BorrowedPeer | undefined {
    return this.#borrowed.get(id);
  }

  /**
   * Takes an offer in. Undefined where nothing can be made of it: it may not be lent on, it is over,
   * it has been here before, or it is not from the organization of whoever brings it.
   */
  async borrow(
    offer: LeaseOffer,
    { lender, task }: { lender: Principal; task: string },
  ): Promise<BorrowedPeer | undefined> {
    const { clock, secrets, mintId } = this.#parts;
    const { depth = 0, exp } = offer;
    if (depth < 1 || exp * 1000 <= clock() || !this.#isFrom(offer, lender)) return undefined;
    const id = `${borrowedPrefix}${mintId()}`;
    const pair = await randomDPoPKeyPair('ES256', { extractable: true });
    await secrets.put({
      kind,
      id,
      owner,
      expiresAt: exp * 1000,
      value: {
        task,
        offer: offer as unknown as JsonObject,
        publicKey: await exportJWK(pair.publicKey),
        privateKey: await exportJWK(pair.privateKey),
      },
    });
    return this.#add(id, task, offer, pair);
  }

  /** Whether something was borrowed for a task. */
  hasTask(task: string): boolean {
    return this.#ofTask.has(task);
  }

  /** Gives back what was borrowed for a task. */
  async taskEnded(task: string): Promise<void> {
    const over = this.#ofTask.get(task) ?? [];
    this.#ofTask.delete(task);
    await Promise.all(
      over.map(async (id) => {
        const peer = this.get(id);
        this.#borrowed.delete(id);
        await this.#parts.secrets.delete(kind, id);
        await peer?.close();
      }),
    );
  }

  /** Ends what was borrowed for tasks that are not there any more. */
  async recover(isAlive: (task: string) => Promise<boolean>): Promise<void> {
    for (const task of this.#ofTask.keys()) {
      if (!(await isAlive(task))) await this.taskEnded(task);
    }
  }

  async close(): Promise<void> {
    await Promise.allSettled([...this.#borrowed.values()].map(({ peer }) => peer.close()));
  }

  /**
   * An offer counts from its own organization alone: whoever has got hold of somebody else's could
   * have us call for them otherwise.
   */
  #isFrom({ iss, resource, via = [] }: LeaseOffer, lender: Principal): boolean {
    const { config, publicUrl } = this.#parts;
    const { organizations, auth } = config();
    if ([iss, ...via].includes(`${publicUrl}/sts`)) return false;
    const home = organizationOf({ url: iss }, organizations)?.id;
    if (home === undefined || organizationOf({ url: resource }, organizations)?.id !== home) {
      return false;
    }
    return auth.mode === 'open' || lender.organization === home;
  }

  #add(id: string, task: string, offer: LeaseOffer, pair: CryptoKeyPair): Borrowed {
    const { egress, config, clock, mintId } = this.#parts;
    const { limits, egress: rules } = config();
    const callMs = limits.peerTimeout;
    const credentials = leaseCredentials(offer, pair, {
      ...this.#parts,
      peerId: id,
      fetch: egress.fetch,
      allowLoopback: rules.allowLoopback,
    });
    const peer = createMcpPeer({
      id,
      url: offer.resource,
      egress: renewingEgress(egress.withLimits({ headersTimeoutMs: callMs }), credentials),
      credentials: (behalf) => credentials.headers(behalf),
      idempotentTools: [],
      timeouts: { requestMs: callMs, connectMs: limits.peerConnect, idleMs: callMs },
      maxBytes: limits.peerReply,
      clock,
      mintId,
    });
    const borrowed: Borrowed = {
      id,
      peer,
      tools: offer.tools,
      depth: offer.depth ?? 0,
      via: [...(offer.via ?? []), offer.iss],
      expiresAt: offer.exp * 1000,
    };
    this.#borrowed.set(id, borrowed);
    this.#ofTask.set(task, [...(this.#ofTask.get(task) ?? []), id]);
    return borrowed;
  }
}
