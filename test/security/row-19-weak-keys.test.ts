/** SECURITY row 19: a gateway does not start on a key that anybody can guess, or read. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';
import { startGateway } from '../../src/main.ts';
import { createLogger } from '../../src/observe/log.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'isthmus-weak-'));
  mkdirSync(join(dir, 'keys'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const keyFile = (name: string) => join(dir, 'keys', name);

async function start(): Promise<void> {
  const text = JSON.stringify({
    gateway: { listen: { host: '127.0.0.1', port: 0 } },
    store: { url: `sqlite:${join(dir, 'x.db')}` },
    keys: { dir: join(dir, 'keys') },
  });
  const config = parseConfig(text, { env: {}, readFile: () => '' });
  if (!config.ok) throw new Error(JSON.stringify(config.mistakes));
  const gateway = await startGateway(config.config, createLogger({ level: 'silent' }));
  await gateway.close();
}

const base64url = (at: (n: number) => number): string =>
  Buffer.from(Array.from({ length: 32 }, (_, n) => at(n))).toString('base64url');

describe('a sealing key that is', () => {
  it.each([
    ['zeros', base64url(() => 0)],
    ['ones', base64url(() => 255)],
    ['a repeated pattern', base64url((n) => [1, 2, 3, 4, 5, 6, 7, 8][n % 8] ?? 0)],
    ['a count', base64url((n) => n)],
    ['the text of an example', 'changeme_changeme_changeme_changeme_changeme'],
    ['a passphrase', 'correct-horse-battery-staple-correct-horse-battery'],
    [
      'a passphrase in base64',
      Buffer.from('correct horse battery staple 123').toString('base64url'),
    ],
    ['no base64url', 'correct horse battery staple, correct horse battery staple'],
    ['short', Buffer.alloc(31, 'abcdefghijklmnopqrstuvwxyz01234').toString('base64url')],
    ['empty', ''],
  ])('%s refuses to start, and is not repeated', async (_what, text) => {
    writeFileSync(keyFile('sealing.key'), `${text}\n`, { mode: 0o600 });
    const failed = await start().then(
      () => undefined,
      (error: unknown) => String(error),
    );
    expect(failed).toMatch(
      /sealing\.key (?:holds (?:a weak key|fewer than 32 bytes)|is not base64url)/,
    );
    expect(text === '' || !failed?.includes(text)).toBe(true);
  });
});

describe('an admin token that is', () => {
  it.each([
    ['short', 'kP3x_9'],
    ['the text of an example', 'please-change-me-please-change-me-01'],
    ['words', 'administrator-administrator-administrator'],
    ['a repeated pattern', 'aB3aB3aB3aB3aB3aB3aB3aB3aB3aB3aB3aB3'],
  ])('%s refuses to start, and is not repeated', async (_what, token) => {
    writeFileSync(keyFile('admin-token'), `${token}\n`, { mode: 0o600 });
    const failed = await start().then(
      () => undefined,
      (error: unknown) => String(error),
    );
    expect(failed).toMatch(/admin-token holds (?:a weak token|no token of 32 characters)/);
    expect(failed).not.toContain(token);
  });
});

describe('a signing key that is', () => {
  const rsa = { kty: 'RSA', n: 'AQAB', e: 'AQAB', d: 'AQAB' };
  const printed = {
    kty: 'EC',
    crv: 'P-256',
    x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',
    y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0',
    d: 'jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI',
  };
  it.each([
    ['no P-256 key', rsa, /Expected a P-256 private key/],
    ['printed in an RFC', printed, /printed in an RFC/],
  ])('%s refuses to start', async (_what, jwk, says) => {
    const keys = [{ createdAt: '2026-01-01T00:00:00Z', jwk }];
    await start();
    writeFileSync(keyFile('signing-keys.json'), JSON.stringify({ keys }), { mode: 0o600 });
    await expect(start()).rejects.toThrow(says);
  });
});

it('key files that others may read or write are for their owner alone after the start', async () => {
  await start();
  const names = ['sealing.key', 'admin-token', 'signing-keys.json'];
  for (const name of names) chmodSync(keyFile(name), 0o666);
  await start();
  for (const name of names) {
    expect([name, (statSync(keyFile(name)).mode & 0o777).toString(8)]).toEqual([name, '600']);
  }
});
