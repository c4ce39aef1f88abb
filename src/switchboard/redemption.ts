/**
 * Redeems references of leases for the token service. Whatever is wrong with a reference, its client
 * hears one answer; the audit log has the reason.
 */
import { LRUCache } from 'lru-cache';
import type { JsonObject } from '../model/json.ts';
import type { Actor, LeaseDetails } from '../model/lease.ts';
import type { AuditLog } from '../ports/audit.ts';
import type {
  Lease,
  LeaseRedemption,
  LeaseStore,
  Redemption,
  RedemptionRequest,
} from '../ports/leases.ts';
import { argumentsDigest, digestOf, type LeaseBook, type LeaseChain } from './lease-book.ts';
import { detailsOf, narrowedTo, type LeasePart } from './lease-details.ts';

/** What redeeming needs. */
export interface RedemptionOptions {
  readonly book: LeaseBook;
  readonly store: Pick<LeaseStore, 'pin' | 'byRef'>;
  readonly audit: AuditLog;
}

/** So many parts of leases are found again. */
const rememberedParts = 10_000;

/** Builds it. */
export function createRedemption({ book, store, audit }: RedemptionOptions): LeaseRedemption {
  const parts = new LRUCache<string, string>({ max: rememberedParts });
  /** One part is made after the other: two at once could both be the last that there may be. */
  let making: Promise<unknown> = Promise.resolve();
  return {
    async redeem(request) {
      const outcome = await decide(request);
      if (outcome.kind === 'refused') {
        // Which lease it was is known only where there is one; a guess leads to none.
        const lease = await store.byRef(digestOf(request.ref));
        await audit.append({
          kind: 'lease.refused',
          actor: request.client.clientId,
          ...(lease !== undefined && aboutLease(lease)),
          facts: { reason: outcome.reason, organization: request.client.organization },
        });
      }
      return outcome;
    },
  };

  async function decide(request: RedemptionRequest): Promise<Redemption> {
    const { ref, client, resource, jkt } = request;
    const chain = await book.byReference(ref);
    if (chain === undefined) return refused('no such lease is open');
    const lease = leafOf(chain);
    const { grantee } = lease;
    if (grantee.client !== client.clientId) return refused('lent to another client');
    if (grantee.organization !== undefined && grantee.organization !== client.organization) {
      return refused('lent to another organization');
    }
    if (resource !== book.resourceOf(lease.id)) return refused('another resource');
    const part = request.details === undefined ? undefined : narrowedTo(lease, request.details);
    if (typeof part === 'string') return { kind: 'refused', of: 'details', reason: part };
    // Last: a request that fails for another reason pins nothing.
    if (!(await store.pin(lease.id, jkt))) return refused('another key is pinned');
    return redeemed(chain, part, request);
  }

  /** The same part of a lease is one: what is asked for again and again fills no store. */
  function partOf(lease: Lease, part: LeasePart, asked: LeaseDetails): Promise<Lease | undefined> {
    const made = making.then(() => knownOrNew(lease, part, asked));
    making = made.catch(() => undefined);
    return made;
  }

  async function knownOrNew(
    lease: Lease,
    part: LeasePart,
    asked: LeaseDetails,
  ): Promise<Lease | undefined> {
    const key = JSON.stringify([lease.id, argumentsDigest(asked as unknown as JsonObject)]);
    const known = parts.get(key);
    const chain = known === undefined ? undefined : await book.open(known);
    if (chain !== undefined) return leafOf(chain);
    const narrowed = await book.narrow(lease, part);
    if (narrowed !== undefined) parts.set(key, narrowed.id);
    return narrowed;
  }

  async function redeemed(
    chain: LeaseChain,
    part: LeasePart | undefined,
    { client, jkt, details }: RedemptionRequest,
  ): Promise<Redemption> {
    const lease = leafOf(chain);
    // Less of a lease is a lease of its own below it, so that its bounds are counted like any other.
    const under =
      part === undefined || details === undefined ? lease : await partOf(lease, part, details);
    if (under === undefined) {
      return { kind: 'refused', of: 'details', reason: 'more parts than there may be of a lease' };
    }
    await audit.append({
      ...aboutLease(lease),
      kind: 'lease.redeemed',
      actor: client.clientId,
      facts: { jkt, ...(under !== lease && { narrowed: under.id }) },
    });
    return {
      kind: 'redeemed',
      redeemed: {
        lease: under.id,
        lender: chain[0].lender,
        act: actorOf(chain),
        details: detailsOf(under),
        expiresAt: lease.expiresAt,
      },
    };
  }
}

function refused(reason: string): Redemption {
  return { kind: 'refused', of: 'lease', reason };
}

/** The lease at the end of a chain. */
export function leafOf(chain: LeaseChain): Lease {
  return chain[chain.length - 1] ?? chain[0];
}

/** Who acts: the grantee, and within it those before it. Spec: RFC 8693 §4.1 */
export function actorOf(chain: LeaseChain): Actor {
  const clients = chain.map(({ grantee }) => grantee.client);
  const actors = clients.filter((client, index) => client !== clients[index - 1]);
  const [first = '', ...later] = actors;
  return later.reduce<Actor>((act, sub) => ({ sub, act }), { sub: first });
}

function aboutLease({ id, task }: Lease): { lease: string; task?: string } {
  return { lease: id, ...(task !== undefined && { task }) };
}
