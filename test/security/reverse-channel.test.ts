/** `/lend`: who may open a channel, and what a lender can do to the gateway once it has one. */
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { boundTo, dpopProof, startIssuer, testKey, type TestIssuer } from '../support/issuer.ts';
import {
  answerAsLegacy,
  askUpgrade,
  lendServer,
  modernLent,
  openRaw,
  sendRaw,
  waitUntil,
  type RawChannel,
} from '../support/lender.ts';
import { connectModernClient } from '../support/mcp-clients.ts';

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startGateway({ peers: [], limits: { peerReply: '64KiB', peerConnect: '1s' } });
});
afterAll(() => gateway.close());

const faults = (): unknown[] => gateway.log.filter((line) => line['event'] === 'internal.error');

async function opened(name: string): Promise<RawChannel> {
  const raw = await openRaw(gateway.url, { name });
  onTestFinished(() => raw.socket.terminate());
  return raw;
}

/** A raw channel with a call of its tool `echo` on its way. */
async function called(
  name: string,
): Promise<{ raw: RawChannel; id: string; answer: Promise<string> }> {
  const raw = await opened(name);
  let id = '';
  answerAsLegacy(raw, (asked) => {
    id = asked;
  });
  const client = await connectModernClient(gateway.mcp(raw.peer));
  onTestFinished(() => client.close());
  const answer = client
    .callTool({ name: 'echo' })
    .then(JSON.stringify, (error: Error) => error.message);
  await waitUntil(() => id !== '');
  return { raw, id, answer };
}

const content = (text: string): object => ({ content: [{ type: 'text', text }] });

/** The channel lives, and so does the gateway. */
async function serves({ raw, id, answer }: Awaited<ReturnType<typeof called>>): Promise<void> {
  sendRaw(raw, { id, result: content('still here') });
  expect(await answer).toContain('still here');
  expect(faults()).toEqual([]);
}

describe('a request for /lend', () => {
  const lend = (): string => `${gateway.url}/lend`;

  it('that wants no WebSocket hears of one', async () => {
    const answer = await fetch(lend());
    expect([answer.status, answer.headers.get('upgrade')]).toEqual([426, 'websocket']);
    const posted = await fetch(lend(), { method: 'POST', body: '{}' });
    expect(posted.status).toBe(426);
  });

  it('for another protocol or subprotocol is refused', async () => {
    expect((await askUpgrade(lend(), { upgrade: 'h2c' })).status).toBe(426);
    expect((await askUpgrade(lend(), { 'sec-websocket-protocol': 'mcp' })).status).toBe(426);
    expect((await askUpgrade(lend(), { 'sec-websocket-version': '7' })).status).toBe(400);
    expect((await askUpgrade(lend(), { 'sec-websocket-key': 'short' })).status).toBe(400);
  });

  it('of a page of another site is refused', async () => {
    const foreign = await askUpgrade(lend(), { origin: 'https://evil.example' });
    expect([foreign.status, foreign.body]).toEqual([
      403,
      '{"error":"The Origin header names another site"}',
    ]);
    expect((await askUpgrade(lend(), { host: 'evil.example' })).status).toBe(403);
    expect((await askUpgrade(lend(), { origin: gateway.url })).status).toBe(101);
  });

  it.each(['A', 'a/b', '', 'a'.repeat(41), 'x&name=y'])(
    'under the name "%s" is refused',
    async (name) => {
      expect((await askUpgrade(`${lend()}?name=${name}`)).status).toBe(400);
    },
  );

  it('agrees on the subprotocol, compresses nothing and names the peer', async () => {
    const extensions = { 'sec-websocket-extensions': 'permessage-deflate; client_max_window_bits' };
    const { status, headers } = await askUpgrade(`${lend()}?name=named`, extensions);
    expect(status).toBe(101);
    expect(headers['sec-websocket-protocol']).toBe('mcp.isthmus.v1');
    expect(headers['sec-websocket-extensions']).toBeUndefined();
    expect(headers['isthmus-peer']).toMatch(/^named-[a-z2-7]{8}$/);
  });

  it('an upgrade at another path is a request like any', async () => {
    expect((await askUpgrade(`${gateway.url}/healthz`)).status).toBe(200);
    expect((await askUpgrade(`${gateway.url}/nothing`)).status).toBe(404);
    expect((await askUpgrade(`${gateway.url}/lend/more`)).status).toBe(404);
  });

  it('that breaks off at any point harms nobody', async () => {
    const { port } = new URL(gateway.url);
    const head =
      'GET /lend HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n';
    for (const text of [head, `${head}\r\n`, `${head}Sec-WebSocket-Version: 13\r\n\r\n\x81`]) {
      await new Promise<void>((resolve) => {
        const socket = connect(Number(port), '127.0.0.1', () => {
          socket.write(text, () => {
            socket.resetAndDestroy();
            resolve();
          });
        });
      });
    }
    expect((await fetch(`${gateway.url}/healthz`)).status).toBe(200);
    expect(faults()).toEqual([]);
  });
});

describe('a request for /lend where callers have tokens', () => {
  let oauth: TestGateway;
  let issuer: TestIssuer;
  beforeAll(async () => {
    issuer = await startIssuer();
    const issuers = [{ issuer: issuer.issuer, organization: 'test' }];
    oauth = await startGateway({ peers: [], auth: { issuers } });
  });
  afterAll(async () => {
    await oauth.close();
    await issuer.close();
  });
  const ask = async (authorization?: string, more: Record<string, string> = {}, query = '') =>
    askUpgrade(`${oauth.url}/lend${query}`, { ...(authorization && { authorization }), ...more });
  const token = (claims: Record<string, unknown> = {}): Promise<string> =>
    issuer.token({ aud: `${oauth.url}/lend`, scope: 'lend', ...claims });

  it('without a token is told where to get one', async () => {
    const { status, headers } = await ask();
    expect(status).toBe(401);
    const metadata = `${oauth.url}/.well-known/oauth-protected-resource/lend`;
    expect(headers['www-authenticate']).toContain(
      `Bearer resource_metadata="${metadata}", scope="lend"`,
    );
    const described = await (await fetch(metadata)).json();
    expect(described).toMatchObject({
      resource: `${oauth.url}/lend`,
      authorization_servers: [issuer.issuer, `${oauth.url}/sts`],
      scopes_supported: ['lend'],
    });
  });

  it('with a good token is let in', async () => {
    expect((await ask(`Bearer ${await token()}`)).status).toBe(101);
  });

  it.each([
    ['for another gateway', { aud: 'https://gw.example.org/lend' }],
    ['for a peer', { aud: undefined }],
    ['that has ended', { exp: Math.floor(Date.now() / 1000) - 3600 }],
  ])('with a token %s is refused', async (_what, claims) => {
    const aud = 'aud' in claims && claims.aud === undefined ? { aud: `${oauth.url}/mcp/x` } : {};
    const { status, headers } = await ask(`Bearer ${await token({ ...claims, ...aud })}`);
    expect(status).toBe(401);
    expect(headers['www-authenticate']).toContain('error="invalid_token"');
  });

  it('with a token that may do everything but lend is refused, and names the scope', async () => {
    const { status, headers } = await ask(`Bearer ${await token({ scope: 'peer:*:call admin' })}`);
    expect(status).toBe(403);
    expect(headers['www-authenticate']).toContain('error="insufficient_scope"');
    expect(headers['www-authenticate']).toContain('scope="lend"');
    expect(oauth.log).toContainEqual(
      expect.objectContaining({
        event: 'lending',
        what: 'channel.refused',
        reason: expect.stringContaining('needs the scope "lend"'),
      }),
    );
  });

  it('with a token in its query is refused', async () => {
    expect((await ask(undefined, {}, `?access_token=${await token()}`)).status).toBe(400);
  });

  it('with a token that is bound to a key needs the proof for this request, once', async () => {
    const key = await testKey();
    const bound = await token(await boundTo(key));
    const url = `${oauth.url}/lend`;
    const proof = await dpopProof({ key, htm: 'GET', htu: url, accessToken: bound });
    expect((await ask(`Bearer ${bound}`)).status).toBe(401);
    expect((await ask(`DPoP ${bound}`)).status).toBe(401);
    const other = await dpopProof({ key, htm: 'POST', htu: url, accessToken: bound });
    expect((await ask(`DPoP ${bound}`, { dpop: other })).status).toBe(401);
    expect((await ask(`DPoP ${bound}`, { dpop: proof })).status).toBe(101);
    expect((await ask(`DPoP ${bound}`, { dpop: proof })).status).toBe(401);
  });

  it('a token for lending opens nothing else', async () => {
    const headers = { authorization: `Bearer ${await token()}` };
    for (const path of ['/mcp', '/mcp/tools', '/a2a', '/admin/peers']) {
      const { status } = await fetch(`${oauth.url}${path}`, {
        method: 'POST',
        headers,
        body: '{}',
      });
      expect([path, status]).toEqual([path, 401]);
    }
  });

  it('one owner has sixteen channels, and another owner its own', async () => {
    const open = async (sub: string, name: string): Promise<RawChannel> => {
      const headers = { authorization: `Bearer ${await token({ sub })}` };
      const raw = await openRaw(oauth.url, { name, headers });
      onTestFinished(() => raw.socket.terminate());
      return raw;
    };
    const ids = new Set<string>();
    for (let n = 0; n < 16; n += 1) ids.add((await open('many', `n-${n}`)).peer);
    expect(ids.size).toBe(16);
    await expect(open('many', 'one-more')).rejects.toThrow('429');
    const other = await open('other', 'n-0');
    expect(ids.has(other.peer)).toBe(false);
    // One that is there already may be opened again.
    expect(ids.has((await open('many', 'n-3')).peer)).toBe(true);
  });
});

describe.concurrent('a channel ends with the token that opened it', () => {
  const leewaySeconds = 1;
  let oauth: TestGateway;
  let issuer: TestIssuer;
  beforeAll(async () => {
    issuer = await startIssuer();
    const issuers = [{ issuer: issuer.issuer, organization: 'test' }];
    oauth = await startGateway({ peers: [], auth: { issuers, leeway: `${leewaySeconds}s` } });
  });
  afterAll(async () => {
    await oauth.close();
    await issuer.close();
  });
  const bearer = async (resource: string, exp: number): Promise<Record<string, string>> => {
    const claims = { aud: `${oauth.url}${resource}`, scope: 'lend', exp };
    return { authorization: `Bearer ${await issuer.token(claims)}` };
  };
  const inSeconds = (seconds: number): number => Math.floor(Date.now() / 1000) + seconds;

  it('a stolen token serves no longer than it is good', async () => {
    const exp = inSeconds(2);
    const headers = await bearer('/lend', exp);
    const raw = await openRaw(oauth.url, { name: 'stolen', headers });
    expect(await raw.closed).toBe(4002);
    const late = Date.now() - (exp + leewaySeconds) * 1000;
    expect(late).toBeGreaterThanOrEqual(0);
    expect(late).toBeLessThan(1500);
    await expect(openRaw(oauth.url, { name: 'stolen', headers })).rejects.toThrow('401');
  });

  it('also where the other side does not hear that it is closed', async () => {
    const exp = inSeconds(2);
    const raw = await openRaw(oauth.url, { name: 'deaf', headers: await bearer('/lend', exp) });
    onTestFinished(() => raw.socket.terminate());
    raw.socket.pause();
    const isClosed = (): boolean =>
      oauth.log.some((line) => line['event'] === 'channel.closed' && line['peer'] === raw.peer);
    await waitUntil(isClosed);
    expect(Date.now() - (exp + leewaySeconds) * 1000).toBeLessThan(4000);
  });

  it('a lender comes back at once with another token, and serves', async () => {
    const given: string[] = [];
    const lender = await lendServer(modernLent({ ran: [], cancelled: [] }), {
      gateway: oauth.url,
      name: 'renewed',
      pauses: { first: 1000, longest: 1000 },
      auth: async () => {
        const headers = await bearer('/lend', inSeconds(given.length === 0 ? 2 : 300));
        given.push(headers['authorization'] ?? '');
        return headers;
      },
    });
    onTestFinished(() => lender.close());
    const { peer } = lender;
    const headers = await bearer(`/mcp/${peer}`, inSeconds(300));
    const client = await connectModernClient(oauth.mcp(peer), { headers });
    onTestFinished(() => client.close());
    const add = { name: 'add', arguments: { a: 20, b: 22 } };
    expect((await client.callTool(add)).content).toEqual([{ type: 'text', text: '42' }]);
    await lender.opened(2);
    expect(lender.peer).toBe(peer);
    expect(new Set(given).size).toBe(2);
    expect(lender.events.filter(({ kind }) => kind === 'away')).toEqual([
      {
        kind: 'away',
        reason: 'The channel was closed (4002: Connect with a new token).',
        retryMs: 0,
      },
    ]);
    expect((await client.callTool(add)).content).toEqual([{ type: 'text', text: '42' }]);
  });

  it('but not where there are no tokens', async () => {
    const raw = await openRaw(gateway.url, { name: 'untold' });
    onTestFinished(() => raw.socket.terminate());
    await new Promise((resolve) => setTimeout(resolve, 4000));
    expect(raw.socket.readyState).toBe(raw.socket.OPEN);
  });
});

describe('a lender', () => {
  it('that sends a frame that is too large is cut off', async () => {
    const { raw, answer } = await called('large');
    raw.socket.send(JSON.stringify({ jsonrpc: '2.0', id: 'x', result: 'x'.repeat(70_000) }));
    expect(await raw.closed).toBe(1009);
    expect(await answer).toContain('went away');
    expect(faults()).toEqual([]);
  });

  it.each([
    ['a binary frame', Buffer.from('{}'), 1003],
    ['no JSON', 'hello', 1007],
    ['no JSON-RPC', '{"id":1}', 1007],
    ['a batch', '[{"jsonrpc":"2.0","method":"notifications/x"}]', 1007],
    ['JSON that is nested too deeply', `${'['.repeat(9000)}${']'.repeat(9000)}`, 1007],
    ['a number', '1', 1007],
  ])('that sends %s is cut off, and its calls fail', async (what, frame, code) => {
    const { raw, answer } = await called(`bad-${what.replaceAll(/[^a-z]/g, '')}`);
    raw.socket.send(frame);
    expect(await raw.closed).toBe(code);
    expect(await answer).toContain('went away');
    expect(faults()).toEqual([]);
  });

  it('that answers what was never asked, twice or wrongly is ignored', async () => {
    const call = await called('odd-answers');
    for (const id of ['unknown', 7, null, `${call.id} `]) {
      sendRaw(call.raw, { id, result: content('forged') });
    }
    sendRaw(call.raw, { id: null, error: { code: -32000, message: 'x' } });
    await serves(call);
    sendRaw(call.raw, { id: call.id, result: content('again') });
    expect(faults()).toEqual([]);
  });

  it('that answers with neither a result nor an error fails that call alone', async () => {
    const { raw, id, answer } = await called('no-answer');
    sendRaw(raw, { id });
    expect(await answer).toContain('neither a result nor an error');
    expect(raw.socket.readyState).toBe(raw.socket.OPEN);
  });

  it('that asks for what servers may not ask for is refused, and the call goes on', async () => {
    const call = await called('odd-requests');
    const { raw } = call;
    const methods = ['tools/call', 'initialize', 'resources/read', '__proto__', 'roots/list'];
    methods.forEach((method, n) => sendRaw(raw, { id: `q${n}`, method, params: {} }));
    sendRaw(raw, { id: 'ping', method: 'ping' });
    const answers = (): Record<string, unknown>[] =>
      raw.heard.filter(({ method }) => method === undefined);
    await waitUntil(() => answers().some(({ id }) => id === 'ping'));
    await waitUntil(() => answers().filter(({ error }) => error !== undefined).length >= 4);
    expect(answers().find(({ id }) => id === 'ping')).toEqual({
      jsonrpc: '2.0',
      id: 'ping',
      result: {},
    });
    const refused = answers().filter(({ error }) => error !== undefined);
    expect(refused.map(({ id }) => id)).toEqual(expect.arrayContaining(['q0', 'q1', 'q2', 'q3']));
  });

  it('that floods the gateway with notifications neither stops its call nor the gateway', async () => {
    const call = await called('flood');
    for (let n = 0; n < 20_000; n += 1) {
      sendRaw(call.raw, { method: 'notifications/message', params: { level: 'info', data: n } });
      sendRaw(call.raw, {
        method: 'notifications/progress',
        params: { progressToken: n, progress: n },
      });
      sendRaw(call.raw, { method: 'notifications/cancelled', params: { requestId: n } });
    }
    expect((await fetch(`${gateway.url}/healthz`)).status).toBe(200);
    await serves(call);
  });

  it('that does not read is cut off before it fills the memory', async () => {
    const raw = await opened('deaf');
    answerAsLegacy(raw);
    const client = await connectModernClient(gateway.mcp(raw.peer));
    onTestFinished(() => client.close());
    await client.listTools();
    raw.socket.pause();
    const before = process.memoryUsage().arrayBuffers;
    const text = 'x'.repeat(1024 * 1024);
    const failures: string[] = [];
    for (let n = 0; n < 40 && failures.length === 0; n += 1) {
      const call = client.callTool({ name: 'echo', arguments: { text } });
      call
        .then(JSON.stringify, (error: Error) => error.message)
        .then(
          (said) => void failures.push(String(said)),
          () => undefined,
        );
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
    await waitUntil(() => failures.length > 0);
    expect(failures[0]).toContain('went away');
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(128 * 1024 * 1024);
    raw.socket.resume();
    expect(await raw.closed).toBe(1008);
    expect(faults()).toEqual([]);
  });

  it('that comes a hundred times under one name is one peer, and each before it is told to stay away', async () => {
    const codes: Promise<number>[] = [];
    const peers = new Set<string>();
    for (let n = 0; n < 100; n += 1) {
      const raw = await opened('again');
      peers.add(raw.peer);
      codes.push(raw.closed);
    }
    expect(peers.size).toBe(1);
    expect(new Set(await Promise.all(codes.slice(0, 99)))).toEqual(new Set([4001]));
  });

  it('has no more channels than anybody, in mode "open" too', async () => {
    const raws: RawChannel[] = [];
    let status = '';
    for (let n = 0; n < 40 && status === ''; n += 1) {
      await openRaw(gateway.url, { name: `f-${n}` }).then(
        (raw) => void raws.push(raw),
        (error: Error) => {
          status = error.message;
        },
      );
    }
    expect(status).toBe('429');
    for (const { socket } of raws) socket.terminate();
    await Promise.all(raws.map(({ closed }) => closed));
  });
});

it('a gateway that stops ends its channels, and is not kept from stopping', async () => {
  const own = await startGateway({ peers: [] });
  const raw = await openRaw(own.url);
  const began = performance.now();
  const [code] = await Promise.all([raw.closed, own.close()]);
  expect(code).toBe(1001);
  expect(performance.now() - began).toBeLessThan(4000);
});
