import { describe, expect, test } from 'vitest';
import { anonymous } from '../model/principal.ts';
import {
  allows,
  atOwnPeer,
  authorize,
  may,
  peerScope,
  readablePeers,
  scopesWithin,
  type Action,
} from './permissions.ts';

const caller = (...scopes: string[]) => ({ ...anonymous, scopes });

describe('a scope', () => {
  test.each<[scope: string, action: Action, peer: string, allowed: boolean]>([
    ['peer:travel:call', 'call', 'travel', true],
    ['peer:travel:call', 'read', 'travel', true],
    ['peer:travel:read', 'read', 'travel', true],
    ['peer:travel:read', 'call', 'travel', false],
    ['peer:*:read', 'read', 'travel', true],
    ['peer:*:read', 'call', 'travel', false],
    ['peer:*:call', 'call', 'travel', true],
    ['peer:files:call', 'read', 'travel', false],
    ['peer:travel', 'read', 'travel', false],
    ['peer:travel:call ', 'read', 'travel', false],
    ['PEER:travel:call', 'read', 'travel', false],
    ['admin', 'read', 'travel', false],
    ['lend', 'read', 'travel', false],
    ['peer:*:admin', 'read', 'travel', false],
  ])('%s lets a caller %s at %s: %s', (scope, action, peer, allowed) => {
    expect(may(caller(scope), action, peer)).toBe(allowed);
  });

  test.each<[scopes: string[], bounds: string[], allowed: string[]]>([
    [['peer:a:call'], ['peer:a:call'], ['peer:a:call']],
    [['peer:a:call'], ['peer:*:call'], ['peer:a:call']],
    [['peer:*:call'], ['peer:a:call'], ['peer:a:call']],
    [['peer:a:call'], ['peer:a:read'], ['peer:a:read']],
    [['peer:a:read'], ['peer:*:call'], ['peer:a:read']],
    [['peer:*:call'], ['peer:*:read'], ['peer:*:read']],
    [['peer:a:call'], ['peer:b:call'], []],
    [['admin'], ['peer:*:call'], []],
    [['admin'], ['admin'], ['admin']],
    [['lend', 'peer:a:call'], ['lend'], ['lend']],
    [['lend'], ['peer:*:call', 'admin'], []],
    [['peer:*:call', 'admin'], [], []],
    [['openid', 'peer:a:delete'], ['openid', 'peer:a:delete', 'peer:*:call'], []],
  ])('%j of an organization that is given %j is %j', (scopes, bounds, allowed) => {
    expect(scopesWithin(scopes, bounds)).toEqual(allowed);
  });

  test('that is missing is named in the refusal', () => {
    expect(() => authorize(caller('peer:travel:read'), 'call', 'travel')).toThrow(
      expect.objectContaining({ code: 'forbidden', facts: { scopes: ['peer:travel:call'] } }),
    );
  });

  test('is not asked for at the endpoints of all peers', () => {
    expect(() => authorize(caller(), 'call', '')).not.toThrow();
    expect(peerScope('', 'read')).toBe('peer:*:read');
  });

  test('decides what is seen, in whatever order and however often it is named', () => {
    expect(readablePeers(caller('peer:b:read', 'admin', 'peer:a:call', 'peer:b:call'))).toEqual([
      'a',
      'b',
    ]);
    expect(readablePeers(caller('peer:b:read', 'peer:*:read'))).toBe('all');
    expect(readablePeers(caller('openid'))).toEqual([]);
  });
});

test('a caller may do everything at a peer of its own, and nothing more elsewhere', () => {
  const owner = atOwnPeer(caller('lend'), 'tools-abcdefgh');
  expect(may(owner, 'call', 'tools-abcdefgh')).toBe(true);
  expect(may(owner, 'read', 'travel')).toBe(false);
  expect(owner.scopes).toEqual(['lend', 'peer:tools-abcdefgh:call']);
});

test.each<[string[], string, boolean]>([
  [['peer:travel:call'], 'peer:travel:call', true],
  [['peer:travel:call'], 'peer:travel:read', true],
  [['peer:travel:read'], 'peer:travel:call', false],
  [['peer:*:read'], 'peer:travel:read', true],
  [['peer:*:call'], 'peer:travel:read', true],
  [['peer:*:read'], 'peer:travel:call', false],
  [['peer:travel:call'], 'peer:*:read', false],
  [['peer:travel:call'], 'peer:travels:call', false],
  [['peer:*:call'], 'admin', false],
  [['peer:*:call', 'admin'], 'lend', false],
  [['lend'], 'lend', true],
  [['admin'], 'admin', true],
  [['admin'], 'peer:travel:read', false],
  [['peer:travel:call'], 'peer:travel:callback', false],
])('%j allows %s: %s', (allowed, scope, expected) => {
  expect(allows(allowed, scope)).toBe(expected);
});
