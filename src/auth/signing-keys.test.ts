import { createHash, generateKeyPairSync } from 'node:crypto';
import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { calculateJwkThumbprint, createLocalJWKSet, jwtVerify, SignJWT, type JWK } from 'jose';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { signCard, verifyCard } from '../discovery/card-signature.ts';
import { createKeyFile } from './signing-key-file.ts';
import {
  importSigningKey,
  listSigningKeys,
  openSigningKeys,
  rotateSigningKey,
} from './signing-keys.ts';

let dir: string;
let file: string;

beforeEach(() => {
  dir = join(mkdtempSync(join(tmpdir(), 'isthmus-keys-')), 'keys');
  file = join(dir, 'signing-keys.json');
});

afterEach(() => rmSync(join(dir, '..'), { recursive: true, force: true }));

const modeOf = (path: string) => statSync(path).mode & 0o777;

describe('signing keys', () => {
  it('are made on first start, for their owner alone, and are the same on the next', () => {
    const first = openSigningKeys(dir).current();
    expect(modeOf(dir)).toBe(0o700);
    expect(modeOf(file)).toBe(0o600);
    expect(readdirSync(dir)).toEqual(['signing-keys.json']);
    const again = openSigningKeys(dir).current();
    expect(again.active.kid).toBe(first.active.kid);
    expect(again.all).toHaveLength(1);
  });

  it('are made once when two processes start together: the first one wins', () => {
    const early = openSigningKeys(dir).current().active;
    createKeyFile(file, [openSigningKeys(join(dir, 'other')).current().active]);
    rmSync(join(dir, 'other'), { recursive: true });
    expect(openSigningKeys(dir).current().active.kid).toBe(early.kid);
    expect(readdirSync(dir)).toEqual(['signing-keys.json']);
  });

  it('are closed again when others could read them', () => {
    openSigningKeys(dir);
    chmodSync(file, 0o644);
    openSigningKeys(dir);
    expect(modeOf(file)).toBe(0o600);
  });

  it('go by their RFC 7638 thumbprint', async () => {
    const { active } = openSigningKeys(dir).current();
    expect(active.kid).toBe(await calculateJwkThumbprint(active.publicJwk));
  });

  it('publish no private member, ever', async () => {
    const keys = openSigningKeys(dir);
    await rotateSigningKey(dir);
    const jwk = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({
      format: 'jwk',
    });
    await importSigningKey(dir, JSON.stringify({ ...jwk, ext: true, oth: 'x', note: 'secret' }));
    keys.reload();
    const { jwks } = keys.current();
    expect(jwks.keys).toHaveLength(3);
    const stored = JSON.parse(readFileSync(file, 'utf8')) as { keys: { jwk: JWK }[] };
    for (const key of jwks.keys) {
      expect(Object.keys(key).toSorted()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y']);
      expect(key).toMatchObject({ kty: 'EC', crv: 'P-256', use: 'sig', alg: 'ES256' });
    }
    const published = JSON.stringify(jwks);
    for (const { jwk: secret } of stored.keys) expect(published).not.toContain(secret.d);
  });

  it('are retired by a rotation and stay published, the active one first', async () => {
    const keys = openSigningKeys(dir);
    const { active: old } = keys.current();
    const token = await new SignJWT()
      .setProtectedHeader({ alg: 'ES256', kid: old.kid })
      .sign(old.privateKey);
    const card = JSON.stringify(signCard({ name: 'Travel' }, old));
    const second = await rotateSigningKey(dir, () => Date.parse('2026-05-01T00:00:00Z'));
    const third = await rotateSigningKey(dir, () => Date.parse('2026-06-01T00:00:00Z'));
    expect(keys.reload()).toBe(true);
    const { active, all, jwks } = keys.current();
    expect(active.kid).toBe(third.kid);
    expect(all.map(({ kid }) => kid)).toEqual([third.kid, second.kid, old.kid]);
    expect(all.map(({ retiredAt }) => retiredAt)).toEqual([
      undefined,
      Date.parse('2026-06-01T00:00:00Z'),
      Date.parse('2026-05-01T00:00:00Z'),
    ]);
    const jwkSet = createLocalJWKSet({ keys: [...jwks.keys] });
    await expect(jwtVerify(token, jwkSet)).resolves.toMatchObject({
      protectedHeader: { kid: old.kid },
    });
    expect(await verifyCard(card, jwks)).toMatchObject({ kind: 'verified', kid: old.kid });
    expect(modeOf(file)).toBe(0o600);
    expect(readdirSync(dir)).toEqual(['signing-keys.json']);
  });

  it('change in a running gateway when another process rotates', async () => {
    let time = 1000;
    const keys = openSigningKeys(dir, { now: () => time });
    const before = keys.current();
    const { kid } = await rotateSigningKey(dir);
    time += 499;
    expect(keys.current()).toBe(before);
    time += 1;
    const after = keys.current();
    expect(after.active.kid).toBe(kid);
    time += 500;
    expect(keys.current()).toBe(after);
    expect(keys.reload()).toBe(false);
  });

  it('stay the same object when the file was only touched', () => {
    const keys = openSigningKeys(dir, { checkEveryMs: 0 });
    const before = keys.current();
    utimesSync(file, 1, 1);
    expect(keys.current()).toBe(before);
  });

  it('stay in force when the file breaks, which is told once', async () => {
    const told: string[] = [];
    const report = ({ message }: Error) => told.push(message);
    const keys = openSigningKeys(dir, { checkEveryMs: 0, report });
    const good = readFileSync(file);
    const before = keys.current();
    writeFileSync(file, '{');
    expect(keys.current()).toBe(before);
    expect(keys.current()).toBe(before);
    expect(told).toEqual([
      `${file} is not a file of signing keys: It is not JSON. Restore it from a copy.`,
    ]);
    expect(() => keys.reload()).toThrow('It is not JSON');
    rmSync(file);
    expect(keys.current()).toBe(before);
    expect(told).toHaveLength(2);
    writeFileSync(file, good);
    const { kid } = await rotateSigningKey(dir);
    expect(keys.current().active.kid).toBe(kid);
  });

  it('lose none to rotations at the same time', async () => {
    openSigningKeys(dir);
    const made = await Promise.all(Array.from({ length: 5 }, () => rotateSigningKey(dir)));
    const all = listSigningKeys(dir) ?? [];
    expect(all).toHaveLength(6);
    expect(all.filter(({ retiredAt }) => retiredAt === undefined)).toHaveLength(1);
    for (const { kid } of made) expect(all.map((key) => key.kid)).toContain(kid);
  });

  it('wait for another command to be done with them', async () => {
    openSigningKeys(dir);
    writeFileSync(`${file}.lock`, '');
    const rotation = rotateSigningKey(dir);
    await wait(120);
    expect(listSigningKeys(dir)).toHaveLength(1);
    rmSync(`${file}.lock`);
    await rotation;
    expect(listSigningKeys(dir)).toHaveLength(2);
  });

  it('survive a command that died holding the lock', async () => {
    openSigningKeys(dir);
    writeFileSync(`${file}.lock`, '');
    utimesSync(`${file}.lock`, 1, 1);
    await rotateSigningKey(dir);
    expect(listSigningKeys(dir)).toHaveLength(2);
  });

  it('can be listed without being made', () => {
    expect(listSigningKeys(dir)).toBeUndefined();
    expect(() => statSync(dir)).toThrow('ENOENT');
  });

  it('are refused as a file by name when something in it is not right', () => {
    openSigningKeys(dir);
    const { keys } = JSON.parse(readFileSync(file, 'utf8'));
    const [key] = keys;
    const cases: [unknown, string][] = [
      [{}, 'It holds no list of keys.'],
      [{ keys: [] }, 'Exactly one key has to be without "retiredAt".'],
      [{ keys: [{ ...key, retiredAt: key.createdAt }] }, 'Exactly one key has to be without'],
      [{ keys: [key, key] }, 'A key stands twice.'],
      [{ keys: [{ ...key, jwk: undefined }] }, 'An entry is incomplete.'],
      [{ keys: [{ ...key, createdAt: 'x' }] }, 'A time is unreadable.'],
      [{ keys: [{ ...key, jwk: { ...key.jwk, d: undefined } }] }, 'holds the public half alone'],
    ];
    for (const [content, why] of cases) {
      writeFileSync(file, JSON.stringify(content));
      expect(() => openSigningKeys(dir)).toThrow(why);
      expect(() => openSigningKeys(dir)).toThrow(file);
    }
  });
});

describe('an imported key', () => {
  const ec = (namedCurve = 'P-256') => generateKeyPairSync('ec', { namedCurve });
  const pem = (key: ReturnType<typeof ec>['privateKey'], type: 'pkcs8' | 'sec1' = 'pkcs8') =>
    key.export({ type, format: 'pem' }).toString();

  it('becomes the active one, from a JWK and from a PKCS#8 PEM', async () => {
    openSigningKeys(dir);
    for (const form of ['jwk', 'pem'] as const) {
      const { privateKey } = ec();
      const jwk = privateKey.export({ format: 'jwk' });
      const text = form === 'pem' ? pem(privateKey) : `\n${JSON.stringify({ ...jwk, kid: 'own' })}`;
      const { kid } = await importSigningKey(dir, text);
      expect(kid).toBe(await calculateJwkThumbprint(jwk as JWK));
      expect(openSigningKeys(dir).current().active.kid).toBe(kid);
    }
    expect(listSigningKeys(dir)).toHaveLength(3);
  });

  it('may be the first', async () => {
    const { kid } = await importSigningKey(dir, pem(ec().privateKey));
    expect(modeOf(dir)).toBe(0o700);
    expect(
      openSigningKeys(dir)
        .current()
        .all.map((key) => key.kid),
    ).toEqual([kid]);
  });

  it('comes back when it was retired, as old as it is', async () => {
    const { privateKey } = ec();
    const early = Date.parse('2026-01-01T00:00:00Z');
    const { kid } = await importSigningKey(dir, pem(privateKey), () => early);
    const { kid: second } = await rotateSigningKey(dir);
    await importSigningKey(dir, pem(privateKey));
    const [active, retired, ...more] = listSigningKeys(dir) ?? [];
    expect(active).toMatchObject({ kid, createdAt: early });
    expect(active?.retiredAt).toBeUndefined();
    expect(retired?.kid).toBe(second);
    expect(more).toEqual([]);
  });

  const jwk = ec().privateKey.export({ format: 'jwk' });
  const other = ec().privateKey.export({ format: 'jwk' });
  const zeros = Buffer.alloc(32).toString('base64url');
  const large = Buffer.alloc(32, 255).toString('base64url');
  const rsa = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey;
  const { privateKey: edwards } = generateKeyPairSync('ed25519');
  // RFC 7515 §A.3.1
  const printed = {
    kty: 'EC',
    crv: 'P-256',
    x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',
    y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0',
    d: 'jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI',
  };
  // The base point itself: d = 1.
  const one = {
    kty: 'EC',
    crv: 'P-256',
    x: 'axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY',
    y: 'T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU',
    d: `${'A'.repeat(42)}E`,
  };
  const refused: [string, string, string][] = [
    ['nothing', '', 'This is neither.'],
    ['any text', 'hello', 'This is neither.'],
    ['broken JSON', '{"kty":', 'This is not a JSON object with unique names.'],
    ['a name that stands twice', `{"kty":"EC",${JSON.stringify(jwk).slice(1)}`, 'unique names'],
    ['a JWK Set', JSON.stringify({ keys: [jwk] }), 'This is a whole JWK Set.'],
    ['a public JWK', JSON.stringify({ ...jwk, d: undefined }), 'the public half alone'],
    [
      'a JWK on P-384',
      JSON.stringify(ec('P-384').privateKey.export({ format: 'jwk' })),
      'EC P-384',
    ],
    ['a JWK on secp256k1', JSON.stringify({ ...jwk, crv: 'secp256k1' }), 'EC secp256k1'],
    ['an RSA JWK', JSON.stringify(rsa.export({ format: 'jwk' })), 'This JWK is RSA.'],
    ['a shared secret', JSON.stringify({ kty: 'oct', k: 'AAAA' }), 'This JWK is oct.'],
    ['an Ed25519 JWK', JSON.stringify(edwards.export({ format: 'jwk' })), 'OKP Ed25519'],
    ['an encryption key', JSON.stringify({ ...jwk, use: 'enc' }), 'not for signing with ES256'],
    [
      'a key that only verifies',
      JSON.stringify({ ...jwk, key_ops: ['verify'] }),
      'not for signing',
    ],
    ['another algorithm', JSON.stringify({ ...jwk, alg: 'ES384' }), 'not for signing with ES256'],
    ['a short d', JSON.stringify({ ...jwk, d: 'AAAA' }), '32 bytes of base64url'],
    [
      'a d in another spelling',
      JSON.stringify({ ...jwk, d: `${jwk.d}=` }),
      '32 bytes of base64url',
    ],
    ['no y', JSON.stringify({ ...jwk, y: undefined }), '32 bytes of base64url'],
    ['a d of zero', JSON.stringify({ ...jwk, d: zeros }), 'lies outside of the curve'],
    ['a d beyond the order', JSON.stringify({ ...jwk, d: large }), 'lies outside of the curve'],
    [
      "another key's d",
      JSON.stringify({ ...jwk, d: other.d }),
      'does not belong to its private one',
    ],
    ['a d that can be guessed', JSON.stringify(one), 'so small that it can be guessed'],
    ['a key from an RFC', JSON.stringify(printed), 'everybody has it'],
    ['a SEC1 PEM', pem(ec().privateKey, 'sec1'), 'openssl pkcs8 -topk8 -nocrypt -in FILE'],
    ['a P-384 PEM', pem(ec('P-384').privateKey), 'This PEM is ec secp384r1.'],
    ['a weak RSA PEM', rsa.export({ type: 'pkcs8', format: 'pem' }).toString(), 'rsa 1024'],
    ['an Ed25519 PEM', pem(edwards), 'This PEM is ed25519.'],
    [
      'a public PEM',
      ec().publicKey.export({ type: 'spki', format: 'pem' }).toString(),
      'public key',
    ],
    ['a cut PEM', pem(ec().privateKey).slice(0, 80), 'This PEM cannot be read.'],
    [
      'an encrypted PEM',
      ec()
        .privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' })
        .toString(),
      'This one is encrypted',
    ],
  ];

  it.each(refused)('is refused: %s', async (_name, text, why) => {
    openSigningKeys(dir);
    const before = digest(readFileSync(file));
    const message = await importSigningKey(dir, text).then(
      () => 'accepted',
      (error: Error) => error.message,
    );
    expect(message).toContain(why);
    expect(message).toMatch(
      /^Expected a P-256 private key as a JWK|^This key is printed in an RFC/,
    );
    expect(jwk.d).toHaveLength(43);
    expect(message).not.toContain(jwk.d);
    expect(digest(readFileSync(file))).toBe(before);
  });
});

function digest(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
