import { describe, expect, it } from 'vitest';
import { anonymous } from '../model/principal.ts';
import { matrixOf, type MatrixParts } from './matrix.ts';

const rule = {
  to: 'travel',
  tools: ['files/read_*'],
  arguments: {},
  maxCalls: 20,
  maxCallsPerTool: {},
  ttl: 900_000,
  depth: 0,
  approval: 'never',
  offer: 'always',
} as const;

const caller = (id: string, ...scopes: string[]) => ({
  id,
  kind: 'query' as const,
  principal: { ...anonymous, scopes },
});

const parts = (over: Partial<MatrixParts> = {}): MatrixParts => ({
  callers: [caller('all', 'peer:*:call'), caller('reader', 'peer:files:read')],
  peers: [
    { id: 'files', tools: ['read_file', 'write_file'] },
    { id: 'travel', tools: ['book'] },
  ],
  grantees: ['files', 'travel'],
  rules: [rule],
  ownOrganization: 'example',
  asked: 'request',
  refusals: false,
  most: 1000,
  ...over,
});

describe('the permission matrix', () => {
  it('has a row for each caller at each peer', () => {
    expect(matrixOf(parts())).toEqual({
      complete: true,
      permissions: [
        {
          caller: 'all',
          peer: 'files',
          read: true,
          call: true,
          because: 'peer:*:call',
          lend: [{ to: 'travel', tool: 'read_file', allowed: true, rule: 'lending[0]' }],
        },
        { caller: 'all', peer: 'travel', read: true, call: true, because: 'peer:*:call', lend: [] },
        {
          caller: 'reader',
          peer: 'files',
          read: true,
          call: false,
          because: 'peer:files:read; to call it peer:files:call is missing',
          lend: [],
        },
        {
          caller: 'reader',
          peer: 'travel',
          read: false,
          call: false,
          because: 'peer:travel:read is missing',
          lend: [],
        },
      ],
    });
  });

  it('has what may not be lent too where that is wanted', () => {
    const { permissions } = matrixOf(parts({ refusals: true, grantees: ['travel'] }));
    expect(permissions[0]?.lend).toEqual([
      { to: 'travel', tool: 'read_file', allowed: true, rule: 'lending[0]' },
      { to: 'travel', tool: 'write_file', allowed: false },
    ]);
    expect(permissions[2]?.lend).toEqual([
      { to: 'travel', tool: 'read_file', allowed: false },
      { to: 'travel', tool: 'write_file', allowed: false },
    ]);
  });

  it('stops at its bound, and says that it is not complete', () => {
    expect(matrixOf(parts({ most: 6 })).complete).toBe(true);
    const { permissions, complete } = matrixOf(parts({ most: 5, refusals: true }));
    expect(complete).toBe(false);
    expect(permissions.flatMap(({ lend }) => lend)).toHaveLength(5);
    expect(permissions.map(({ read }) => read)).toEqual([true, true, true, false]);
  });
});
