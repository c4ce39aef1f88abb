import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { BorrowError, openLease, type LeaseOptions } from '../../src/borrower/borrower.ts';
import type { Instead } from '../support/callback-authority.ts';
import type { WireOffer } from '../support/callback-server.ts';
import { failureOf, worldOfTest as start } from './borrower-world.ts';

const code = async (waited: Promise<unknown>): Promise<string> => {
  const failure = await failureOf(waited);
  expect(failure).toBeInstanceOf(BorrowError);
  return (failure as BorrowError).code;
};

describe('an offer', () => {
  const anyone: LeaseOptions['issuers'] = () => true;
  const changed: [string, (offer: WireOffer) => object, string, LeaseOptions['issuers']?][] = [
    ['another issuer', () => ({ iss: 'https://gw.evil.example/sts' }), 'untrusted-issuer'],
    ['an issuer with a slash more', ({ iss }) => ({ iss: `${iss}/` }), 'untrusted-issuer'],
    ['an issuer in other letters', ({ iss }) => ({ iss: iss.toUpperCase() }), 'untrusted-issuer'],
    ['an issuer at another port', () => ({ iss: 'http://127.0.0.1:1/sts' }), 'untrusted-issuer'],
    ['plain http elsewhere', () => ({ iss: 'http://gw.example/sts' }), 'invalid-offer', anyone],
    ['a host like loopback', () => ({ iss: 'http://127.0.0.1.example/' }), 'invalid-offer', anyone],
    ['a metadata address', () => ({ iss: 'http://169.254.169.254/' }), 'invalid-offer', anyone],
    ['another scheme', () => ({ iss: 'file:///etc/passwd' }), 'invalid-offer', anyone],
    ['a user name', () => ({ iss: 'https://a@gw.example/' }), 'invalid-offer', anyone],
    ['an issuer with a query', ({ iss }) => ({ iss: `${iss}?a` }), 'invalid-offer', anyone],
    ['a plain resource', () => ({ resource: 'http://gw.example/mcp' }), 'invalid-offer'],
    ['a resource with a fragment', () => ({ resource: 'https://gw.example/#a' }), 'invalid-offer'],
    ['a resource that is none', () => ({ resource: 'mcp' }), 'invalid-offer'],
    ['no reference', () => ({ lease_ref: undefined }), 'invalid-offer'],
    ['a reference with a line end', () => ({ lease_ref: `${'a'.repeat(20)}\n` }), 'invalid-offer'],
    ['an end in words', () => ({ exp: '2026-01-01' }), 'invalid-offer'],
    ['an end that no date has', () => ({ exp: 1e15 }), 'invalid-offer'],
    ['an end that is no number', () => ({ exp: Number.NaN }), 'invalid-offer'],
    ['no tools', () => ({ tools: [] }), 'invalid-offer'],
    ['tools that are no names', () => ({ tools: [{}] }), 'invalid-offer'],
    ['a negative bound', () => ({ max_calls: -1 }), 'invalid-offer'],
  ];

  it.each(changed)(
    'with %s is refused, and nothing is sent',
    async (_name, change, why, issuers) => {
      const world = await start();
      const offer = world.lend();
      let sent = 0;
      const counting: typeof fetch = (input, init) => {
        sent += 1;
        return fetch(input, init);
      };
      const options = world.options({ fetch: counting, ...(issuers && { issuers }) });
      expect(await code(openLease({ ...offer, ...change(offer) }, options))).toBe(why);
      expect([sent, world.requestCount()]).toEqual([0, 0]);
    },
  );

  it('over plain http on loopback is refused where that is not allowed', async () => {
    const world = await start();
    expect(await code(world.open(world.lend(), { allowLoopbackHttp: false }))).toBe(
      'invalid-offer',
    );
    expect(world.requestCount()).toBe(0);
  });

  it('is accepted by a function that knows its issuer', async () => {
    const world = await start();
    const asked: string[] = [];
    const issuers = (iss: string): boolean => asked.push(iss) > 0;
    const lease = await world.open(world.lend(), { issuers });
    expect(lease.ended.aborted).toBe(false);
    expect(asked).toEqual([world.authority.issuer]);
  });

  it('is refused by a function that answers with anything but true', async () => {
    const world = await start();
    const issuers = (() => Promise.resolve(false)) as unknown as (iss: string) => boolean;
    expect(await code(world.open(world.lend(), { issuers }))).toBe('untrusted-issuer');
    expect(world.requestCount()).toBe(0);
  });

  it('of another place at a trusted issuer reaches the issuer, and never that place', async () => {
    const world = await start();
    const other = await start();
    const offer = world.lend();
    const { resource } = other.lend();
    expect(await code(world.open({ ...offer, resource }))).toBe('lease-over');
    expect(other.requestCount()).toBe(0);
  });
});

describe('metadata', () => {
  const bad: [string, (issuer: string) => Record<string, unknown>][] = [
    ['of another issuer', () => ({ issuer: 'https://gw.example.org/sts' })],
    ['of the issuer with a slash', (issuer) => ({ issuer: `${issuer}/` })],
    ['of no issuer', () => ({ issuer: undefined })],
    ['without a token endpoint', () => ({ token_endpoint: undefined })],
    ['with an endpoint at a relative place', () => ({ token_endpoint: '/sts/token' })],
    ['with an endpoint of plain http', () => ({ token_endpoint: 'http://gw.example/token' })],
    ['with an endpoint that is script', () => ({ token_endpoint: 'javascript:alert(1)' })],
  ];

  it.each(bad)('%s is not used, and the client proves nothing to anybody', async (_n, metadata) => {
    const world = await start({ metadata });
    expect(await code(world.open(world.lend()))).toBe('protocol');
    expect(world.authority.forms).toEqual([]);
    expect(world.callback.requests).toEqual([]);
  });

  it('with an endpoint at another origin is not used, however good that one is', async () => {
    const other = await start();
    const world = await start({
      metadata: () => ({ token_endpoint: `${other.authority.issuer}/token` }),
    });
    expect(await code(world.open(world.lend()))).toBe('protocol');
    expect([world.authority.forms, other.requestCount()]).toEqual([[], 0]);
  });
});

describe('the answer of the token endpoint', () => {
  const bad: [string, Record<string, unknown>][] = [
    ['a bearer token', { token_type: 'Bearer' }],
    ['no type', { token_type: undefined }],
    ['an ID token', { issued_token_type: 'urn:ietf:params:oauth:token-type:id_token' }],
    ['no issued type', { issued_token_type: undefined }],
    ['no life', { expires_in: undefined }],
    ['a life of nothing', { expires_in: 0 }],
    ['more beside it than any answer has', { padding: 'x'.repeat(300_000) }],
    ['a token that is no word', { access_token: 'two words' }],
    ['a token that ends a header', { access_token: 'a\r\nx-evil: 1' }],
  ];

  it.each(bad)('with %s is not used', async (_name, members) => {
    const world = await start({ answer: () => members });
    expect(await code(world.open(world.lend()))).toBe('protocol');
    expect(world.callback.requests).toEqual([]);
  });

  const others: [string, Instead, string][] = [
    ['a redirect', { status: 307, headers: { location: '/elsewhere' } }, 'protocol'],
    ['a good status and no JSON', { status: 200, body: '<html>' }, 'protocol'],
    ['a member twice', { status: 200, body: '{"token_type":"DPoP","token_type":"x"}' }, 'protocol'],
    ['more than any token is', { status: 200, body: 'x'.repeat(300_000) }, 'protocol'],
    ['a failure of its own', { status: 500 }, 'unavailable'],
    ['too many requests', { status: 429 }, 'unavailable'],
    ['an unknown code', { status: 400, body: { error: 'no_luck' } }, 'refused'],
    ['no code', { status: 403 }, 'refused'],
    ['a challenge without a nonce', { status: 400, body: { error: 'use_dpop_nonce' } }, 'refused'],
    ['an end', { status: 400, body: { error: 'invalid_grant' } }, 'lease-over'],
  ];

  it.each(others)('that is %s is told apart', async (_name, answer, why) => {
    const world = await start();
    world.authority.insteadOf(answer);
    expect(await code(world.open(world.lend()))).toBe(why);
    expect(world.authority.forms).toHaveLength(1);
    expect(world.callback.requests).toEqual([]);
  });

  it('that does not come at all is an issuer that is unavailable', async () => {
    const world = await start();
    const offer = world.lend();
    await world.authority.close();
    expect(await code(world.open(offer))).toBe('unavailable');
  });
});

describe('errors', () => {
  it('hold no reference, token, proof or key, whatever goes wrong', async () => {
    const canary = 'canary-of-the-server';
    const errors: unknown[] = [];
    const secrets: string[] = [canary];
    let broken = false;
    // A way out that puts into its errors all that it was asked to send.
    const chatty: typeof fetch = (input, init) => {
      const headers = Object.fromEntries(new Headers(init?.headers));
      secrets.push(...Object.values(headers).filter((value) => value.length > 60));
      const error = new Error(`${JSON.stringify([input, headers, init?.body])}`);
      return broken ? Promise.reject(error) : fetch(input, init);
    };
    const answers: (Instead | undefined)[] = [
      { status: 400, body: { error: canary, error_description: canary } },
      { status: 400, body: { error: 'invalid_grant', error_description: canary } },
      { status: 200, body: { access_token: canary, token_type: canary } },
      { status: 302, headers: { location: `/${canary}` } },
      { status: 500, body: canary },
      undefined,
    ];
    const world = await start();
    for (const answer of answers) {
      const offer = world.lend();
      secrets.push(offer.lease_ref);
      world.authority.insteadOf(answer);
      const options = { fetch: chatty };
      if (answer !== undefined) {
        errors.push(await failureOf(world.open(offer, options)));
        continue;
      }
      const lease = await world.open(offer, options);
      for (const status of [401, 307]) {
        const instead = { status, headers: { location: `/${canary}` }, body: canary };
        world.callback.insteadOf(...(status === 401 ? [instead, instead] : [instead]));
        errors.push(await failureOf(lease.client.callTool({ name: 'files__read_file' })));
      }
      broken = true;
      errors.push(await failureOf(lease.client.callTool({ name: 'files__read_file' })));
      world.callback.forgetTokens();
      errors.push(await failureOf(world.open(offer, options)));
      broken = false;
      world.callback.end(offer);
      errors.push(await failureOf(lease.client.callTool({ name: 'files__read_file' })));
      errors.push(lease.ended.reason);
    }
    errors.push(await failureOf(world.open({ ...world.lend(), lease_ref: `${canary} a b` })));
    errors.push(await failureOf(world.open({ ...world.lend(), iss: `https://${canary}` })));
    errors.push(await failureOf(world.open({ ...world.lend(), tools: [canary, ''] })));
    errors.push(await failureOf(world.open(world.lend(), { key: { ...world.key, d: canary } })));
    secrets.push(world.key.d ?? '', ...world.authority.tokens);

    expect(errors.map((error) => (error as BorrowError).code)).toEqual([
      'refused',
      'lease-over',
      'protocol',
      'protocol',
      'unavailable',
      'refused',
      'protocol',
      'unavailable',
      'unavailable',
      'lease-over',
      'lease-over',
      'invalid-offer',
      'untrusted-issuer',
      'invalid-offer',
      'invalid-options',
    ]);
    const shown = errors.map((error) => inspect(error, { depth: 10, showHidden: true })).join('\n');
    expect(secrets.length).toBeGreaterThan(20);
    expect(secrets.filter((secret) => secret === '' || shown.includes(secret))).toEqual([]);
  });
});
