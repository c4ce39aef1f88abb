import { expect, test } from 'vitest';
import { GatewayError } from '../../model/errors.ts';
import { anonymous } from '../../model/principal.ts';
import { TokenKeeper } from './token-keeper.ts';

function world() {
  const state = { now: 0, asked: 0, fails: undefined as GatewayError | undefined };
  const keeper = new TokenKeeper({
    peerId: 'files',
    clock: () => state.now,
    grant: async () => {
      state.asked += 1;
      if (state.fails !== undefined) throw state.fails;
      return {
        token: `token-${state.asked}`,
        tokenType: 'bearer',
        issuedType: undefined,
        scopes: undefined,
        expiresIn: 100,
      };
    },
    keyOf: () => '',
    scopes: [],
    bound: false,
  });
  const behalf = { principal: anonymous, signal: new AbortController().signal };
  return { state, ask: () => keeper.authorization(behalf) };
}

test('a token is replaced before it ends', async () => {
  const { state, ask } = world();
  expect(await ask()).toBe('Bearer token-1');
  state.now = 89_000;
  expect(await ask()).toBe('Bearer token-1');
  state.now = 91_000;
  expect(await ask()).toBe('Bearer token-2');
});

test('while its server is away a token is used until it ends, and not longer', async () => {
  const { state, ask } = world();
  await ask();
  state.fails = new GatewayError('peer-unavailable', 'away');
  state.now = 91_000;
  expect(await ask()).toBe('Bearer token-1');
  state.now = 100_000;
  await expect(ask()).rejects.toThrow('away');
});

test('a token is not used on when its server gives no other', async () => {
  const { state, ask } = world();
  await ask();
  state.fails = new GatewayError('peer-refused', 'no longer');
  state.now = 91_000;
  await expect(ask()).rejects.toThrow('no longer');
});
