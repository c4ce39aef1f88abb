/** `/admin/definitions`: what is pinned, what waits and how it differs, and decisions. */
import type { DefinitionBook, Decision } from '../discovery/definition-book.ts';
import { definitionDiff } from '../discovery/definition-diff.ts';
import { legibleName } from '../discovery/definitions.ts';
import type { JsonObject } from '../model/json.ts';
import {
  definitionKinds,
  type DefinitionKind,
  type DefinitionPin,
  type DefinitionRef,
} from '../ports/definitions.ts';
import { Problem } from './problem.ts';
import { wholeOf } from './query.ts';

const statuses = ['approved', 'pending', 'rejected'] as const;
const usualPage = 500;
const largestPage = 5000;

/** A page of pins: `peer`, `status`, `limit` and `offset` are taken from the query. */
export function definitionsShown(query: URLSearchParams, book: DefinitionBook): JsonObject {
  const status = statuses.find((known) => known === query.get('status'));
  if (query.has('status') && status === undefined) {
    throw new Problem(400, `status: expected ${statuses.join(', ')}`);
  }
  const peer = query.get('peer') ?? undefined;
  const limit = wholeOf(query, 'limit', usualPage, largestPage);
  const offset = wholeOf(query, 'offset', 0, Number.MAX_SAFE_INTEGER);
  const all = book.list({ ...(peer !== undefined && { peer }), ...(status && { status }) });
  const page = all.slice(offset, offset + limit);
  const next = offset + page.length;
  return {
    total: all.length,
    ...(next < all.length && page.length > 0 && { next }),
    definitions: page.map((pin) => summary(pin, book)),
  };
}

/** One pin, with its definitions and their difference. Throws a problem when there is none. */
export function definitionShown(ref: DefinitionRef, book: DefinitionBook): JsonObject {
  const pin = book.get(ref);
  if (pin === undefined) throw absent(ref);
  return whole(pin, book);
}

/** Approves or rejects what was reviewed. Throws a problem when that is not what waits. */
export async function decide(
  ref: DefinitionRef,
  { action, hash, by }: { action: 'approve' | 'reject'; hash: unknown; by: string },
  book: DefinitionBook,
): Promise<JsonObject> {
  if (typeof hash !== 'string' || hash === '') {
    throw new Problem(400, 'hash: expected the hash of the definition that was reviewed');
  }
  const decision: Decision = await book[action](ref, hash, by);
  switch (decision.kind) {
    case 'done':
      return whole(decision.pin, book);
    case 'absent':
      throw absent(ref);
    case 'settled': {
      // Approving what is approved is done already.
      const pin = book.get(ref);
      if (action === 'approve' && pin?.hash === hash) return whole(pin, book);
      throw new Problem(409, 'Nothing waits for a decision here.');
    }
    case 'changed':
      throw new Problem(409, 'The peer offers another definition than the one that was reviewed.', {
        hash: decision.hash,
      });
    default:
      return decision satisfies never;
  }
}

/** The kind that a path names. Throws a problem for any other word. */
export function kindOf(word: string): DefinitionKind {
  const kind = definitionKinds.find((known) => known === word);
  if (kind === undefined) throw new Problem(404, `kind: expected ${definitionKinds.join(', ')}`);
  return kind;
}

function summary(pin: DefinitionPin, book: DefinitionBook): JsonObject {
  const { peer, kind, name, status, hash, pending, decided } = pin;
  const findings = book.findings(pin).map(({ kind: finding, reason }) => ({
    kind: finding,
    reason,
  }));
  return {
    peer,
    kind,
    name,
    status,
    hash,
    firstSeen: new Date(pin.firstSeen).toISOString(),
    ...(pending !== null && {
      pending: { hash: pending.hash, seenAt: new Date(pending.seenAt).toISOString() },
    }),
    ...(decided !== null && {
      decided: { by: decided.by, at: new Date(decided.at).toISOString() },
    }),
    ...(findings.length > 0 && { findings }),
  };
}

function whole(pin: DefinitionPin, book: DefinitionBook): JsonObject {
  const { definition, pending } = pin;
  return {
    ...summary(pin, book),
    definition,
    ...(pending !== null && {
      pending: {
        hash: pending.hash,
        seenAt: new Date(pending.seenAt).toISOString(),
        definition: pending.definition,
        diff: definitionDiff(definition, pending.definition),
      },
    }),
  };
}

function absent({ peer, kind, name }: DefinitionRef): Problem {
  return new Problem(404, `No ${kind} "${legibleName(name)}" of "${peer}" was ever seen.`);
}
