import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GatewayError } from '../model/errors.ts';
import { SchemaValidator } from './json-schema.ts';
import { leaseOfferFrom, leaseRequestFrom } from './lease-shapes.ts';

const ref = 'xJ8canarycanarycanarycanarycanarycanarycan0';

const offer = (over: Record<string, unknown> = {}) => ({
  iss: 'https://gw.example.org/sts',
  resource: 'https://gw.example.org/callback/0PKMG/mcp',
  lease_ref: ref,
  exp: 1_790_000_000,
  tools: ['files__read_file', 'calendar__list_events'],
  ...over,
});

function refusal(work: () => unknown): { field: unknown; message: string } {
  try {
    work();
  } catch (error) {
    if (error instanceof GatewayError && error.code === 'invalid-params') {
      return { field: error.facts['field'], message: error.message };
    }
    throw error;
  }
  throw new Error('it was taken');
}

const lend = (over: Record<string, unknown>) => ({ lend: { tools: ['files/*'], ...over } });

describe('a request to lend', () => {
  it('is read with all its members, and without those that are not known', () => {
    const asked = {
      tools: ['files/read_file', 'calendar/*', 'own/*'],
      arguments: { 'files/read_file': { properties: { path: { pattern: '^/public/' } } } },
      max_calls: 5,
      max_calls_per_tool: { 'calendar/*': 2 },
      expires_in: 600,
      depth: 0,
      approval: 'always',
    };
    expect(leaseRequestFrom({ lend: { ...asked, colour: 'red' }, other: 1 })).toEqual(asked);
    expect(leaseRequestFrom({ lend: { tools: ['*/*'] } })).toEqual({ tools: ['*/*'] });
    expect(leaseRequestFrom(offer())).toBeUndefined();
  });

  it('names the tools of a parent lease as they are there', () => {
    const parent = 'https://gw.example.org/callback/x/mcp';
    const asked = { tools: ['files__*'], max_calls_per_tool: { files__read: 1 }, parent };
    expect(leaseRequestFrom({ lend: asked })).toEqual(asked);
    expect(refusal(() => leaseRequestFrom({ lend: { tools: ['files__*'] } })).field).toBe(
      'lend.tools[0]',
    );
  });

  it.each<[over: Record<string, unknown>, field: string]>([
    [{ tools: undefined }, 'lend.tools'],
    [{ tools: [] }, 'lend.tools'],
    [{ tools: 'files/*' }, 'lend.tools'],
    [{ tools: Array.from({ length: 257 }, () => 'files/*') }, 'lend.tools'],
    [{ tools: ['files/*', 7] }, 'lend.tools[1]'],
    [{ tools: ['files/re*d'] }, 'lend.tools[0]'],
    [{ tools: ['read_file'] }, 'lend.tools[0]'],
    [{ tools: [`files/${'a'.repeat(251)}`] }, 'lend.tools[0]'],
    [{ tools: ['files/a\nb'] }, 'lend.tools[0]'],
    [{ arguments: [] }, 'lend.arguments'],
    [{ arguments: { nothing: {} } }, 'lend.arguments'],
    [{ arguments: { 'files/a': true } }, 'lend.arguments["files/a"]'],
    [{ arguments: { 'files/a': { title: 'a'.repeat(65_536) } } }, 'lend.arguments["files/a"]'],
    [{ max_calls: 0 }, 'lend.max_calls'],
    [{ max_calls: 1.5 }, 'lend.max_calls'],
    [{ max_calls: '5' }, 'lend.max_calls'],
    [{ max_calls: null }, 'lend.max_calls'],
    [{ max_calls_per_tool: { 'files/a': -1 } }, 'lend.max_calls_per_tool["files/a"]'],
    [{ max_calls_per_tool: { 'fi*es/a': 1 } }, 'lend.max_calls_per_tool'],
    [{ expires_in: Infinity }, 'lend.expires_in'],
    [{ depth: 6 }, 'lend.depth'],
    [{ depth: -1 }, 'lend.depth'],
    [{ approval: 'sometimes' }, 'lend.approval'],
    [{ parent: 'file:///etc/passwd', tools: ['a'] }, 'lend.parent'],
  ])('is refused with %j', (over, field) => {
    const { message, field: named } = refusal(() => leaseRequestFrom(lend(over)));
    expect(named).toBe(field);
    expect(message.startsWith(`${field}: expected `)).toBe(true);
  });

  it('takes what is just within its bounds', () => {
    const schema = { title: 'a'.repeat(65_536 - 12) };
    const tools = Array.from({ length: 256 }, () => `files/${'a'.repeat(250)}`);
    const asked = { tools, arguments: { 'files/*': schema }, depth: 5, max_calls: 1 };
    expect(JSON.stringify(schema)).toHaveLength(65_536);
    expect(leaseRequestFrom({ lend: asked })).toEqual(asked);
  });

  it('is refused where a schema could not be enforced, if that is looked at', () => {
    const asked = lend({ arguments: { 'files/*': { pattern: '(a+)+' } } });
    expect(refusal(() => leaseRequestFrom(asked, new SchemaValidator())).message).toBe(
      'lend.arguments["files/*"]: expected a JSON Schema that can be enforced. The schema has a pattern that could take too long to check.',
    );
  });

  it('survives a schema that is nested without end', () => {
    let deep: unknown = {};
    for (let level = 0; level < 100_000; level += 1) deep = { not: deep };
    const { field } = refusal(() => leaseRequestFrom(lend({ arguments: { 'files/*': deep } })));
    expect(field).toBe('lend.arguments["files/*"]');
  });
});

describe('an offer', () => {
  it('is read with all its members, and without those that are not known', () => {
    const full = offer({ max_calls: 20, depth: 0, via: ['https://a.example/sts'] });
    expect(leaseOfferFrom({ ...full, lend: { tools: [] }, colour: 'red' })).toEqual(full);
    expect(leaseOfferFrom(offer())).toEqual(offer());
    expect(leaseOfferFrom(lend({}))).toBeUndefined();
  });

  it.each<[over: Record<string, unknown>, field: string]>([
    [{ iss: undefined }, 'iss'],
    [{ iss: 'gw.example.org' }, 'iss'],
    [{ iss: `https://gw.example.org/${'a'.repeat(2048)}` }, 'iss'],
    [{ resource: 'https://user:pass@gw.example.org/' }, 'resource'],
    [{ resource: 'javascript:alert(1)' }, 'resource'],
    [{ resource: 'https://gw.example.org/#x' }, 'resource'],
    [{ lease_ref: '' }, 'lease_ref'],
    [{ lease_ref: 7 }, 'lease_ref'],
    [{ lease_ref: `${ref}\r\n` }, 'lease_ref'],
    [{ lease_ref: ref.repeat(24) }, 'lease_ref'],
    [{ exp: '1790000000' }, 'exp'],
    [{ exp: 0 }, 'exp'],
    [{ tools: [] }, 'tools'],
    [{ tools: ['files__*'] }, 'tools[0]'],
    [{ tools: ['a'.repeat(257)] }, 'tools[0]'],
    [{ max_calls: 0 }, 'max_calls'],
    [{ depth: 0.5 }, 'depth'],
    [{ via: 'https://a.example/sts' }, 'via'],
    [{ via: ['https://a.example/sts', 'x'] }, 'via[1]'],
    [{ via: Array.from({ length: 33 }, () => 'https://a.example/sts') }, 'via'],
  ])('is refused with %j, without a word of its reference', (over, field) => {
    const { message, field: named } = refusal(() => leaseOfferFrom(offer(over)));
    expect(named).toBe(field);
    expect(message).not.toContain(ref.slice(0, 12));
  });

  it('and a request are read or refused, whatever comes', () => {
    const member = fc.oneof(
      fc.jsonValue(),
      fc.constant(['files/*']),
      fc.constant('https://x.example/'),
    );
    const names = fc.constantFrom(
      'tools',
      'arguments',
      'max_calls',
      'depth',
      'parent',
      'iss',
      'exp',
      'via',
    );
    fc.assert(
      fc.property(fc.dictionary(names, member), fc.jsonValue(), (some, any) => {
        for (const json of [any, { lend: some }, { lend: any }, { ...some, lease_ref: 'r' }]) {
          for (const read of [leaseRequestFrom, leaseOfferFrom]) {
            const outcome = (() => {
              try {
                return read(json) ?? 'nothing';
              } catch (error) {
                return error;
              }
            })();
            expect(
              outcome === 'nothing' ||
                (outcome instanceof GatewayError && outcome.code === 'invalid-params') ||
                (typeof outcome === 'object' && 'tools' in (outcome as object)),
            ).toBe(true);
          }
        }
      }),
    );
  });
});
