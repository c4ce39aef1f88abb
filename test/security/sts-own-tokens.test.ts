/** Revocation and introspection at the STS: everybody's own tokens, and nobody else's. */
import { decodeJwt, SignJWT } from 'jose';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openSigningKeys } from '../../src/auth/signing-keys.ts';
import { testKey } from '../support/issuer.ts';
import { registered, startSts, type Answer, type StsWorld } from './sts-world.ts';

let sts: StsWorld;
beforeAll(async () => {
  sts = await startSts();
});
afterAll(() => sts.close());

const asRobot = async (): Promise<Record<string, string>> => await sts.credentials();
const asRival = async (): Promise<Record<string, string>> =>
  await sts.credentials('rival', sts.keys.rival);
const tokenOf = async (form: Record<string, string> = {}): Promise<string> =>
  String((await sts.token(form)).json['access_token']);
const introspect = async (token: string, as = asRobot): Promise<Answer> =>
  sts.post('/sts/introspect', { ...(await as()), token });
const revoke = async (token: string, as = asRobot): Promise<Answer> =>
  sts.post('/sts/revoke', { ...(await as()), token });

it('a client sees what its own token says', async () => {
  const answer = await introspect(await tokenOf({ scope: 'peer:travel:read' }));
  expect(answer.status).toBe(200);
  expect(answer.headers.get('cache-control')).toBe('no-store');
  const { iat, exp, jti, ...claims } = answer.json;
  expect(claims).toEqual({
    active: true,
    token_type: 'Bearer',
    sub: 'robot',
    aud: `${sts.origin}/mcp/travel`,
    client_id: 'robot',
    scope: 'peer:travel:read',
    org: 'acme',
    idp: sts.issuer,
  });
  expect(Number(exp) - Number(iat)).toBe(600);
  expect(jti).toMatch(/./);
});

it('a revoked token is inactive, and its revocation may be repeated', async () => {
  const token = await tokenOf();
  const other = await tokenOf();
  expect([(await revoke(token)).status, (await revoke(token)).text]).toEqual([200, '']);
  expect((await introspect(token)).json).toEqual({ active: false });
  expect((await introspect(other)).json).toMatchObject({ active: true });
});

it("another client's token cannot be revoked or seen, and seems not to exist", async () => {
  const token = await tokenOf();
  const foreign = await revoke(token, asRival);
  const unknown = await revoke('no-such-token', asRival);
  expect([foreign.status, foreign.text]).toEqual([200, '']);
  expect([unknown.status, unknown.text]).toEqual([200, '']);
  expect((await introspect(token, asRival)).text).toBe('{"active":false}');
  expect((await introspect(token)).json).toMatchObject({ active: true });
});

it('whoever serves a resource sees tokens for it, and no others', async () => {
  const key = await testKey();
  const served = { ...registered('server', 'acme', key), introspects: [`${sts.origin}/mcp/mail`] };
  sts.clients.set('server', served);
  const asServer = async (): Promise<Record<string, string>> =>
    await sts.credentials('server', key);
  const mail = await tokenOf({ resource: `${sts.origin}/mcp/mail` });
  expect((await introspect(mail, asServer)).json).toMatchObject({ active: true, sub: 'robot' });
  expect((await introspect(await tokenOf(), asServer)).json).toEqual({ active: false });
  await revoke(mail, asServer);
  expect((await introspect(mail)).json).toMatchObject({ active: true });
});

it('what is no token of this issuer is inactive', async () => {
  const { privateKey, kid } = openSigningKeys(sts.keysDir).current().active;
  const signed = (typ: string, over: object): Promise<string> =>
    new SignJWT({
      iss: sts.issuer,
      sub: 'robot',
      aud: `${sts.origin}/mcp/travel`,
      client_id: 'robot',
      scope: 'admin',
      iat: Math.floor(Date.now() / 1000),
      exp: Math.floor(Date.now() / 1000) + 60,
      jti: 'x',
      org: 'acme',
      idp: sts.issuer,
      ...over,
    })
      .setProtectedHeader({ alg: 'ES256', typ, kid })
      .sign(privateKey);
  expect((await introspect(await signed('at+jwt', {}))).json).toMatchObject({ active: true });
  const others = [
    await signed('JWT', {}),
    await signed('at+jwt', { iss: `${sts.origin}/as` }),
    await signed('at+jwt', { exp: 1 }),
    await signed('at+jwt', { aud: [`${sts.origin}/mcp/travel`] }),
    await sts.assertion('robot', sts.keys.robot),
    'a.b.c',
  ];
  for (const token of others) {
    expect((await introspect(token)).text).toBe('{"active":false}');
    expect((await revoke(token)).status).toBe(200);
  }
});

it('nobody asks without authenticating, or without a token', async () => {
  const token = await tokenOf();
  for (const path of ['/sts/introspect', '/sts/revoke']) {
    const anonymous = await sts.post(path, { token, client_id: 'robot' });
    expect([anonymous.status, anonymous.json['error']]).toEqual([401, 'invalid_client']);
    const empty = await sts.post(path, await asRobot());
    expect([empty.status, empty.json['error']]).toEqual([400, 'invalid_request']);
  }
  expect((await introspect(token)).json).toMatchObject({ active: true });
});

it('a token can be revoked while clocks may differ about its end, and stays so', async () => {
  const token = await tokenOf();
  const { jti = '' } = decodeJwt(token);
  sts.skew = 600_000 + 250_000;
  expect(sts.isRevoked(jti)).toBe(false);
  await revoke(token);
  await revoke(await tokenOf());
  expect(sts.isRevoked(jti)).toBe(true);
  sts.skew = 0;
});

it('an expired token is inactive', async () => {
  const token = await tokenOf();
  sts.skew = 601_000;
  expect((await introspect(token)).json).toEqual({ active: false });
  sts.skew = 0;
});
