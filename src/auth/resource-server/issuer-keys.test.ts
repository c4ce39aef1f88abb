import { expect, it } from 'vitest';
import { startIssuer } from '../../../test/support/issuer.ts';
import { IssuerKeys } from './issuer-keys.ts';

it('a key that came after a look is found at once, and then nothing makes us look for 30 seconds', async () => {
  const issuer = await startIssuer();
  let now = Date.UTC(2026, 10, 21);
  const keys = new IssuerKeys({ issuer: issuer.issuer, fetch, now: () => now });
  const kindOf = async (kid: string) => (await keys.keyFor({ alg: 'ES256', kid })).kind;
  expect(await kindOf(issuer.key.kid)).toBe('key');
  now += 2000;
  const second = await issuer.rotate();
  expect(await kindOf(second.kid)).toBe('key');
  expect(issuer.jwksFetches).toBe(2);
  now += 29_000;
  const third = await issuer.rotate();
  expect(await kindOf(third.kid)).toBe('unknown');
  expect(await kindOf('made up')).toBe('unknown');
  expect(issuer.jwksFetches).toBe(2);
  now += 1000;
  expect(await kindOf(third.kid)).toBe('key');
  expect(issuer.jwksFetches).toBe(3);
  await issuer.close();
});

it('whoever asks for the new key meanwhile waits for the same look', async () => {
  const issuer = await startIssuer({ delayMs: 20 });
  let now = Date.UTC(2026, 10, 21);
  const keys = new IssuerKeys({ issuer: issuer.issuer, fetch, now: () => now });
  await keys.keyFor({ alg: 'ES256', kid: issuer.key.kid });
  now += 2000;
  const { kid } = await issuer.rotate();
  const asked = Array.from({ length: 20 }, () => keys.keyFor({ alg: 'ES256', kid }));
  expect(new Set((await Promise.all(asked)).map(({ kind }) => kind))).toEqual(new Set(['key']));
  expect(issuer.jwksFetches).toBe(2);
  await issuer.close();
});
