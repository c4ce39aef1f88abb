/** Lending, put together: leases, offers, redemption, and what stands behind a callback. */
import { LRUCache } from 'lru-cache';
import type { AdminOptions } from './admin/api.ts';
import type { BorrowedPeers } from './borrowed-peers.ts';
import { originsOf, type ResolvedPeerConfig } from './config/peer.ts';
import type { Config } from './config/schema.ts';
import type { Clock, MintId, RandomBytes } from './model/ids.ts';
import { ownerKey, type OwnerKey, type Principal } from './model/principal.ts';
import { decideLend } from './policy/lending.ts';
import type { AuditLog } from './ports/audit.ts';
import type { Grantee, LeaseRedemption, LeaseStore } from './ports/leases.ts';
import type { Peer, PeerContext, PeerRegistry } from './ports/peer.ts';
import type { ManagedPeer } from './peers/registry.ts';
import { Approvals } from './switchboard/approval.ts';
import { CallChecks, type StillLent } from './switchboard/call-checks.ts';
import { leaseOfPeerId } from './switchboard/callback-caller.ts';
import { Candidates, type OwnPeer } from './switchboard/candidates.ts';
import { declaredClient } from './switchboard/declared-client.ts';
import { LeaseBook, type LeaseChain } from './switchboard/lease-book.ts';
import { lending, LentWorks } from './switchboard/lending-peer.ts';
import { LentTools } from './switchboard/lent-tools.ts';
import { LeaseOffers } from './switchboard/offers.ts';
import { QuestionDesk } from './switchboard/question-desk.ts';
import { createRedemption, leafOf } from './switchboard/redemption.ts';
import { matchesWord } from './policy/tool-pattern.ts';
import { patternParts } from './translate/tool-pattern-shape.ts';
import { createTimeBudget } from './time-budget.ts';
import { SchemaValidator } from './translate/json-schema.ts';

/** What it is made of. */
export interface LendingParts {
  /** Whether the gateway stops. */
  readonly isStopping: () => boolean;
  /** The configuration that is in force now. */
  readonly config: () => Config;
  readonly publicUrl: string;
  readonly store: LeaseStore;
  readonly audit: AuditLog;
  readonly clock: Clock;
  readonly mintId: MintId;
  readonly random: RandomBytes;
  /** The peers of the configuration, and those added at runtime. */
  readonly peers: () => PeerRegistry & { configOf(id: string): ResolvedPeerConfig | undefined };
  /** Who a caller is today; undefined where nobody vouches for it any more. */
  readonly today: (principal: Principal) => Principal | undefined;
  /** What others lend to us. */
  readonly borrowed: Pick<BorrowedPeers, 'get' | 'describe' | 'borrow' | 'hasTask' | 'taskEnded'>;
  /** What callers serve over the reverse channel. */
  readonly channels: {
    /** The peer with this id, where it is the caller's own. */
    of(caller: Principal, id: string): Peer | undefined;
    ofOwner(owner: OwnerKey): readonly OwnPeer[];
    ownerOf(id: string): OwnerKey | undefined;
  };
}

/** See the file comment. */
export interface Lending {
  readonly book: LeaseBook;
  readonly redemption: LeaseRedemption & {
    isOpen(under: string, lease: string): Promise<boolean>;
  };
  /** What administrators see of it, and do with it. */
  readonly administered: AdminOptions['leases'];
  /** The same peer, lent to. */
  wrap(peer: ManagedPeer): ManagedPeer;
  /** The same registry, with what stands behind callbacks. */
  withCallbacks(registry: PeerRegistry): PeerRegistry;
  /** A task has ended, and with it what was lent for it. */
  taskEnded(taskId: string): void;
  close(): void;
}

/** So many callback endpoints are kept ready. */
const readyEndpoints = 10_000;

/** Builds it. */
export function openLending(
  parts: LendingParts & { readonly report: (error: unknown) => void },
): Lending {
  const { store, audit, mintId, channels, clock, borrowed, report } = parts;
  const book = new LeaseBook(parts);
  const desk = new QuestionDesk({ mintId });
  const works = new LentWorks({ desk, mintId });
  const schemas = new SchemaValidator({ within: createTimeBudget() });
  const peerAt = (id: string, lender: Principal): Peer | undefined =>
    channels.of(lender, id) ?? borrowed.get(id) ?? parts.peers().get(id);
  const isOwn = (id: string): boolean => channels.ownerOf(id) !== undefined;
  const candidates = new Candidates({
    peers: () => parts.peers().list(),
    peerAt,
    ownPeers: (lender) => channels.ofOwner(ownerKey(lender)),
    isOwn,
    borrowed: (id) => borrowed.describe(id),
    borrow: (offer, to) => borrowed.borrow(offer, to),
  });
  /** Peers as they speak of themselves: their own client ids are in what they say of lending. */
  const plain = new Map<string, Peer>();
  const rules = () => ({
    rules: parts.config().lending,
    ownOrganization: parts.config().gateway.organization.id,
  });
  const offers = new LeaseOffers({
    book,
    candidates,
    audit,
    schemas,
    rules,
    granteeOf: (peer, context) => granteeOf(peer, context, parts),
    clientOf: async (id, context) => {
      const peer = plain.get(id);
      const pinned = parts.peers().configOf(id)?.lease?.clientId;
      if (pinned !== undefined || peer === undefined) return pinned;
      return declaredClient(peer, context).catch(() => undefined);
    },
    clock,
  });
  /** Whether all that hold a lease are clients of their organizations still. */
  const isKnown = (chain: LeaseChain): boolean =>
    chain.every(
      ({ grantee }) =>
        organizationOfClient(grantee.client, parts.config()) === grantee.organization,
    );
  const checks = new CallChecks({
    book,
    store,
    audit,
    schemas,
    approvals: new Approvals({ desk, audit }),
    stillLent: (chain, tool): StillLent => {
      const [root] = chain;
      const lender = parts.today(root.lender);
      if (lender === undefined) {
        return { allowed: false, reason: 'Whoever lent it is not known here any more.' };
      }
      if (!isKnown(chain)) {
        return { allowed: false, reason: 'Whoever it was lent to is not known here any more.' };
      }
      const lendable = candidates.lendable(tool);
      const question = { ...rules(), lender, tool: lendable, asked: 'request' as const };
      const decisions = chain.map(({ grantee }) => decideLend({ ...question, to: grantee.peer }));
      const refused = decisions.find((decision) => !decision.allowed);
      if (refused?.allowed === false) return { allowed: false, reason: refused.reason };
      const terms = decisions.flatMap((decision) => (decision.allowed ? [decision.terms] : []));
      return {
        allowed: true,
        lender,
        arguments: terms.flatMap((one) => one.arguments),
        approval: terms.some(({ approval }) => approval),
      };
    },
  });
  const ownClient = (peerId: string): string | undefined => {
    const lendsOn = parts
      .config()
      .lending.some(
        ({ to, tools }) =>
          matchesWord(to, peerId) && tools.some((text) => patternParts(text)?.peer === 'offered'),
      );
    return lendsOn ? `${parts.publicUrl}/oauth-client.json` : undefined;
  };
  const endpoints = new LRUCache<string, LentTools>({ max: readyEndpoints });
  const endpointOf = (lease: string): LentTools => {
    const known = endpoints.get(lease);
    if (known !== undefined) return known;
    const { isStopping } = parts;
    const made = new LentTools(lease, {
      book,
      checks,
      desk,
      audit,
      peerAt,
      mintId,
      isStopping,
      report,
    });
    endpoints.set(lease, made);
    return made;
  };
  return {
    book,
    redemption: {
      ...createRedemption({ book, store, audit }),
      async isOpen(under, lease) {
        const chain = await book.open(under);
        if (chain === undefined) return false;
        if (!isKnown(chain)) return false;
        const leaf = leafOf(chain);
        return leaf.id === lease || (leaf.parent === lease && leaf.depth === 0);
      },
    },
    administered: {
      store,
      book,
      offers,
      clock,
      peerAt: (id) => plain.get(id),
      today: parts.today,
    },
    wrap(peer) {
      plain.set(peer.id, peer);
      const close = async (): Promise<void> => {
        if (plain.get(peer.id) === peer) plain.delete(peer.id);
        await peer.close();
      };
      return lending({ ...peer, close }, { offers, works, ownClient });
    },
    withCallbacks: (registry) => ({
      get: (id) => {
        const lease = leaseOfPeerId(id);
        return lease === undefined ? registry.get(id) : endpointOf(lease);
      },
      list: () => registry.list(),
    }),
    taskEnded(taskId) {
      works.end(taskId);
      if (!book.hasLease(taskId) && !borrowed.hasTask(taskId)) return;
      Promise.all([book.taskEnded(taskId), borrowed.taskEnded(taskId)]).catch(parts.report);
    },
    close: () => works.close(),
  };
}

/**
 * As which client a peer redeems leases. What it says of itself is believed where it is at home: at
 * its own origin, or where the operator has named it.
 */
async function granteeOf(
  peer: Peer,
  context: PeerContext,
  { peers, config }: Pick<LendingParts, 'peers' | 'config'>,
): Promise<Grantee | undefined> {
  const entry = peers().configOf(peer.id);
  if (entry === undefined) return undefined;
  const { lease, organization } = entry;
  const declared = await declaredClient(peer, context);
  if (declared === undefined && lease?.offer !== 'always') return undefined;
  const client = lease?.clientId ?? declared;
  if (client === undefined || client === '') return undefined;
  const known = organizationOfClient(client, config());
  const isPinned = lease?.clientId !== undefined;
  const isAtHome = originsOf(entry).includes(URL.parse(client)?.origin ?? '');
  const isNamed = known !== undefined && known === organization;
  if (!isPinned && !isAtHome && !isNamed) return undefined;
  return { client, peer: peer.id, ...(known !== undefined && { organization: known }) };
}

/** The organization that a client of the token service acts in. */
function organizationOfClient(client: string, { auth, organizations }: Config): string | undefined {
  const registered = auth.clients.find(({ clientId }) => clientId === client);
  if (registered !== undefined) return registered.organization;
  return organizations.find(({ clientIds }) => clientIds.includes(client))?.id;
}
