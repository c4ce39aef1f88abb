/** SECURITY, negative tests "Client authentication, STS" and "DPoP": what tokens are for. */
import { request } from 'node:http';
import { calculateJwkThumbprint, createRemoteJWKSet, decodeJwt, jwtVerify } from 'jose';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { rotateSigningKey } from '../../src/auth/signing-keys.ts';
import { dpopProof, startIssuer, testKey } from '../support/issuer.ts';
import { jwtBearer, registered, startSts, type Answer, type StsWorld } from './sts-world.ts';

let sts: StsWorld;
beforeAll(async () => {
  sts = await startSts();
});
afterAll(() => sts.close());
beforeEach(() => {
  sts.events.length = 0;
});

const claimsOf = ({ json }: Answer): Record<string, unknown> =>
  decodeJwt(String(json['access_token']));
const outcome = ({ status, json }: Answer): [number, unknown] => [status, json['error']];

it('a token is at+jwt for one resource, signed by a published key', async () => {
  const answer = await sts.token();
  const token = String(answer.json['access_token']);
  const published = createRemoteJWKSet(new URL(`${sts.origin}/.well-known/jwks.json`));
  const { payload, protectedHeader } = await jwtVerify(token, published);
  expect(protectedHeader).toMatchObject({ alg: 'ES256', typ: 'at+jwt' });
  const { iat = 0, exp = 0, jti, ...claims } = payload;
  expect(claims).toEqual({
    iss: sts.issuer,
    sub: 'robot',
    aud: `${sts.origin}/mcp/travel`,
    client_id: 'robot',
    scope: 'peer:travel:read peer:travel:call',
    org: 'acme',
    idp: sts.issuer,
  });
  expect(exp - iat).toBe(600);
  expect(jti).toMatch(/^[\w-]{22}$/);
});

it('an answer is for no cache, and has no refresh token', async () => {
  const answer = await sts.token();
  expect(answer.headers.get('cache-control')).toBe('no-store');
  expect(answer.headers.get('pragma')).toBe('no-cache');
  const { access_token: _, ...rest } = answer.json;
  expect(rest).toEqual({
    token_type: 'Bearer',
    expires_in: 600,
    scope: 'peer:travel:read peer:travel:call',
    resource: `${sts.origin}/mcp/travel`,
  });
});

it('signing keys change without a token that stops verifying', async () => {
  const before = String((await sts.token()).json['access_token']);
  const { kid } = await rotateSigningKey(sts.keysDir);
  const answer = await sts.token();
  const published = createRemoteJWKSet(new URL(`${sts.origin}/.well-known/jwks.json`));
  const after = await jwtVerify(String(answer.json['access_token']), published);
  expect(after.protectedHeader.kid).toBe(kid);
  await expect(jwtVerify(before, published)).resolves.toBeDefined();
  const form = { ...(await sts.credentials()), token: before };
  expect((await sts.post('/sts/introspect', form)).json).toMatchObject({ active: true });
});

describe('the resource', () => {
  const withResources = async (...resources: string[]): Promise<Answer> => {
    const credentials = Object.entries(await sts.credentials());
    const named = resources.map((one): [string, string] => ['resource', one]);
    return sts.post('/sts/token', [['grant_type', 'client_credentials'], ...credentials, ...named]);
  };
  const travel = (): string => `${sts.origin}/mcp/travel`;
  it('none is refused', async () => {
    expect(outcome(await withResources())).toEqual([400, 'invalid_target']);
  });
  it('two are refused', async () => {
    const two = await withResources(travel(), `${sts.origin}/mcp/mail`);
    expect(outcome(two)).toEqual([400, 'invalid_target']);
    expect(outcome(await withResources(travel(), travel()))).toEqual([400, 'invalid_target']);
  });
  it.each(['', '/', '?a=1', '#a', '/x'])('a foreign one is refused: …/nothing%s', async (end) => {
    const foreign = await withResources(`https://elsewhere.example/mcp/travel${end}`);
    expect(outcome(foreign)).toEqual([400, 'invalid_target']);
    const near = end === '' ? `${travel()}s` : `${travel()}${end}`;
    expect(outcome(await withResources(near))).toEqual([400, 'invalid_target']);
  });
  it('becomes the audience as one string', async () => {
    const mail = `${sts.origin}/a2a/mail`;
    expect(claimsOf(await withResources(mail))).toMatchObject({
      aud: mail,
      scope: 'peer:mail:read',
    });
  });
});

describe('scopes', () => {
  it('are all that is allowed at the resource when none is asked for', async () => {
    const answer = await sts.token({ resource: `${sts.origin}/mcp` });
    expect(answer.json['scope']).toBe('peer:travel:call peer:mail:read');
  });
  it('are what is asked for, where that is less', async () => {
    const answer = await sts.token({ scope: 'peer:travel:read' });
    expect(answer.json['scope']).toBe('peer:travel:read');
    expect(claimsOf(answer)['scope']).toBe('peer:travel:read');
  });
  it.each([
    'admin',
    'peer:*:read',
    'peer:*:call',
    'peer:mail:read',
    'peer:travel:read peer:mail:call',
    'openid',
    'offline_access',
    ' ',
  ])('beyond what the client may have there are refused: "%s"', async (scope) => {
    expect(outcome(await sts.token({ scope }))).toEqual([400, 'invalid_scope']);
  });
  it('that leave nothing are refused: no token opens the admin API by accident', async () => {
    const answer = await sts.token({ resource: `${sts.origin}/admin` });
    expect(outcome(answer)).toEqual([400, 'invalid_scope']);
  });
});

describe('a request', () => {
  it('with a parameter twice is refused', async () => {
    for (const name of ['grant_type', 'scope', 'client_assertion', 'x']) {
      const credentials = Object.entries(await sts.credentials());
      const form: [string, string][] = [
        ['grant_type', 'client_credentials'],
        ['resource', `${sts.origin}/mcp/travel`],
        ...credentials,
        [name, 'a'],
        [name, 'a'],
      ];
      expect(outcome(await sts.post('/sts/token', form))).toEqual([400, 'invalid_request']);
    }
  });
  it('with parameters in the URL is refused', async () => {
    for (const query of ['?', '?scope=admin']) {
      const form = {
        grant_type: 'client_credentials',
        resource: `${sts.origin}/mcp/travel`,
        ...(await sts.credentials()),
      };
      expect((await sts.post('/sts/token', form)).status).toBe(200);
      const again = { ...form, ...(await sts.credentials()) };
      const answer = await sts.post(`/sts/token${query}`, again);
      expect(outcome(answer)).toEqual([400, 'invalid_request']);
    }
  });
  it.each(['application/json', 'multipart/form-data; boundary=x', 'text/plain'])(
    'as %s is refused',
    async (type) => {
      const answer = await sts.token({}, { 'content-type': type });
      expect(outcome(answer)).toEqual([400, 'invalid_request']);
    },
  );
  it('in another encoding than UTF-8 is refused', async () => {
    const type = 'application/x-www-form-urlencoded; charset=utf-16';
    expect(outcome(await sts.token({}, { 'content-type': type }))).toEqual([
      400,
      'invalid_request',
    ]);
  });
  it('of any size but a small one is cut off with 413', async () => {
    expect(outcome(await sts.token({ x: 'x'.repeat(70_000) }))).toEqual([413, 'invalid_request']);
  });
  it('that its caller gives up does no harm', async () => {
    const half = request(`${sts.origin}/sts/token`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', 'content-length': '1000' },
    });
    half.on('error', () => {});
    half.write('grant_type=');
    await new Promise((resolve) => setTimeout(resolve, 50));
    half.destroy();
    expect((await sts.token()).status).toBe(200);
  });
  it('with another method is told which', async () => {
    const response = await fetch(`${sts.origin}/sts/token`);
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'POST, OPTIONS']);
  });
  it('for another grant is refused', async () => {
    for (const type of [
      'authorization_code',
      'password',
      'refresh_token',
      'urn:ietf:params:oauth:grant-type:device_code',
      'toString',
    ]) {
      const answer = await sts.token({ grant_type: type });
      expect(outcome(answer)).toEqual([400, 'unsupported_grant_type']);
    }
    expect(outcome(await sts.token({ grant_type: '' }))).toEqual([400, 'invalid_request']);
  });
  it('for a grant that the client may not use is refused', async () => {
    const key = await testKey();
    const people = registered('people', 'acme', key);
    sts.clients.set('people', { ...people, grants: [jwtBearer] });
    const form = await sts.credentials('people', key);
    expect(outcome(await sts.token(form))).toEqual([400, 'unauthorized_client']);
  });
  it('from a page of any site is answered, its preflight too', async () => {
    const preflight = await fetch(`${sts.origin}/sts/token`, {
      method: 'OPTIONS',
      headers: {
        origin: 'https://app.example',
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'dpop',
      },
    });
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get('access-control-allow-origin')).toBe('*');
    expect(preflight.headers.get('access-control-allow-headers')).toContain('DPoP');
    expect(preflight.headers.get('access-control-allow-credentials')).toBeNull();
    const answer = await sts.token({}, { origin: 'https://app.example' });
    expect(answer.headers.get('access-control-allow-origin')).toBe('*');
  });
  it('from a browser that should sign in is refused, and sent nowhere', async () => {
    const target = '?response_type=code&redirect_uri=https://app.example/';
    const answer = await fetch(`${sts.issuer}/authorize${target}`, { redirect: 'manual' });
    expect([answer.status, answer.headers.get('location')]).toEqual([400, null]);
    expect(await answer.json()).toMatchObject({ error: 'unsupported_response_type' });
  });
  it('names no other path', async () => {
    for (const path of ['/sts', '/sts/', '/sts/token/', '/sts/register', '/sts/Token']) {
      expect((await fetch(`${sts.origin}${path}`, { method: 'POST' })).status).toBe(404);
    }
  });
});

describe('a DPoP proof', () => {
  const proofFor = async (over: object = {}): Promise<{ dpop: string }> => ({
    dpop: await dpopProof({
      key: await testKey(),
      htm: 'POST',
      htu: `${sts.issuer}/token`,
      ...over,
    }),
  });
  const refused = [400, 'invalid_dpop_proof'];

  it('binds the token to its key, by every grant', async () => {
    const key = await testKey();
    const jkt = await calculateJwkThumbprint(key.publicJwk);
    const own = await sts.token({}, await proofFor({ key }));
    const idp = await startIssuer();
    sts.issuers.set(idp.issuer, { organization: 'acme', jwksUri: idp.jwksUri });
    const resource = `${sts.origin}/mcp/travel`;
    const assertion = await idp.token(
      { aud: sts.issuer, client_id: 'robot', resource },
      { typ: 'oauth-id-jag+jwt' },
    );
    const grant = { grant_type: jwtBearer, assertion };
    const persons = await sts.token(grant, await proofFor({ key }));
    for (const answer of [own, persons]) {
      expect(answer.json['token_type']).toBe('DPoP');
      expect(claimsOf(answer)['cnf']).toEqual({ jkt });
    }
    await idp.close();
  });
  it('for another endpoint is refused', async () => {
    const headers = await proofFor({ htu: `${sts.issuer}/revoke` });
    expect(outcome(await sts.token({}, headers))).toEqual(refused);
  });
  it('for another method is refused', async () => {
    expect(outcome(await sts.token({}, await proofFor({ htm: 'GET' })))).toEqual(refused);
  });
  it('that is old is refused', async () => {
    const iat = Math.floor(Date.now() / 1000) - 3600;
    expect(outcome(await sts.token({}, await proofFor({ iat })))).toEqual(refused);
  });
  it('that was signed by another key is refused', async () => {
    const { privateKey } = await testKey();
    expect(outcome(await sts.token({}, await proofFor({ signWith: privateKey })))).toEqual(refused);
  });
  it('that is sent again is refused', async () => {
    const headers = await proofFor();
    expect((await sts.token({}, headers)).status).toBe(200);
    expect(outcome(await sts.token({}, headers))).toEqual(refused);
  });
  it('beside a second one is refused', async () => {
    const [one, two] = [await proofFor(), await proofFor()];
    const body = new URLSearchParams({
      grant_type: 'client_credentials',
      resource: `${sts.origin}/mcp/travel`,
      ...(await sts.credentials()),
    });
    const answer = await new Promise<string>((resolve, reject) => {
      const sent = request(`${sts.origin}/sts/token`, { method: 'POST' }, (res) => {
        let text = '';
        res.on('data', (chunk) => (text += String(chunk)));
        res.on('end', () => resolve(`${res.statusCode} ${text}`));
      });
      sent.setHeader('dpop', [one.dpop, two.dpop]);
      sent.setHeader('content-type', 'application/x-www-form-urlencoded');
      sent.on('error', reject);
      sent.end(body.toString());
    });
    expect(answer).toMatch(/^400 .*invalid_dpop_proof/);
  });
  it('is needed by a client that gets bound tokens only', async () => {
    const key = await testKey();
    sts.clients.set('careful', { ...registered('careful', 'acme', key), requiresDpop: true });
    const form = await sts.credentials('careful', key);
    expect(outcome(await sts.token(form))).toEqual(refused);
    const again = await sts.credentials('careful', key);
    expect((await sts.token(again, await proofFor())).json['token_type']).toBe('DPoP');
  });
});

it('what was issued is told, and no token or assertion with it', async () => {
  const form = await sts.credentials();
  const { json } = await sts.token({ ...form, scope: 'peer:travel:read' });
  await sts.token(form);
  expect(sts.events).toEqual([
    {
      event: 'sts.issued',
      client: 'robot',
      organization: 'acme',
      grant: 'client_credentials',
      resource: `${sts.origin}/mcp/travel`,
      scopes: ['peer:travel:read'],
      bound: false,
    },
    {
      event: 'sts.refused',
      endpoint: 'token',
      client: 'robot',
      error: 'invalid_client',
      reason: 'the assertion was used before',
    },
  ]);
  const told = JSON.stringify(sts.events);
  expect(told).not.toContain(String(json['access_token']));
  expect(told).not.toContain(form['client_assertion']);
});
