/**
 * A grantee lends on what it was lent: less of it, no longer, and to nobody who has it already.
 * Rules are the first lender's: its operator decides where its tools go, however often.
 */
import { GatewayError } from '../model/errors.ts';
import type { LeaseOffer, LeaseRequest } from '../model/lease.ts';
import type { Principal } from '../model/principal.ts';
import { asksFor, decideLend, narrow, type LendingRule } from '../policy/lending.ts';
import type { LendableTool } from '../policy/tool-pattern.ts';
import type { Grantee, LentTool } from '../ports/leases.ts';
import type { Peer, PeerContext } from '../ports/peer.ts';
import type { Candidates } from './candidates.ts';
import { traceIdOf, type LeaseBook, type LeaseChain } from './lease-book.ts';
import { offeredCalls } from './lease-details.ts';
import { lentTool, nothingLent, type Chosen } from './lendable.ts';
import { leafOf } from './redemption.ts';

/** Who lends on, to whom, and what. */
interface LendingOn {
  readonly peer: Peer;
  readonly grantee: Grantee;
  readonly context: PeerContext;
  readonly request: LeaseRequest;
}

/** What it takes. */
interface LendingOnParts {
  readonly book: LeaseBook;
  readonly candidates: Candidates;
  readonly rules: () => {
    readonly rules: readonly LendingRule[];
    readonly ownOrganization: string;
  };
  readonly clock: () => number;
}

/** Makes the lease. Throws GatewayError where it may not be. */
export async function lendOn(
  { peer, grantee, context, request }: LendingOn,
  parts: LendingOnParts,
): Promise<LeaseOffer> {
  const { book, clock } = parts;
  const { principal, task, features, trace } = context;
  const chain = await heldBy(principal, request, book);
  const parent = leafOf(chain);
  checkReceiver(peer, grantee, chain);
  const chosen = parent.tools.flatMap((lent) => chosenOf(lent, { peer, chain, request }, parts));
  if (chosen.length === 0) throw nothingLent(peer, request);
  context.signal.throwIfAborted();
  const terms = chosen.map((one) => one.terms);
  const calls = Math.min(request.max_calls ?? Infinity, offeredCalls(parent) ?? Infinity);
  const { offer } = await book.lend(
    {
      parent: parent.id,
      ancestors: [...parent.ancestors, parent.id],
      lender: principal,
      ...(features !== undefined && { features }),
      grantee,
      ...(task !== undefined && { task }),
      tools: chosen.map((one) => childOf(one.lent, one)),
      ...(calls !== Infinity && { maxCalls: calls }),
      depth: Math.min(parent.depth - 1, ...terms.map(({ depth }) => depth)),
      via: parent.via,
      expiresAt: Math.min(parent.expiresAt, ...terms.map(({ ttlMs }) => clock() + ttlMs)),
    },
    traceIdOf(trace),
  );
  return offer;
}

/** The open lease that a request lends on, with all above it. */
async function heldBy(
  { client, organization }: Principal,
  { parent: resource = '' }: LeaseRequest,
  book: LeaseBook,
): Promise<LeaseChain> {
  const id = book.leaseAt(resource);
  const chain = id === undefined ? undefined : await book.open(id);
  const grantee = chain && leafOf(chain).grantee;
  // A client id is a name within its organization: where that is unknown it is nobody's.
  if (chain === undefined || grantee?.client !== client || grantee.organization !== organization) {
    throw new GatewayError(
      'invalid-params',
      'lend.parent is no lease of yours that is open. Use the "resource" of an offer that you have.',
      { facts: { field: 'lend.parent' } },
    );
  }
  if (leafOf(chain).depth >= 1) return chain;
  throw new GatewayError('forbidden', 'These tools may not be lent on. Call them yourself.');
}

function checkReceiver(peer: Peer, grantee: Grantee, chain: LeaseChain): void {
  const [{ lender }] = chain;
  const clients = [lender.client, ...chain.map((lease) => lease.grantee.client)];
  const peers = chain.map((lease) => lease.grantee.peer);
  if (!clients.includes(grantee.client) && !peers.includes(peer.id)) return;
  throw new GatewayError(
    'forbidden',
    `"${peer.id}" has these tools already: what is lent does not go round.`,
  );
}

function chosenOf(
  lent: LentTool,
  { peer, chain, request }: { peer: Peer; chain: LeaseChain; request: LeaseRequest },
  { candidates, rules }: LendingOnParts,
): (Chosen & { lent: LentTool })[] {
  const [{ lender }] = chain;
  const original = candidates.lendable(lent);
  const asLent: LendableTool = { ...original, name: lent.name };
  if (lent.peer === peer.id || !asksFor(request, asLent)) return [];
  const question = { ...rules(), lender, to: peer.id, tool: original, asked: 'request' as const };
  const decision = decideLend(question);
  if (!decision.allowed) return [];
  const terms = narrow(decision.terms, request, asLent);
  return [{ lent, tool: original, name: lent.name, terms }];
}

/** What is lent on stays within what was lent. */
function childOf(lent: LentTool, chosen: Chosen): LentTool {
  const own = lentTool(chosen);
  return {
    ...lent,
    arguments: [...lent.arguments, ...own.arguments],
    budgets: own.budgets,
    approval: lent.approval || own.approval,
  };
}
