/** `/admin/leases`: what is lent to whom and how much of it is used, and the way to take it back. */
import { setImmediate } from 'node:timers/promises';
import type { JsonObject } from '../model/json.ts';
import { ownerKey, type Principal } from '../model/principal.ts';
import type { Lease, LeaseStore, LentTool } from '../ports/leases.ts';
import type { LeaseBook } from '../switchboard/lease-book.ts';
import { offeredCalls } from '../switchboard/lease-details.ts';
import { Problem } from './problem.ts';
import { choiceOf, refuseUnknown, wholeOf } from './query.ts';

/** What the API needs to show leases and to end them. */
export interface LeasesApiOptions {
  readonly store: Pick<LeaseStore, 'get' | 'list' | 'used'>;
  readonly book: Pick<LeaseBook, 'end' | 'leaseAt'>;
  readonly clock: () => number;
}

type Place = Pick<Lease, 'createdAt' | 'id'>;

const usualPage = 50;
const largestPage = 200;
/** Leases read at once, and for one answer: others want their turn. */
const atOnce = 250;
const mostRead = 5000;

const lenderMembers = ['organization', 'issuer', 'subject', 'client'] as const;
const known = ['open', 'task', ...lenderMembers, 'limit', 'after'];

/**
 * A page of leases, the newest first: those of `task`, of the lenders that fit `organization`,
 * `issuer`, `subject` and `client`, with `open=true` only those that are open. Where few fit, a page
 * may end early: `next` leads on.
 */
export async function leasesShown(
  query: URLSearchParams,
  options: LeasesApiOptions,
): Promise<JsonObject> {
  refuseUnknown(query, known);
  const limit = wholeOf(query, 'limit', usualPage, largestPage);
  if (limit === 0) throw new Problem(400, `limit: expected a number from 1 to ${largestPage}`);
  const { leases, next } = await pageOf(query, limit, options);
  const shown = await Promise.all(leases.map((lease) => leaseView(lease, options)));
  return { leases: shown, ...(next !== undefined && { next: cursorOf(next) }) };
}

/** One lease. Throws a problem when there is none. */
export async function leaseShown(id: string, options: LeasesApiOptions): Promise<JsonObject> {
  return leaseView(await leaseOf(id, options), options);
}

/** Takes a lease back with all below it, also from calls that run; the ids of those that ended. */
export async function revoke(
  id: string,
  by: string,
  options: LeasesApiOptions,
): Promise<JsonObject> {
  const lease = await leaseOf(id, options);
  // What has expired is over already, with everything below it.
  const isOver = stateOf(lease, options.clock()) !== 'open';
  return { ended: isOver ? [] : await options.book.end(id, 'revoked', by) };
}

async function leaseOf(id: string, { store }: LeasesApiOptions): Promise<Lease> {
  const lease = await store.get(id);
  if (lease === undefined) throw new Problem(404, `There is no lease "${id}".`);
  return lease;
}

async function pageOf(
  query: URLSearchParams,
  limit: number,
  { store, clock }: LeasesApiOptions,
): Promise<{ leases: Lease[]; next?: Place }> {
  const named = lenderMembers.flatMap((member) => {
    const value = query.get(member);
    return value === null ? [] : [[member, value] as const];
  });
  const isFrom = ({ lender }: Lease): boolean =>
    named.every(([member, value]) => lender[member] === value);
  const task = query.get('task');
  const isOpen = choiceOf(query, 'open', ['false', 'true']) === 'true';
  const filter = {
    ...(named.length === lenderMembers.length && { owner: ownerKey(lenderOf(named)) }),
    ...(task !== null && { task }),
    ...(isOpen && { openAt: clock() }),
    limit: atOnce,
  };
  const found: Lease[] = [];
  let after = placeIn(query);
  for (let read = 0; read < mostRead; read += atOnce) {
    if (read > 0) await setImmediate();
    const leases = await store.list({ ...filter, ...(after !== undefined && { after }) });
    found.push(...leases.filter(isFrom));
    const last = found[limit - 1];
    if (found.length > limit && last !== undefined) {
      return { leases: found.slice(0, limit), next: last };
    }
    if (leases.length < atOnce) return { leases: found };
    after = leases.at(-1);
  }
  return { leases: found, ...(after !== undefined && { next: after }) };
}

function lenderOf(named: readonly (readonly [string, string])[]): Principal {
  const { organization = '', issuer = '', subject = '', client = '' } = Object.fromEntries(named);
  return { organization, issuer, subject, client, scopes: [] };
}

async function leaseView(lease: Lease, { store, clock }: LeasesApiOptions): Promise<JsonObject> {
  const { id, parent, lender, grantee, task, jkt, ended } = lease;
  const { organization, issuer, subject, client } = lender;
  const used = await store.used(id);
  const calls = offeredCalls(lease);
  return {
    id,
    state: stateOf(lease, clock()),
    ...(ended !== undefined && { ended: { at: timeOf(ended.at), how: ended.how } }),
    ...(parent !== undefined && { parent }),
    ancestors: [...lease.ancestors],
    lender: { organization, issuer, subject, client },
    grantee: { ...grantee },
    ...(task !== undefined && { task }),
    tools: lease.tools.map((tool) => toolView(tool, used)),
    ...(calls !== undefined && { maxCalls: calls }),
    used: used.get('') ?? 0,
    depth: lease.depth,
    via: [...lease.via],
    ...(jkt !== undefined && { jkt }),
    createdAt: timeOf(lease.createdAt),
    expiresAt: timeOf(lease.expiresAt),
  };
}

/** A tool without the schemas of its arguments: what they compare with may be nobody's business. */
function toolView(
  { name, peer, own, budgets, approval, arguments: schemas }: LentTool,
  used: ReadonlyMap<string, number>,
): JsonObject {
  return {
    name,
    peer,
    own,
    budgets: budgets.map(({ key, most }) => ({ key, most, used: used.get(key) ?? 0 })),
    approval,
    constrained: schemas.length > 0,
  };
}

function stateOf({ ended, expiresAt }: Lease, now: number): 'open' | 'ended' | 'expired' {
  if (ended !== undefined) return 'ended';
  return expiresAt > now ? 'open' : 'expired';
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString();
}

function cursorOf({ createdAt, id }: Place): string {
  return Buffer.from(`${createdAt} ${id}`).toString('base64url');
}

function placeIn(query: URLSearchParams): Place | undefined {
  const text = query.get('after');
  if (text === null) return undefined;
  const place = Buffer.from(text, 'base64url').toString();
  const [, createdAt, id] = /^(\d{1,15}) ([\w-]{1,64})$/.exec(place) ?? [];
  if (createdAt === undefined || id === undefined) {
    throw new Problem(400, 'after: expected the "next" of another answer');
  }
  return { createdAt: Number(createdAt), id };
}
