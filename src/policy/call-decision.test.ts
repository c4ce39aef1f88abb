import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { anonymous } from '../model/principal.ts';
import { decideCall, decideRead } from './call-decision.ts';
import { may } from './permissions.ts';

const caller = (...scopes: string[]) => ({ ...anonymous, scopes });

describe('a decision about a call', () => {
  it('names the scope that made it, the narrowest first', () => {
    const both = caller('peer:*:call', 'peer:files:call');
    expect(decideCall(both, 'files')).toEqual({ allowed: true, scope: 'peer:files:call' });
    expect(decideCall(both, 'travel')).toEqual({ allowed: true, scope: 'peer:*:call' });
    expect(decideRead(both, 'files')).toEqual({ allowed: true, scope: 'peer:files:call' });
  });

  it('says which scope is missing', () => {
    expect(decideCall(caller('peer:files:read'), 'files', 'read_file')).toEqual({
      allowed: false,
      lacks: 'peer:files:call',
      reason: 'The caller may not call files/read_file: it lacks the scope "peer:files:call".',
    });
    expect(decideRead(caller('admin'), 'files')).toMatchObject({ lacks: 'peer:files:read' });
  });

  it('is the one that the faces take', () => {
    const scope = fc.constantFrom(
      'peer:a:read',
      'peer:a:call',
      'peer:*:read',
      'peer:*:call',
      'peer:b:call',
      'admin',
    );
    fc.assert(
      fc.property(fc.array(scope), fc.constantFrom('a', 'b', 'c'), (scopes, peer) => {
        const who = caller(...scopes);
        expect(decideCall(who, peer).allowed).toBe(may(who, 'call', peer));
        expect(decideRead(who, peer).allowed).toBe(may(who, 'read', peer));
      }),
    );
  });
});
