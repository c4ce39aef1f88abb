/** The section `lending`: what is lent to whom. Without a rule nothing is. */
import { z } from 'zod';
import type { JsonObject } from '../model/json.ts';
import type { LendingRule } from '../policy/lending.ts';
import { matchesWord, overlap } from '../policy/tool-pattern.ts';
import { SchemaValidator } from '../translate/json-schema.ts';
import { isPeerPattern, patternParts } from '../translate/tool-pattern-shape.ts';
import { pathText, type Mistake } from './mistake.ts';
import { duration, whole } from './units.ts';
import { word } from './words.ts';

const expectedTool =
  'expected a tool such as files/read_file, calendar/* or own/*; "*" only at the end of either part';

const tool = z
  .string({ error: expectedTool })
  .refine((text) => patternParts(text) !== undefined, expectedTool);

const schema = z.custom<JsonObject>(
  (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  'expected a JSON Schema, which is a section with keys',
);

const lender = z
  .strictObject({
    organization: word('an organization id').optional(),
    subject: word('a subject').optional(),
    client: word('a client id').optional(),
  })
  .refine(
    (members) => Object.values(members).some((value) => value !== undefined),
    'expected organization, subject or client, or several of them',
  );

const maxTtl = 86_400_000;

const rule = z.strictObject({
  /** The peer that is lent to: its id, or a pattern. */
  to: z
    .string({ error: 'expected the id of a peer, or a pattern such as travel-*' })
    .refine(isPeerPattern, 'expected the id of a peer, or a pattern such as travel-*'),
  tools: z
    .array(tool, { error: 'expected a list of tools' })
    .min(1, 'expected at least one tool')
    .max(256, 'expected 256 tools at the most'),
  /** Whose callers lend by this rule: those that all members of one entry fit. */
  from: z
    .array(lender, { error: 'expected a list of callers' })
    .min(1, 'expected at least one caller; without "from" it is everybody of our organization')
    .optional(),
  /** JSON Schemas that the arguments of a call have to fit. */
  arguments: z.record(tool, schema).default({}),
  maxCalls: whole(1, 1_000_000).prefault(20),
  maxCallsPerTool: z.record(tool, whole(1, 1_000_000)).default({}),
  ttl: duration()
    .refine((ms) => ms >= 1000 && ms <= maxTtl, 'expected a duration from 1s to 24h')
    .prefault('15m'),
  /** How often it may be lent on. */
  depth: whole(0, 5).prefault(0),
  /** Whether a person approves each call. */
  approval: z.enum(['never', 'always'], { error: 'expected never or always' }).default('never'),
  /** With each call of that peer, or where the caller asks for it. */
  offer: z.enum(['always', 'request'], { error: 'expected always or request' }).default('always'),
});

/** The rules, in the order in which they are tried. */
export const lending = z
  .array(rule, { error: 'expected a list of rules' })
  .default([])
  .transform((rules): readonly LendingRule[] =>
    rules.map(({ from, ...rest }) => ({ ...rest, ...(from !== undefined && { from }) })),
  );

/** What is wrong with rules that are well-formed: what they name is not there, or has no effect. */
export function lendingMistakes(
  rules: readonly LendingRule[],
  peers: readonly { readonly id: string }[],
): Mistake[] {
  const schemas = new SchemaValidator();
  return rules.flatMap((entry, index) => {
    const mistakes: Mistake[] = [];
    const mistake = (path: readonly PropertyKey[], message: string) =>
      mistakes.push({ path: pathText(['lending', index, ...path]), message });
    const { to, tools } = entry;
    if (!to.endsWith('*') && !peers.some(({ id }) => matchesWord(to, id))) {
      mistake(['to'], 'expected the id of an entry of peers, or a pattern with "*"');
    }
    for (const member of ['arguments', 'maxCallsPerTool'] as const) {
      for (const key of Object.keys(entry[member])) {
        if (tools.some((pattern) => overlap(pattern, key))) continue;
        mistake([member, key], 'expected a tool that "tools" of this rule lends');
      }
    }
    for (const [key, value] of Object.entries(entry.arguments)) {
      const flaw = schemas.flawOf(value);
      if (flaw !== undefined) mistake(['arguments', key], `cannot be enforced: ${flaw}`);
    }
    return mistakes;
  });
}
