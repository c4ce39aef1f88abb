import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { bearerCheck, loadAdminToken, readAdminToken } from './admin-token.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'isthmus-admin-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

it('a token is made once, for its owner alone', () => {
  expect(readAdminToken(dir)).toBeUndefined();
  const token = loadAdminToken(dir);
  expect(token).toMatch(/^[\w-]{43}$/);
  expect(loadAdminToken(dir)).toBe(token);
  expect(readAdminToken(dir)).toBe(token);
  expect(statSync(join(dir, 'admin-token')).mode & 0o777).toBe(0o600);
});

it('a weak token refuses to be used', () => {
  writeFileSync(join(dir, 'admin-token'), 'secret\n');
  expect(() => loadAdminToken(dir)).toThrow(/holds no token of 32 characters/);
});

it.each([
  ['the token', 'Bearer abc', true],
  ['the scheme in any case', 'bearer abc', true],
  ['nothing', undefined, false],
  ['an empty token', 'Bearer ', false],
  ['another token', 'Bearer abd', false],
  ['a longer one', 'Bearer abcd', false],
  ['another scheme', 'Basic abc', false],
  ['the token alone', 'abc', false],
])('%s', (_what, header, passes) => {
  expect(bearerCheck('abc')(header)).toBe(passes);
});
