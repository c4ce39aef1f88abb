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

/** Of so many leases the parts are found again. */
const rememberedLeases = 10_000;
/** So many different parts of one lease are made: each is a lease in the store. */
const mostParts = 64;

/** Builds it. */
export function createRedemption({ book, store, audit }: RedemptionOptions): LeaseRedemption {
  /** By lease, and by what was asked for. */
  const parts = new LRUCache<string, Map<string, Promise<string | undefined>>>({
    max: rememberedLeases,
  });
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

  /**
   * The same part of a lease is one, and different ones are so many: asking again and again fills no
   * store. Undefined where there are that many already.
   */
  async function partOf(
    lease: Lease,
    part: LeasePart,
    asked: LeaseDetails,
  ): Promise<Lease | undefined> {
    const made = parts.get(lease.id) ?? new Map<string, Promise<string | undefined>>();
    parts.set(lease.id, made);
    const key = argumentsDigest(asked as unknown as JsonObject);
    const known = await made.get(key);
    const chain = known === undefined ? undefined : await book.open(known);
    if (chain !== undefined) return leafOf(chain);
    if (!made.has(key) && made.size >= mostParts) return undefined;
    const narrowed = book.narrow(lease, part);
    // Counted before it is stored: many may ask at the same time.
    made.set(
      key,
      narrowed.then(
        ({ id }) => id,
        () => undefined,
      ),
    );
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
      const reason = `more than ${mostParts} different parts of one lease: ask for one of them again`;
      return { kind: 'refused', of: 'details', reason };
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
