import { expect, it } from 'vitest';
import { idOf } from './held.ts';

const alice = {
  organization: 'acme',
  issuer: 'https://idp.example',
  subject: 'alice',
  client: 'desk',
  scopes: ['peer:agent:call'],
};
const use = {
  connection: 'files',
  peerId: 'agent',
  resource: 'https://agent.example',
  origins: ['https://agent.example', 'https://api.agent.example'],
};

it.each([
  ['another person', { ...alice, subject: 'bob' }, use],
  ['another client', { ...alice, client: 'phone' }, use],
  ['another connection', alice, { ...use, connection: 'mail' }],
  ['another peer', alice, { ...use, peerId: 'other' }],
  ['another resource', alice, { ...use, resource: 'https://agent.example/v2' }],
  ['a further origin', alice, { ...use, origins: [...use.origins, 'https://evil.example'] }],
  ['another origin', alice, { ...use, origins: ['https://agent.example', 'https://evil.example'] }],
])('a consent is none for %s', (_what, principal, other) => {
  expect(idOf(principal, other)).not.toBe(idOf(alice, use));
});

it('a consent stays when origins are written in another order, or a token has other scopes', () => {
  const origins = use.origins.toReversed();
  expect(idOf({ ...alice, scopes: ['admin'] }, { ...use, origins })).toBe(idOf(alice, use));
});
