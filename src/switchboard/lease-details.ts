/**
 * What a lease allows, as `authorization_details` say it, and what of it a client may ask for. A
 * constraint that is not repeated would be a wider one: it is refused, not added silently.
 *
 * Spec: RFC 9396 §2, §5
 */
import { isDeepStrictEqual } from 'node:util';
import { isObject, type JsonObject } from '../model/json.ts';
import { leaseDetailsType, type DetailedTool, type LeaseDetails } from '../model/lease.ts';
import type { CallBudget, Lease, LentTool } from '../ports/leases.ts';

/** What of a lease is kept. */
export type LeasePart = Pick<Lease, 'tools' | 'maxCalls'>;

/** How many calls there may be in all; no bound where some tool has none. */
export function offeredCalls({ tools, maxCalls }: LeasePart): number | undefined {
  // A tool's first budget is its rule's: tools of one rule share it.
  const shared = new Map<string, number>();
  let isBounded = tools.length > 0;
  for (const { budgets } of tools) {
    const [budget] = budgets;
    if (budget === undefined) isBounded = false;
    else shared.set(budget.key, budget.most);
  }
  const sum = isBounded ? [...shared.values()].reduce((all, most) => all + most, 0) : Infinity;
  const calls = Math.min(sum, maxCalls ?? Infinity);
  return calls === Infinity ? undefined : calls;
}

/** What a token for all of a lease says. */
export function detailsOf(lease: LeasePart): LeaseDetails {
  const calls = offeredCalls(lease);
  return {
    type: leaseDetailsType,
    tools: lease.tools.map(detailOf),
    ...(calls !== undefined && { max_calls: calls }),
  };
}

/** The part of a lease that a client asks for; why it may not have it, where it asks for more. */
export function narrowedTo(lease: LeasePart, asked: LeaseDetails): LeasePart | string {
  const tools: LentTool[] = [];
  for (const one of asked.tools) {
    const lent = lease.tools.find(({ name }) => name === one.name);
    if (lent === undefined) return 'a tool that is not lent';
    if (tools.some(({ name }) => name === one.name)) return 'a tool that is named twice';
    const narrowed = narrowedTool(lent, one);
    if (typeof narrowed === 'string') return narrowed;
    tools.push(narrowed);
  }
  const calls = offeredCalls(lease);
  if (isWider(asked.max_calls, calls)) return 'more calls in all than are lent';
  const maxCalls = asked.max_calls ?? lease.maxCalls;
  return { tools, ...(maxCalls !== undefined && { maxCalls }) };
}

function detailOf({ name, arguments: schemas, budgets }: LentTool): DetailedTool {
  const schema = oneSchema(schemas);
  const most = smallest(budgets);
  return {
    name,
    ...(schema !== undefined && { arguments: schema }),
    ...(most !== undefined && { max_calls: most }),
  };
}

function narrowedTool(lent: LentTool, asked: DetailedTool): LentTool | string {
  const added = addedSchemas(oneSchema(lent.arguments), asked.arguments);
  if (added === undefined) return 'arguments without the constraint of the lease';
  const most = smallest(lent.budgets);
  if (isWider(asked.max_calls, most)) return 'more calls of a tool than are lent';
  const own = asked.max_calls === undefined ? [] : [budgetOfTool(lent, asked.max_calls)];
  return {
    ...lent,
    arguments: [...lent.arguments, ...added],
    budgets: [...lent.budgets, ...own],
  };
}

/** A bound on one tool, under a key that no rule has. */
export function budgetOfTool(
  { peer, own }: Pick<LentTool, 'peer' | 'own'>,
  most: number,
): CallBudget {
  return { key: `tool ${peer}/${own}`, most };
}

/** The schemas beyond the lease's own; undefined where that one is not repeated. */
function addedSchemas(
  lent: JsonObject | undefined,
  asked: JsonObject | undefined,
): readonly JsonObject[] | undefined {
  if (lent === undefined) return asked === undefined ? [] : [asked];
  if (asked === undefined) return undefined;
  if (isDeepStrictEqual(asked, lent)) return [];
  const { allOf, ...rest } = asked;
  if (!Array.isArray(allOf) || Object.keys(rest).length > 0) return undefined;
  const schemas = allOf.filter(isObject) as JsonObject[];
  if (schemas.length !== allOf.length) return undefined;
  const at = schemas.findIndex((one) => isDeepStrictEqual(one, lent));
  return at === -1 ? undefined : schemas.filter((_, index) => index !== at);
}

function oneSchema(schemas: readonly JsonObject[]): JsonObject | undefined {
  const [only, ...more] = schemas;
  return more.length === 0 ? only : { allOf: [...schemas] };
}

function smallest(budgets: readonly CallBudget[]): number | undefined {
  return budgets.length === 0 ? undefined : Math.min(...budgets.map(({ most }) => most));
}

function isWider(asked: number | undefined, lent: number | undefined): boolean {
  if (lent === undefined) return false;
  return asked === undefined || asked > lent;
}
