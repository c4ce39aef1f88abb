import { describe, expect, it } from 'vitest';
import { definitionDiff } from './definition-diff.ts';
import { offered } from './definitions.ts';

describe('the difference of two definitions', () => {
  it('names each changed member by its JSON pointer', () => {
    expect(
      definitionDiff(
        { name: 'a', inputSchema: { properties: { 'x/y': { type: 'string' }, gone: {} } }, n: [1] },
        { name: 'a', inputSchema: { properties: { 'x/y': { type: 'number' }, b: {} } }, n: [1, 2] },
      ),
    ).toEqual([
      '/inputSchema/properties/x~1y/type changed: [-string-]{+number+}',
      '/inputSchema/properties/gone removed: {}',
      '/inputSchema/properties/b added: {}',
      '/n/1 added: 2',
    ]);
  });

  it('shows the words around a change in a long text', () => {
    const before = 'one two three four five six seven eight nine ten eleven twelve';
    const after = before.replace('seven', 'SEVEN');
    expect(definitionDiff({ d: before }, { d: after })).toEqual([
      '/d changed: one two three four five six [-seven-]{+SEVEN+} eight nine ten eleven twelve',
    ]);
    const long = `${before} ${before}`;
    expect(definitionDiff({ d: long }, { d: `${long} end` })).toEqual([
      '/d changed: … nine ten eleven twelve{+ end+}',
    ]);
  });

  it('shows a definition that was never approved as new', () => {
    expect(definitionDiff(null, { name: 'a', annotations: { readOnlyHint: true } })).toEqual([
      '/name added: "a"',
      '/annotations/readOnlyHint added: true',
    ]);
  });

  it('is empty when only the order of members differs', () => {
    expect(definitionDiff({ a: 1, b: [2] }, { b: [2], a: 1 })).toEqual([]);
  });

  it('is bounded, and made quickly, however much changes', () => {
    const words = (word: string) => Array.from({ length: 100_000 }, (_, n) => `${word}${n}`);
    const started = performance.now();
    const lines = definitionDiff(
      { text: words('a').join(' '), list: words('a') },
      { text: words('b').join(' '), list: words('b') },
    );
    expect(lines).toHaveLength(201);
    expect(lines.at(-1)).toBe('… and more, which is not compared');
    expect(Math.max(...lines.map(({ length }) => length))).toBeLessThan(700);
    expect(performance.now() - started).toBeLessThan(3000);
  });

  it('costs one budget, however many texts of middling length change', () => {
    const words = (word: string) =>
      Array.from({ length: 240 }, (_, n) => `${word}${n % 36}`).join(' ');
    const make = (word: string) => ({
      properties: Object.fromEntries(
        Array.from({ length: 1000 }, (_, n) => [`p${n}`, { description: words(word) }]),
      ),
    });
    const [before, after] = [make('a'), make('b')];
    const started = performance.now();
    const lines = definitionDiff(before, after);
    expect(performance.now() - started).toBeLessThan(100);
    expect(lines).toHaveLength(201);
    expect(lines[199]).toMatch(
      /^\/properties\/p199\/description text changed: 889 → 889 characters, first difference at 0: /,
    );
  });

  it('says where a text begins to differ that is too long to be taken apart', () => {
    const text = 'word '.repeat(10_000);
    const [line] = definitionDiff({ d: `${text}old` }, { d: `${text}other` });
    expect(line).toBe(
      '/d text changed: 50003 → 50005 characters, first difference at 50001: [-ld…-]{+ther…+}',
    );
  });

  it('of nested values ends where they are nested too deeply', () => {
    const nested = (value: string) =>
      Array.from({ length: 50_000 }).reduce<object>((inner) => ({ a: inner }), { value });
    const lines = definitionDiff(nested('a') as never, nested('b') as never);
    expect(lines).toEqual([expect.stringMatching(/^… and more, which is /)]);
  });
});

describe('a definition that is offered', () => {
  const hashOf = (definition: Parameters<typeof offered>[0]) => {
    const found = offered(definition);
    return 'hash' in found ? found.hash : found.unfit;
  };

  it('has the hash of its canonical JSON', () => {
    expect(hashOf({ b: [1, 'é'], a: null })).toBe(hashOf({ a: null, b: [1.0, 'é'] }));
    expect(hashOf({ a: 1 })).not.toBe(hashOf({ a: '1' }));
    expect(hashOf({ a: 1 })).toHaveLength(43);
  });

  it('is unfit without a canonical form', () => {
    let deep: object = {};
    for (let depth = 0; depth < 100_000; depth += 1) deep = { a: deep };
    expect(['it is not well-formed', 'it is larger than 64 KiB']).toContain(
      hashOf({ deep: deep as never }),
    );
    expect(hashOf({ text: 'cut \ud800' })).toBe('it is not well-formed');
  });

  it('is unfit when it is larger than 64 KiB', () => {
    expect(hashOf({ a: 'x'.repeat(65_528) })).toHaveLength(43);
    expect(hashOf({ a: 'x'.repeat(65_529) })).toBe('it is larger than 64 KiB');
    expect(hashOf({ a: 'é'.repeat(40_000) })).toBe('it is larger than 64 KiB');
  });
});
