import { describe, expect, it } from 'vitest';
import { leaseFetch, type BorrowError } from '../../src/borrower/borrower.ts';
import { failureOf, worldOfTest as start } from './borrower-world.ts';

const message = JSON.stringify({
  jsonrpc: '2.0',
  id: 1,
  method: 'tools/call',
  params: {
    name: 'files__read_file',
    arguments: { path: '/a' },
    _meta: {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientInfo': { name: 'raw', version: '1' },
      'io.modelcontextprotocol/clientCapabilities': {},
    },
  },
});
const post = (body: RequestInit['body'] = message): RequestInit => ({
  method: 'POST',
  body,
  headers: {
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
    'mcp-protocol-version': '2026-07-28',
    'mcp-method': 'tools/call',
    'mcp-name': 'files__read_file',
  },
});
const streamOf = (body: string): ReadableStream<Uint8Array> =>
  new Blob([body]).stream() as ReadableStream<Uint8Array>;

describe('the fetch of a lease', () => {
  it('asks for nothing before its first request', async () => {
    const world = await start();
    const offer = world.lend();
    const send = leaseFetch(offer, world.options());
    expect(world.requestCount()).toBe(0);
    const response = await send(offer.resource, post());
    expect(response.status).toBe(200);
    expect(world.authority.requests).toEqual([
      'GET /.well-known/oauth-authorization-server/sts',
      'POST /sts/token',
    ]);
    expect(world.callback.calls).toEqual([{ name: 'files__read_file', arguments: { path: '/a' } }]);
  });

  it('exchanges once for many requests at the same time', async () => {
    const world = await start();
    const offer = world.lend();
    const send = leaseFetch(offer, world.options());
    const all = await Promise.all(Array.from({ length: 50 }, () => send(offer.resource, post())));
    expect(all.map(({ status }) => status)).toEqual(Array<number>(50).fill(200));
    expect(world.authority.forms).toHaveLength(1);
    expect(world.callback.proofs.seen).toHaveLength(50);
  });

  it('sends the parameters of the exchange and nothing else', async () => {
    const world = await start();
    const offer = world.lend();
    await leaseFetch(offer, world.options())(offer.resource, post());
    const { client_assertion: assertion, ...form } = world.authority.forms[0] ?? {};
    expect(assertion).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+$/);
    expect(form).toEqual({
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token: offer.lease_ref,
      subject_token_type: 'urn:isthmus:params:oauth:token-type:lease-ref',
      resource: offer.resource,
      requested_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    });
  });

  it('takes strings, URLs and requests, and proves the URL without its query', async () => {
    const world = await start();
    const offer = world.lend();
    const send = leaseFetch(offer, world.options());
    expect((await send(new URL(offer.resource), post())).status).toBe(200);
    expect((await send(new Request(offer.resource, post()))).status).toBe(200);
    expect((await send(`${offer.resource}?page=2#here`, post())).status).toBe(200);
    expect(world.callback.requests.at(-1)).toMatch(/\/mcp\?page=2$/);
  });

  it('sends its token to the callback endpoint alone', async () => {
    const world = await start();
    const offer = world.lend();
    const send = leaseFetch(offer, world.options());
    const { origin, host } = new URL(offer.resource);
    const elsewhere = [
      origin,
      `${offer.resource}/`,
      `${offer.resource}/../mcp2`,
      offer.resource.replace('/mcp', '/%6dcp'),
      offer.resource.replace('127.0.0.1', 'localhost'),
      offer.resource.replace('http:', 'https:'),
      offer.resource.replace(host, `user:word@${host}`),
      offer.resource.replace(host, `${host}.example`),
      'http://127.0.0.1:1/',
      'not a url',
    ];
    for (const url of elsewhere) {
      const failure = await failureOf(send(url, post()));
      expect([url, (failure as BorrowError).code]).toEqual([url, 'wrong-url']);
    }
    expect(world.requestCount()).toBe(0);
  });

  it('does not follow redirects, not even to the same place', async () => {
    const world = await start();
    const offer = world.lend();
    const send = leaseFetch(offer, world.options());
    for (const status of [301, 302, 303, 307, 308]) {
      for (const location of [offer.resource, `${world.authority.issuer}/token`]) {
        world.callback.insteadOf({ status, headers: { location } });
        const failure = await failureOf(send(offer.resource, post()));
        expect((failure as BorrowError).code).toBe('protocol');
      }
    }
    expect(world.callback.requests).toHaveLength(10);
    expect(world.authority.forms).toHaveLength(1);
    expect(world.callback.calls).toEqual([]);
  });

  it('says so when a way out follows redirects by itself', async () => {
    const world = await start();
    const offer = world.lend();
    const follows: typeof fetch = (input, init) => fetch(input, { ...init, redirect: 'follow' });
    const send = leaseFetch(offer, world.options({ fetch: follows }));
    world.callback.insteadOf({ status: 307, headers: { location: offer.resource } });
    const failure = await failureOf(send(offer.resource, post()));
    expect((failure as BorrowError).code).toBe('protocol');
  });

  it.each([
    ['text', () => message],
    ['bytes', () => new TextEncoder().encode(message)],
    ['a blob', () => new Blob([message])],
  ])('sends %s again after a 401', async (_name, body) => {
    const world = await start();
    const offer = world.lend();
    const send = leaseFetch(offer, world.options());
    await (await send(offer.resource, post())).text();
    world.callback.forgetTokens();
    expect((await send(offer.resource, post(body()))).status).toBe(200);
    expect(world.callback.calls).toHaveLength(2);
  });

  it('does not send a stream again, and has a fresh token for the next request', async () => {
    const world = await start();
    const offer = world.lend();
    const send = leaseFetch(offer, world.options());
    await (await send(offer.resource, post(streamOf(message)))).text();
    world.callback.forgetTokens();
    const refused = await send(offer.resource, post(streamOf(message)));
    expect(refused.status).toBe(401);
    expect(world.callback.calls).toHaveLength(1);
    expect((await send(offer.resource, post(streamOf(message)))).status).toBe(200);
    expect(world.authority.tokens).toHaveLength(2);
  });

  it('gives up when a fresh token is refused as well', async () => {
    const world = await start();
    const offer = world.lend();
    const send = leaseFetch(offer, world.options());
    const headers = { 'www-authenticate': 'DPoP error="invalid_token"' };
    world.callback.insteadOf({ status: 401, headers }, { status: 401, headers });
    const failure = await failureOf(send(offer.resource, post()));
    expect((failure as BorrowError).code).toBe('refused');
    expect(world.callback.requests).toHaveLength(2);
    expect(world.authority.tokens).toHaveLength(2);
    expect(world.callback.calls).toEqual([]);
  });

  it('answers a challenge for a nonce before and after a fresh token, and then gives up', async () => {
    const world = await start();
    const offer = world.lend();
    const send = leaseFetch(offer, world.options());
    const challenge = (nonce: string) => ({
      status: 401,
      headers: { 'www-authenticate': 'DPoP error="use_dpop_nonce"', 'dpop-nonce': nonce },
    });
    world.callback.insteadOf(...['one', 'two', 'three', 'four', 'five'].map(challenge));
    const failure = await failureOf(send(offer.resource, post()));
    expect((failure as BorrowError).code).toBe('refused');
    expect(world.callback.requests).toHaveLength(4);
  });

  it('stops waiting when its caller does, and the exchange goes on for others', async () => {
    const world = await start();
    const offer = world.lend();
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    const slow: typeof fetch = async (input, init) => {
      await held;
      return fetch(input, init);
    };
    const send = leaseFetch(offer, world.options({ fetch: slow }));
    const caller = new AbortController();
    const impatient = failureOf(send(offer.resource, { ...post(), signal: caller.signal }));
    const patient = send(offer.resource, post());
    caller.abort(new Error('no time'));
    expect((await impatient) as Error).toHaveProperty('message', 'no time');
    release();
    expect((await patient).status).toBe(200);
    expect(world.callback.calls).toHaveLength(1);
  });

  it('goes on with a token that is still good while its issuer is down', async () => {
    const world = await start();
    const offer = world.lend();
    let now = Date.now();
    const send = leaseFetch(offer, world.options({ clock: () => now }));
    await (await send(offer.resource, post())).text();
    world.authority.insteadOf({ status: 503 });
    now += 100_000;
    // The proof is of a time that has not come yet: it is refused, but it was sent.
    const before = world.callback.requests.length;
    await failureOf(send(offer.resource, post()));
    expect(world.callback.requests.length).toBe(before + 1);
    expect(world.authority.forms.length).toBeGreaterThanOrEqual(2);
  });

  it('does not ask an issuer before the time that it said', async () => {
    const world = await start();
    const offer = world.lend();
    let now = Date.now();
    const send = leaseFetch(offer, world.options({ clock: () => now }));
    world.authority.insteadOf({ status: 429, headers: { 'retry-after': '3' } });
    const failure = (await failureOf(send(offer.resource, post()))) as BorrowError;
    expect([failure.code, failure.retryAfterMs]).toEqual(['unavailable', 3000]);
    world.authority.insteadOf(undefined);
    now += 2900;
    const again = (await failureOf(send(offer.resource, post()))) as BorrowError;
    expect(again.code).toBe('unavailable');
    expect(world.authority.forms).toHaveLength(1);
    now += 200;
    expect((await send(offer.resource, post())).status).toBe(200);
  });

  it('tells a broken connection from a refusal', async () => {
    const world = await start();
    const offer = world.lend();
    const send = leaseFetch(offer, world.options());
    await (await send(offer.resource, post())).text();
    await world.callback.close();
    const failure = (await failureOf(send(offer.resource, post()))) as BorrowError;
    expect(failure.code).toBe('unavailable');
    expect(failure.message).toBe(
      'The connection to the callback endpoint failed. Whether a call was made is not known: look before you repeat it.',
    );
  });
});
