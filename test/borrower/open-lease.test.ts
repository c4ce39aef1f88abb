import { generateKeyPairSync } from 'node:crypto';
import { exportJWK, exportPKCS8, generateKeyPair } from 'jose';
import { describe, expect, it } from 'vitest';
import { BorrowError, type LeaseOptions } from '../../src/borrower/borrower.ts';
import { failureOf, worldOfTest as start } from './borrower-world.ts';

describe.each([
  ['2026-07-28', 'modern'],
  ['2025-11-25', 'legacy'],
] as const)('a lease of an endpoint that speaks %s', (revision, era) => {
  it('is a connected client of the tools that were lent', async () => {
    const world = await start({ era });
    const tools = [{ name: 'files__read_file' }, { name: 'calendar__list_events' }];
    const offer = world.lend({ tools });
    const lease = await world.open(offer);

    expect(lease.client.getNegotiatedProtocolVersion()).toBe(revision);
    expect(lease.tools).toEqual(['files__read_file', 'calendar__list_events']);
    expect(lease.expiresAt.getTime()).toBe(offer.exp * 1000);
    const listed = await lease.client.listTools();
    expect(listed.tools.map(({ name }) => name)).toEqual([
      'files__read_file',
      'calendar__list_events',
    ]);
    const result = await lease.client.callTool({
      name: 'files__read_file',
      arguments: { path: '/public/a.txt' },
    });
    expect(result.content).toEqual([
      { type: 'text', text: 'files__read_file {"path":"/public/a.txt"}' },
    ]);
    expect(world.callback.calls).toEqual([
      { name: 'files__read_file', arguments: { path: '/public/a.txt' } },
    ]);
    expect(world.authority.forms).toHaveLength(1);
    expect(world.authority.refusals).toEqual([]);
  });

  it('is closed by being disposed of, with its session', async () => {
    const world = await start({ era });
    const lease = await world.open(world.lend());
    const { ended } = lease;
    expect(world.callback.sessionCount()).toBe(era === 'legacy' ? 1 : 0);
    expect(ended.aborted).toBe(false);
    await lease[Symbol.asyncDispose]();
    expect(world.callback.sessionCount()).toBe(0);
    expect((ended.reason as BorrowError).code).toBe('closed');
  });

  it('renews its token under load, one exchange at a time, and no call fails', async () => {
    const world = await start({ era, tokenSeconds: 2 });
    const lease = await world.open(world.lend());
    const until = Date.now() + 5000;
    let calls = 0;
    const work = async (): Promise<void> => {
      while (Date.now() < until) {
        await lease.client.callTool({ name: 'files__read_file', arguments: { ms: 20 } });
        calls += 1;
      }
    };
    await Promise.all(Array.from({ length: 20 }, work));

    expect(calls).toBeGreaterThan(100);
    expect(world.callback.calls).toHaveLength(calls);
    // Tokens of two seconds are used for 1.6: three or four of them in five seconds.
    expect(world.authority.forms.length).toBeGreaterThanOrEqual(3);
    expect(world.authority.forms.length).toBeLessThanOrEqual(4);
    expect(world.callback.proofs.replays + world.authority.proofs.replays).toBe(0);
    expect(world.callback.refusals.filter((why) => why.startsWith('401'))).toEqual([]);
  }, 15_000);

  it('answers the nonce challenges of both servers', async () => {
    const world = await start({ era, nonces: true, callbackNonces: true });
    const lease = await world.open(world.lend());
    await lease.client.callTool({ name: 'files__read_file' });

    expect(world.authority.refusals).toEqual(['use_dpop_nonce: use_dpop_nonce']);
    expect(world.callback.refusals).toContain('401 use_dpop_nonce: use_dpop_nonce');
    expect(world.callback.calls).toHaveLength(1);
    expect(world.authority.tokens).toHaveLength(1);
    expect(world.callback.proofs.replays + world.authority.proofs.replays).toBe(0);
  });

  it('sends a request again with a fresh token after a 401, once', async () => {
    const world = await start({ era });
    const lease = await world.open(world.lend());
    world.callback.forgetTokens();
    await lease.client.callTool({ name: 'files__read_file' });

    expect(world.callback.calls).toHaveLength(1);
    expect(world.authority.tokens).toHaveLength(2);
    expect(world.callback.refusals).toContain('401 invalid_token: over');
  });

  it('is over for its agent as soon as it is over for its lender', async () => {
    const world = await start({ era });
    const offer = world.lend();
    const reasons: string[] = [];
    const lease = await world.open(offer, { onEnd: ({ code }) => reasons.push(code) });
    await lease.client.callTool({ name: 'files__read_file' });
    world.callback.end(offer);

    const failure = await failureOf(lease.client.callTool({ name: 'files__read_file' }));
    expect(failure).toBeInstanceOf(BorrowError);
    expect((failure as BorrowError).code).toBe('lease-over');
    expect((failure as BorrowError).message).toBe(
      'The lease of these tools is over. Go on without them; another call of the agent may lend them again.',
    );
    expect((lease.ended.reason as BorrowError).code).toBe('lease-over');
    expect(reasons).toEqual(['lease-over']);

    const before = world.requestCount();
    const next = await failureOf(lease.client.callTool({ name: 'files__read_file' }));
    expect((next as BorrowError).code).toBe('lease-over');
    expect(world.requestCount()).toBe(before);
    expect(world.callback.calls).toHaveLength(1);
  });
});

describe('a lease', () => {
  it('ends by its time, without a request', async () => {
    const world = await start();
    const lease = await world.open(world.lend({ seconds: 2 }));
    await lease.client.callTool({ name: 'files__read_file' });
    const over = new Promise((resolve) => lease.ended.addEventListener('abort', resolve));
    await over;

    expect(Date.now()).toBeGreaterThanOrEqual(lease.expiresAt.getTime());
    expect((lease.ended.reason as BorrowError).code).toBe('lease-over');
    const before = world.requestCount();
    const failure = await failureOf(lease.client.callTool({ name: 'files__read_file' }));
    expect((failure as BorrowError).code).toBe('lease-over');
    expect(world.requestCount()).toBe(before);
  });

  it('is over by the clock that was passed in, before any timer', async () => {
    const world = await start();
    const offer = world.lend();
    let now = Date.now();
    const lease = await world.open(offer, { clock: () => now });
    now = offer.exp * 1000;
    const before = world.requestCount();
    const failure = await failureOf(lease.client.callTool({ name: 'files__read_file' }));
    expect((failure as BorrowError).code).toBe('lease-over');
    expect(lease.ended.aborted).toBe(true);
    expect(world.requestCount()).toBe(before);
  });

  it('that has ended already is not opened, and nobody is asked', async () => {
    const world = await start();
    const failure = await failureOf(world.open(world.lend({ seconds: -1 })));
    expect((failure as BorrowError).code).toBe('lease-over');
    expect(world.requestCount()).toBe(0);
  });

  it('is not opened by the client of somebody else, and its endpoint hears nothing', async () => {
    const world = await start();
    const offer = world.lend({ client: 'https://other.example/agent.json' });
    const failure = await failureOf(world.open(offer));
    expect((failure as BorrowError).code).toBe('lease-over');
    expect(world.callback.requests).toEqual([]);
  });

  it('is pinned to the key that opened it first', async () => {
    const world = await start();
    const offer = world.lend();
    const first = await generateKeyPair('ES256');
    const second = await generateKeyPair('EdDSA');
    await (await world.open(offer, { dpopKey: first })).close();
    await (await world.open(offer, { dpopKey: first })).close();
    const failure = await failureOf(world.open(offer, { dpopKey: second }));

    expect((failure as BorrowError).code).toBe('lease-over');
    expect(world.authority.refusals).toEqual(['invalid_grant: another key']);
  });

  it('keeps one key for all its tokens', async () => {
    const world = await start();
    const lease = await world.open(world.lend());
    world.callback.forgetTokens();
    await lease.client.callTool({ name: 'files__read_file' });
    world.callback.forgetTokens();
    await lease.client.callTool({ name: 'files__read_file' });
    expect(world.authority.tokens).toHaveLength(3);
    expect(world.authority.refusals).toEqual([]);
  });

  it('is narrowed by what is asked for', async () => {
    const world = await start();
    const tools = [{ name: 'files__read_file' }, { name: 'calendar__list_events' }];
    const lease = await world.open(world.lend({ tools }), {
      authorizationDetails: {
        type: 'urn:isthmus:ext:tool-lease:v1',
        tools: [{ name: 'calendar__list_events', max_calls: 2 }],
      },
    });
    const listed = await lease.client.listTools();
    expect(listed.tools.map(({ name }) => name)).toEqual(['calendar__list_events']);
    expect(world.authority.forms[0]?.['authorization_details']).toBe(
      '[{"type":"urn:isthmus:ext:tool-lease:v1","tools":[{"name":"calendar__list_events","max_calls":2}]}]',
    );
  });

  it('is refused when more is asked for than was lent', async () => {
    const world = await start();
    const failure = await failureOf(
      world.open(world.lend(), {
        authorizationDetails: {
          type: 'urn:isthmus:ext:tool-lease:v1',
          tools: [{ name: 'mail__send' }],
        },
      }),
    );
    expect((failure as BorrowError).code).toBe('refused');
    expect((failure as BorrowError).message).toBe(
      'The issuer of the lease gave no token (invalid_authorization_details). Ask for no more than what was lent.',
    );
  });

  it('does not let a tool be called that was not lent', async () => {
    const world = await start();
    const lease = await world.open(world.lend());
    const failure = await failureOf(lease.client.callTool({ name: 'mail__send' }));
    expect(failure).toMatchObject({ data: { status: 403 } });
    expect(world.callback.calls).toEqual([]);
    expect(lease.ended.aborted).toBe(false);
  });

  it('is closed by the signal of its task, with what is under way', async () => {
    const world = await start();
    const task = new AbortController();
    const lease = await world.open(world.lend(), { signal: task.signal });
    const call = failureOf(
      lease.client.callTool({ name: 'files__read_file', arguments: { ms: 10_000 } }),
    );
    await expect.poll(() => world.callback.calls.length).toBe(1);
    task.abort();
    expect(await call).toBeInstanceOf(Error);
    expect((lease.ended.reason as BorrowError).code).toBe('closed');
    const later = await failureOf(lease.fetch(world.callback.origin));
    expect((later as BorrowError).code).toBe('wrong-url');
  });

  it('can be closed twice', async () => {
    const world = await start({ era: 'legacy' });
    const lease = await world.open(world.lend());
    await Promise.all([lease.close(), lease.close()]);
    await lease.close();
    expect(world.callback.requests.filter((one) => one.startsWith('DELETE'))).toHaveLength(1);
  });
});

describe('the key of the client', () => {
  const es256 = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const ed25519 = generateKeyPairSync('ed25519');
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const pem = { type: 'pkcs8', format: 'pem' } as const;
  const keys: [string, () => LeaseOptions['key'], object][] = [
    ['ES256 as PEM', () => es256.privateKey.export(pem) as string, es256.publicKey],
    ['Ed25519 as PEM', () => ed25519.privateKey.export(pem) as string, ed25519.publicKey],
    ['RSA as PEM', () => rsa.privateKey.export(pem) as string, rsa.publicKey],
    ['Ed25519 as a JWK', () => ed25519.privateKey.export({ format: 'jwk' }), ed25519.publicKey],
    ['RSA for PS256 as a JWK', () => ({ ...jwkOf(rsa.privateKey), alg: 'PS256' }), rsa.publicKey],
    [
      'a CryptoKey',
      () => es256.privateKey.toCryptoKey({ name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign']),
      es256.publicKey,
    ],
  ];

  it.each(keys)('may be %s', async (_name, key, publicKey) => {
    const jwk = { ...jwkOf(publicKey as typeof rsa.publicKey), kid: 'one' };
    const world = await start({ publicKeys: { keys: [jwk] } });
    const lease = await world.open(world.lend(), { key: key(), keyId: 'one' });
    expect(lease.ended.aborted).toBe(false);
    expect(world.authority.refusals).toEqual([]);
    expect(world.authority.tokens).toHaveLength(1);
  });

  it('has to be private and able to sign', async () => {
    const world = await start();
    const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true });
    const secret = { kty: 'oct', k: 'c2VjcmV0LWNhbmFyeS1zZWNyZXQtY2FuYXJ5LXNlY3JldA' };
    const publicJwk = await exportJWK(publicKey);
    const broken = (await exportPKCS8(privateKey)).slice(0, 90);
    for (const key of [publicKey, publicJwk, secret, broken, 'no key at all']) {
      const failure = await failureOf(world.open(world.lend(), { key }));
      expect((failure as BorrowError).code).toBe('invalid-options');
      expect((failure as BorrowError).message).toBe(
        'The key of the client cannot sign. Pass a private key for ES256, EdDSA, RS256 or PS256: a JWK, a CryptoKey or PKCS#8 PEM.',
      );
    }
    expect(world.authority.forms).toEqual([]);
  });

  it('has to be the one that the client published', async () => {
    const world = await start();
    const { privateKey } = await generateKeyPair('ES256');
    const failure = await failureOf(world.open(world.lend(), { key: privateKey }));
    expect((failure as BorrowError).code).toBe('refused');
    expect((failure as BorrowError).message).toBe(
      'The issuer of the lease gave no token (invalid_client). Check the client id, that its metadata names the public half of this key, and the clock.',
    );
  });
});

function jwkOf(key: ReturnType<typeof generateKeyPairSync>['publicKey']) {
  return key.export({ format: 'jwk' });
}
