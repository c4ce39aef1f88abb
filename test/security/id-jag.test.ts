/** SECURITY, negative tests "ID-JAG": a person's provider lets a client act for them, once. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { calculateJwkThumbprint, decodeJwt } from 'jose';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  dpopProof,
  startIssuer,
  testKey,
  type TestIssuer,
  type TokenShape,
} from '../support/issuer.ts';
import { jwtBearer, registered, startSts, type Answer, type StsWorld } from './sts-world.ts';

let sts: StsWorld;
let idp: TestIssuer;
let strangerIdp: TestIssuer;
beforeAll(async () => {
  sts = await startSts();
  idp = await startIssuer({ path: '/acme' });
  strangerIdp = await startIssuer();
  sts.issuers.set(idp.issuer, { organization: 'acme', jwksUri: idp.jwksUri });
});
afterAll(async () => {
  await Promise.all([sts.close(), idp.close(), strangerIdp.close()]);
});
beforeEach(() => {
  sts.events.length = 0;
});

const now = (): number => Math.floor(Date.now() / 1000);
const idJag = (
  claims: Record<string, unknown> = {},
  { from = idp, ...shape }: TokenShape & { from?: TestIssuer } = {},
): Promise<string> =>
  from.token(
    { aud: sts.issuer, client_id: 'robot', resource: `${sts.origin}/mcp/travel`, ...claims },
    { typ: 'oauth-id-jag+jwt', ...shape },
  );
const redeem = (assertion: string, form = {}, headers = {}): Promise<Answer> =>
  sts.token({ grant_type: jwtBearer, assertion, ...form }, headers);

/** Why the operator is told that the one refusal happened; the answer itself where it is another. */
async function refusalOf(answer: Promise<Answer>): Promise<string> {
  const { status, json, text } = await answer;
  const isRefusal =
    status === 400 &&
    json['error'] === 'invalid_grant' &&
    json['error_description'] ===
      'The grant is not accepted. Obtain a new one for this client, issuer and resource.' &&
    Object.keys(json).length === 2;
  const event = sts.events.at(-1);
  return isRefusal && event?.event === 'sts.refused' ? event.reason : `${status} ${text}`;
}

it("becomes a token for the person, in the client's organization", async () => {
  const { status, json } = await redeem(await idJag({ scope: 'peer:travel:read' }));
  expect(status).toBe(200);
  const { iat: _iat, exp: _exp, jti: _jti, ...claims } = decodeJwt(String(json['access_token']));
  expect(claims).toEqual({
    iss: sts.issuer,
    sub: 'alice',
    aud: `${sts.origin}/mcp/travel`,
    client_id: 'robot',
    scope: 'peer:travel:read',
    org: 'acme',
    idp: idp.issuer,
  });
  expect(json).not.toHaveProperty('refresh_token');
});

it('may name several resources, of which one is asked for', async () => {
  const resource = [`${sts.origin}/mcp/mail`, `${sts.origin}/mcp/travel`];
  expect((await redeem(await idJag({ resource }))).status).toBe(200);
});

it('may name its audience in a list of one', async () => {
  expect((await redeem(await idJag({ aud: [sts.issuer] }))).status).toBe(200);
});

describe('is refused when', () => {
  it('its issuer is not trusted', async () => {
    const assertion = await idJag({}, { from: strangerIdp });
    expect(await refusalOf(redeem(assertion))).toMatch(/not trusted/);
    expect([strangerIdp.jwksFetches, strangerIdp.metadataFetches]).toEqual([0, 0]);
  });
  it('a stranger signed it in the name of a trusted issuer', async () => {
    const assertion = await idJag({ iss: idp.issuer }, { from: strangerIdp });
    expect(await refusalOf(redeem(assertion))).toMatch(/JWKS_NO_MATCHING/);
    const { kid } = idp.key;
    const named = await idJag({ iss: idp.issuer }, { from: strangerIdp, kid });
    expect(await refusalOf(redeem(named))).toMatch(/SIGNATURE/);
  });
  it("its issuer is trusted by another client's organization only", async () => {
    const form = await sts.credentials('rival', sts.keys.rival);
    const assertion = await idJag({ client_id: 'rival' });
    expect(await refusalOf(redeem(assertion, form))).toMatch(/not trusted/);
  });
  it.each(['JWT', 'at+jwt', 'dpop+jwt', null])('its type is %s', async (typ) => {
    expect(await refusalOf(redeem(await idJag({}, { typ })))).toMatch(/CLAIM/);
  });
  it('it is an ID token', async () => {
    const idToken = await idp.token({ aud: 'robot', nonce: 'n' }, { typ: 'JWT' });
    expect(await refusalOf(redeem(idToken))).toMatch(/CLAIM/);
  });
  it('it is the client assertion', async () => {
    const own = await sts.assertion('robot', sts.keys.robot);
    expect(await refusalOf(redeem(own))).toMatch(/not trusted/);
  });
  it('it was made for another client', async () => {
    expect(await refusalOf(redeem(await idJag({ client_id: 'rival' })))).toMatch(/another client/);
    expect(await refusalOf(redeem(await idJag({ client_id: undefined })))).toMatch(/claim/);
  });
  it('it was made for another server', async () => {
    const foreign = 'https://elsewhere.example/sts';
    for (const aud of [foreign, `${sts.issuer}/`, `${sts.issuer}/token`, sts.origin, undefined]) {
      expect(await refusalOf(redeem(await idJag({ aud })))).toMatch(/CLAIM/);
    }
    expect(await refusalOf(redeem(await idJag({ aud: [sts.issuer, foreign] })))).toMatch(/claim/);
  });
  it('it was made for another resource, or for none', async () => {
    const mail = `${sts.origin}/mcp/mail`;
    for (const resource of [mail, [mail], `${sts.origin}/mcp`, `${sts.origin}/mcp/travel/`, []]) {
      expect(await refusalOf(redeem(await idJag({ resource })))).toMatch(/another resource/);
    }
    expect(await refusalOf(redeem(await idJag({ resource: undefined })))).toMatch(/claim/);
  });
  it('it was used before', async () => {
    const assertion = await idJag();
    expect((await redeem(assertion)).status).toBe(200);
    expect(await refusalOf(redeem(assertion))).toMatch(/used before/);
  });
  it('it is used 20 times in parallel, but once', async () => {
    const assertion = await idJag();
    const answers = await Promise.all(Array.from({ length: 20 }, () => redeem(assertion)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(answers.filter(({ json }) => json['error'] === 'invalid_grant')).toHaveLength(19);
  });
  it('it has expired, is from the future, good for too long, or says nothing of it', async () => {
    expect(await refusalOf(redeem(await idJag({ exp: now() - 60 })))).toMatch(/EXPIRED/);
    expect(await refusalOf(redeem(await idJag({ nbf: now() + 60 })))).toMatch(/CLAIM/);
    expect(await refusalOf(redeem(await idJag({ iat: now() + 120 })))).toMatch(/future/);
    expect(await refusalOf(redeem(await idJag({ exp: now() + 7200 })))).toMatch(/too long/);
    expect(await refusalOf(redeem(await idJag({ exp: undefined })))).toMatch(/claim/);
    expect(await refusalOf(redeem(await idJag({ iat: undefined })))).toMatch(/claim/);
    expect(await refusalOf(redeem(await idJag({ jti: undefined })))).toMatch(/claim/);
    expect(await refusalOf(redeem(await idJag({ sub: undefined })))).toMatch(/claim/);
    expect(await refusalOf(redeem(await idJag({ sub: '' })))).toMatch(/claim/);
  });
  it('it is not signed, or with the public key as a secret', async () => {
    expect(await refusalOf(redeem(await idJag({}, { alg: 'none' })))).toMatch(/ALG|JW/);
    const key = new TextEncoder().encode(JSON.stringify(idp.key.publicJwk));
    expect(await refusalOf(redeem(await idJag({}, { alg: 'HS256', key })))).toMatch(/ALG/);
  });
  it('it is no JWT at all', async () => {
    expect(await refusalOf(redeem('a.b.c'))).toMatch(/not a JWT/);
    const { status, json } = await redeem('');
    expect([status, json['error']]).toEqual([400, 'invalid_request']);
  });
  it('it carries an actor or limits that this server would lose', async () => {
    expect(await refusalOf(redeem(await idJag({ act: { sub: 'agent' } })))).toMatch(/claim/);
    const details = [{ type: 'payment', max: 1 }];
    expect(await refusalOf(redeem(await idJag({ authorization_details: details })))).toMatch(
      /claim/,
    );
  });
  it('it is of another tenant of a shared issuer', async () => {
    expect(await refusalOf(redeem(await idJag({ tenant: 'globex' })))).toMatch(/tenant/);
    const shared = await startIssuer();
    const trust = { organization: 'acme', tenant: 'acme', jwksUri: shared.jwksUri };
    sts.issuers.set(shared.issuer, trust);
    const from = { from: shared };
    expect(await refusalOf(redeem(await idJag({ tenant: 'globex' }, from)))).toMatch(/tenant/);
    expect(await refusalOf(redeem(await idJag({}, from)))).toMatch(/tenant/);
    expect((await redeem(await idJag({ tenant: 'acme' }, from))).status).toBe(200);
    await shared.close();
  });
});

it('an attacker who has a grant and is another client gets nothing', async () => {
  const thief = await testKey();
  sts.clients.set('thief', registered('thief', 'acme', thief));
  const form = await sts.credentials('thief', thief);
  expect(await refusalOf(redeem(await idJag(), form))).toMatch(/another client/);
});

it('keys that a grant names or brings are not looked at', async () => {
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
  const { privateKey: key, kid } = attacker;
  expect(await refusalOf(redeem(await idJag({}, { key, kid, header })))).toMatch(/NO_MATCHING/);
  expect(asked).toEqual([]);
  server.close();
});

it('a wrong request does not use the grant up', async () => {
  const assertion = await idJag({ scope: 'peer:travel:read' });
  const wide = await redeem(assertion, { scope: 'peer:travel:call' });
  expect([wide.status, wide.json['error']]).toEqual([400, 'invalid_scope']);
  expect(await refusalOf(redeem(assertion, { resource: `${sts.origin}/mcp/mail` }))).toMatch(
    /resource/,
  );
  expect((await redeem(assertion)).status).toBe(200);
});

describe('scopes', () => {
  const granted = async (claims: object, form = {}): Promise<unknown> => {
    const { json } = await redeem(await idJag({ ...claims }), form);
    return json['scope'] ?? json['error'];
  };
  it('are those of both, client and grant', async () => {
    expect(await granted({ scope: 'peer:*:call admin' })).toBe('peer:travel:read peer:travel:call');
    expect(await granted({ scope: 'peer:travel:read admin' })).toBe('peer:travel:read');
    expect(await granted({})).toBe('peer:travel:read peer:travel:call');
  });
  it('can be narrowed, not widened', async () => {
    const scope = 'peer:travel:call';
    expect(await granted({ scope }, { scope: 'peer:travel:read' })).toBe('peer:travel:read');
    expect(await granted({ scope: 'peer:travel:read' }, { scope })).toBe('invalid_scope');
    expect(await granted({ scope: 'peer:mail:read' })).toBe('invalid_scope');
    expect(await granted({ scope: '' })).toBe('invalid_scope');
  });
});

describe('bound to a key', () => {
  const proof = async (key: Awaited<ReturnType<typeof testKey>>): Promise<{ dpop: string }> => ({
    dpop: await dpopProof({ key, htm: 'POST', htu: `${sts.issuer}/token` }),
  });
  it('it is accepted with a proof of that key alone', async () => {
    const key = await testKey();
    const cnf = { jkt: await calculateJwkThumbprint(key.publicJwk) };
    expect(await refusalOf(redeem(await idJag({ cnf })))).toMatch(/not proved/);
    const other = await proof(await testKey());
    expect(await refusalOf(redeem(await idJag({ cnf }), {}, other))).toMatch(/not proved/);
    const answer = await redeem(await idJag({ cnf }), {}, await proof(key));
    expect(answer.json['token_type']).toBe('DPoP');
  });
  it('in a way that this server cannot check, it is refused', async () => {
    expect(await refusalOf(redeem(await idJag({ cnf: { 'x5t#S256': 'x' } })))).toMatch(/claim/);
  });
});

it('an issuer whose keys cannot be had now is worth another try', async () => {
  const away = await startIssuer();
  sts.issuers.set(away.issuer, { organization: 'acme', jwksUri: away.jwksUri });
  away.failWith(500);
  const answer = await redeem(await idJag({}, { from: away }));
  expect([answer.status, answer.json['error']]).toEqual([503, 'temporarily_unavailable']);
  expect(answer.headers.get('retry-after')).toBe('5');
  await away.close();
});

it('is not offered where no issuer is trusted at all', async () => {
  const machinesOnly = await startSts({ assertions: undefined });
  const answer = await machinesOnly.token({ grant_type: jwtBearer, assertion: 'x' });
  expect(answer.json['error']).toBe('unsupported_grant_type');
  await machinesOnly.close();
});

it('people of two organizations with the same subject are two', async () => {
  const theirs = await startIssuer();
  sts.issuers.set(theirs.issuer, { organization: 'globex', jwksUri: theirs.jwksUri });
  const ours = decodeJwt(String((await redeem(await idJag())).json['access_token']));
  const form = await sts.credentials('rival', sts.keys.rival);
  const grant = await idJag({ client_id: 'rival' }, { from: theirs });
  const other = decodeJwt(String((await redeem(grant, form)).json['access_token']));
  expect([ours.sub, ours['org'], ours['idp']]).toEqual(['alice', 'acme', idp.issuer]);
  expect([other.sub, other['org'], other['idp']]).toEqual(['alice', 'globex', theirs.issuer]);
  await theirs.close();
});
