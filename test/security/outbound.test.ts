/** SECURITY "Client role": what a hostile peer or authorization server cannot make of our tokens. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import type { CredentialsSettings } from '../../src/auth/credentials/settings.ts';
import { call, contextOf } from '../support/mcp-peer-driver.ts';
import {
  startGuardedPeer,
  tokenIn,
  type GuardedPeer,
  type Refusal,
} from '../support/guarded-peer.ts';
import { startModernServer } from '../support/modern-server.ts';
import {
  closing,
  credentialsFor,
  partsFor,
  person,
  serverWith,
} from '../support/outbound-world.ts';
import {
  startTokenServer,
  type TokenServer,
  type TokenServerOptions,
} from '../support/token-server.ts';

const alice = contextOf({ principal: person('alice') });
const secret = 'client-secret-canary';

function settingsAt(issuer: string, scopes: readonly string[] = []): CredentialsSettings {
  const client = { issuer, clientId: 'gateway', clientSecret: secret };
  return { type: 'client_credentials', ...client, scopes, dpop: false };
}

async function serverOf(options: TokenServerOptions = {}): Promise<TokenServer> {
  return closing(await startTokenServer({ expiresIn: 600, ...options }));
}

/** A peer that turns requests away as told. */
async function peerThat(
  check: (token: string | undefined) => Refusal | undefined,
  metadata: () => object = () => ({}),
): Promise<GuardedPeer> {
  const target = closing(await startModernServer()).url;
  const options = { target, metadata };
  return closing(await startGuardedPeer({ ...options, check: (req) => check(tokenIn(req)) }));
}

const challenge = (text: string, status = 401): Refusal => ({
  status,
  headers: { 'www-authenticate': text },
});

describe('metadata of an authorization server', () => {
  it.each<[string, (issuer: string) => string]>([
    ['another issuer', () => 'https://evil.example'],
    ['its issuer with a slash', (issuer) => `${issuer}/`],
    ['its issuer in capitals', (issuer) => issuer.toUpperCase()],
  ])('that names %s is refused before anything secret is sent', async (_, named) => {
    const server = await serverOf({ metadata: (issuer) => ({ issuer: named(issuer) }) });
    const credentials = credentialsFor(settingsAt(server.issuer), partsFor('https://x.example'));
    await expect(credentials.headers(alice)).rejects.toMatchObject({
      code: 'peer-refused',
      message: expect.stringContaining('another issuer than the one that is configured') as string,
    });
    expect(server.forms).toEqual([]);
    expect(server.bytes()).not.toContain(secret);
  });

  it.each([
    'javascript:alert(1)//token',
    'data:application/json,{}',
    'file:///etc/passwd',
    'http://as.example/token',
    'http://127.0.0.1.evil.example/token',
    'https://user:pass@as.example/token',
    '/token',
  ])('with the endpoint %s is refused', async (endpoint) => {
    const server = await serverOf({ metadata: () => ({ token_endpoint: endpoint }) });
    const credentials = credentialsFor(settingsAt(server.issuer), partsFor('https://x.example'));
    await expect(credentials.headers(alice)).rejects.toMatchObject({
      code: 'peer-refused',
      message: expect.stringContaining('token endpoint that is no https URL') as string,
    });
  });

  it('is not read over plain http, not even on loopback, where that is not allowed', async () => {
    const server = await serverOf();
    const parts = partsFor('https://x.example', { allowLoopback: false });
    const credentials = credentialsFor(settingsAt(server.issuer), parts);
    await expect(credentials.headers(alice)).rejects.toMatchObject({ code: 'peer-refused' });
    expect(server.looks).toEqual([]);
  });

  it('behind a redirect is not followed', async () => {
    const target = await serverOf();
    const redirecting = createServer((_req, res) => {
      res.writeHead(302, { location: `${target.issuer}/.well-known/oauth-authorization-server` });
      res.end();
    });
    await new Promise<void>((go) => void redirecting.listen(0, '127.0.0.1', go));
    closing({ close: () => new Promise((done) => redirecting.close(() => done())) });
    const issuer = `http://127.0.0.1:${(redirecting.address() as AddressInfo).port}`;
    const credentials = credentialsFor(settingsAt(issuer), partsFor('https://x.example'));
    await expect(credentials.headers(alice)).rejects.toMatchObject({ code: 'egress-refused' });
    redirecting.closeAllConnections();
    expect(target.looks).toEqual([]);
  });
});

describe('metadata of a peer', () => {
  /** A peer that refuses every token and points at its metadata. */
  async function pointing(document: (guarded: GuardedPeer) => object, at?: string) {
    const server = await serverOf();
    const guarded: GuardedPeer = await peerThat(
      () => {
        const url = at ?? `${guarded.origin}/.well-known/oauth-protected-resource/mcp`;
        return challenge(`Bearer error="invalid_token", resource_metadata="${url}"`);
      },
      () => document(guarded),
    );
    return { server, guarded, peer: serverWith(guarded.url, settingsAt(server.issuer)) };
  }

  it('that names another issuer is an error for the operator, and is not followed', async () => {
    const evil = await serverOf();
    const { server, guarded, peer } = await pointing(({ url }) => ({
      resource: url,
      authorization_servers: [evil.issuer],
    }));
    await expect(call(peer, 'echo', { text: 'a' }, alice)).rejects.toMatchObject({
      code: 'peer-refused',
      message: expect.stringContaining('does not name the authorization server') as string,
    });
    expect(evil.looks).toEqual([]);
    expect(evil.bytes()).toBe('');
    expect(server.forms).toHaveLength(1);
    expect(guarded.requests).toHaveLength(1);
  });

  it('that is about another resource is an error for the operator', async () => {
    const { server, peer } = await pointing(() => ({ resource: 'https://other.example/mcp' }));
    await expect(call(peer, 'echo', { text: 'a' }, alice)).rejects.toMatchObject({
      code: 'peer-refused',
      message: expect.stringContaining('set credentials.resource') as string,
    });
    expect(server.forms).toHaveLength(1);
  });

  it('at another origin is not read', async () => {
    const elsewhere = await serverOf();
    const { peer } = await pointing(() => ({}), `${elsewhere.issuer}/metadata`);
    await expect(call(peer, 'echo', { text: 'a' }, alice)).rejects.toMatchObject({
      code: 'peer-refused',
      message: expect.stringContaining('at another origin') as string,
    });
    expect(elsewhere.looks).toEqual([]);
  });

  it('that agrees lets the token be renewed', async () => {
    const server = await serverOf();
    const guarded: GuardedPeer = await peerThat(
      (token) => {
        const url = `${guarded.origin}/.well-known/oauth-protected-resource/mcp`;
        const known = server.tokenOf(token ?? '') !== undefined;
        return known ? undefined : challenge(`Bearer resource_metadata="${url}"`);
      },
      () => ({ resource: guarded.url, authorization_servers: [`${server.issuer}/`] }),
    );
    const peer = serverWith(guarded.url, settingsAt(server.issuer));
    await call(peer, 'echo', { text: 'a' }, alice);
    server.endTokens();
    await call(peer, 'echo', { text: 'b' }, alice);
    expect(server.forms).toHaveLength(2);
  });
});

describe('a peer that refuses every token', () => {
  it('is asked twice, and that is all', async () => {
    const server = await serverOf();
    const guarded = await peerThat(() => challenge('Bearer error="invalid_token"'));
    const peer = serverWith(guarded.url, settingsAt(server.issuer));
    await expect(call(peer, 'echo', { text: 'a' }, alice)).rejects.toMatchObject({
      code: 'peer-refused',
      facts: { status: 401 },
    });
    expect(guarded.requests).toHaveLength(2);
    expect(new Set(guarded.requests.map(({ authorization }) => authorization)).size).toBe(2);
    expect(server.forms).toHaveLength(2);
  });

  it('cannot have the gateway ask for tokens without end', async () => {
    const server = await serverOf();
    const guarded = await peerThat(() => challenge('Bearer'));
    const peer = serverWith(guarded.url, settingsAt(server.issuer));
    for (let n = 0; n < 20; n += 1) {
      await expect(call(peer, 'echo', { text: 'a' }, alice)).rejects.toMatchObject({
        code: 'peer-refused',
      });
    }
    expect(server.forms.length).toBeLessThanOrEqual(2);
  });

  it('and has no use for tokens gets no second request for a bearer token', async () => {
    const guarded = await peerThat(() => challenge('Bearer'));
    const peer = serverWith(guarded.url, { type: 'bearer', token: 'fixed' });
    await expect(call(peer, 'echo', { text: 'a' }, alice)).rejects.toMatchObject({
      code: 'peer-refused',
    });
    expect(guarded.requests).toHaveLength(1);
  });
});

describe('a peer that wants more scopes', () => {
  const all = ['files.read', 'files.write'];

  /** Gives what was granted so far: the first token has one scope, later ones as the test says. */
  async function stepping(wanted: string, later: (asked: readonly string[]) => readonly string[]) {
    let given = 0;
    const grants = (asked: readonly string[]) => (given++ === 0 ? ['files.read'] : later(asked));
    const server = await serverOf({ grants });
    const guarded = await peerThat((token) =>
      server.tokenOf(token ?? '')?.scopes.includes(wanted) === true
        ? undefined
        : challenge(`Bearer error="insufficient_scope", scope="files.read ${wanted}"`, 403),
    );
    return { server, guarded, peer: serverWith(guarded.url, settingsAt(server.issuer, all)) };
  }

  it('gets a token with them, when the operator allows them', async () => {
    const { server, guarded, peer } = await stepping('files.write', (asked) => asked);
    const turn = await call(peer, 'echo', { text: 'a' }, alice);
    expect(turn.states).toEqual(['TASK_STATE_COMPLETED']);
    expect(server.forms.map((form) => form['scope'])).toEqual([
      'files.read files.write',
      'files.read files.write',
    ]);
    expect(guarded.requests.map(({ status }) => status).slice(0, 2)).toEqual([403, 200]);
  });

  it('is told no after one attempt, however often it asks', async () => {
    const { server, guarded, peer } = await stepping('files.write', () => ['files.read']);
    for (let n = 0; n < 5; n += 1) {
      await expect(call(peer, 'echo', { text: 'a' }, alice)).rejects.toMatchObject({
        code: 'peer-refused',
        facts: { status: 403 },
      });
    }
    expect(server.forms).toHaveLength(2);
    // The first call is repeated once, the later ones not at all.
    expect(guarded.requests).toHaveLength(6);
  });

  it('gets none that the operator did not name', async () => {
    const { server, guarded, peer } = await stepping('admin', (asked) => asked);
    await expect(call(peer, 'echo', { text: 'a' }, alice)).rejects.toMatchObject({
      code: 'peer-refused',
      facts: { status: 403 },
    });
    expect(server.forms).toHaveLength(1);
    expect(guarded.requests).toHaveLength(1);
  });
});

describe('tokens', () => {
  it('of one authorization server are never shown under another one', async () => {
    const [first, second] = [await serverOf(), await serverOf()];
    const guarded = await peerThat((token) =>
      (first.tokenOf(token ?? '') ?? second.tokenOf(token ?? '')) ? undefined : { status: 401 },
    );
    const before = serverWith(guarded.url, settingsAt(first.issuer));
    await call(before, 'echo', { text: 'a' }, alice);
    const old = guarded.requests.at(-1)?.authorization;
    const after = serverWith(guarded.url, settingsAt(second.issuer));
    const from = guarded.requests.length;
    await call(after, 'echo', { text: 'a' }, alice);
    expect(guarded.requests.slice(from).map(({ authorization }) => authorization)).not.toContain(
      old,
    );
    expect(second.forms).toHaveLength(1);
  });

  it('that two callers were given alike are renewed for neither', async () => {
    const same = createServer((req, res) => {
      const origin = `http://${req.headers.host}`;
      const metadata = { issuer: origin, token_endpoint: `${origin}/token` };
      const token = {
        access_token: 'the-same-for-all',
        token_type: 'Bearer',
        issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      };
      res.writeHead(200, { 'content-type': 'application/json' });
      res.end(JSON.stringify(req.method === 'POST' ? token : metadata));
    });
    await new Promise<void>((go) => void same.listen(0, '127.0.0.1', go));
    closing({
      close: () =>
        new Promise((done) => {
          same.close(() => done());
          same.closeAllConnections();
        }),
    });
    const issuer = `http://127.0.0.1:${(same.address() as AddressInfo).port}`;
    const credentials = credentialsFor(
      { type: 'token_exchange', issuer, scopes: [], dpop: false },
      partsFor('https://x.example'),
    );
    await credentials.headers(alice);
    const { authorization = '' } = await credentials.headers(
      contextOf({ principal: person('bob') }),
    );
    expect(authorization).toBe('Bearer the-same-for-all');
    await expect(credentials.renew(authorization, { challenges: [] })).resolves.toBeUndefined();
  });

  it('that should be bound to a key and are not, are not used', async () => {
    const server = await serverOf();
    const bound = credentialsFor(
      { ...settingsAt(server.issuer), dpop: true } as CredentialsSettings,
      partsFor('https://x.example', {
        // On the way, somebody takes the proof out of the request.
        fetch: (url, init) => {
          const headers = new Headers(init?.headers);
          headers.delete('dpop');
          return fetch(url, { ...init, headers });
        },
      }),
    );
    await expect(bound.headers(alice)).rejects.toMatchObject({
      code: 'peer-refused',
      message: expect.stringContaining('not bound to a key') as string,
    });
  });
});

describe('an authorization server that fails', () => {
  it('is left in peace for a moment, and then asked again', async () => {
    let now = 1_000_000;
    const server = await serverOf();
    const credentials = credentialsFor(
      settingsAt(server.issuer),
      partsFor('https://x.example', { clock: () => now }),
    );
    server.refuse({ status: 503, error: 'temporarily_unavailable' });
    for (let n = 0; n < 10; n += 1) {
      await expect(credentials.headers(alice)).rejects.toMatchObject({ code: 'peer-unavailable' });
    }
    expect(server.forms).toHaveLength(1);
    server.refuse(undefined);
    now += 1001;
    await expect(credentials.headers(alice)).resolves.toHaveProperty('authorization');
  });

  it('is quoted with its error code alone', async () => {
    const server = await serverOf();
    const credentials = credentialsFor(settingsAt(server.issuer), partsFor('https://x.example'));
    server.refuse({ status: 400, error: '<script>alert(1)</script>' });
    const failed = credentials.headers(alice);
    await expect(failed).rejects.toMatchObject({
      code: 'peer-refused',
      facts: { error: 'unknown' },
    });
    const error: unknown = await failed.catch((thrown: unknown) => thrown);
    const said = inspect(error, { depth: 9 });
    expect(said).not.toContain('script>');
    expect(said).not.toContain(secret);
    expect(said).not.toContain('127.0.0.1');
  });
});
