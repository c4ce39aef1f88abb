/** SECURITY "DPoP": proofs that must be refused, and the downgrade to bearer. */
import { exportSPKI } from 'jose';
import { describe, expect, it } from 'vitest';
import { DpopSession, generateDpopKeyPair } from '@modelcontextprotocol/client';
import { boundTo, dpopProof, testKey, type ProofShape } from '../support/issuer.ts';
import {
  issuerFor,
  resourceServer,
  travel,
  trust,
  type Answer,
  type Sent,
} from './resource-server-world.ts';

type Changes = Omit<Partial<ProofShape>, 'accessToken'>;

/** A caller with a bound token. */
async function holder(options: Parameters<typeof resourceServer>[0] = {}) {
  const idp = await issuerFor();
  const world = await resourceServer({ issuers: [trust(idp)], ...options });
  const key = await testKey();
  const token = await idp.token({ aud: travel, ...(await boundTo(key)) });
  const proof = (changes: Changes = {}) =>
    dpopProof({ key, htm: 'POST', htu: travel, accessToken: token, ...changes });
  const present = (proofs: string | string[] | undefined, sent: Sent = {}): Promise<Answer> =>
    world.send({
      ...sent,
      headers: {
        authorization: `DPoP ${token}`,
        ...(proofs !== undefined && { dpop: proofs }),
        ...sent.headers,
      },
    });
  return { idp, world, key, token, proof, present };
}

/** The answer to a proof that does not count. */
const badProof = {
  status: 401,
  body: {
    error: 'invalid_dpop_proof',
    error_description: expect.stringMatching(/^The DPoP proof /),
  },
  challenge: expect.stringMatching(
    /^DPoP error="invalid_dpop_proof", error_description="[^"]+", resource_metadata="https:\/\/gw\.example\.org\/[^"]+", scope="[^"]+", algs="ES256 /,
  ),
};

const nowSeconds = (): number => Math.floor(Date.now() / 1000);

describe('a bound token with a proof of its key', () => {
  it('lets its holder in, each time with a new proof', async () => {
    const { proof, present } = await holder();
    for (let round = 0; round < 3; round += 1) {
      const { status, body } = await present(await proof());
      expect(status).toBe(200);
      expect(body.subject).toBe('alice');
    }
  });

  it.each(['EdDSA', 'ES384', 'PS256', 'RS256'])('may be bound to a key of %s', async (alg) => {
    const { idp, world } = await holder();
    const key = await testKey(alg);
    const token = await idp.token({ aud: travel, ...(await boundTo(key)) });
    const proof = await dpopProof({ key, htm: 'POST', htu: travel, accessToken: token });
    const headers = { authorization: `dpop ${token}`, dpop: proof };
    expect((await world.send({ headers })).status).toBe(200);
  });

  it('is made by the official client', async () => {
    const { idp, world } = await holder();
    const keyPair = await generateDpopKeyPair();
    const session = await DpopSession.create({ keyPair });
    const accessToken = await idp.token({ aud: travel, ...(await boundTo(keyPair)) });
    const dpop = await session.buildProof({ htm: 'post', htu: `${travel}?x=1`, accessToken });
    const headers = { authorization: `DPoP ${accessToken}`, dpop };
    expect((await world.send({ headers, path: '/mcp/travel?x=1' })).status).toBe(200);
  });

  it('may spell its URL another way, and leave query and fragment in it', async () => {
    const { proof, present } = await holder();
    for (const htu of [
      `${travel}?a=b#c`,
      'HTTPS://GW.example.org:443/mcp/travel',
      'https://gw.example.org/mcp/./travel',
    ]) {
      expect((await present(await proof({ htu }))).status).toBe(200);
    }
  });

  it('is for the URL that the configuration says, never for the one of Host', async () => {
    const { proof, present } = await holder();
    const headers = { host: 'evil.example', 'x-forwarded-host': 'evil.example' };
    expect((await present(await proof(), { headers })).status).toBe(200);
    const elsewhere = await proof({ htu: 'https://evil.example/mcp/travel' });
    expect(await present(elsewhere, { headers })).toMatchObject(badProof);
  });
});

describe('a proof that does not count: 401 invalid_dpop_proof', () => {
  const cases: [string, () => Changes | Promise<Changes>][] = [
    ['for another host', () => ({ htu: 'https://other.example.org/mcp/travel' })],
    ['for another path', () => ({ htu: `${travel}/tasks` })],
    ['for a path that this one begins', () => ({ htu: 'https://gw.example.org/mcp' })],
    ['for this URL with a slash', () => ({ htu: `${travel}/` })],
    ['for this URL without encryption', () => ({ htu: travel.replace('https', 'http') })],
    ['for this URL with a user in it', () => ({ htu: travel.replace('//', '//a@') })],
    ['for no URL', () => ({ htu: 'travel' })],
    ['without a URL', () => ({ claims: { htu: undefined } })],
    ['for another method', () => ({ htm: 'GET' })],
    ['for this method in small letters', () => ({ htm: 'post' })],
    ['without a method', () => ({ claims: { htm: undefined } })],
    ['for another access token', () => ({ ath: 'A'.repeat(43) })],
    ['for no access token', () => ({ claims: { ath: undefined } })],
    ['of a minute ago', () => ({ iat: nowSeconds() - 62 })],
    ['of the future', () => ({ iat: nowSeconds() + 63 })],
    ['of no time', () => ({ claims: { iat: undefined } })],
    ['of a time that is a text', () => ({ claims: { iat: String(nowSeconds()) } })],
    ['without an id', () => ({ claims: { jti: undefined } })],
    ['with an empty id', () => ({ jti: '' })],
    ['with an id as long as a page', () => ({ jti: 'x'.repeat(2000) })],
    ['of the type JWT', () => ({ header: { typ: 'JWT' } })],
    ['of the type at+jwt', () => ({ header: { typ: 'at+jwt' } })],
    ['of no type', () => ({ header: { typ: undefined } })],
    ['without a key', () => ({ header: { jwk: undefined } })],
    ['with a key that is a text', () => ({ header: { jwk: 'key' } })],
    ['with a key that is half there', () => ({ header: { jwk: { kty: 'EC', crv: 'P-256' } } })],
    ['signed by none', () => ({ header: { alg: 'none' } })],
    [
      'signed with another key than it shows',
      async () => ({ signWith: (await testKey()).privateKey }),
    ],
  ];
  it.each(cases)('%s', async (_title, make) => {
    const { proof, present } = await holder();
    expect(await present(await proof(await make()))).toMatchObject(badProof);
  });

  it('with the private key in its header', async () => {
    const { key, proof, present } = await holder();
    const answer = await present(await proof({ header: { jwk: key.privateJwk } }));
    expect(answer).toMatchObject(badProof);
    expect(answer.body.error_description).toContain('shows a private key');
    expect(JSON.stringify(answer)).not.toContain(key.privateJwk.d);
  });

  it('with a shared secret, or with the public key as one', async () => {
    const { key, proof, present } = await holder();
    const secret = new TextEncoder().encode(await exportSPKI(key.publicKey));
    const k = Buffer.from(secret).toString('base64url');
    const oct = { alg: 'HS256', jwk: { kty: 'oct', k } };
    expect(await present(await proof({ signWith: secret, header: oct }))).toMatchObject(badProof);
    expect(
      await present(await proof({ signWith: secret, header: { alg: 'HS256' } })),
    ).toMatchObject(badProof);
  });

  it('with an RSA key whose checking costs as much as its making', async () => {
    const { idp, world } = await holder();
    const key = await testKey('RS256');
    const token = await idp.token({ aud: travel, ...(await boundTo(key)) });
    const jwk = { kty: 'RSA', n: key.publicJwk.n, e: key.publicJwk.n };
    const shape = { key, htm: 'POST', htu: travel, accessToken: token, header: { jwk } };
    const headers = { authorization: `DPoP ${token}`, dpop: await dpopProof(shape) };
    const answer = await world.send({ headers });
    expect(answer).toMatchObject(badProof);
    expect(answer.body.error_description).toContain('RSA key');
  });

  it('none at all', async () => {
    const { present } = await holder();
    expect(await present(undefined)).toMatchObject(badProof);
    expect(await present('')).toMatchObject(badProof);
  });

  it('two of them, in two headers or in one', async () => {
    const { proof, present } = await holder();
    const [first, second] = [await proof(), await proof()];
    expect(await present([first, second])).toMatchObject(badProof);
    expect(await present([first, first])).toMatchObject(badProof);
    expect(await present(`${first}, ${second}`)).toMatchObject(badProof);
    expect((await present(first)).status).toBe(200);
  });

  it('a second time', async () => {
    const { proof, present } = await holder();
    const once = await proof();
    expect((await present(once)).status).toBe(200);
    expect(await present(once)).toMatchObject(badProof);
  });

  it('fifty times at once: one passes', async () => {
    const { token, proof, present } = await holder();
    expect(token).not.toBe('');
    const once = await proof();
    const answers = await Promise.all(Array.from({ length: 50 }, () => present(once)));
    const statuses = answers.map(({ status }) => status).toSorted((a, b) => a - b);
    expect(statuses).toEqual([200, ...Array.from({ length: 49 }, () => 401)]);
  });

  it('the same id in another proof of the same key', async () => {
    const { proof, present } = await holder();
    expect((await present(await proof({ jti: 'one' }))).status).toBe(200);
    expect(await present(await proof({ jti: 'one', iat: nowSeconds() - 1 }))).toMatchObject(
      badProof,
    );
  });

  it('but the same id of another key is another proof', async () => {
    const { idp, world, proof, present } = await holder();
    const key = await testKey();
    const token = await idp.token({ aud: travel, ...(await boundTo(key)) });
    expect((await present(await proof({ jti: 'shared' }))).status).toBe(200);
    const shape = { key, htm: 'POST', htu: travel, accessToken: token, jti: 'shared' };
    const headers = { authorization: `DPoP ${token}`, dpop: await dpopProof(shape) };
    expect((await world.send({ headers })).status).toBe(200);
  });

  it('of another key than the token: the token is at fault', async () => {
    const { proof, present } = await holder();
    const answer = await present(await proof({ key: await testKey() }));
    expect(answer.status).toBe(401);
    expect(answer.challenge).toMatch(/^DPoP error="invalid_token"/);
  });

  it('is not used up by a request that is refused', async () => {
    const { proof, present } = await holder();
    const once = await proof();
    expect(await present(once, { method: 'DELETE' })).toMatchObject(badProof);
    expect((await present(once)).status).toBe(200);
  });

  it('is remembered for as long as it could be used, on clocks that differ', async () => {
    let at = Date.now();
    const used: number[] = [];
    const { proof, present } = await holder({
      clock: () => at,
      replay: {
        firstUse: async (_id, expiresAt) => used.push(expiresAt) === 1,
        sweep: async () => 0,
      },
    });
    const iat = Math.floor(at / 1000) + 59;
    expect((await present(await proof({ iat }))).status).toBe(200);
    at += 100_000;
    expect(used[0]).toBeGreaterThanOrEqual((iat + 60) * 1000);
  });
});

describe('the scheme', () => {
  it('is DPoP for a bound token: as a bearer token it is refused, with a proof too', async () => {
    const { token, world, proof } = await holder();
    for (const dpop of [undefined, await proof()]) {
      const headers: Record<string, string> = dpop === undefined ? {} : { dpop };
      const { status, challenge } = await world.bearer(token, { headers });
      expect(status).toBe(401);
      expect(challenge).toMatch(
        /^DPoP error="invalid_token", error_description="[^"]+bound to a key/,
      );
      expect(challenge).toContain('algs="ES256 ');
    }
  });

  it('is still DPoP after the token was verified and is remembered', async () => {
    const { token, world, proof, present } = await holder();
    expect((await present(await proof())).status).toBe(200);
    expect((await world.bearer(token)).status).toBe(401);
    expect(await present(undefined)).toMatchObject(badProof);
  });

  it('is Bearer for a token that is not bound, whatever proof comes with it', async () => {
    const { idp, world, key } = await holder();
    const token = await idp.token({ aud: travel });
    const dpop = await dpopProof({ key, htm: 'POST', htu: travel, accessToken: token });
    for (let round = 0; round < 2; round += 1) {
      const { status, challenge } = await world.send({
        headers: { authorization: `DPoP ${token}`, dpop },
      });
      expect(status).toBe(401);
      expect(challenge).toContain('error="invalid_token"');
      expect((await world.bearer(token)).status).toBe(200);
    }
  });

  it('has to be DPoP where a key is required, for tokens of every issuer', async () => {
    const { idp, world, proof, present } = await holder({ requireDpop: true });
    for (const token of [await idp.token({ aud: travel }), await world.ownToken({})]) {
      for (let round = 0; round < 2; round += 1) {
        expect((await world.bearer(token)).status).toBe(401);
      }
    }
    expect((await present(await proof())).status).toBe(200);
  });
});

it('a callback takes tokens of the token service alone, and bound ones alone', async () => {
  const { idp, key, world } = await holder();
  const path = '/callback/lease-1/mcp';
  const htu = `https://gw.example.org${path}`;
  const bound = { aud: htu, ...(await boundTo(key)) };
  const [own, ofPerson, ofFrontChannel] = [
    await world.ownToken(bound),
    await idp.token(bound),
    await world.ownToken({ ...bound, iss: 'https://gw.example.org/as' }),
  ];
  const present = async (accessToken: string) => {
    const dpop = await dpopProof({ key, htm: 'POST', htu, accessToken });
    return world.send({ path, headers: { authorization: `DPoP ${accessToken}`, dpop } });
  };
  expect((await present(own)).status).toBe(200);
  for (const token of [ofPerson, ofFrontChannel]) {
    expect(await present(token)).toMatchObject({ status: 401, body: { error: 'invalid_token' } });
  }
  const unbound = await world.ownToken({ aud: htu });
  for (let round = 0; round < 2; round += 1) {
    expect((await world.bearer(unbound, { path })).status).toBe(401);
  }
});

it('nobody is let in while proofs cannot be remembered', async () => {
  const { world, proof, present } = await holder({
    replay: {
      firstUse: async () => {
        throw new Error('disk full');
      },
      sweep: async () => 0,
    },
  });
  const { status, headers, body } = await present(await proof());
  expect(status).toBe(503);
  expect(headers['retry-after']).toBe('1');
  expect(JSON.stringify(body)).not.toContain('disk');
  expect(world.faults).toMatchObject([{ kind: 'internal' }]);
});
