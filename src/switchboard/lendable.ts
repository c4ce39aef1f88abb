/** A tool that may be lent under terms, as a lease has it; and a request's own schemas. */
import { GatewayError } from '../model/errors.ts';
import type { JsonObject } from '../model/json.ts';
import type { LeaseRequest } from '../model/lease.ts';
import type { LendingTerms } from '../policy/lending.ts';
import type { LendableTool } from '../policy/tool-pattern.ts';
import type { LentTool } from '../ports/leases.ts';
import type { Peer } from '../ports/peer.ts';
import type { SchemaValidator } from '../translate/json-schema.ts';
import { leaseRequestFrom } from '../translate/lease-shapes.ts';
import { budgetOfTool } from './lease-details.ts';

/** A tool that may be lent, and how. */
export interface Chosen {
  readonly tool: LendableTool;
  readonly name: string;
  readonly terms: LendingTerms;
}

/** What ids of borrowed peers begin with. No peer of the configuration has a "/" in its id. */
export const borrowedPrefix = 'borrowed/';

/** A tool as people are told of it: the id of a borrowed peer would tell them nothing. */
export function toolText({ peer, own }: Pick<LentTool, 'peer' | 'own'>): string {
  return `${peer.startsWith(borrowedPrefix) ? 'offered' : peer}/${own}`;
}

/** The tool as a lease has it. */
export function lentTool({ tool, name, terms }: Chosen): LentTool {
  const { arguments: schemas, maxCalls, maxCallsPerTool, approval, rule } = terms;
  const own = { peer: tool.peer, own: tool.name };
  return {
    name,
    ...own,
    arguments: [...schemas],
    budgets: [
      { key: rule, most: maxCalls },
      ...(maxCallsPerTool === undefined ? [] : [budgetOfTool(own, maxCallsPerTool)]),
    ],
    approval,
  };
}

/** The refusal where nothing is left to lend. */
export function nothingLent(peer: Peer, request?: LeaseRequest): GatewayError {
  const what = request === undefined ? '' : ` None of ${request.tools.join(', ')} may be.`;
  return new GatewayError(
    'invalid-params',
    `Nothing is lent to "${peer.id}".${what} The operator's rules decide (see lending in the configuration); you can lend what you may call yourself.`,
    { facts: { field: 'lend.tools' } },
  );
}

/** How long looking at all schemas of a request may take (ms). */
const schemasMs = 250;

/**
 * Throws `invalid-params` where a schema of a request cannot be enforced, or all of them together
 * take too long: others want their turn, whoever asks.
 */
export function checkSchemas(said: JsonObject, schemas: Pick<SchemaValidator, 'flawOf'>): void {
  const until = performance.now() + schemasMs;
  leaseRequestFrom(said, {
    flawOf: (schema) =>
      performance.now() > until
        ? 'All schemas together take too long to check: send fewer and smaller ones.'
        : schemas.flawOf(schema),
  });
}
