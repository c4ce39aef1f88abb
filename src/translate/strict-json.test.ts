import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { jsonFlaw } from './strict-json.ts';

describe('a JSON text', () => {
  it.each([
    ['{"a":1,"a":1}'],
    ['{"a":{"b":1},"c":[{"d":1,"d":2}]}'],
    [String.raw`{"a":1,"\u0061":2}`],
    [String.raw`{"\"":1,"\u0022":2}`],
    ['{"":1,"":2}'],
    ['{"a":{},"b":[],"a":1}'],
    ['[{"a":"x,\\"a\\":1","a":2}]'],
  ])('%s says something twice', (text) => {
    expect(() => JSON.parse(text) as unknown).not.toThrow();
    expect(jsonFlaw(text)).toBe('duplicate-member');
  });

  it.each([
    ['{"a":{"a":{"a":1}},"b":[{"a":1},{"a":2}]}'],
    [String.raw`{"a":"{\"a\":1,\"a\":2}","b":"\\"}`],
    ['{"a":"b","b":"a","c":["a","a"]}'],
    ['"a"'],
    ['[]'],
  ])('%s does not', (text) => {
    expect(jsonFlaw(text)).toBeUndefined();
  });

  it('is too deep at 257 levels', () => {
    expect(jsonFlaw('['.repeat(256) + ']'.repeat(256))).toBeUndefined();
    expect(jsonFlaw('['.repeat(257) + ']'.repeat(257))).toBe('too-deep');
  });

  it('has too many members past 100,000', () => {
    const wide = (size: number): string => `[${Array(size).fill('{"a":0}').join(',')}]`;
    expect(jsonFlaw(wide(100_000))).toBeUndefined();
    expect(jsonFlaw(wide(100_001))).toBe('too-many-members');
  });

  it('that was written from a value has no flaw, and with a member repeated it has', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 4 }), fc.string(), (json, name) => {
        expect(jsonFlaw(json)).toBeUndefined();
        const key = JSON.stringify(name);
        expect(jsonFlaw(`{${key}:${json},"\\u0000other":1,${key}:2}`)).toBe('duplicate-member');
      }),
    );
  });
});
