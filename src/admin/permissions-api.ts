/** `/admin/permissions`: who may read, call and lend what, as the policy in force decides it. */
import { factsOf, type PeerDirectory } from '../discovery/listing.ts';
import type { JsonObject } from '../model/json.ts';
import type { LendingRule } from '../policy/lending.ts';
import { matrixOf, type MatrixCaller } from '../policy/matrix.ts';
import { scopePattern } from '../policy/permissions.ts';
import { Problem } from './problem.ts';
import { choiceOf, refuseUnknown, wholeOf } from './query.ts';

/** The policy in force. */
export interface PolicyInForce {
  /** Everybody whom the configuration names. */
  readonly callers: () => readonly MatrixCaller[];
  /** One whom only the query names. */
  readonly callerNamed: (named: {
    readonly organization?: string | undefined;
    readonly subject?: string | undefined;
    readonly client?: string | undefined;
    readonly scopes?: readonly string[] | undefined;
  }) => MatrixCaller;
  readonly rules: () => readonly LendingRule[];
  readonly ownOrganization: () => string;
}

const usualPage = 20;
const largestPage = 100;
/** Decisions about lending in one answer, and patterns compared for them: some 100 ms at the most. */
const mostDecisions = 20_000;
const mostComparisons = 2_000_000;
const mostTools = 1000;

const known = [
  'organization',
  'subject',
  'client',
  'scopes',
  'peer',
  'to',
  'asked',
  'refusals',
  'limit',
  'offset',
];

/**
 * A page of callers with their permissions at all peers, or at `peer`, and to lend to all, or to
 * `to`. The caller whom the query names, if it names one, is the first.
 */
export function permissionsShown(
  query: URLSearchParams,
  policy: PolicyInForce,
  directory: Pick<PeerDirectory, 'list'>,
): JsonObject {
  refuseUnknown(query, known);
  const limit = wholeOf(query, 'limit', usualPage, largestPage);
  const offset = wholeOf(query, 'offset', 0, Number.MAX_SAFE_INTEGER);
  const all = [...namedIn(query, policy), ...policy.callers()];
  const callers = all.slice(offset, offset + limit);
  const next = offset + callers.length;
  const ids = directory.list().map(({ id }) => id);
  const peers = directory
    .list()
    .filter(({ id }) => id === (query.get('peer') ?? id))
    .map((listing) => ({ id: listing.id, all: factsOf(listing).abilities.map(({ id }) => id) }))
    .map(({ id, all: names }) => ({
      id,
      tools: names.slice(0, mostTools),
      omitted: Math.max(0, names.length - mostTools),
    }));
  const { permissions, complete } = matrixOf({
    callers,
    peers,
    grantees: ids.filter((id) => id === (query.get('to') ?? id)),
    rules: policy.rules(),
    ownOrganization: policy.ownOrganization(),
    asked: choiceOf(query, 'asked', ['request', 'standing']),
    refusals: choiceOf(query, 'refusals', ['false', 'true']) === 'true',
    most: decisionsFor(policy.rules()),
  });
  return {
    total: all.length,
    ...(next < all.length && callers.length > 0 && { next }),
    complete: complete && peers.every(({ omitted }) => omitted === 0),
    callers: callers.map(callerShown),
    peers: peers.map(({ id, tools, omitted }) => ({ id, tools, ...(omitted > 0 && { omitted }) })),
    permissions: permissions.map((one) => ({
      ...one,
      lend: one.lend.map((lent) => ({ ...lent })),
    })),
  };
}

function decisionsFor(rules: readonly LendingRule[]): number {
  const patterns = rules.reduce((sum, { tools, from = [] }) => sum + tools.length + from.length, 1);
  return Math.min(mostDecisions, Math.ceil(mostComparisons / patterns));
}

function namedIn(query: URLSearchParams, { callerNamed }: PolicyInForce): MatrixCaller[] {
  const [organization, subject, client, scopes] = [
    'organization',
    'subject',
    'client',
    'scopes',
  ].map((name) => query.get(name) ?? undefined);
  const given = [organization, subject, client, scopes].some((value) => value !== undefined);
  if (!given) return [];
  const list = scopes?.split(' ').filter((scope) => scope !== '');
  const wrong = list?.find((scope) => !scopePattern.test(scope));
  if (wrong !== undefined) {
    throw new Problem(400, 'scopes: expected scopes such as peer:travel:call, with spaces between');
  }
  return [callerNamed({ organization, subject, client, scopes: list })];
}

function callerShown({ id, kind, principal }: MatrixCaller): JsonObject {
  const { organization, subject, client, scopes } = principal;
  return {
    id,
    kind,
    organization,
    ...(subject !== '' && { subject }),
    ...(client !== '' && { client }),
    scopes: [...scopes],
  };
}
