import { describe, expect, it } from 'vitest';
import { grantedAt, scopesAt } from './scopes.ts';

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

describe('granted scopes', () => {
  const refused = expect.objectContaining({ code: 'invalid_scope' });

  it('are what is asked for, each once, or all that is allowed', () => {
    const allowed = ['peer:travel:call', 'admin'];
    expect(grantedAt(travel, undefined, allowed)).toEqual(['peer:travel:read', 'peer:travel:call']);
    expect(grantedAt(travel, 'peer:travel:read peer:travel:read', allowed)).toEqual([
      'peer:travel:read',
    ]);
    expect(() => grantedAt(travel, 'peer:travel:read admin', allowed)).toThrow(refused);
    expect(() => grantedAt(travel, '', allowed)).toThrow(refused);
    expect(() => grantedAt(travel, undefined, ['admin'])).toThrow(refused);
  });

  it('at a peer name others beside it where the client asks and has them', () => {
    const allowed = ['peer:travel:call', 'peer:files:call', 'admin'];
    const asked = 'peer:travel:call peer:files:call';
    expect(grantedAt(travel, asked, allowed)).toEqual(asked.split(' '));
    expect(grantedAt(travel, undefined, allowed)).not.toContain('peer:files:call');
    // Nobody needs a token for a peer where it may do nothing.
    expect(() => grantedAt(travel, 'peer:files:call', allowed)).toThrow(refused);
    expect(() => grantedAt(travel, `${asked} peer:mail:call`, allowed)).toThrow(refused);
    expect(() => grantedAt(travel, `${asked} admin`, allowed)).toThrow(refused);
    expect(() => grantedAt({ kind: 'lend' }, 'lend peer:files:call', ['lend', asked])).toThrow(
      refused,
    );
  });
});
