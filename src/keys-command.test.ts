import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadSealingSecret } from './auth/key-files.ts';
import { listSealingKeys } from './auth/sealing-keys.ts';
import { openSigningKeys } from './auth/signing-keys.ts';
import { keysCommand } from './keys-command.ts';

let root: string;
let dir: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'isthmus-keys-'));
  dir = join(root, 'keys');
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

async function run(...args: string[]) {
  const out: string[] = [];
  const err: string[] = [];
  const code = await keysCommand(args, {
    dir,
    out: (line) => out.push(line),
    err: (line) => err.push(line),
    now: () => Date.parse('2026-03-04T05:06:07Z'),
  });
  return { code, out, err };
}

describe('isthmus keys', () => {
  it('lists nothing, and makes nothing, before the first start', async () => {
    expect(await run('list')).toEqual({
      code: 0,
      out: [`There are no keys in ${dir} yet; they are made when the gateway first starts.`],
      err: [],
    });
    expect(readdirSync(root)).toEqual([]);
  });

  it('lists signing and sealing keys with their ids, states and dates', async () => {
    const options = { now: () => Date.parse('2026-01-02T03:04:05Z') };
    const first = openSigningKeys(dir, options).current().active.kid;
    loadSealingSecret(dir);
    utimesSync(join(dir, 'sealing.key'), 1_700_000_000, 1_700_000_000);
    await run('rotate');
    const second = openSigningKeys(dir).current().active.kid;
    const { code, out } = await run('list');
    expect(code).toBe(0);
    expect(out.map((line) => line.split(/ {2,}/))).toEqual([
      ['KIND', 'ID', 'STATE', 'CREATED', 'RETIRED'],
      ['signing ES256', second, 'active', '2026-03-04T05:06:07Z'],
      ['signing ES256', first, 'retired', '2026-01-02T03:04:05Z', '2026-03-04T05:06:07Z'],
      [
        'sealing AES-256-GCM',
        expect.stringMatching(/^[0-9a-f]{32}$/),
        'active',
        '2023-11-14T22:13:20Z',
      ],
    ]);
  });

  it('rotates, and says what became of the old key', async () => {
    const keys = openSigningKeys(dir);
    const old = keys.current().active.kid;
    const { code, out } = await run('rotate');
    keys.reload();
    expect(code).toBe(0);
    expect(out).toEqual([
      `The active signing key is ${keys.current().active.kid}.`,
      `${old} is retired and stays published. A running gateway takes this up by itself.`,
    ]);
    expect(keys.current().active.kid).not.toBe(old);
  });

  it('makes a new sealing key, and removes an old one', async () => {
    loadSealingSecret(dir);
    const [first] = listSealingKeys(dir);
    const { code, out } = await run('rotate', 'sealing');
    const [second] = listSealingKeys(dir);
    expect(code).toBe(0);
    expect(out[0]).toBe(`The active sealing key is ${second?.kid}.`);
    expect(second?.kid).not.toBe(first?.kid);
    expect((await run('remove', second?.kid ?? '')).err[0]).toContain('is the active sealing key');
    expect((await run('remove', first?.kid ?? '')).code).toBe(0);
    expect(listSealingKeys(dir).map(({ kid }) => kid)).toEqual([second?.kid]);
    expect((await run('list')).out).toHaveLength(2);
  });

  it('imports a file, also as the first key', async () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const path = join(root, 'own.pem');
    writeFileSync(path, privateKey.export({ type: 'pkcs8', format: 'pem' }));
    const { code, out } = await run('import', path);
    expect(code).toBe(0);
    expect(out).toEqual([
      `The active signing key is ${openSigningKeys(dir).current().active.kid}.`,
    ]);
  });

  it('refuses a file that is no key, and changes nothing', async () => {
    openSigningKeys(dir);
    const before = readFileSync(join(dir, 'signing-keys.json'), 'utf8');
    const path = join(root, 'x');
    writeFileSync(path, 'x'.repeat(70_000));
    const cases: [string, string][] = [
      [join(root, 'absent'), `isthmus: There is no file ${join(root, 'absent')}.`],
      [root, `isthmus: ${root} is not a file.`],
      [path, `isthmus: ${path} is too large for a key.`],
    ];
    for (const [given, message] of cases) {
      expect(await run('import', given)).toEqual({ code: 1, out: [], err: [message] });
    }
    writeFileSync(path, 'hello');
    expect(await run('import', path)).toEqual({
      code: 1,
      out: [],
      err: ['isthmus: Expected a P-256 private key as a JWK or as PKCS#8 PEM. This is neither.'],
    });
    expect(readFileSync(join(dir, 'signing-keys.json'), 'utf8')).toBe(before);
  });

  it.each([
    [[], 'keys needs to know what to do'],
    [['burn'], 'keys cannot "burn"'],
    [['toString'], 'keys cannot "toString"'],
    [['import'], 'keys import needs one FILE'],
    [['import', 'a', 'b'], 'keys import needs one FILE'],
    [['rotate', 'now'], 'keys rotate takes no argument "now"'],
    [['rotate', 'sealing', 'now'], 'keys rotate takes no argument "sealing now"'],
    [['remove'], 'keys remove needs one ID'],
  ])('refuses to be called with %j', async (args, reason) => {
    expect(await run(...args)).toEqual({
      code: 2,
      out: [],
      err: [
        `isthmus: ${reason}\n\nUsage: isthmus keys list | rotate [sealing] | import FILE | remove ID`,
      ],
    });
    expect(readdirSync(root)).toEqual([]);
  });

  it('prints no secret', async () => {
    openSigningKeys(dir);
    const sealing = loadSealingSecret(dir);
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const path = join(root, 'own.jwk');
    writeFileSync(path, JSON.stringify(privateKey.export({ format: 'jwk' })));
    const said = JSON.stringify([
      await run('list'),
      await run('rotate'),
      await run('import', path),
      await run('list'),
    ]);
    const stored = JSON.parse(readFileSync(join(dir, 'signing-keys.json'), 'utf8'));
    const secrets = [
      ...stored.keys.map(({ jwk }: { jwk: { d: string } }) => jwk.d),
      sealing.toString('base64url'),
      sealing.toString('hex'),
    ];
    expect(secrets).toHaveLength(5);
    for (const secret of secrets) {
      expect(secret.length).toBeGreaterThan(40);
      expect(said).not.toContain(secret);
    }
  });

  it('reports a broken key file as a failure', async () => {
    openSigningKeys(dir);
    writeFileSync(join(dir, 'signing-keys.json'), '{}');
    for (const name of ['list', 'rotate']) {
      const { code, err } = await run(name);
      expect(code).toBe(1);
      expect(err[0]).toContain('is not a file of signing keys: It holds no list of keys.');
    }
  });
});
