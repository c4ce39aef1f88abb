/** Credentials on behalf of a caller: token exchange, identity assertions, connections. */
import { decodeJwt, decodeProtectedHeader, type JSONWebKeySet } from 'jose';
import { describe, expect, it } from 'vitest';
import type { TokenVault } from '../../src/auth/credentials/user-connection.ts';
import type { CredentialsSettings } from '../../src/auth/credentials/settings.ts';
import type { SigningKeys } from '../../src/auth/signing-keys.ts';
import { GatewayError } from '../../src/model/errors.ts';
import { anonymous, ownerKey, type Principal } from '../../src/model/principal.ts';
import { startA2aAgent } from '../support/a2a-agent.ts';
import { startGuardedPeer, tokenIn, type GuardedPeer } from '../support/guarded-peer.ts';
import { startLegacyServer } from '../support/legacy-server.ts';
import { call, contextOf, Turn } from '../support/mcp-peer-driver.ts';
import { startModernServer } from '../support/modern-server.ts';
import {
  agentWith,
  closing,
  credentialsFor,
  gatewayKeys,
  ownClientId,
  partsFor,
  person,
  serverWith,
} from '../support/outbound-world.ts';
import {
  startTokenServer,
  type TokenServer,
  type TokenServerOptions,
} from '../support/token-server.ts';

const alice = person('alice');
const bob = person('bob');
const as = (principal: Principal) => contextOf({ principal });

/** A server that trusts the gateway, and the gateway's keys. */
async function federated(options: TokenServerOptions = {}) {
  const keys = gatewayKeys();
  const trusted = (): JSONWebKeySet => jwksOf(keys);
  const server = closing(await startTokenServer({ expiresIn: 600, trusted, ...options }));
  return { keys, server };
}

function jwksOf(keys: SigningKeys): JSONWebKeySet {
  return { keys: keys.current().jwks.keys.map((key) => ({ ...key })) };
}

/** A peer that notes on whose behalf it was called. */
async function noting(target: string, server: TokenServer) {
  const subjects: string[] = [];
  const guarded = closing(
    await startGuardedPeer({
      target,
      check(req) {
        if (req.url?.includes('/.well-known/') === true) return undefined;
        const given = server.tokenOf(tokenIn(req) ?? '');
        if (given === undefined) return { status: 401 };
        subjects.push(given.subject);
        return undefined;
      },
    }),
  );
  return { guarded, subjects };
}

const exchangeAt = ({ issuer }: TokenServer): CredentialsSettings => ({
  type: 'token_exchange',
  issuer,
  scopes: ['files.read'],
  dpop: false,
});

describe('token exchange', () => {
  it('makes each caller known to the peer, by an assertion of the gateway that lives a minute', async () => {
    const { keys, server } = await federated();
    const { guarded, subjects } = await noting(closing(await startModernServer()).url, server);
    const peer = serverWith(guarded.url, exchangeAt(server), { keys });
    for (const principal of [alice, bob, alice]) {
      await call(peer, 'echo', { text: 'hi' }, as(principal));
    }
    const turns = subjects.filter((subject, at) => subject !== subjects[at - 1]);
    expect(turns).toEqual(['alice', 'bob', 'alice']);
    expect(server.forms).toHaveLength(2);
    const {
      subject_token: token = '',
      client_assertion: proof = '',
      ...form
    } = server.forms[0] ?? {};
    expect(form).toEqual({
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
      requested_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      resource: guarded.url,
      scope: 'files.read',
      client_id: ownClientId,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    });
    expect(decodeJwt(proof).sub).toBe(ownClientId);
    const { iat = 0, exp = 0, jti, ...claims } = decodeJwt(token);
    expect(claims).toEqual({
      iss: 'https://gw.example/sts',
      aud: server.issuer,
      sub: 'alice',
      org: 'acme',
      idp: 'https://idp.example',
      client_id: 'client-1',
    });
    expect(exp - iat).toBe(60);
    expect(jti).toMatch(/^[\w-]{20,}$/);
    expect(decodeProtectedHeader(token)).toEqual({
      alg: 'ES256',
      typ: 'JWT',
      kid: keys.current().active.kid,
    });
  });

  it('never gives the token of one caller to another, in 100 calls at once', async () => {
    const { keys, server } = await federated({ slowMs: 20 });
    const { guarded } = await noting(closing(await startLegacyServer()).url, server);
    const settings = exchangeAt(server);
    const credentials = credentialsFor(settings, partsFor(guarded.url, { keys }));
    const people = [
      alice,
      bob,
      person('alice', 'other'),
      person('alice', 'acme', 'https://b.example'),
    ];
    const used = await Promise.all(
      Array.from({ length: 100 }, async (_, n) => {
        const principal = people[n % people.length] ?? alice;
        const { authorization = '' } = await credentials.headers(as(principal));
        return [authorization, ownerKey(principal)] as const;
      }),
    );
    expect(new Set(used.map(([token]) => token)).size).toBe(4);
    expect(new Set(used.map((pair) => pair.join(' '))).size).toBe(4);
    expect(server.forms).toHaveLength(4);
  });

  it('serves the sessions of a legacy server under the token of their owner', async () => {
    const { keys, server } = await federated();
    const { guarded, subjects } = await noting(closing(await startLegacyServer()).url, server);
    const peer = serverWith(guarded.url, exchangeAt(server), { keys });
    await call(peer, 'echo', { text: 'hi' }, as(alice));
    const before = subjects.length;
    await call(peer, 'echo', { text: 'hi' }, as(bob));
    expect(subjects.slice(0, before).every((subject) => subject === 'alice')).toBe(true);
    expect(subjects.slice(before).every((subject) => subject === 'bob')).toBe(true);
  });

  it('fetches a card for everybody, so without anybody', async () => {
    const { keys, server } = await federated();
    const agent = closing(await startA2aAgent());
    const { guarded, subjects } = await noting(agent.cardUrl, server);
    const peer = agentWith(guarded.url, exchangeAt(server), { keys });
    await peer.card({ signal: AbortSignal.timeout(5000) });
    expect(server.forms).toEqual([]);
    const message = { messageId: 'm-1', role: 'ROLE_USER' as const, parts: [{ text: 'echo x' }] };
    await new Turn().read(peer.start({ message }, as(bob)));
    expect(new Set(subjects)).toEqual(new Set(['bob']));
  });

  it('is not for callers whom nobody vouches for', async () => {
    const { keys, server } = await federated();
    const credentials = credentialsFor(exchangeAt(server), partsFor('https://x.example', { keys }));
    await expect(credentials.headers(as(anonymous))).rejects.toMatchObject({
      code: 'peer-refused',
      message: expect.stringContaining('Callers have to log in') as string,
    });
    expect(server.forms).toEqual([]);
  });
});

describe('an identity assertion', () => {
  /** The person's own provider, the peer's server, and a peer that notes its callers. */
  async function world(assertion: TokenServerOptions['assertion'] = {}) {
    const keys = gatewayKeys();
    const trusted = (): JSONWebKeySet => jwksOf(keys);
    const idp = closing(await startTokenServer({ trusted, assertion }));
    const assertionsOf = (): string => idp.issuer;
    const server = closing(await startTokenServer({ trusted, assertionsOf, expiresIn: 600 }));
    const { guarded, subjects } = await noting(closing(await startModernServer()).url, server);
    const settings: CredentialsSettings = {
      type: 'id_jag',
      issuer: server.issuer,
      clientId: 'gateway',
      clientSecret: 'as-secret',
      idp: idp.issuer,
      idpClientId: 'gateway-at-idp',
      idpClientSecret: 'idp-secret',
      scopes: ['files.read'],
      dpop: false,
    };
    return { keys, idp, server, guarded, subjects, settings };
  }

  it('comes from the ID token of the login, and opens the peer for that person', async () => {
    const { keys, idp, server, guarded, subjects, settings } = await world();
    const carol = person('carol', 'acme', idp.issuer);
    const idToken = await idp.sign({ sub: 'carol', aud: 'gateway-at-idp' });
    const identityOf = async () => ({
      token: idToken,
      type: 'urn:ietf:params:oauth:token-type:id_token',
    });
    const peer = serverWith(guarded.url, settings, { keys, identityOf });
    await call(peer, 'echo', { text: 'hi' }, as(carol));
    expect(subjects.at(-1)).toBe('carol');
    expect(idp.forms).toEqual([
      {
        grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
        requested_token_type: 'urn:ietf:params:oauth:token-type:id-jag',
        subject_token: idToken,
        subject_token_type: 'urn:ietf:params:oauth:token-type:id_token',
        audience: server.issuer,
        resource: guarded.url,
        scope: 'files.read',
      },
    ]);
    const { assertion = '', ...form } = server.forms[0] ?? {};
    expect(form).toEqual({
      grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
      resource: guarded.url,
      scope: 'files.read',
    });
    expect(decodeProtectedHeader(assertion).typ).toBe('oauth-id-jag+jwt');
    expect(server.bytes()).not.toContain(idToken);
    expect(guarded.bytes()).not.toContain(assertion);
  });

  it('is asked for with a word of the gateway when the login left nothing, or was elsewhere', async () => {
    const { keys, idp, guarded, subjects, settings } = await world();
    const elsewhere = { token: 'id-token-of-another-provider', type: 'x' };
    const identityOf = async ({ issuer }: Principal) =>
      issuer === idp.issuer ? undefined : elsewhere;
    const peer = serverWith(guarded.url, settings, { keys, identityOf });
    await call(peer, 'echo', { text: 'hi' }, as(alice));
    await call(peer, 'echo', { text: 'hi' }, as(person('dave', 'acme', idp.issuer)));
    expect(subjects.slice(-1)).toEqual(['dave']);
    expect(idp.forms.map((form) => decodeJwt(form['subject_token'] ?? '').aud)).toEqual([
      idp.issuer,
      idp.issuer,
    ]);
    expect(idp.bytes()).not.toContain('id-token-of-another-provider');
  });

  it.each([
    ['an ordinary JWT', { typ: 'JWT' }],
    ['one for another server', { aud: 'https://other.example' }],
  ])('is not shown to the server when it is %s', async (_, assertion) => {
    const { keys, server, guarded, settings } = await world(assertion);
    const peer = serverWith(guarded.url, settings, { keys });
    await expect(call(peer, 'echo', { text: 'hi' }, as(alice))).rejects.toMatchObject({
      code: 'peer-protocol',
    });
    expect(server.forms).toEqual([]);
    expect(guarded.requests).toEqual([]);
  });
});

describe('a connection', () => {
  const settings = { type: 'user_oauth', connection: 'files' } as const;

  function needed(): GatewayError {
    const facts = { connection: 'files' };
    return new GatewayError('connection-needed', 'Connect "files" first.', { facts });
  }

  /** A vault of one token for each person, which can be refreshed once. */
  function vault(tokens: Record<string, string[]>) {
    const refusals: [string, string, string][] = [];
    const connections: TokenVault = {
      accessToken: async ({ subject }) => {
        const [token] = tokens[subject] ?? [];
        if (token === undefined) throw needed();
        return token;
      },
      refused: async ({ subject }, { connection }, { token }) => {
        refusals.push([subject, connection, token]);
        tokens[subject]?.shift();
        const [next] = tokens[subject] ?? [];
        if (next === undefined) throw needed();
        return next;
      },
    };
    return { connections, refusals };
  }

  async function wanting(tokens: readonly string[]): Promise<GuardedPeer> {
    return closing(
      await startGuardedPeer({
        target: closing(await startModernServer()).url,
        check: (req) => (tokens.includes(tokenIn(req) ?? '') ? undefined : { status: 401 }),
      }),
    );
  }

  it('gives each person their own token', async () => {
    const guarded = await wanting(['of-alice', 'of-bob']);
    const { connections } = vault({ alice: ['of-alice'], bob: ['of-bob'] });
    const peer = serverWith(guarded.url, settings, { connections });
    for (const principal of [alice, bob]) await call(peer, 'echo', { text: 'a' }, as(principal));
    expect(guarded.requests.filter(({ status }) => status !== 200)).toEqual([]);
    expect(guarded.requests.at(-1)?.authorization).toBe('Bearer of-bob');
  });

  it('that is not there asks for consent, and does not stand in the way of others', async () => {
    const guarded = await wanting(['of-bob']);
    const { connections } = vault({ bob: ['of-bob'] });
    const peer = serverWith(guarded.url, settings, { connections });
    const [asked, served] = await Promise.allSettled([
      call(peer, 'echo', { text: 'a' }, as(alice)),
      call(peer, 'echo', { text: 'b' }, as(bob)),
    ]);
    expect(asked).toMatchObject({
      status: 'rejected',
      reason: { code: 'connection-needed', facts: { connection: 'files' } },
    });
    expect(served.status).toBe('fulfilled');
  });

  it('is refreshed when the peer refuses its token, and asks for consent when that fails', async () => {
    const guarded = await wanting(['second']);
    const { connections, refusals } = vault({ alice: ['first', 'second'] });
    const peer = serverWith(guarded.url, settings, { connections });
    const turn = await call(peer, 'echo', { text: 'a' }, as(alice));
    expect(turn.states).toEqual(['TASK_STATE_COMPLETED']);
    expect(refusals).toEqual([['alice', 'files', 'first']]);

    const strict = await wanting([]);
    const broken = vault({ alice: ['first'] });
    const other = serverWith(strict.url, settings, { connections: broken.connections });
    await expect(call(other, 'echo', { text: 'a' }, as(alice))).rejects.toMatchObject({
      code: 'connection-needed',
      facts: { connection: 'files' },
    });
  });

  it.each([
    ['JSONRPC', '1.0'],
    ['HTTP+JSON', '1.0'],
    ['JSONRPC', '0.3'],
  ] as const)(
    'of an agent on %s %s that is refused asks for consent too',
    async (binding, version) => {
      const options = { bearer: 'nobody-has-this', bindings: [binding], versions: [version] };
      const agent = closing(await startA2aAgent(options));
      const { connections } = vault({ alice: ['first'] });
      const peer = agentWith(agent.cardUrl, settings, { connections });
      const message = { messageId: 'm-1', role: 'ROLE_USER' as const, parts: [{ text: 'echo x' }] };
      await expect(new Turn().read(peer.start({ message }, as(alice)))).rejects.toMatchObject({
        code: 'connection-needed',
        facts: { connection: 'files' },
      });
    },
  );
});
