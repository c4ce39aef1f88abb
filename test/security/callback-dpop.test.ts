/** SECURITY, negative tests "DPoP", at callback endpoints and at the exchange that leads to them. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { boundTo, dpopProof, testKey, type ProofShape, type TestKey } from '../support/issuer.ts';
import {
  assertionOf,
  callback,
  callTool,
  post,
  postForm,
  resultOf,
  type FormAnswer,
} from './lending-requests.ts';
import { redeemed, startLending, type LendingWorld } from './lending-world.ts';
import { modernHeaders, modernMeta } from './world.ts';

let world: LendingWorld;
let lent: Awaited<ReturnType<typeof redeemed>>;
beforeAll(async () => {
  world = await startLending({ oauth: true });
});
afterAll(() => world.close());
beforeEach(async () => {
  lent = await redeemed(world);
});

const nowSeconds = (): number => Math.floor(Date.now() / 1000);
const proofFor = (changes: Partial<ProofShape> = {}): Promise<string> => {
  const { key, token, offer } = lent;
  return dpopProof({ key, htm: 'POST', htu: offer.resource, accessToken: token, ...changes });
};
const present = async (dpop: string | undefined, scheme = 'DPoP') =>
  callback(lent.offer.resource, { token: lent.token, scheme, ...(dpop !== undefined && { dpop }) });

/** What of an answer says that nobody was let in. */
const refusalIn = ({ status, headers, messages }: Awaited<ReturnType<typeof present>>) => ({
  status,
  challenge: /error="([^"]+)"/.exec(headers.get('www-authenticate') ?? '')?.[1],
  messages,
});

/** A challenge with this error, and nothing of a result. */
const refused = (error: string) => ({
  status: 401,
  challenge: error,
  messages: [{ error, error_description: expect.any(String) }],
});

/** The list of tools with raw headers, where a header may be there twice. */
const raw = (headers: Record<string, string | string[]>) =>
  post(
    lent.offer.resource,
    JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list', params: { _meta: modernMeta } }),
    { ...modernHeaders('tools/list'), ...headers },
  );

describe('at a callback endpoint', () => {
  it('a fresh proof of the pinned key lets its holder in', async () => {
    expect((await present(await proofFor())).status).toBe(200);
  });

  it('bearer downgrade: the bound token as a bearer token is refused, with a proof too', async () => {
    expect(refusalIn(await present(undefined, 'Bearer'))).toEqual(refused('invalid_token'));
    expect(refusalIn(await present(await proofFor(), 'Bearer'))).toEqual(refused('invalid_token'));
    // Also once the token is known.
    expect((await present(await proofFor())).status).toBe(200);
    expect(refusalIn(await present(undefined, 'Bearer'))).toEqual(refused('invalid_token'));
    expect(refusalIn(await present(undefined))).toEqual(refused('invalid_dpop_proof'));
  });

  it('replayed proof', async () => {
    const once = await proofFor();
    expect((await present(once)).status).toBe(200);
    expect(refusalIn(await present(once))).toEqual(refused('invalid_dpop_proof'));
  });

  it('replayed proof, 50 times in parallel: one passes', async () => {
    const once = await proofFor();
    const answers = await Promise.all(Array.from({ length: 50 }, () => present(once)));
    const statuses = answers.map(({ status }) => status).toSorted((a, b) => a - b);
    expect(statuses).toEqual([200, ...Array.from({ length: 49 }, () => 401)]);
  });

  it('replayed proof over a restart of the gateway', async () => {
    const once = await proofFor();
    expect((await present(once)).status).toBe(200);
    await world.gateway.restart();
    expect(refusalIn(await present(once))).toEqual(refused('invalid_dpop_proof'));
    expect((await present(await proofFor())).status).toBe(200);
  });

  it('replayed proof at the endpoint of another lease', async () => {
    const other = await redeemed(world);
    const once = await proofFor();
    const { offer, token } = other;
    expect(refusalIn(await callback(offer.resource, { token, dpop: once }))).toEqual(
      refused('invalid_dpop_proof'),
    );
  });

  const cases: [string, () => Partial<ProofShape>][] = [
    [
      'wrong htu: another lease',
      () => ({ htu: lent.offer.resource.replace(/callback\/./, 'callback/_') }),
    ],
    ['wrong htu: the token endpoint', () => ({ htu: `${lent.offer.iss}/token` })],
    ['wrong htu: the gateway', () => ({ htu: `${world.gateway.url}/mcp` })],
    ['wrong htu: with a slash', () => ({ htu: `${lent.offer.resource}/` })],
    [
      'wrong htu: another host',
      () => ({ htu: lent.offer.resource.replace('127.0.0.1', 'evil.example') }),
    ],
    ['wrong htu: none', () => ({ claims: { htu: undefined } })],
    ['wrong htm: GET', () => ({ htm: 'GET' })],
    ['wrong htm: none', () => ({ claims: { htm: undefined } })],
    ['wrong ath: of another token', () => ({ ath: 'A'.repeat(43) })],
    ['wrong ath: none', () => ({ claims: { ath: undefined } })],
    ['stale iat', () => ({ iat: nowSeconds() - 62 })],
    ['future iat', () => ({ iat: nowSeconds() + 63 })],
    ['no iat', () => ({ claims: { iat: undefined } })],
    ['no jti', () => ({ claims: { jti: undefined } })],
    ['an unsigned proof', () => ({ header: { alg: 'none' } })],
    ['a proof of another type', () => ({ header: { typ: 'JWT' } })],
  ];
  it.each(cases)('%s', async (_title, changes) => {
    expect(refusalIn(await present(await proofFor(changes())))).toEqual(
      refused('invalid_dpop_proof'),
    );
  });

  it('other key: a good proof of another key, and one that shows ours and is signed by another', async () => {
    const other = await testKey();
    expect(refusalIn(await present(await proofFor({ key: other })))).toEqual(
      refused('invalid_token'),
    );
    const forged = await proofFor({ signWith: other.privateKey });
    expect(refusalIn(await present(forged))).toEqual(refused('invalid_dpop_proof'));
  });

  it('two proofs, in two headers or in one', async () => {
    const [one, two] = [await proofFor(), await proofFor()];
    for (const dpop of [[one, two], [one, one], `${one}, ${two}`]) {
      const { status, text } = await raw({ authorization: `DPoP ${lent.token}`, dpop });
      expect([status, JSON.parse(text).error]).toEqual([401, 'invalid_dpop_proof']);
    }
    expect((await present(one)).status).toBe(200);
  });

  it('private key in the header', async () => {
    const { d } = lent.key.privateJwk;
    const answer = await present(await proofFor({ header: { jwk: lent.key.privateJwk } }));
    expect(refusalIn(answer)).toEqual(refused('invalid_dpop_proof'));
    expect(JSON.stringify(answer.messages)).not.toContain(d);
    expect(JSON.stringify(world.gateway.log)).not.toContain(d);
  });

  it('the token in the query', async () => {
    const dpop = await proofFor();
    const url = `${lent.offer.resource}?access_token=${lent.token}`;
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list', params: {} });
    const inQuery = await post(url, body, { ...modernHeaders('tools/list'), dpop });
    expect([inQuery.status, JSON.parse(inQuery.text).error]).toEqual([400, 'invalid_request']);
  });

  it('two tokens, in two headers', async () => {
    const authorization = [`DPoP ${lent.token}`, 'Bearer x'];
    const { status } = await raw({ authorization, dpop: await proofFor() });
    expect(status).toBe(400);
  });

  it('each method needs a proof of its own: GET and DELETE do not get in by that of POST', async () => {
    for (const method of ['GET', 'DELETE']) {
      const response = await fetch(lent.offer.resource, {
        method,
        headers: {
          authorization: `DPoP ${lent.token}`,
          dpop: await proofFor(),
          accept: 'text/event-stream',
          'mcp-protocol-version': '2025-11-25',
        },
      });
      expect(response.status).toBe(401);
      await response.body?.cancel();
    }
  });
});

describe('a token that is for something else is none at a callback:', () => {
  /** Shown as it is, and with a good proof of a key. */
  async function shown(token: string, key?: TestKey): Promise<unknown[]> {
    const { resource } = lent.offer;
    const holder = key ?? (await testKey());
    return [
      refusalIn(await callback(resource, { token, scheme: 'Bearer' })),
      refusalIn(await callback(resource, { token, key: holder })),
    ];
  }
  const useless = [refused('invalid_token'), refused('invalid_token')];
  const scope = 'peer:*:call';

  it('unbound token of client_credentials, for a peer and for the callback itself', async () => {
    const forResource = async (resource: string, key?: TestKey): Promise<FormAnswer> => {
      const form = Object.entries({
        grant_type: 'client_credentials',
        resource,
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        client_assertion: await assertionOf(world.agent, lent.offer.iss),
      });
      const htu = `${lent.offer.iss}/token`;
      const proofs = key === undefined ? [] : [await dpopProof({ key, htm: 'POST', htu })];
      return postForm(htu, form, proofs);
    };
    for (const key of [undefined, lent.key]) {
      const peer = await forResource(world.gateway.mcp('files'), key);
      expect(peer.status).toBe(200);
      expect(await shown(String(peer.json['access_token']), key)).toEqual(useless);
      const own = await forResource(lent.offer.resource, key);
      expect([own.status, own.json['access_token']]).toEqual([400, undefined]);
    }
  });

  it('user token, unbound or bound, also with the callback as its audience', async () => {
    const bound = await boundTo(lent.key);
    for (const aud of [world.gateway.mcp('files'), lent.offer.resource]) {
      expect(await shown(await world.issuer.token({ aud, scope }))).toEqual(useless);
      expect(await shown(await world.issuer.token({ aud, scope, ...bound }), lent.key)).toEqual(
        useless,
      );
      expect(
        await shown(await world.issuer.token({ aud, scope, lease: 'x', ...bound }), lent.key),
      ).toEqual(useless);
    }
  });

  it('ID token', async () => {
    const { resource: aud } = lent.offer;
    expect(await shown(await world.issuer.token({ aud, nonce: 'n' }, { typ: 'JWT' }))).toEqual(
      useless,
    );
    expect(await shown(await world.issuer.token({ aud, nonce: 'n' }, { typ: null }))).toEqual(
      useless,
    );
  });

  it('token for /mcp/{peer}', async () => {
    expect(
      await shown(await world.issuer.token({ aud: world.gateway.mcp('agent'), scope })),
    ).toEqual(useless);
  });

  it('token of another lease', async () => {
    const other = await redeemed(world);
    expect(await shown(other.token, other.key)).toEqual(useless);
    // Where it is for, it is good.
    expect((await other.call('files__echo', { text: 'x' })).status).toBe(200);
  });

  it('self-made token, with the issuer, the claims and the act of a good one', async () => {
    const forger = await testKey();
    const claims = {
      iss: lent.offer.iss,
      sub: 'alice',
      aud: lent.offer.resource,
      client_id: world.agent.clientId,
      org: 'test',
      idp: world.issuer.issuer,
      lease: /callback\/([^/]+)/.exec(lent.offer.resource)?.[1],
      act: { sub: world.agent.clientId, act: { sub: 'https://bank.example/agent.json' } },
      ...(await boundTo(lent.key)),
    };
    const { alg, kid } = forger;
    const self = await world.issuer.token(claims, { alg, kid, key: forger.privateKey });
    expect(await shown(self, lent.key)).toEqual(useless);
    const [head, , signature] = lent.token.split('.');
    const payload = Buffer.from(JSON.stringify({ ...claims, exp: nowSeconds() + 100 }));
    expect(await shown(`${head}.${payload.toString('base64url')}.${signature}`, lent.key)).toEqual(
      useless,
    );
    const none = await world.issuer.token(claims, { alg: 'none' });
    expect(await shown(none, lent.key)).toEqual(useless);
  });

  it('the lease_ref itself', async () => {
    expect(await shown(lent.offer.lease_ref, lent.key)).toEqual(useless);
  });

  it('and the token of a lease is none for a peer, the gateway or the admin API', async () => {
    const { key, token } = lent;
    const places = [world.gateway.mcp('files'), `${world.gateway.url}/mcp`];
    for (const place of places) {
      expect(refusalIn(await callback(place, { token, key }))).toEqual(refused('invalid_token'));
    }
    const admin = `${world.gateway.url}/admin/peers`;
    const dpop = await dpopProof({ key, htm: 'GET', htu: admin, accessToken: token });
    const headers = { authorization: `DPoP ${token}`, dpop };
    expect((await fetch(admin, { headers })).status).toBe(401);
  });
});

it('no token at all is told apart from a bad one, and learns where tokens come from', async () => {
  const { status, headers } = await raw({});
  expect(status).toBe(401);
  const challenge = headers.get('www-authenticate') ?? '';
  expect(challenge).toContain('resource_metadata=');
  expect(challenge).not.toContain('error=');
});

it('a callback of a lease that never was answers as one that is over', async () => {
  const never = lent.offer.resource.replace(/callback\/[^/]+/, `callback/${'A'.repeat(22)}`);
  expect(refusalIn(await callback(never, { token: lent.token, key: lent.key }))).toEqual(
    refused('invalid_token'),
  );
});

it('what the grantee revokes counts at once', async () => {
  const { token, offer, key } = lent;
  const form = Object.entries({
    token,
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: await assertionOf(world.agent, offer.iss),
  });
  expect((await postForm(`${offer.iss}/revoke`, form)).status).toBe(200);
  expect(refusalIn(await callback(offer.resource, { token, key }))).toEqual(
    refused('invalid_token'),
  );
  expect(resultOf(await callTool(offer.resource, lent, 'files__echo', { text: 'x' })).status).toBe(
    401,
  );
});
