import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { outcomeOf, tables } from './rows.ts';

/**
 * Golden files: what each row of the translation tables takes and gives, as literal JSON. A change
 * of one is a change of what clients see, and is reviewed as such: nothing here writes them.
 */

const here = fileURLToPath(new URL('.', import.meta.url));
const guide = readFileSync(new URL('../../docs/translation.md', import.meta.url), 'utf8');

interface Golden {
  input: Record<string, unknown>;
  expected: Record<string, unknown>;
}

function golden(table: string, row: string): Golden {
  return JSON.parse(readFileSync(`${here}${table}/${row}.json`, 'utf8')) as Golden;
}

function rowFiles(table: string): string[] {
  return readdirSync(`${here}${table}`)
    .map((file) => file.replace(/\.json$/, ''))
    .toSorted();
}

describe('the golden files', () => {
  it('cover the two tables and nothing else', () => {
    const folders = readdirSync(here, { withFileTypes: true }).filter((entry) =>
      entry.isDirectory(),
    );
    expect(folders.map(({ name }) => name).toSorted()).toEqual([
      'a2a-agent-as-mcp-server',
      'mcp-server-as-a2a-agent',
    ]);
    expect(Object.keys(tables).toSorted()).toEqual(folders.map(({ name }) => name).toSorted());
    expect(Object.values(tables).map((rows) => Object.keys(rows).length)).toEqual([17, 13]);
  });

  it.each(Object.keys(tables))('of %s each have a runner, and each row has a file', (table) => {
    expect(rowFiles(table)).toEqual(Object.keys(tables[table] ?? {}).toSorted());
  });

  it.each(Object.keys(tables))('of %s are each a row of the guide', (table) => {
    for (const row of rowFiles(table)) expect(guide).toContain(`golden/${table}/${row}.json`);
  });
});

describe.each(Object.entries(tables))('%s', (table, rows) => {
  describe.each(Object.entries(rows))('%s', (row, run) => {
    const { input, expected } = golden(table, row);

    it('has an expected value for each case', () => {
      expect(Object.keys(input).length).toBeGreaterThan(0);
      expect(Object.keys(expected)).toEqual(Object.keys(input));
    });

    it.each(Object.keys(input))('%s', (name) => {
      // What travels is JSON: members that are undefined do not exist.
      const wire: unknown = JSON.parse(JSON.stringify(outcomeOf(run, input[name])));
      expect(wire).toEqual(expected[name]);
    });
  });
});
