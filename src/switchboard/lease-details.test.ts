import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { leaseDetailsType, type LeaseDetails } from '../model/lease.ts';
import type { LentTool } from '../ports/leases.ts';
import { detailsOf, narrowedTo, offeredCalls } from './lease-details.ts';

const schema = { properties: { path: { pattern: '^/public/' } } };

function tool(name: string, more: Partial<LentTool> = {}): LentTool {
  const budgets = [{ key: 'lending[0]', most: 20 }];
  return { name, peer: 'files', own: name, arguments: [], budgets, approval: false, ...more };
}

function details(tools: LeaseDetails['tools'], calls?: number): LeaseDetails {
  return { type: leaseDetailsType, tools, ...(calls !== undefined && { max_calls: calls }) };
}

const lease = {
  tools: [
    tool('read', { arguments: [schema] }),
    tool('list', {
      budgets: [
        { key: 'lending[0]', most: 20 },
        { key: 'tool files/list', most: 3 },
      ],
    }),
  ],
};

describe('what a lease says', () => {
  it('is its tools with their schemas and bounds, and the calls that its rules allow in all', () => {
    expect(detailsOf(lease)).toEqual({
      type: 'urn:isthmus:ext:tool-lease:v1',
      tools: [
        { name: 'read', arguments: schema, max_calls: 20 },
        { name: 'list', max_calls: 3 },
      ],
      max_calls: 20,
    });
  });

  it('counts a rule once, however many tools share it', () => {
    const other = tool('send', { budgets: [{ key: 'lending[1]', most: 5 }] });
    expect(offeredCalls({ tools: [...lease.tools, other] })).toBe(25);
    expect(offeredCalls({ tools: [...lease.tools, other], maxCalls: 7 })).toBe(7);
    expect(
      offeredCalls({ tools: [tool('free', { budgets: [] }), ...lease.tools] }),
    ).toBeUndefined();
  });

  it('joins several schemas of one tool', () => {
    const second = { required: ['path'] };
    const [read] = detailsOf({ tools: [tool('read', { arguments: [schema, second] })] }).tools;
    expect(read?.arguments).toEqual({ allOf: [schema, second] });
  });
});

describe('less of a lease', () => {
  it('is what repeats its constraints, and adds some', () => {
    const added = { required: ['path'] };
    const asked = details(
      [{ name: 'read', arguments: { allOf: [schema, added] }, max_calls: 2 }],
      1,
    );
    expect(narrowedTo(lease, asked)).toEqual({
      tools: [
        {
          ...lease.tools[0],
          arguments: [schema, added],
          budgets: [
            { key: 'lending[0]', most: 20 },
            { key: 'tool files/read', most: 2 },
          ],
        },
      ],
      maxCalls: 1,
    });
  });

  it('may be all of it, word for word', () => {
    const part = narrowedTo(lease, detailsOf(lease));
    expect(typeof part === 'string' ? part : detailsOf(part)).toEqual(detailsOf(lease));
  });

  it.each([
    ['a tool that is not lent', details([{ name: 'write', max_calls: 1 }], 1)],
    [
      'a tool that is named twice',
      details(
        [1, 2].map(() => ({ name: 'list', max_calls: 1 })),
        1,
      ),
    ],
    ['arguments without the constraint of the lease', details([{ name: 'read', max_calls: 1 }], 1)],
    [
      'arguments without the constraint of the lease',
      details([{ name: 'read', arguments: { allOf: [{}] }, max_calls: 1 }], 1),
    ],
    [
      'arguments without the constraint of the lease',
      details([{ name: 'read', arguments: { allOf: [schema], $defs: {} }, max_calls: 1 }], 1),
    ],
    [
      'arguments without the constraint of the lease',
      details([{ name: 'read', arguments: { anyOf: [schema, {}] }, max_calls: 1 }], 1),
    ],
    ['more calls of a tool than are lent', details([{ name: 'list', max_calls: 4 }], 1)],
    ['more calls of a tool than are lent', details([{ name: 'list' }], 1)],
    ['more calls in all than are lent', details([{ name: 'list', max_calls: 1 }], 21)],
    ['more calls in all than are lent', details([{ name: 'list', max_calls: 1 }])],
  ])('is never %s', (reason, asked) => {
    expect(narrowedTo(lease, asked)).toBe(reason);
  });

  it('is never wider, whatever is asked for', () => {
    const name = fc.constantFrom('read', 'list', 'write');
    const asked = fc.record({
      tools: fc.array(
        fc.record(
          {
            name,
            arguments: fc.constantFrom(schema, {}, { allOf: [schema] }, { allOf: [{}, schema] }),
            max_calls: fc.integer({ min: 1, max: 40 }),
          },
          { requiredKeys: ['name'] },
        ),
        { minLength: 1, maxLength: 3 },
      ),
      calls: fc.option(fc.integer({ min: 1, max: 40 }), { nil: undefined }),
    });
    fc.assert(
      fc.property(asked, ({ tools, calls }) => {
        const part = narrowedTo(lease, details(tools, calls));
        if (typeof part === 'string') return;
        expect(offeredCalls(part)).toBeLessThanOrEqual(20);
        for (const one of part.tools) {
          const lent = lease.tools.find((candidate) => candidate.name === one.name);
          expect(lent).toBeDefined();
          for (const constraint of lent?.arguments ?? []) {
            expect(one.arguments).toContainEqual(constraint);
          }
          expect(Math.min(...one.budgets.map(({ most }) => most))).toBeLessThanOrEqual(
            Math.min(...(lent?.budgets ?? []).map(({ most }) => most)),
          );
        }
      }),
    );
  });
});
