import { describe, expect, it } from 'vitest';
import { grantedScopes, scopesAt } from './scopes.ts';

const travel = { kind: 'peer', peer: 'travel' } as const;

describe('allowed scopes', () => {
  const allowed = ['peer:*:read', 'peer:travel:call', 'admin'];
  it('at a peer are those of the peer', () => {
    expect(scopesAt(travel, allowed)).toEqual(['peer:travel:read', 'peer:travel:call']);
    expect(scopesAt({ kind: 'peer', peer: 'mail' }, allowed)).toEqual(['peer:mail:read']);
  });
  it('at the gateway are those of all peers, not of the admin API', () => {
    expect(scopesAt({ kind: 'gateway' }, allowed)).toEqual(['peer:*:read', 'peer:travel:call']);
  });
  it('at the reverse channel are its own', () => {
    expect(scopesAt({ kind: 'lend' }, ['lend', 'peer:*:call', 'admin'])).toEqual(['lend']);
    expect(scopesAt({ kind: 'lend' }, allowed)).toEqual([]);
  });
  it('of who may lend are also at peers, where its own may be, and not at the gateway', () => {
    expect(scopesAt(travel, ['lend'])).toEqual(['lend']);
    expect(scopesAt({ kind: 'gateway' }, ['lend'])).toEqual([]);
    expect(scopesAt({ kind: 'admin' }, ['lend'])).toEqual([]);
  });
  it('at the admin API are its own', () => {
    expect(scopesAt({ kind: 'admin' }, allowed)).toEqual(['admin']);
    expect(scopesAt({ kind: 'admin' }, ['peer:*:call'])).toEqual([]);
  });
});

it('what is granted is what is asked for, each once, or all that is allowed', () => {
  const allowed = ['peer:travel:read', 'peer:travel:call'];
  expect(grantedScopes(undefined, allowed)).toEqual(allowed);
  expect(grantedScopes('peer:travel:read peer:travel:read', allowed)).toEqual(['peer:travel:read']);
  const refused = expect.objectContaining({ code: 'invalid_scope' });
  expect(() => grantedScopes('peer:travel:read admin', allowed)).toThrow(refused);
  expect(() => grantedScopes('', allowed)).toThrow(refused);
  expect(() => grantedScopes(undefined, [])).toThrow(refused);
});
