import { describe, expect, it } from 'vitest';
import { headerValue, paramHeaders, paramHeaderValues, routingHeaders } from './param-headers.ts';

const string = (header: string) => ({ type: 'string', 'x-mcp-header': header });

describe('the headers that a schema asks for', () => {
  it('are found at any depth of properties', () => {
    const schema = {
      type: 'object',
      properties: {
        region: string('Region'),
        to: { type: 'object', properties: { city: string('City') } },
      },
    };
    const scanned = paramHeaders(schema);
    expect(scanned).toEqual({
      ok: true,
      headers: [
        { header: 'Mcp-Param-Region', path: ['region'] },
        { header: 'Mcp-Param-City', path: ['to', 'city'] },
      ],
    });
    const headers = scanned.ok ? scanned.headers : [];
    expect(paramHeaderValues(headers, { region: 'us-west1', to: { city: null } })).toEqual({
      'Mcp-Param-Region': 'us-west1',
    });
  });

  it.each([
    ['a line break', { a: string('Evil\r\nX-Admin') }],
    ['a space', { a: string('Two words') }],
    ['nothing', { a: string('') }],
    ['no string', { a: { type: 'string', 'x-mcp-header': 7 } }],
    ['the same name twice', { a: string('Same'), b: string('sAME') }],
    ['an object', { a: { type: 'object', 'x-mcp-header': 'Obj' } }],
    ['a number', { a: { type: 'number', 'x-mcp-header': 'Num' } }],
    ['a place in an array', { a: { type: 'array', items: string('Item') } }],
    ['a place in a choice', { a: { anyOf: [string('Any')] } }],
  ])('make the tool unusable with %s', (_what, properties) => {
    expect(paramHeaders({ type: 'object', properties })).toMatchObject({ ok: false });
  });

  it('may be the name of a property, or a default', () => {
    const schema = {
      type: 'object',
      properties: { 'x-mcp-header': { type: 'string', default: { 'x-mcp-header': 'x' } } },
    };
    expect(paramHeaders(schema)).toEqual({ ok: true, headers: [] });
  });
});

describe('a header value', () => {
  // The examples of the specification's table.
  it.each([
    ['us-west1', 'us-west1'],
    ['Hello, 世界', '=?base64?SGVsbG8sIOS4lueVjA==?='],
    [' padded ', '=?base64?IHBhZGRlZCA=?='],
    ['line1\nline2', '=?base64?bGluZTEKbGluZTI=?='],
    ['=?base64?literal?=', '=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?='],
    ['', '=?base64??='],
  ])('of %j is %j', (value, header) => {
    expect(headerValue(value)).toBe(header);
  });

  it('of a request names the method and what it is about', () => {
    expect(routingHeaders('tasks/get', { taskId: 't1' })).toEqual({
      'mcp-method': 'tasks/get',
      'mcp-name': 't1',
    });
    expect(routingHeaders('tools/list', {})).toEqual({ 'mcp-method': 'tools/list' });
  });
});
