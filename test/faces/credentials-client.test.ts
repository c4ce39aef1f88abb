/** `client_credentials`: the gateway as itself, at a real OpenID provider, towards real peers. */
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { inspect } from 'node:util';
import { createRemoteJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose';
import { describe, expect, it } from 'vitest';
import type { CredentialsSettings } from '../../src/auth/credentials/settings.ts';
import type { Message } from '../../src/model/a2a.ts';
import { startA2aAgent } from '../support/a2a-agent.ts';
import { startGuardedPeer, tokenIn, type GuardedPeer } from '../support/guarded-peer.ts';
import { startIdentityProvider, type IdentityProvider } from '../support/identity-provider.ts';
import { startLegacyServer } from '../support/legacy-server.ts';
import { call, contextOf, Turn } from '../support/mcp-peer-driver.ts';
import { startModernServer } from '../support/modern-server.ts';
import {
  agentWith,
  closing,
  gatewayKeys,
  ownClientId,
  person,
  serverWith,
} from '../support/outbound-world.ts';
import { startTokenServer, type TokenServer } from '../support/token-server.ts';

const alice = person('alice');
const bob = person('bob');
const machine = { grant_types: ['client_credentials'], redirect_uris: [], response_types: [] };
const keyPair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const keyText = keyPair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
const publicJwk = { ...createPublicKey(keyPair.privateKey).export({ format: 'jwk' }), use: 'sig' };

/** A provider that knows the gateway under three client ids. */
async function provider(keys = gatewayKeys()): Promise<IdentityProvider> {
  return closing(
    await startIdentityProvider({
      scopes: ['files.read'],
      clients: [
        { ...machine, client_id: 'with-secret', client_secret: 'hunter2-hunter2' },
        {
          ...machine,
          client_id: 'with-key',
          token_endpoint_auth_method: 'private_key_jwt',
          token_endpoint_auth_signing_alg: 'ES256',
          jwks: { keys: [publicJwk] },
        },
        {
          ...machine,
          client_id: ownClientId,
          token_endpoint_auth_method: 'private_key_jwt',
          token_endpoint_auth_signing_alg: 'ES256',
          jwks: { keys: keys.current().jwks.keys.map((key) => ({ ...key })) },
        },
      ],
    }),
  );
}

/** A peer that wants the provider's JWT for itself. */
async function behind(target: string, { issuer }: IdentityProvider): Promise<GuardedPeer> {
  const keys = createRemoteJWKSet(new URL(`${issuer}/jwks`));
  const guarded: GuardedPeer = closing(
    await startGuardedPeer({
      target,
      async check(req) {
        if (req.url?.includes('/.well-known/') === true) return undefined;
        const audience = target.endsWith('/mcp') ? guarded.url : guarded.origin;
        try {
          await jwtVerify(tokenIn(req) ?? '', keys, { issuer, audience, typ: 'at+jwt' });
          return undefined;
        } catch {
          return { status: 401, headers: { 'www-authenticate': 'Bearer error="invalid_token"' } };
        }
      },
    }),
  );
  return guarded;
}

/** A peer that wants a live token of this server, and may be told to refuse all of them. */
async function behindServer(target: string, server: TokenServer): Promise<GuardedPeer> {
  return closing(
    await startGuardedPeer({
      target,
      check: (req) =>
        server.tokenOf(tokenIn(req) ?? '') === undefined
          ? { status: 401, headers: { 'www-authenticate': 'Bearer error="invalid_token"' } }
          : undefined,
    }),
  );
}

const message = (text: string): Message => ({
  messageId: crypto.randomUUID(),
  role: 'ROLE_USER',
  parts: [{ text }],
});

describe('at an OpenID provider', () => {
  it('a secret becomes a JWT for the MCP server alone', async () => {
    const idp = await provider();
    const guarded = await behind(closing(await startModernServer()).url, idp);
    const peer = serverWith(guarded.url, {
      type: 'client_credentials',
      issuer: idp.issuer,
      clientId: 'with-secret',
      clientSecret: 'hunter2-hunter2',
      scopes: ['files.read'],
      dpop: false,
    });
    const turn = await call(peer, 'echo', { text: 'hi' }, contextOf({ principal: alice }));
    expect(turn.states).toEqual(['TASK_STATE_COMPLETED']);
    expect(idp.tokenRequests).toHaveLength(1);
    expect(idp.tokenRequests[0]?.body).toMatchObject({
      grant_type: 'client_credentials',
      scope: 'files.read',
      resource: guarded.url,
    });
    expect(idp.tokenRequests[0]?.headers['authorization']).toMatch(/^Basic /);
    const token = guarded.requests.at(-1)?.authorization?.slice('Bearer '.length) ?? '';
    expect(decodeJwt(token)).toMatchObject({ aud: guarded.url, client_id: 'with-secret' });
  });

  it.each([
    ['a key of the client', { clientId: 'with-key', key: keyText }, 'with-key'],
    ["the gateway's own key", {}, ownClientId],
  ])('%s proves who asks, in an assertion for the issuer alone', async (_, own, clientId) => {
    const keys = gatewayKeys();
    const idp = await provider(keys);
    const guarded = await behind(closing(await startLegacyServer()).url, idp);
    const settings = {
      type: 'client_credentials',
      issuer: idp.issuer,
      scopes: [],
      dpop: false,
      ...own,
    } as const satisfies CredentialsSettings;
    const peer = serverWith(guarded.url, settings, { keys });
    const turn = await call(peer, 'echo', { text: 'hi' }, contextOf({ principal: alice }));
    expect(turn.states.at(-1)).toBe('TASK_STATE_COMPLETED');
    const { client_assertion: assertion = '', ...form } = idp.tokenRequests[0]?.body ?? {};
    expect(form).not.toHaveProperty('client_secret');
    expect(decodeJwt(assertion)).toMatchObject({ iss: clientId, sub: clientId, aud: idp.issuer });
    expect(decodeProtectedHeader(assertion).kid).toBe(
      clientId === ownClientId ? keys.current().active.kid : undefined,
    );
    // Handshake, stream and call carry the same token.
    expect(new Set(guarded.requests.map(({ authorization }) => authorization)).size).toBe(1);
    expect(guarded.requests.length).toBeGreaterThan(2);
  });

  it('an agent gets a token for its own base URL, and none is sent with another', async () => {
    const idp = await provider();
    const agent = closing(await startA2aAgent());
    const guarded = await behind(agent.cardUrl, idp);
    const peer = agentWith(`${guarded.origin}/.well-known/agent-card.json`, {
      type: 'client_credentials',
      issuer: idp.issuer,
      clientId: 'with-secret',
      clientSecret: 'hunter2-hunter2',
      scopes: [],
      dpop: false,
    });
    const turn = await new Turn().read(
      peer.start({ message: message('echo hello') }, contextOf({ principal: alice })),
    );
    expect(turn.events.length).toBeGreaterThan(0);
    expect(idp.tokenRequests.map(({ body }) => body['resource'])).toEqual([guarded.origin]);
    expect(agent.ledger).toHaveLength(1);
  });

  it('a wrong secret is told as such, without the secret', async () => {
    const idp = await provider();
    const guarded = await behind(closing(await startModernServer()).url, idp);
    const peer = serverWith(guarded.url, {
      type: 'client_credentials',
      issuer: idp.issuer,
      clientId: 'with-secret',
      clientSecret: 'not-the-one-canary',
      scopes: [],
      dpop: false,
    });
    const failed = call(peer, 'echo', { text: 'hi' });
    await expect(failed).rejects.toMatchObject({
      code: 'peer-refused',
      message:
        'The authorization server of "files" gave no token (invalid_client). The gateway\'s operator has to check the client and its key or secret.',
      facts: { peer: 'files', error: 'invalid_client' },
    });
    const error: unknown = await failed.catch((thrown: unknown) => thrown);
    expect(inspect(error, { depth: 9 })).not.toContain('canary');
    expect(guarded.requests).toEqual([]);
  });
});

describe('a token', () => {
  const settings = (server: TokenServer): CredentialsSettings => ({
    type: 'client_credentials',
    issuer: server.issuer,
    clientId: 'gateway',
    clientSecret: 'secret',
    scopes: [],
    dpop: false,
  });

  it('is asked for once by 50 calls at the same time, whoever makes them', async () => {
    const server = closing(await startTokenServer({ expiresIn: 600, slowMs: 50 }));
    const guarded = await behindServer(closing(await startModernServer()).url, server);
    const peer = serverWith(guarded.url, settings(server));
    const calls = Array.from({ length: 50 }, (_, n) =>
      call(peer, 'echo', { text: `${n}` }, contextOf({ principal: n % 2 === 0 ? alice : bob })),
    );
    const turns = await Promise.all(calls);
    expect(turns.filter((turn) => turn.states.at(-1) === 'TASK_STATE_COMPLETED')).toHaveLength(50);
    expect(server.forms).toHaveLength(1);
  });

  it('outlives the caller who asked for it first', async () => {
    const server = closing(await startTokenServer({ expiresIn: 600, slowMs: 200 }));
    const guarded = await behindServer(closing(await startModernServer()).url, server);
    const peer = serverWith(guarded.url, settings(server));
    const first = new AbortController();
    const leaving = call(peer, 'echo', { text: 'a' }, contextOf({ signal: first.signal }));
    const staying = call(peer, 'echo', { text: 'b' }, contextOf({ principal: bob }));
    setTimeout(() => first.abort(new Error('the caller left')), 50);
    await expect(leaving).rejects.toThrow('the caller left');
    expect((await staying).states.at(-1)).toBe('TASK_STATE_COMPLETED');
    expect(server.forms).toHaveLength(1);
  });

  it('is used until shortly before it ends, and then replaced once', async () => {
    let now = Date.now();
    const server = closing(await startTokenServer({ expiresIn: 100 }));
    const guarded = await behindServer(closing(await startModernServer()).url, server);
    const peer = serverWith(guarded.url, settings(server), { clock: () => now });
    await call(peer, 'echo', { text: 'a' });
    now += 89_000;
    await call(peer, 'echo', { text: 'b' });
    expect(server.forms).toHaveLength(1);
    now += 2000;
    await Promise.all([1, 2, 3].map((n) => call(peer, 'echo', { text: `${n}` })));
    expect(server.forms).toHaveLength(2);
  });

  it('that the peer does not take any more is replaced once, also for 20 calls', async () => {
    const server = closing(await startTokenServer({ expiresIn: 600 }));
    const guarded = await behindServer(closing(await startModernServer()).url, server);
    const peer = serverWith(guarded.url, settings(server));
    await call(peer, 'echo', { text: 'a' });
    server.endTokens();
    const turns = await Promise.all(
      Array.from({ length: 20 }, (_, n) => call(peer, 'echo', { text: `${n}` })),
    );
    expect(turns.map((turn) => turn.states.at(-1))).toEqual(
      Array.from({ length: 20 }, () => 'TASK_STATE_COMPLETED'),
    );
    expect(server.forms).toHaveLength(2);
  });

  it('is bound to a key, and every request proves it, when the operator wants it', async () => {
    const server = closing(await startTokenServer({ expiresIn: 600 }));
    const proofs: string[] = [];
    let nonce = '';
    const guarded = closing(
      await startGuardedPeer({
        target: closing(await startModernServer()).url,
        check(req) {
          const proof = String(req.headers['dpop']);
          const claims = decodeJwt(proof);
          if (nonce !== '' && claims['nonce'] !== nonce) {
            const challenge = 'DPoP error="use_dpop_nonce"';
            return { status: 401, headers: { 'www-authenticate': challenge, 'dpop-nonce': nonce } };
          }
          proofs.push(proof);
          const given = server.tokenOf(tokenIn(req) ?? '');
          return given?.jkt === undefined ? { status: 401 } : undefined;
        },
      }),
    );
    const peer = serverWith(guarded.url, {
      ...settings(server),
      dpop: true,
    } as CredentialsSettings);
    await call(peer, 'echo', { text: 'a' });
    nonce = 'nonce-1';
    const turn = await call(peer, 'echo', { text: 'b' });
    expect(turn.states).toEqual(['TASK_STATE_COMPLETED']);
    expect(guarded.requests.every(({ authorization }) => authorization?.startsWith('DPoP '))).toBe(
      true,
    );
    const last = decodeJwt(proofs.at(-1) ?? '');
    expect(last).toMatchObject({ htm: 'POST', htu: guarded.url, nonce: 'nonce-1' });
    expect(decodeProtectedHeader(proofs.at(-1) ?? '')).toMatchObject({
      typ: 'dpop+jwt',
      alg: 'ES256',
    });
    expect(decodeProtectedHeader(proofs.at(-1) ?? '').jwk).not.toHaveProperty('d');
    expect(new Set(proofs.map((proof) => decodeJwt(proof).jti)).size).toBe(proofs.length);
    expect(server.forms).toHaveLength(1);
  });
});
