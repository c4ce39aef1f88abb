import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { connect, createServer as createTcpServer, type AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { createEgress, type Egress, type EgressOptions } from './guarded-fetch.ts';

const closers: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

function egress(options: Partial<EgressOptions> = {}): Egress {
  const made = createEgress({ allow: [], allowLoopback: true, ...options });
  closers.push(() => made.close());
  return made;
}

function closeServer(server: Server): Promise<void> {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(() => resolve()));
}

async function serve(
  listener: RequestListener,
): Promise<{ url: string; port: number; hits: number }> {
  const seen = { url: '', port: 0, hits: 0 };
  const server = createServer((q, s) => {
    seen.hits += 1;
    listener(q, s);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => closeServer(server));
  seen.port = (server.address() as AddressInfo).port;
  seen.url = `http://127.0.0.1:${seen.port}`;
  return seen;
}

async function read(q: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of q) text += String(chunk);
  return text;
}

const refused = (reason: string) =>
  expect.objectContaining({ name: 'EgressRefusedError', code: 'egress-refused', reason });

describe('targets that are refused before a packet leaves', () => {
  const strict = { allow: [], allowLoopback: false };
  const spellings = [
    'http://127.0.0.1/',
    'http://127.1/',
    'http://127.0.1/',
    'http://0x7f000001/',
    'http://0x7f.0.0.1/',
    'http://2130706433/',
    'http://017700000001/',
    'http://0177.0.0.1/',
    'http://127.0.0.1./',
    'http://１２７.０.０.１/',
    'http://127。0。0。1/',
    'http://[::1]/',
    'http://[::ffff:127.0.0.1]/',
    'http://[::ffff:7f00:1]/',
    'http://[0:0:0:0:0:ffff:7f00:0001]/',
    'http://[::127.0.0.1]/',
    'http://[64:ff9b::7f00:1]/',
    'http://[64:ff9b:1::7f00:1]/',
    'http://[2002:7f00:1::]/',
    'http://0.0.0.0/',
    'http://0/',
    'http://[::]/',
    'http://10.0.0.1/',
    'http://172.16.0.1/',
    'http://192.168.1.1/',
    'http://100.64.0.1/',
    'http://169.254.169.254/latest/meta-data',
    'http://[fe80::1]/',
    'http://[fd00::1]/',
    'http://[fec0::1]/',
    'http://224.0.0.1/',
    'http://255.255.255.255/',
    'http://[ff02::1]/',
    'http://198.18.0.1/',
    'http://192.0.2.1/',
  ];

  it.each(spellings)('%s is not a public address', async (url) => {
    const guarded = egress(strict);
    await expect(guarded.request(url)).rejects.toEqual(refused('address'));
    await expect(guarded.fetch(url)).rejects.toEqual(refused('address'));
    expect(() => guarded.check(url)).toThrow(refused('address'));
  });

  it.each([
    ['file:///etc/passwd', 'scheme'],
    ['ftp://example.org/', 'scheme'],
    ['data:text/plain,x', 'scheme'],
    ['gopher://example.org/', 'scheme'],
    ['javascript:alert(1)', 'scheme'],
    ['http://user:secret@example.org/', 'credentials'],
    ['http://user@example.org/', 'credentials'],
    ['/relative', 'url'],
    ['', 'url'],
    ['http://', 'url'],
  ])('%s is refused for its %s', async (url, reason) => {
    await expect(egress(strict).request(url)).rejects.toEqual(refused(reason));
  });

  it('the refusal names the host and no secret of the URL', async () => {
    const failure = await egress(strict)
      .request('http://user:hunter2@10.0.0.1:81/path?token=abc')
      .catch((error: unknown) => error);
    expect(failure).toMatchObject({ host: '10.0.0.1:81' });
    expect(JSON.stringify({ ...(failure as Error), message: String(failure) })).not.toMatch(
      /hunter2|abc/,
    );
  });

  it('a refusal is reported once', async () => {
    const heard: string[] = [];
    const guarded = egress({
      ...strict,
      onRefused: ({ reason, host }) => heard.push(reason + host),
    });
    await guarded.fetch('http://10.0.0.1:81/').catch(() => {});
    expect(heard).toEqual(['address10.0.0.1:81']);
  });
});

describe('names', () => {
  it('are refused when they resolve to loopback', async () => {
    const peer = await serve((_q, s) => s.end('secret'));
    const guarded = egress({
      allowLoopback: false,
      resolve: async () => [{ address: '127.0.0.1', family: 4 }],
    });
    await expect(guarded.request(`http://rebind.example:${peer.port}/`)).rejects.toEqual(
      refused('address'),
    );
    expect(peer.hits).toBe(0);
  });

  it('are refused when only one of several addresses is private', async () => {
    const guarded = egress({
      resolve: async () => [
        { address: '127.0.0.1', family: 4 },
        { address: '10.1.2.3', family: 4 },
      ],
    });
    await expect(guarded.request('http://mixed.example:1/')).rejects.toEqual(refused('address'));
  });

  it('are resolved and checked again for each connection, so flipping DNS does not help', async () => {
    const peer = await serve((_q, s) => {
      s.setHeader('connection', 'close');
      s.end('ok');
    });
    const answers = ['127.0.0.1', '10.0.0.1'];
    const guarded = egress({
      resolve: async () => [{ address: answers.shift() ?? '10.0.0.1', family: 4 }],
    });
    const url = `http://flip.example:${peer.port}/`;
    expect(await (await guarded.request(url)).text()).toBe('ok');
    await expect(guarded.request(url)).rejects.toEqual(refused('address'));
    expect(peer.hits).toBe(1);
  });

  it('that resolve to nothing are unavailable, not refused', async () => {
    await expect(
      egress({ resolve: async () => [] }).request('http://nobody.example/'),
    ).rejects.toMatchObject({ code: 'peer-unavailable', facts: { stage: 'connect' } });
  });

  it('with a trailing dot or in capitals match their entry', async () => {
    const peer = await serve((_q, s) => s.end('ok'));
    const guarded = egress({
      allowLoopback: false,
      allow: [`intra.example:${peer.port}`],
      resolve: async () => [{ address: '127.0.0.1', family: 4 }],
    });
    const { port } = peer;
    expect((await guarded.request(`http://INTRA.example.:${port}/`)).status).toBe(200);
  });
});

describe('the allow list', () => {
  const resolve = async () => [{ address: '127.0.0.1', family: 4 }];

  it('opens an address range and nothing beside it', () => {
    const guarded = egress({
      allowLoopback: false,
      allow: ['10.1.0.0/16', 'fd00::/8', '192.168.0.7'],
    });
    expect(() => guarded.check('http://10.1.2.3/')).not.toThrow();
    expect(() => guarded.check('http://[fd12::1]/')).not.toThrow();
    expect(() => guarded.check('http://192.168.0.7/')).not.toThrow();
    expect(() => guarded.check('http://10.2.0.1/')).toThrow(refused('address'));
    expect(() => guarded.check('http://192.168.0.8/')).toThrow(refused('address'));
    expect(() => guarded.check('http://127.0.0.1/')).toThrow(refused('address'));
  });

  it('opens a host on one port only', async () => {
    const peer = await serve((_q, s) => s.end('ok'));
    const guarded = egress({
      allowLoopback: false,
      allow: [`intra.example:${peer.port}`],
      resolve,
    });
    expect((await guarded.request(`http://intra.example:${peer.port}/`)).status).toBe(200);
    await expect(guarded.request('http://intra.example:1/')).rejects.toEqual(refused('address'));
    await expect(guarded.request(`http://other.example:${peer.port}/`)).rejects.toEqual(
      refused('address'),
    );
  });

  it('opens an address on one port only', () => {
    const guarded = egress({ allowLoopback: false, allow: ['127.0.0.1:8081', '[::1]:8081'] });
    expect(() => guarded.check('http://127.0.0.1:8081/')).not.toThrow();
    expect(() => guarded.check('http://[::1]:8081/')).not.toThrow();
    expect(() => guarded.check('http://127.0.0.1:8082/')).toThrow(refused('address'));
  });

  it('does not let a listed name stand for a link-local address', async () => {
    const guarded = egress({
      allow: ['metadata.example'],
      resolve: async () => [{ address: '169.254.169.254', family: 4 }],
    });
    await expect(guarded.request('http://metadata.example/')).rejects.toEqual(refused('address'));
  });

  it('allowLoopback does not open private ranges', () => {
    expect(() => egress().check('http://10.0.0.1/')).toThrow(refused('address'));
    expect(() => egress().check('http://[::1]:1/')).not.toThrow();
  });

  it('rejects an entry that it cannot read', () => {
    expect(() => egress({ allow: ['http://x/'] })).toThrow(
      'egress.allow: "http://x/" is neither an address range nor host[:port]',
    );
  });

  it('can be replaced at runtime', async () => {
    const peer = await serve((_q, s) => s.end('ok'));
    const guarded = egress();
    expect((await guarded.request(peer.url)).status).toBe(200);
    guarded.reconfigure({ allow: [], allowLoopback: false });
    await expect(guarded.request(peer.url)).rejects.toEqual(refused('address'));
  });
});

describe('replies', () => {
  it.each([301, 302, 303, 307, 308])('a %d is an error and is not followed', async (status) => {
    const inner = await serve((_q, s) => s.end('inner'));
    const peer = await serve((_q, s) => s.writeHead(status, { location: inner.url }).end());
    await expect(egress().request(peer.url)).rejects.toEqual(refused('redirect'));
    await expect(egress().fetch(peer.url, { redirect: 'follow' })).rejects.toEqual(
      refused('redirect'),
    );
    expect(inner.hits).toBe(0);
  });

  it('that announce too much are refused at the headers', async () => {
    const peer = await serve((_q, s) => s.writeHead(200, { 'content-length': 100 }).write('x'));
    const guarded = egress({ limits: { maxResponseBytes: 10 } });
    await expect(guarded.request(peer.url)).rejects.toMatchObject({
      code: 'peer-protocol',
      message: "The peer's reply is larger than 10 bytes.",
    });
  });

  it('that turn out too large are cut', async () => {
    const peer = await serve((_q, s) => {
      s.setHeader('content-type', 'application/json');
      s.write('12345');
      setTimeout(() => s.end('678901'), 10);
    });
    const guarded = egress({ limits: { maxResponseBytes: 10 } });
    const reply = await guarded.request(peer.url);
    await expect(reply.text()).rejects.toMatchObject({ code: 'peer-protocol' });
    await expect(guarded.fetch(peer.url)).rejects.toMatchObject({ code: 'peer-protocol' });
  });

  it('of exactly the limit are read', async () => {
    const peer = await serve((_q, s) => s.end('1234567890'));
    const guarded = egress({ limits: { maxResponseBytes: 10 } });
    expect(await (await guarded.request(peer.url)).text()).toBe('1234567890');
  });

  it('an event stream may be longer than the limit, one event may not', async () => {
    const peer = await serve((q, s) => {
      s.setHeader('content-type', 'text/event-stream');
      for (let i = 0; i < 20; i += 1) s.write(`data: ${i}\r\n\r\n`);
      s.end(q.url === '/long' ? `data: ${'x'.repeat(40)}` : '');
    });
    const guarded = egress({ limits: { maxResponseBytes: 30 } });
    const text = await (await guarded.fetch(peer.url)).text();
    expect(text.split('\r\n\r\n')).toHaveLength(21);
    const long = await guarded.fetch(`${peer.url}/long`);
    await expect(long.text()).rejects.toMatchObject({ code: 'peer-protocol' });
  });

  it('that are compressed unasked are refused', async () => {
    const peer = await serve((_q, s) => s.writeHead(200, { 'content-encoding': 'gzip' }).end('x'));
    await expect(egress().request(peer.url)).rejects.toMatchObject({ code: 'peer-protocol' });
  });
});

describe('time', () => {
  it('a peer that never answers fails at the headers', async () => {
    const peer = await serve(() => {});
    const guarded = egress({ limits: { headersTimeoutMs: 60 } });
    await expect(guarded.request(peer.url)).rejects.toMatchObject({
      code: 'peer-timeout',
      facts: { stage: 'headers' },
    });
  });

  it('a body that stops is cut, an event stream that pauses is not', async () => {
    const peer = await serve((q, s) => {
      s.setHeader('content-type', q.url === '/sse' ? 'text/event-stream' : 'application/json');
      s.write('data: 1\n\n');
      if (q.url === '/sse') setTimeout(() => s.end('data: 2\n\n'), 150);
    });
    const guarded = egress({ limits: { bodyTimeoutMs: 50 } });
    await expect((await guarded.request(peer.url)).text()).rejects.toMatchObject({
      code: 'peer-timeout',
      facts: { stage: 'body' },
    });
    const events = await guarded.fetch(`${peer.url}/sse`);
    expect(await events.text()).toBe('data: 1\n\ndata: 2\n\n');
  });

  it('limits can be set for one request and for a library', async () => {
    const peer = await serve((_q, s) => void setTimeout(() => s.end('late'), 1600));
    const guarded = egress();
    await expect(guarded.request(peer.url, { headersTimeoutMs: 40 })).rejects.toMatchObject({
      code: 'peer-timeout',
    });
    const hasty = guarded.withLimits({ headersTimeoutMs: 40 });
    await expect(hasty.fetch(peer.url)).rejects.toMatchObject({ code: 'peer-timeout' });
    expect(await (await guarded.fetch(peer.url)).text()).toBe('late');
  });

  it('an abort ends the wait with its own reason', async () => {
    const peer = await serve(() => {});
    const stop = new AbortController();
    setTimeout(() => stop.abort(new Error('enough')), 30);
    await expect(egress().fetch(peer.url, { signal: stop.signal })).rejects.toThrow('enough');
  });

  it('an abort ends a stream that is being read', async () => {
    let closed = false;
    const peer = await serve((_q, s) => {
      s.setHeader('content-type', 'text/event-stream');
      s.write('data: 1\n\n');
      s.on('close', () => (closed = true));
    });
    const stop = new AbortController();
    const response = await egress().fetch(peer.url, { signal: stop.signal });
    const reader = response.body!.getReader();
    expect(new TextDecoder().decode((await reader.read()).value)).toBe('data: 1\n\n');
    stop.abort(new Error('enough'));
    await expect(reader.read()).rejects.toThrow('enough');
    await expect.poll(() => closed).toBe(true);
  });
});

describe('failures', () => {
  it('nobody listening is told apart from a cut after sending', async () => {
    const spare = createTcpServer();
    await new Promise<void>((resolve) => spare.listen(0, '127.0.0.1', resolve));
    const { port } = spare.address() as AddressInfo;
    await new Promise((resolve) => spare.close(resolve));
    await expect(egress().request(`http://127.0.0.1:${port}/`)).rejects.toMatchObject({
      code: 'peer-unavailable',
      facts: { stage: 'connect', reason: 'ECONNREFUSED' },
    });
    const peer = await serve((q) => q.socket.destroy());
    await expect(egress().request(peer.url)).rejects.toMatchObject({
      code: 'peer-unavailable',
      facts: { stage: 'request' },
    });
  });

  it('a reply that is cut short is an error, never a short reply', async () => {
    const peer = await serve((_q, s) => {
      s.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n');
      setTimeout(() => s.destroy(), 20);
    });
    const response = await egress().fetch(peer.url);
    await expect(response.text()).rejects.toMatchObject({
      code: 'peer-unavailable',
      facts: { stage: 'body' },
    });
  });

  it('a cut is met by a reader that comes too late', async () => {
    const peer = await serve((_q, s) => {
      s.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n');
      setTimeout(() => s.destroy(), 10);
    });
    const guarded = egress();
    const [whole, streamed] = [await guarded.request(peer.url), await guarded.request(peer.url)];
    const fetched = await guarded.fetch(peer.url);
    await new Promise((resolve) => setTimeout(resolve, 60));
    const cut = { code: 'peer-unavailable', facts: { stage: 'body' } };
    await expect(whole.text()).rejects.toMatchObject(cut);
    await expect(streamed.stream().toArray()).rejects.toMatchObject(cut);
    await expect(fetched.text()).rejects.toMatchObject(cut);
  });

  it('a cut that nobody reads does not end the process', async () => {
    const peer = await serve((_q, s) => {
      s.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n');
      setTimeout(() => s.destroy(), 10);
    });
    const guarded = egress();
    expect((await guarded.fetch(peer.url)).status).toBe(200);
    expect((await guarded.request(peer.url)).status).toBe(200);
    await new Promise((resolve) => setTimeout(resolve, 60));
  });
});

describe('the fetch that libraries get', () => {
  it('sends every shape of request', async () => {
    const peer = await serve((q, s) => {
      void read(q).then((body) =>
        s.writeHead(201, { 'content-type': 'application/json', 'x-a': ['1', '2'] }).end(
          JSON.stringify({
            method: q.method,
            body,
            type: q.headers['content-type'],
            x: q.headers['x-h'],
          }),
        ),
      );
    });
    const guarded = egress();
    const answer = async (...args: Parameters<typeof fetch>) =>
      (await guarded.fetch(...args)).json();
    const json = { 'content-type': 'application/json', 'X-H': 'v' };
    expect(await answer(peer.url)).toEqual({ method: 'GET', body: '' });
    expect(await answer(new URL(peer.url), { method: 'post', body: '{}', headers: json })).toEqual({
      method: 'POST',
      body: '{}',
      type: 'application/json',
      x: 'v',
    });
    const request = new Request(peer.url, {
      method: 'PUT',
      body: 'hi',
      headers: new Headers(json),
    });
    expect(await answer(request)).toMatchObject({ method: 'PUT', body: 'hi', x: 'v' });
    expect(
      await answer(peer.url, { method: 'POST', body: new URLSearchParams({ a: 'b c' }) }),
    ).toMatchObject({ body: 'a=b+c', type: 'application/x-www-form-urlencoded;charset=UTF-8' });
    expect(
      await answer(peer.url, { method: 'POST', body: new TextEncoder().encode('bytes') }),
    ).toMatchObject({ body: 'bytes' });
  });

  it('answers with a real Response', async () => {
    const peer = await serve((_q, s) => s.writeHead(404, { 'x-a': ['1', '2'] }).end('gone'));
    const response = await egress().fetch(`${peer.url}/x`);
    expect(response).toBeInstanceOf(Response);
    expect(response.status).toBe(404);
    expect(response.ok).toBe(false);
    expect(response.url).toBe(`${peer.url}/x`);
    expect(response.headers.get('x-a')).toBe('1, 2');
    expect(await response.text()).toBe('gone');
  });

  it('has no body where there is none', async () => {
    const peer = await serve((q, s) => s.writeHead(q.url === '/202' ? 202 : 204).end());
    expect((await egress().fetch(peer.url)).body).toBeNull();
    expect((await egress().fetch(`${peer.url}/202`)).body).toBeNull();
  });

  it('delivers events as they are sent', async () => {
    let finish = () => {};
    const peer = await serve((_q, s) => {
      s.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n');
      finish = () => s.end('data: 2\n\n');
    });
    const response = await egress().fetch(peer.url);
    const reader = response.body!.getReader();
    expect(new TextDecoder().decode((await reader.read()).value)).toBe('data: 1\n\n');
    finish();
    expect(new TextDecoder().decode((await reader.read()).value)).toBe('data: 2\n\n');
    expect((await reader.read()).done).toBe(true);
  });

  it('closes the connection when the reader cancels', async () => {
    let closed = false;
    const peer = await serve((_q, s) => {
      s.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n');
      s.on('close', () => (closed = true));
    });
    const response = await egress().fetch(peer.url);
    await response.body!.cancel();
    await expect.poll(() => closed).toBe(true);
  });

  it('keeps connections between requests', async () => {
    const ports = new Set<number | undefined>();
    const peer = await serve((q, s) => {
      ports.add(q.socket.remotePort);
      if (q.url === '/202') s.writeHead(202).end();
      else s.setHeader('content-type', 'application/json').end('{}');
    });
    const guarded = egress();
    for (let i = 0; i < 20; i += 1) await (await guarded.fetch(peer.url)).json();
    for (let i = 0; i < 20; i += 1) await (await guarded.request(peer.url)).text();
    for (let i = 0; i < 20; i += 1) await guarded.fetch(`${peer.url}/202`);
    for (let i = 0; i < 20; i += 1) (await guarded.request(`${peer.url}/202`)).discard();
    expect(ports.size).toBeLessThanOrEqual(2);
  });
});

it('a raw socket reaches what the guard refuses, so the refusals above are the guard’s', async () => {
  const peer = await serve((_q, s) => s.end('reached'));
  const socket = connect(peer.port, '127.1');
  await new Promise<void>((resolve, reject) =>
    socket.once('connect', resolve).once('error', reject),
  );
  socket.destroy();
  await expect(
    egress({ allowLoopback: false }).request(`http://127.1:${peer.port}/`),
  ).rejects.toEqual(refused('address'));
});
