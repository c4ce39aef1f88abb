import { describe, expect, it } from 'vitest';
import { cleaned, nameFlaw, spelledOut, withoutHidden } from './hidden-text.ts';

const point = String.fromCodePoint;

describe('hidden characters', () => {
  it.each([
    ['a control', 0x1b],
    ['a C1 control', 0x9b],
    ['a zero-width space', 0x200b],
    ['a zero-width joiner', 0x200d],
    ['a direction override', 0x202e],
    ['a direction isolate', 0x2066],
    ['a byte order mark', 0xfeff],
    ['a tag', 0xe0041],
    ['a supplementary variation selector', 0xe0100],
    ['an invisible operator', 0x2063],
    ['a filler', 0x3164],
    ['a soft hyphen', 0xad],
    ['half a character', 0xd800],
  ])('such as %s are taken out of texts and refused in names', (_what, code) => {
    expect(withoutHidden(`a${point(code)}b`)).toBe('ab');
    expect(nameFlaw(`a${point(code)}b`)).toBe('its name holds hidden characters');
  });

  it.each(['Zürich 東京 \n\t\r\n', '❤️ 😀', 'שלום', 'a_b-c.d/e'])(
    'are not what people read: %j',
    (text) => {
      expect(withoutHidden(text)).toBe(text);
    },
  );

  it('are spelled out for people', () => {
    expect(spelledOut(`a${point(0xe0041)}${point(0x202e)}`)).toBe('a\\u{E0041}\\u{202E}');
  });
});

describe('a definition', () => {
  it('without them is passed on as it is', () => {
    const tool = { name: 'a', inputSchema: { enum: ['x\ny'] }, n: [1, null, true] };
    const clean = cleaned(tool);
    expect(clean).toEqual({ ok: true, definition: tool, stripped: false });
    expect(clean.ok && clean.definition).toBe(tool);
  });

  it('loses them in texts, at any depth', () => {
    expect(cleaned({ a: [{ description: `x${point(0x200b)}y` }], examples: ['o'] })).toEqual({
      ok: true,
      definition: { a: [{ description: 'xy' }], examples: ['o'] },
      stripped: true,
    });
  });

  it.each([
    [{ properties: { [`a${point(0x200b)}`]: {} } }],
    [{ properties: { a: { enum: [`x${point(0xe0041)}`] } } }],
    [{ properties: { a: { const: { b: `x${point(0xe0041)}` } } } }],
    [{ required: [`x${point(0x202e)}`] }],
    [{ properties: { a: { pattern: `^${point(0x200b)}$` } } }],
  ])('with them where they decide what fits is refused: %j', (inputSchema) => {
    expect(cleaned({ name: 'a', inputSchema }).ok).toBe(false);
  });

  it('may have a property that is called like a keyword', () => {
    const inputSchema = { properties: { pattern: { description: `x${point(0x200b)}` } } };
    expect(cleaned({ inputSchema })).toMatchObject({
      ok: true,
      definition: { inputSchema: { properties: { pattern: { description: 'x' } } } },
    });
  });

  it('that is nested too deeply is refused', () => {
    let deep: Record<string, never> | object = {};
    for (let depth = 0; depth < 100_000; depth += 1) deep = { a: deep };
    expect(cleaned({ deep: deep as never })).toEqual({
      ok: false,
      reason: 'it is nested too deeply',
    });
  });
});
