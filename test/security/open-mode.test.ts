/** `open` mode knows one anonymous caller: it never leaves loopback, however it is asked to. */
import { mkdtempSync, rmSync } from 'node:fs';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseConfig, type LoadContext } from '../../src/config/load.ts';
import { startGateway } from '../../src/main.ts';
import { createLogger } from '../../src/observe/log.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'isthmus-open-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const outer = Object.values(networkInterfaces())
  .flatMap((addresses) => addresses ?? [])
  .filter(({ internal }) => !internal)
  .map(({ address }) => address);

const strangers = [
  '0.0.0.0',
  '0',
  '00.00.00.00',
  '0x0',
  '::',
  '[::]',
  '::0',
  '0:0:0:0:0:0:0:0',
  '::ffff:0.0.0.0',
  '::ffff:0:0',
  '[::ffff:0.0.0.0]',
  '::ffff:192.0.2.1',
  '192.0.2.1',
  'fe80::1',
  'fd00::1',
  '*',
  'gw.example.org',
  'localhost.example.org',
  'localhost.',
  '127.0.0.1.example.org',
  '127.0.0.1 ',
  '128.0.0.1',
  ...outer,
];

function parse(text: string, context: Partial<LoadContext> = {}) {
  return parseConfig(text, { env: {}, readFile: () => '', ...context });
}

function mistakesOf(result: ReturnType<typeof parse>): string[] {
  return result.ok ? [] : result.mistakes.map(({ path, message }) => `${path}: ${message}`);
}

const refused = [
  'auth.mode: open is refused on a listener that is not loopback; set gateway.listen.host to 127.0.0.1',
];

describe.each(strangers)('a listener on "%s"', (host) => {
  it('is refused in the file, from the environment and from the command line', () => {
    const file = JSON.stringify({ gateway: { listen: { host } } });
    expect(mistakesOf(parse(file))).toEqual(refused);
    const env = { HOST: host };
    expect(mistakesOf(parse('gateway: { listen: { host: "${env:HOST}" } }', { env }))).toEqual(
      refused,
    );
    expect(mistakesOf(parse('', { listen: { host } }))).toEqual(refused);
    expect(mistakesOf(parse('auth: { mode: open }', { listen: { host } }))).toEqual(refused);
  });

  it('is refused at the start, whoever made the configuration', async () => {
    const result = parse(
      JSON.stringify({
        store: { url: `sqlite:${join(dir, 'x.db')}` },
        keys: { dir: join(dir, 'keys') },
      }),
    );
    if (!result.ok) throw new Error(mistakesOf(result).join());
    const { config } = result;
    const gateway = { ...config.gateway, listen: { host, port: 0 } };
    const started = startGateway({ ...config, gateway }, createLogger({ level: 'silent' }));
    await expect(started).rejects.toThrow(/is not loopback|ENOTFOUND|EAI_AGAIN/);
  });
});

it.each(['127.0.0.1', '127.0.0.53', '::1', '[::1]', 'localhost', 'LOCALHOST', '::ffff:127.0.0.1'])(
  'a listener on "%s" is one',
  (host) => {
    expect(mistakesOf(parse(JSON.stringify({ gateway: { listen: { host } } })))).toEqual([]);
  },
);
