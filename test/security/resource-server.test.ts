/** SECURITY "Resource server" and row 3: every token that must be refused, and the few that not. */
import { CompactSign, exportSPKI, generateKeyPair, SignJWT } from 'jose';
import { extractWWWAuthenticateParams } from '@modelcontextprotocol/client';
import { describe, expect, it } from 'vitest';
import { testKey } from '../support/issuer.ts';
import {
  issuerFor,
  publicUrl,
  resourceServer,
  sts,
  travel,
  trust,
  type World,
} from './resource-server-world.ts';
import type { TestIssuer } from '../support/issuer.ts';
import type { TrustedIssuer } from '../../src/auth/resource-server/trusted-issuer.ts';

const algs = 'DPoP algs="ES256 ES384 ES512 EdDSA Ed25519 PS256 PS384 PS512 RS256 RS384 RS512"';
const metadata = `resource_metadata="${publicUrl}/.well-known/oauth-protected-resource/mcp/travel"`;
const scope = 'scope="peer:travel:read peer:travel:call"';

async function ordinary(more: Partial<TrustedIssuer> = {}): Promise<[World, TestIssuer]> {
  const issuer = await issuerFor();
  const world = await resourceServer({ issuers: [trust(issuer, more)] });
  return [world, issuer];
}

/** The answer to a token that does not count, with all that a client needs to get another. */
const invalidToken = {
  status: 401,
  body: { error: 'invalid_token', error_description: expect.stringMatching(/^The access token /) },
  challenge: expect.stringMatching(
    new RegExp(
      `^Bearer error="invalid_token", error_description="[^"]+", ${metadata}, ${scope}, DPoP `,
    ),
  ),
};

const seconds = (): number => Math.floor(Date.now() / 1000);

describe('a token that counts', () => {
  it('gives the organisation of its issuer, its subject, client and scopes', async () => {
    const [world, idp] = await ordinary({ organization: 'acme', grants: ['peer:*:read'] });
    const token = await idp.token({ aud: travel, scope: 'peer:travel:call openid' });
    const { status, body } = await world.bearer(token);
    expect(status).toBe(200);
    expect(body).toEqual({
      organization: 'acme',
      issuer: idp.issuer,
      subject: 'alice',
      client: 'client',
      scopes: ['peer:travel:call', 'openid', 'peer:*:read'],
      token: { issuer: idp.issuer, scopes: ['peer:travel:call', 'openid'] },
    });
  });

  it('may have an organisation claim, which means nothing when it is foreign', async () => {
    const [world, idp] = await ordinary();
    const token = await idp.token({ aud: travel, org: 'victim', idp: 'https://other.example' });
    const { body } = await world.bearer(token);
    expect(body.organization).toBe('example');
    expect(body.issuer).toBe(idp.issuer);
  });

  it('may call its scopes scp and its client azp', async () => {
    const [world, idp] = await ordinary();
    const listed = { aud: travel, client_id: undefined, azp: 'app', scp: ['a', 'b'] };
    expect((await world.bearer(await idp.token(listed))).body).toMatchObject({
      client: 'app',
      scopes: ['a', 'b'],
    });
    const spaced = await idp.token({ aud: travel, scp: 'a b' });
    expect((await world.bearer(spaced)).body.scopes).toEqual(['a', 'b']);
  });

  it.each(['at+jwt', 'application/at+jwt', 'AT+JWT'])('may be of the type %s', async (typ) => {
    const [world, idp] = await ordinary();
    expect((await world.bearer(await idp.token({ aud: travel }, { typ }))).status).toBe(200);
  });

  it('may be signed with any algorithm that its issuer is trusted with', async () => {
    for (const alg of ['RS256', 'PS256', 'EdDSA']) {
      const idp = await issuerFor({ alg });
      const world = await resourceServer({ issuers: [trust(idp, { algorithms: [alg] })] });
      expect((await world.bearer(await idp.token({ aud: travel }))).status).toBe(200);
    }
  });

  it('is known again without its keys, and at this resource only', async () => {
    const [world, idp] = await ordinary();
    const token = await idp.token({ aud: travel });
    await world.bearer(token);
    const presented = {
      method: 'POST',
      path: '/mcp/travel',
      resourcePath: '/mcp/travel',
      authorization: `Bearer ${token}`,
      dpop: undefined,
      hasQueryToken: false,
    };
    expect(world.server.authenticate(presented)).toMatchObject({ kind: 'admitted' });
    expect((await world.bearer(token, { path: '/mcp/files' })).status).toBe(401);
    expect((await world.bearer(token, { path: '/a2a/travel' })).status).toBe(401);
  });

  it('is one of the gateway itself, and says who vouches for its subject', async () => {
    const issuer = {
      issuer: 'https://idp.example',
      organization: 'partner',
      algorithms: ['ES256'],
    };
    const world = await resourceServer({ issuers: [issuer] });
    const token = await world.ownToken({ sub: 'bob', idp: 'https://idp.example', scope: 'x' });
    expect((await world.bearer(token)).body).toEqual({
      organization: 'partner',
      issuer: 'https://idp.example',
      subject: 'bob',
      client: 'agent-7',
      scopes: ['x'],
      token: { issuer: expect.stringMatching(/\/sts$/), scopes: ['x'] },
    });
  });
});

describe('no token', () => {
  it('is answered with all that a client needs, and no error', async () => {
    const world = await resourceServer();
    const { status, challenge, headers, body } = await world.send({});
    expect(status).toBe(401);
    expect(challenge).toBe(`Bearer ${metadata}, ${scope}, ${algs}`);
    expect(headers['cache-control']).toBe('no-store');
    expect(body.error).toBe('unauthorized');
  });

  it.each(['Basic YTpi', 'Bearer', 'Bearer ', 'Bearer a b', 'bearer: x', 'Negotiate x'])(
    'is what "%s" amounts to',
    async (authorization) => {
      const world = await resourceServer();
      const { status, challenge } = await world.send({ headers: { authorization } });
      expect(status).toBe(401);
      expect(challenge).not.toContain('error');
    },
  );

  it('in the query: refused as a bad request, also beside a good one in the header', async () => {
    const [world, idp] = await ordinary();
    const token = await idp.token({ aud: travel });
    const path = `/mcp/travel?access_token=${token}`;
    const both: Record<string, string>[] = [{}, { authorization: `Bearer ${token}` }];
    for (const headers of both) {
      const { status, challenge, body } = await world.send({ path, headers });
      expect(status).toBe(400);
      expect(challenge).toContain('error="invalid_request"');
      expect(JSON.stringify(body)).not.toContain(token);
    }
  });

  it('shows the same challenge for a peer that is not there', async () => {
    const world = await resourceServer();
    const { status, challenge } = await world.send({ path: '/a2a/nobody' });
    expect(status).toBe(401);
    expect(challenge).toContain('/.well-known/oauth-protected-resource/a2a/nobody"');
    expect(challenge).toContain('scope="peer:nobody:read peer:nobody:call"');
  });

  it('is answered from the configuration, whatever Host and X-Forwarded-* say', async () => {
    const world = await resourceServer();
    const { challenge } = await world.send({
      headers: {
        host: 'evil.example',
        'x-forwarded-host': 'evil.example',
        'x-forwarded-proto': 'http',
        forwarded: 'host=evil.example',
      },
    });
    expect(challenge).toContain(metadata);
    expect(challenge).not.toContain('evil');
  });
});

describe('a token that does not count: 401 invalid_token', () => {
  const claims: [string, () => Record<string, unknown>][] = [
    ['for another resource', () => ({ aud: `${publicUrl}/mcp/files` })],
    ['for the same peer on the other face', () => ({ aud: `${publicUrl}/a2a/travel` })],
    ['for an array with this resource alone', () => ({ aud: [travel] })],
    ['for an array of several', () => ({ aud: [travel, 'https://other.example'] })],
    ['for this resource with a trailing slash', () => ({ aud: `${travel}/` })],
    ['for a prefix of this resource', () => ({ aud: `${publicUrl}/mcp` })],
    ['for the gateway as a whole', () => ({ aud: publicUrl })],
    ['for a resource that this one is a prefix of', () => ({ aud: `${travel}-2` })],
    ['for this resource in capitals', () => ({ aud: travel.toUpperCase() })],
    ['for this resource with a query', () => ({ aud: `${travel}?x` })],
    ['for nobody', () => ({ aud: undefined })],
    ['for an object', () => ({ aud: { 0: travel } })],
    ['expired', () => ({ aud: travel, exp: seconds() - 61 })],
    ['without an end', () => ({ aud: travel, exp: undefined })],
    ['with an end that is a text', () => ({ aud: travel, exp: String(seconds() + 300) })],
    ['not valid yet', () => ({ aud: travel, nbf: seconds() + 120 })],
    ['issued in the future', () => ({ aud: travel, iat: seconds() + 120 })],
    ['without a subject', () => ({ aud: travel, sub: undefined })],
    ['with an empty subject', () => ({ aud: travel, sub: '' })],
    ['with a subject of half a character', () => ({ aud: travel, sub: 'a\ud800' })],
    ['without a client', () => ({ aud: travel, client_id: undefined })],
    ['with a scope that is a list', () => ({ aud: travel, scope: ['admin'] })],
    ['with a scope of other characters', () => ({ aud: travel, scope: 'a"b' })],
    ['bound to a certificate', () => ({ aud: travel, cnf: { 'x5t#S256': 'x' } })],
    ['with an empty binding', () => ({ aud: travel, cnf: {} })],
    ['of another issuer by its claim', () => ({ aud: travel, iss: 'https://other.example' })],
  ];
  it.each(claims)('%s', async (_title, make) => {
    const [world, idp] = await ordinary();
    expect(await world.bearer(await idp.token(make()))).toMatchObject(invalidToken);
  });

  it('of an issuer with a trailing slash, or in another spelling', async () => {
    const [world, idp] = await ordinary();
    for (const iss of [`${idp.issuer}/`, idp.issuer.replace('http', 'HTTP')]) {
      expect(await world.bearer(await idp.token({ aud: travel, iss }))).toMatchObject(invalidToken);
    }
    expect(idp.jwksFetches).toBe(0);
  });

  it.each(['JWT', null, 'oauth-id-jag+jwt', 'dpop+jwt', 'logout+jwt', 'token-introspection+jwt'])(
    'of the type %s',
    async (typ) => {
      const [world, idp] = await ordinary();
      expect(await world.bearer(await idp.token({ aud: travel }, { typ }))).toMatchObject(
        invalidToken,
      );
    },
  );

  it('alg none, in any spelling', async () => {
    const [world, idp] = await ordinary();
    const [head = '', body = ''] = (await idp.token({ aud: travel }, { alg: 'none' })).split('.');
    for (const alg of ['none', 'None', 'NONE']) {
      const header = { ...JSON.parse(Buffer.from(head, 'base64url').toString()), alg };
      const spelled = Buffer.from(JSON.stringify(header)).toString('base64url');
      expect(await world.bearer(`${spelled}.${body}.`)).toMatchObject(invalidToken);
      expect(await world.bearer(`${spelled}.${body}.AAAA`)).toMatchObject(invalidToken);
    }
  });

  it('HS256 with the public key of the issuer as the secret', async () => {
    const [world, idp] = await ordinary();
    const forms = [await exportSPKI(idp.key.publicKey), JSON.stringify(idp.key.publicJwk)];
    for (const form of forms) {
      const key = new TextEncoder().encode(form);
      expect(
        await world.bearer(await idp.token({ aud: travel }, { alg: 'HS256', key })),
      ).toMatchObject(invalidToken);
    }
  });

  it('HS256 with a shared secret that stands among the keys of the issuer', async () => {
    const [world, idp] = await ordinary();
    const secret = Buffer.alloc(32, 7);
    const k = secret.toString('base64url');
    idp.publish({ keys: [{ kty: 'oct', k, kid: idp.key.kid, alg: 'HS256' }] });
    expect(
      await world.bearer(await idp.token({ aud: travel }, { alg: 'HS256', key: secret })),
    ).toMatchObject(invalidToken);
  });

  it('signed with an algorithm that its issuer is not trusted with', async () => {
    const idp = await issuerFor({ alg: 'RS256' });
    const world = await resourceServer({ issuers: [trust(idp)] });
    expect(await world.bearer(await idp.token({ aud: travel }))).toMatchObject(invalidToken);
    expect(idp.jwksFetches).toBe(0);
  });

  it('signed by somebody else under the key id of the issuer', async () => {
    const [world, idp] = await ordinary();
    const { privateKey } = await generateKeyPair('ES256');
    expect(await world.bearer(await idp.token({ aud: travel }, { key: privateKey }))).toMatchObject(
      invalidToken,
    );
  });

  it('bringing its own key, or an address of one', async () => {
    const [world, idp] = await ordinary();
    const mine = await testKey();
    const evil = await issuerFor();
    for (const header of [{ jwk: mine.publicJwk }, { jku: evil.jwksUri }]) {
      const shape = { key: mine.privateKey, kid: mine.kid, header };
      expect(await world.bearer(await idp.token({ aud: travel }, shape))).toMatchObject(
        invalidToken,
      );
    }
    expect(evil.jwksFetches).toBe(0);
  });

  it('of one trusted issuer signed with the key of another', async () => {
    const [first, second] = [await issuerFor(), await issuerFor()];
    const issuers = [trust(first), trust(second, { organization: 'partner' })];
    const world = await resourceServer({ issuers });
    const { privateKey: key, kid } = second.key;
    expect(await world.bearer(await first.token({ aud: travel }, { key, kid }))).toMatchObject(
      invalidToken,
    );
  });

  it('changed by one byte anywhere', async () => {
    const [world, idp] = await ordinary();
    const token = await idp.token({ aud: travel });
    const places = Array.from({ length: 12 }, (_, at) => Math.floor((at * token.length) / 12) + 1);
    for (const at of places) {
      const other = token[at] === 'A' ? 'B' : 'A';
      if (token[at] === '.') continue;
      const { status } = await world.bearer(token.slice(0, at) + other + token.slice(at + 1));
      expect(status).toBe(401);
    }
  });

  it('with an extension that has to be understood', async () => {
    const [world, idp] = await ordinary();
    const header = { crit: ['exp'], exp: 1 };
    const [, ...rest] = (await idp.token({ aud: travel })).split('.');
    const named = { alg: 'ES256', typ: 'at+jwt', kid: idp.key.kid, ...header };
    const head = Buffer.from(JSON.stringify(named)).toString('base64url');
    expect(await world.bearer([head, ...rest].join('.'))).toMatchObject(invalidToken);
  });

  it('that is no JWT', async () => {
    const world = await resourceServer();
    for (const token of ['x', 'a.b.c', 'a.b.c.d', '...', 'e30.e30.', 'bnVsbA.bnVsbA.bnVsbA']) {
      expect(await world.bearer(token)).toMatchObject(invalidToken);
    }
  });

  it('as long as a book', async () => {
    const [{ server }, idp] = await ordinary();
    const answerTo = async (letters: number) => {
      const token = await idp.token({ aud: travel, x: 'x'.repeat(letters) });
      return server.authenticate({
        method: 'POST',
        path: '/mcp/travel',
        resourcePath: '/mcp/travel',
        authorization: `Bearer ${token}`,
        dpop: undefined,
        hasQueryToken: false,
      });
    };
    expect(await answerTo(10_000)).toMatchObject({ kind: 'admitted' });
    expect(await answerTo(20_000)).toMatchObject({ status: 401 });
  });

  it('that two readers could read differently', async () => {
    const [world, idp] = await ordinary();
    const text = `{"iss":"${idp.issuer}","sub":"mallory","sub":"alice","client_id":"c","aud":"${travel}","exp":${seconds() + 60}}`;
    const token = await new CompactSign(Buffer.from(text))
      .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: idp.key.kid })
      .sign(idp.key.privateKey);
    expect(await world.bearer(token)).toMatchObject(invalidToken);
  });

  it('whose text is not one that everybody reads alike', async () => {
    const [world, idp] = await ordinary();
    const claims = { iss: idp.issuer, sub: 'al~ce', client_id: 'c', aud: travel };
    const bytes = Buffer.from(JSON.stringify({ ...claims, exp: seconds() + 60 }));
    bytes[bytes.indexOf('~')] = 0xff;
    const token = await new CompactSign(bytes)
      .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: idp.key.kid })
      .sign(idp.key.privateKey);
    expect(await world.bearer(token)).toMatchObject(invalidToken);
  });

  it('says in its refusal what to do, and keeps the token to itself', async () => {
    const [world, idp] = await ordinary();
    const token = await idp.token({ aud: 'https://other.example/"x' });
    const { challenge, body } = await world.bearer(token);
    expect(challenge).toBe(
      `Bearer error="invalid_token", error_description="The access token is not for ${travel}: ask for one with this 'resource'.", ${metadata}, ${scope}, ${algs}`,
    );
    expect(body.error).toBe('invalid_token');
    expect(challenge + JSON.stringify(body)).not.toContain('other.example');
  });

  it('is refused again from memory once it has expired', async () => {
    let now = Date.now();
    const idp = await issuerFor();
    const issuers = [trust(idp)];
    const world = await resourceServer({ issuers, clock: () => now, leewaySeconds: 0 });
    const iat = Math.floor(now / 1000) - 1;
    const token = await idp.token({ aud: travel, iat, exp: iat + 31 });
    expect((await world.bearer(token)).status).toBe(200);
    now += 28_000;
    expect((await world.bearer(token)).status).toBe(200);
    now += 3_000;
    expect(await world.bearer(token)).toMatchObject(invalidToken);
  });
});

describe('an issuer that does not type its tokens', () => {
  it.each(['JWT', null])('may be taken as it is: %s', async (typ) => {
    const [world, idp] = await ordinary({ acceptUntyped: true });
    expect((await world.bearer(await idp.token({ aud: travel }, { typ }))).status).toBe(200);
  });

  it.each([
    ['nonce', 'n'],
    ['at_hash', 'h'],
    ['c_hash', 'h'],
    ['events', {}],
    ['token_use', 'id'],
    ['typ', 'ID'],
    ['typ', 'Refresh'],
  ])('has its ID tokens and the like refused: %s %s', async (claim, value) => {
    const [world, idp] = await ordinary({ acceptUntyped: true });
    const token = await idp.token({ aud: travel, [claim]: value }, { typ: 'JWT' });
    expect(await world.bearer(token)).toMatchObject(invalidToken);
  });

  it('has an ID-JAG refused all the same', async () => {
    const [world, idp] = await ordinary({ acceptUntyped: true });
    const token = await idp.token({ aud: travel }, { typ: 'oauth-id-jag+jwt' });
    expect(await world.bearer(token)).toMatchObject(invalidToken);
  });
});

describe('tokens of the gateway itself', () => {
  it.each(['JWT', 'JOSE', 'oauth-id-jag+jwt'])('are never of the type %s', async (typ) => {
    const world = await resourceServer();
    expect(await world.bearer(await world.ownToken({}, typ))).toMatchObject(invalidToken);
  });

  it.each(['org', 'idp', 'jti'])('have %s', async (claim) => {
    const world = await resourceServer();
    expect(await world.bearer(await world.ownToken({ [claim]: undefined }))).toMatchObject(
      invalidToken,
    );
  });

  it('are of one of its issuers, not of anything else below its name', async () => {
    const world = await resourceServer();
    for (const iss of [publicUrl, `${sts}/`, `${publicUrl}/connect`]) {
      expect(await world.bearer(await world.ownToken({ iss }))).toMatchObject(invalidToken);
    }
    expect((await world.bearer(await world.ownToken({ iss: `${publicUrl}/as` }))).status).toBe(200);
  });

  it('cannot be written by an issuer that is trusted for itself', async () => {
    const [world, idp] = await ordinary();
    const claims = { iss: sts, aud: travel, org: 'victim', idp: sts };
    expect(await world.bearer(await idp.token(claims))).toMatchObject(invalidToken);
  });

  it('are refused from the moment on when they are revoked, also when they are remembered', async () => {
    const revoked = new Set<string>();
    for (const isRevoked of [
      (jti: string) => revoked.has(jti),
      async (jti: string) => revoked.has(jti),
    ]) {
      revoked.clear();
      const world = await resourceServer({ isRevoked });
      const token = await world.ownToken({ jti: 'gone' });
      expect((await world.bearer(token)).status).toBe(200);
      revoked.add('gone');
      expect(await world.bearer(token)).toMatchObject(invalidToken);
    }
  });

  it('are refused with 503 while nobody can say whether they are revoked', async () => {
    for (const isRevoked of [
      () => {
        throw new Error('away');
      },
      async () => {
        throw new Error('away');
      },
    ]) {
      const world = await resourceServer({ isRevoked });
      const token = await world.ownToken({});
      for (let round = 0; round < 2; round += 1) {
        const { status, body } = await world.bearer(token);
        expect(status).toBe(503);
        expect(JSON.stringify(body)).not.toContain('away');
      }
      expect(world.faults).toHaveLength(2);
    }
  });
});

describe('trust', () => {
  it('ends when an issuer is taken out, also for tokens that are remembered', async () => {
    const [world, idp] = await ordinary();
    const token = await idp.token({ aud: travel });
    expect((await world.bearer(token)).status).toBe(200);
    world.server.reconfigure([]);
    expect(await world.bearer(token)).toMatchObject(invalidToken);
  });

  it("ends for our own tokens when their subject's issuer goes, or vouches for others", async () => {
    const [world, idp] = await ordinary({ organization: 'partner' });
    const token = await world.ownToken({ sub: 'bob', idp: idp.issuer });
    const machine = await world.ownToken({});
    expect((await world.bearer(token)).status).toBe(200);
    world.server.reconfigure([trust(idp, { organization: 'other' })]);
    expect(await world.bearer(token)).toMatchObject(invalidToken);
    world.server.reconfigure([]);
    expect(await world.bearer(token)).toMatchObject(invalidToken);
    expect((await world.bearer(machine)).status).toBe(200);
  });

  it('keeps the keys of an issuer that stays, and its new organisation counts at once', async () => {
    const [world, idp] = await ordinary();
    const token = await idp.token({ aud: travel });
    await world.bearer(token);
    world.server.reconfigure([trust(idp, { organization: 'moved' })]);
    expect((await world.bearer(token)).body.organization).toBe('moved');
    expect(idp.jwksFetches).toBe(1);
  });

  it('is published with those first who know people, and for callbacks with the token service', async () => {
    const [{ server }, idp] = await ordinary();
    const as = `${publicUrl}/as`;
    expect(server.authorizationServers('/mcp/travel')).toEqual([as, idp.issuer, sts]);
    server.reconfigure([]);
    expect(server.authorizationServers('/mcp/travel')).toEqual([as, sts]);
    expect(server.authorizationServers('/callback/x/mcp')).toEqual([sts]);
  });

  it('is refused to shared secrets, to the gateway itself, and to one issuer twice', async () => {
    const idp = await issuerFor();
    const world = await resourceServer({ issuers: [trust(idp)] });
    const wrong = [
      [trust(idp, { algorithms: ['HS256'] })],
      [trust(idp, { algorithms: ['none'] })],
      [trust(idp, { algorithms: [] })],
      [trust(idp), trust(idp, { organization: 'other' })],
      [trust(idp, { issuer: sts })],
    ];
    for (const issuers of wrong) expect(() => world.server.reconfigure(issuers)).toThrow(TypeError);
    expect((await world.bearer(await idp.token({ aud: travel }))).status).toBe(200);
  });

  it('is not stretched by a leeway of more than five minutes', async () => {
    await expect(resourceServer({ leewaySeconds: 301 })).rejects.toThrow(TypeError);
  });

  it('keeps equal subjects of two organisations apart', async () => {
    const [first, second] = [await issuerFor(), await issuerFor()];
    const issuers = [trust(first), trust(second, { organization: 'partner' })];
    const world = await resourceServer({ issuers });
    const principals = await Promise.all(
      [first, second].map(
        async (idp) => (await world.bearer(await idp.token({ aud: travel }))).body,
      ),
    );
    expect(principals.map(({ organization, subject }) => [organization, subject])).toEqual([
      ['example', 'alice'],
      ['partner', 'alice'],
    ]);
  });
});

describe('too little scope', () => {
  it('is answered once, with every scope that is needed', async () => {
    const { server } = await resourceServer();
    const needed = ['peer:travel:call', 'peer:files:read'];
    const { status, headers, body } = server.insufficientScope('/mcp', needed, ['peer:files:read']);
    expect(status).toBe(403);
    expect(headers['www-authenticate']).toBe(
      `Bearer error="insufficient_scope", error_description="The access token lacks the scope peer:travel:call. Ask for one that has it.", resource_metadata="${publicUrl}/.well-known/oauth-protected-resource/mcp", scope="peer:travel:call peer:files:read", ${algs}`,
    );
    expect(body.error).toBe('insufficient_scope');
  });

  it('is understood by the official client', async () => {
    const { server } = await resourceServer();
    const { status, headers } = server.insufficientScope('/mcp/travel', ['peer:travel:call']);
    expect(extractWWWAuthenticateParams(new Response(null, { status, headers }))).toMatchObject({
      error: 'insufficient_scope',
      scope: 'peer:travel:call',
      resourceMetadataUrl: new URL(`${publicUrl}/.well-known/oauth-protected-resource/mcp/travel`),
    });
  });
});

// A token without any of the registered claims is signed by hand where the maker would add them.
it('a token with nothing in it is refused', async () => {
  const [world, idp] = await ordinary();
  const token = await new SignJWT({})
    .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: idp.key.kid })
    .sign(idp.key.privateKey);
  expect(await world.bearer(token)).toMatchObject(invalidToken);
});
