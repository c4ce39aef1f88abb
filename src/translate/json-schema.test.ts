import { describe, expect, it } from 'vitest';
import { SchemaValidator } from './json-schema.ts';

describe('the schema validator', () => {
  it('names the field and what is wrong with it', () => {
    const schema = {
      type: 'object',
      properties: {
        name: { type: 'string', minLength: 2 },
        size: { enum: ['S', 'M'] },
        tags: { type: 'array', items: { type: 'string' } },
        mail: { type: 'string', format: 'email' },
      },
      required: ['name', 'size'],
      additionalProperties: false,
    };
    const verdict = new SchemaValidator().check(schema, {
      size: 'L',
      tags: ['a', 1],
      mail: 'x',
      extra: 1,
    });
    expect(verdict).toEqual({
      ok: false,
      problems: expect.arrayContaining([
        { field: 'name', message: 'is required' },
        { field: 'extra', message: 'is not an argument that is known here' },
        { field: 'size', message: 'must be one of "S","M"' },
        { field: 'tags/1', message: 'must be string' },
        { field: 'mail', message: 'must match format "email"' },
      ]),
    });
    expect(new SchemaValidator().check(schema, { name: 'Ada', size: 'S' })).toEqual({ ok: true });
  });

  it('names a field of a nested object by its path', () => {
    const schema = { type: 'object', properties: { a: { type: 'object', required: ['b'] } } };
    expect(new SchemaValidator().check(schema, { a: {} })).toEqual({
      ok: false,
      problems: [{ field: 'a/b', message: 'is required' }],
    });
  });

  it('keeps schemas with the same $id apart', () => {
    const validator = new SchemaValidator();
    const text = {
      $id: 'https://x.example/s',
      type: 'string',
      $defs: { d: { $id: 'https://x.example/d', type: 'string' } },
    };
    const number = {
      $id: 'https://x.example/s',
      type: 'number',
      $defs: { d: { $id: 'https://x.example/d', type: 'number' } },
    };
    expect([validator.check(text, 'a').ok, validator.check(number, 'a').ok]).toEqual([true, false]);
    expect([validator.check(text, 1).ok, validator.check(number, 1).ok]).toEqual([false, true]);
  });

  it('speaks 2020-12 unless $schema says otherwise', () => {
    const validator = new SchemaValidator();
    const tuple = { prefixItems: [{ type: 'string' }] };
    expect(validator.check(tuple, [1]).ok).toBe(false);
    const old = { $schema: 'http://json-schema.org/draft-07/schema#', items: [{ type: 'string' }] };
    expect(validator.check(old, [1]).ok).toBe(false);
    expect(
      validator.check(
        { ...old, definitions: { a: { type: 'string' } }, $ref: '#/definitions/a' },
        'x',
      ),
    ).toEqual({ ok: true });
    const mid = {
      $schema: 'https://json-schema.org/draft/2019-09/schema',
      dependentRequired: { a: ['b'] },
    };
    expect(validator.check(mid, { a: 1 })).toEqual({
      ok: false,
      problems: [{ field: 'b', message: 'is required' }],
    });
  });

  it.each([
    [
      { $ref: 'https://elsewhere.example/s.json' },
      'The schema refers to another document, which is not fetched.',
    ],
    [{ $async: true, type: 'string' }, 'The schema is asynchronous.'],
    [{ pattern: '^(a+)+$' }, 'The schema has a pattern that could take too long to check.'],
    [{ pattern: '(a|a)*b' }, 'The schema has a pattern that could take too long to check.'],
    [{ pattern: '(' }, 'The schema could not be compiled.'],
  ])('enforces nothing that it cannot, and says so: %j', (schema, unchecked) => {
    expect(new SchemaValidator().check(schema, 'x')).toEqual({ ok: true, unchecked });
  });

  it('refuses every value of a schema in a dialect that it does not know, naming it', () => {
    const schema = { $schema: 'https://x.example/dialect' };
    const message =
      'cannot be checked: the JSON Schema dialect "https://x.example/dialect" is not supported';
    expect(new SchemaValidator().check(schema, 'x')).toEqual({
      ok: false,
      problems: [{ field: '', message }],
    });
  });

  it('says why a schema is not valid', () => {
    expect(new SchemaValidator().check({ type: 'strin' }, 'x')).toMatchObject({
      ok: true,
      unchecked: expect.stringMatching(/^The schema is not valid: /) as string,
    });
  });

  it.each([
    '^[A-Z]{3}$',
    '^/public/',
    '^https?://',
    '^\\d{4}-\\d{2}$',
    '^[a-z]+(-[a-z])?$',
    '^(a|b)$',
    '[(]+',
  ])('enforces the harmless pattern %s', (pattern) => {
    expect(new SchemaValidator().check({ type: 'string', pattern }, '\u0000').ok).toBe(false);
  });

  it('leaves a large schema unchecked', () => {
    const validator = new SchemaValidator({ maxBytes: 100 });
    const large = { type: 'number', description: 'x'.repeat(200) };
    expect(validator.check(large, 'x')).toEqual({
      ok: true,
      unchecked: 'The schema is larger than 100 bytes.',
    });
  });

  it('forgets the schemas that were not used for longest, and still checks them', () => {
    const validator = new SchemaValidator({ maxSchemas: 2 });
    const schemas = Array.from({ length: 6 }, (_, n) => ({ type: 'integer', minimum: n }));
    expect(schemas.map((schema) => validator.check(schema, 3).ok)).toEqual([
      true,
      true,
      true,
      true,
      false,
      false,
    ]);
    expect(schemas.map((schema) => validator.check(schema, 0).ok)).toEqual([
      true,
      false,
      false,
      false,
      false,
      false,
    ]);
  });

  it('names one mistake of a value that could have millions', () => {
    const schema = { type: 'array', items: { type: 'string' } };
    const numbers = Array.from({ length: 500_000 }, () => 0);
    expect(new SchemaValidator().check(schema, numbers)).toEqual({
      ok: false,
      problems: [{ field: '0', message: 'must be string' }],
    });
    const few = new SchemaValidator().check(schema, [0, 'a', 0]);
    expect(few).toEqual({
      ok: false,
      problems: [
        { field: '0', message: 'must be string' },
        { field: '2', message: 'must be string' },
      ],
    });
  });

  it('does not fail on a value that is nested deeper than the stack', () => {
    const schema = {
      $defs: { n: { type: 'object', properties: { n: { $ref: '#/$defs/n' } } } },
      $ref: '#/$defs/n',
    };
    let value: object = {};
    for (let depth = 0; depth < 200_000; depth += 1) value = { n: value };
    expect(new SchemaValidator().check(schema, value)).toEqual({
      ok: false,
      problems: [{ field: '', message: 'is nested too deeply' }],
    });
  });
});
