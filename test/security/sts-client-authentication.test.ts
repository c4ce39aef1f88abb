/** SECURITY, negative tests "Client authentication, STS": who may ask for a token. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { base64url } from 'jose';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { testKey } from '../support/issuer.ts';
import { startSts, type AssertionShape, type StsWorld } from './sts-world.ts';

let sts: StsWorld;
beforeAll(async () => {
  sts = await startSts();
});
afterAll(() => sts.close());
beforeEach(() => {
  sts.events.length = 0;
});

const now = (): number => Math.floor(Date.now() / 1000);
const asRobot = async (shape: AssertionShape): Promise<Record<string, string>> =>
  await sts.credentials('robot', sts.keys.robot, shape);

/** Why the operator is told that the one refusal happened; the answer itself where it is another. */
async function refusalOf(form: Record<string, string>): Promise<string> {
  const { status, json, text } = await sts.token(form);
  const isRefusal =
    status === 401 &&
    json['error'] === 'invalid_client' &&
    json['error_description'] ===
      'Client authentication failed. Send client_assertion_type and a fresh client_assertion (private_key_jwt) whose audience is the issuer.' &&
    Object.keys(json).length === 2;
  const [event] = sts.events;
  return isRefusal && event?.event === 'sts.refused' ? event.reason : `${status} ${text}`;
}

it('a client that signs for this issuer gets a token', async () => {
  expect((await sts.token()).status).toBe(200);
});

describe('refuses an assertion whose', () => {
  const audiences: [string, (issuer: string) => unknown, RegExp][] = [
    ['is the token endpoint', (issuer) => `${issuer}/token`, /CLAIM/],
    ['is an array, even of the issuer alone', (issuer) => [issuer], /not one string/],
    ['is an array with the issuer in it', (issuer) => [issuer, 'https://x'], /not one string/],
    ['is foreign', () => 'https://elsewhere.example/sts', /CLAIM/],
    ['is the issuer with a slash', (issuer) => `${issuer}/`, /CLAIM/],
    ['is a prefix of the issuer', (issuer) => issuer.slice(0, -4), /CLAIM/],
    ['is missing', () => undefined, /CLAIM/],
  ];
  it.each(audiences)('audience %s', async (_name, aud, reason) => {
    expect(await refusalOf(await asRobot({ claims: { aud: aud(sts.issuer) } }))).toMatch(reason);
  });

  const claims: [string, () => Record<string, unknown>, RegExp][] = [
    ['lifetime is long', () => ({ exp: now() + 3600 }), /too long/],
    ['lifetime is long, from a late iat', () => ({ exp: now() + 400 }), /too long/],
    ['lifetime is long, from an early iat', () => ({ iat: now() - 600 }), /too long/],
    ['time is over', () => ({ iat: now() - 200, exp: now() - 100 }), /EXPIRED/],
    ['time is to come', () => ({ iat: now() + 120, exp: now() + 150 }), /future/],
    ['nbf is to come', () => ({ nbf: now() + 120 }), /CLAIM/],
    ['exp is missing', () => ({ exp: undefined }), /CLAIM/],
    ['iat is missing', () => ({ iat: undefined }), /CLAIM/],
    ['jti is missing', () => ({ jti: undefined }), /CLAIM/],
    ['jti is empty', () => ({ jti: '' }), /jti/],
    ['jti is no text', () => ({ jti: 7 }), /jti/],
    ['iss is another', () => ({ iss: 'rival' }), /iss and sub/],
    ['sub is another', () => ({ sub: 'rival' }), /iss and sub/],
    ['sub is missing', () => ({ iss: undefined, sub: undefined }), /iss and sub/],
  ];
  it.each(claims)('%s', async (_name, over, reason) => {
    expect(await refusalOf(await asRobot({ claims: over() }))).toMatch(reason);
  });

  it.each(['at+jwt', 'oauth-id-jag+jwt', 'dpop+jwt', 'application/AT+JWT', 'id_token+jwt'])(
    'type is %s',
    async (typ) => {
      expect(await refusalOf(await asRobot({ header: { typ } }))).toMatch(/another type/);
    },
  );

  it("key is another client's", async () => {
    const form = await sts.credentials('robot', sts.keys.rival);
    expect(await refusalOf(form)).toMatch(/no such key/);
  });
  it("key is another client's, under the right key's name", async () => {
    const { kid } = sts.keys.robot;
    const form = await sts.credentials('robot', sts.keys.rival, { header: { kid } });
    expect(await refusalOf(form)).toMatch(/SIGNATURE/);
  });
  it("key is another client's, and names none", async () => {
    const form = await sts.credentials('robot', sts.keys.rival, { header: { kid: undefined } });
    expect(await refusalOf(form)).toMatch(/SIGNATURE/);
  });
  it('algorithm is none', async () => {
    const [, payload] = ((await asRobot({}))['client_assertion'] ?? '').split('.');
    const unsigned = `${base64url.encode('{"alg":"none"}')}.${payload}.`;
    const type = await asRobot({});
    expect(await refusalOf({ ...type, client_assertion: unsigned })).toMatch(/ALG|JW/);
  });
  it('algorithm is HS256 over the public key', async () => {
    const secret = new TextEncoder().encode(JSON.stringify(sts.keys.robot.publicJwk));
    const form = await asRobot({ header: { alg: 'HS256' }, key: secret });
    expect(await refusalOf(form)).toMatch(/ALG/);
  });
  it('critical extension is unknown', async () => {
    const form = await asRobot({});
    const [, payload, signature] = (form['client_assertion'] ?? '').split('.');
    const header = base64url.encode('{"alg":"ES256","crit":["x"],"x":1}');
    const critical = `${header}.${payload}.${signature}`;
    expect(await refusalOf({ ...form, client_assertion: critical })).toMatch(/NOT_SUPPORTED|JW/);
  });
});

it('keys that an assertion names or brings are not looked at', async () => {
  const asked: string[] = [];
  const attacker = await testKey();
  const server = createServer((req, res) => {
    asked.push(req.url ?? '');
    res.setHeader('content-type', 'application/json');
    res.end(JSON.stringify({ keys: [attacker.publicJwk] }));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`;
  const header = { jku: url, x5u: url, jwk: attacker.publicJwk };
  const form = await sts.credentials('robot', attacker, { header });
  expect(await refusalOf(form)).toMatch(/no such key/);
  expect(asked).toEqual([]);
  server.close();
});

it('an assertion sent 20 times in parallel counts once', async () => {
  const form = await sts.credentials();
  const answers = await Promise.all(Array.from({ length: 20 }, () => sts.token(form)));
  const having = (wanted: number): number =>
    answers.filter(({ status }) => status === wanted).length;
  expect([having(200), having(401)]).toEqual([1, 19]);
});

it('an assertion that was used at one endpoint is used up at the others', async () => {
  const form = await sts.credentials();
  expect((await sts.post('/sts/introspect', { ...form, token: 'x' })).status).toBe(200);
  expect(await refusalOf(form)).toMatch(/used before/);
});

it('two clients may number their assertions alike', async () => {
  const claims = { jti: 'one' };
  expect((await sts.token(await asRobot({ claims }))).status).toBe(200);
  const rival = await sts.credentials('rival', sts.keys.rival, { claims });
  expect((await sts.token(rival)).status).toBe(200);
});

it('unknown, mistaken and foreign clients get the same answer to the byte', async () => {
  const stranger = await testKey();
  const answers = await Promise.all(
    [
      sts.credentials('nobody', stranger),
      sts.credentials('robot', stranger),
      sts.credentials('rival', sts.keys.robot),
      sts.credentials('https://nobody.example/client.json', stranger),
      sts.credentials('', stranger),
    ].map(async (form) => sts.token(await form)),
  );
  expect(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size).toBe(1);
});

describe('knows no other way to authenticate:', () => {
  const none = { client_assertion: '', client_assertion_type: '' };
  it('none', async () => {
    expect(await refusalOf({ ...none, client_id: 'robot' })).toMatch(/no client assertion/);
  });
  it('a secret in the body', async () => {
    expect(await refusalOf({ ...none, client_id: 'robot', client_secret: 's' })).toMatch(
      /no client assert/,
    );
  });
  it('a secret in the header, which is told by its scheme', async () => {
    const authorization = `Basic ${btoa('robot:secret')}`;
    const answer = await sts.token(none, { authorization });
    expect([answer.status, answer.json['error']]).toEqual([401, 'invalid_client']);
    expect(answer.headers.get('www-authenticate')).toBe('Basic realm="sts"');
  });
  it('two methods at once', async () => {
    const answer = await sts.token({}, { authorization: `Basic ${btoa('robot:secret')}` });
    expect([answer.status, answer.json['error']]).toEqual([400, 'invalid_request']);
    const body = await sts.token({ client_secret: 's' });
    expect([body.status, body.json['error']]).toEqual([400, 'invalid_request']);
  });
  it('an assertion of another type', async () => {
    expect(
      await refusalOf({
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:saml2-bearer',
      }),
    ).toMatch(/no client assertion/);
  });
  it('a client_id of another client beside the assertion', async () => {
    expect(await refusalOf({ client_id: 'rival' })).toMatch(/client_id/);
  });
});

it('a client with several keys need not name the one it signs with', async () => {
  const [first, second] = [await testKey(), await testKey()];
  const jwks = { keys: [first, second].map(({ publicJwk: { kid: _kid, ...jwk } }) => jwk) };
  sts.clients.set('many', {
    clientId: 'many',
    organization: 'acme',
    scopes: ['peer:travel:read'],
    jwks,
  });
  const header = { kid: undefined };
  const form = await sts.credentials('many', second, { header });
  expect((await sts.token(form)).status).toBe(200);
  const stranger = await sts.credentials('many', await testKey(), { header });
  expect((await sts.token(stranger)).status).toBe(401);
});

it('a key that cannot be used is the same refusal', async () => {
  const key = await testKey();
  const broken = { ...key.publicJwk, x: 'AA' };
  sts.clients.set('broken', {
    clientId: 'broken',
    organization: 'acme',
    scopes: [],
    jwks: { keys: [broken] },
  });
  const form = await sts.credentials('broken', key);
  expect(await refusalOf(form)).toMatch(/JWK/);
});
