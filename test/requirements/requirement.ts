import { expect } from 'vitest';
import { a2aRequirements } from './a2a.ts';
import { discoveryRequirements } from './discovery.ts';
import { mcpRequirements } from './mcp.ts';
import { tasksRequirements } from './tasks.ts';

/** Every requirement of every spec. */
export const requirements = [
  ...a2aRequirements,
  ...mcpRequirements,
  ...tasksRequirements,
  ...discoveryRequirements,
] as const;

/** The id of a requirement that exists: any other string is a compile error. */
export type RequirementId = (typeof requirements)[number]['id'];

const known: ReadonlySet<string> = new Set(requirements.map((r) => r.id));

/**
 * Says, inside a test, which requirements the test proves.
 *
 * Write the ids as string literals: `coverage.test.ts` reads them from the source.
 * Throws outside of a running test and for an id that does not exist.
 */
export function covers(...ids: readonly [RequirementId, ...RequirementId[]]): void {
  const test = expect.getState().currentTestName;
  if (!test) throw new Error('covers() belongs inside a test');
  const unknown = ids.filter((id) => !known.has(id));
  if (unknown.length > 0) throw new Error(`no such requirement: ${unknown.join(', ')}`);
}
