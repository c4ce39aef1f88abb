/** docs/security.md names tests: they are there, and no row is without one unless it says so. */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = new URL('../../', import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, root), 'utf8');

/** The cells of every row of a table, headings left out. */
interface Row {
  readonly section: string;
  readonly cells: readonly string[];
}

function rowsOf(markdown: string): Row[] {
  const rows: Row[] = [];
  let section = '';
  for (const line of markdown.split('\n')) {
    const [, heading] = /^#+ (.*)$/.exec(line) ?? [];
    if (heading !== undefined) section = heading;
    if (!line.startsWith('|') || /^\|[\s|-]+$/.test(line)) continue;
    const cells = line.slice(1, -1).split('|');
    rows.push({ section, cells: cells.map((cell) => cell.trim()) });
  }
  return rows.filter(({ cells }) => cells.at(-1) !== 'Tests');
}

/** A test that a row names. */
interface Named {
  readonly row: string;
  readonly file: string;
  readonly title: string;
}

/** Code spans of the last cell: a file, and titles in it. */
function testsOf({ cells }: Row): Named[] {
  const named: Named[] = [];
  let file = '';
  for (const [, span = ''] of (cells.at(-1) ?? '').matchAll(/`([^`]+)`/g)) {
    if (/^(?:test|src)\/[\w./-]+\.ts$/.test(span)) file = span;
    else named.push({ row: cells[0] ?? '', file, title: span });
  }
  return named;
}

/** Whether a text stands in a source as a whole string, as titles and names of cases do. */
function holds(source: string, text: string): boolean {
  return ["'", '"', '`'].some((quote) => source.includes(`${quote}${text}${quote}`));
}

const rows = rowsOf(read('docs/security.md'));
const named = rows.flatMap(testsOf);

it('all 24 threats are there, in their order', () => {
  const numbers = rows.filter(({ section }) => section === 'Threats').map(({ cells }) => cells[0]);
  expect(numbers).toEqual(Array.from({ length: 24 }, (_, at) => String(at + 1)));
});

it('every row names a test, or says that there is none yet', () => {
  const without = rows.filter(
    (row) => testsOf(row).length === 0 && !/^not yet\b/.test(row.cells.at(-1) ?? ''),
  );
  expect(without).toEqual([]);
  expect(named.length).toBeGreaterThan(100);
});

describe.each([...new Set(named.map(({ file }) => file))])('%s', (file) => {
  it('is there, with the tests that the page names', () => {
    expect(existsSync(fileURLToPath(new URL(file, root)))).toBe(true);
    const source = read(file);
    const missing = named
      .filter((one) => one.file === file)
      .filter(({ title }) => !title.split(' › ').every((part) => holds(source, part)));
    expect(missing.map(({ row, title }) => `${row}: ${title}`)).toEqual([]);
  });
});
