import { describe, expect, it } from 'vitest';
import { citationsIn } from './citations.ts';

const idsIn = (source: string): readonly string[] =>
  citationsIn('a.test.ts', source).citations.map((citation) => citation.id);

describe('citationsIn', () => {
  it('reads all ids of a call, also over several lines', () => {
    expect(idsIn(`covers('A-1');\n  covers(\n    "B-2",\n    'C-3',\n  );`)).toEqual([
      'A-1',
      'B-2',
      'C-3',
    ]);
  });

  it('passes over calls in comments', () => {
    expect(idsIn(`// covers('A-1')\n  /* covers('B-2')\n */\n/** covers('C-3') */`)).toEqual([]);
  });

  it('reports a call without a literal', () => {
    expect(citationsIn('a.test.ts', 'covers(...all)').problems).toEqual([
      'a.test.ts: covers(...all) names no id as a literal',
    ]);
  });

  it.each(['it.skip', 'test.todo', 'describe.only', 'it.concurrent.fails'])(
    'reports a citing file with %s',
    (call) => {
      const source = `${call}('x', () => {});\ncovers('A-1');`;
      expect(citationsIn('a.test.ts', source).problems).toEqual([
        'a.test.ts: cites requirements and has tests that are skipped or run alone',
      ]);
      expect(citationsIn('a.test.ts', `${call}('x', () => {});`).problems).toEqual([]);
    },
  );
});
