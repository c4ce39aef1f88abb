import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, describe, expect, it } from 'vitest';
import type { PeerCredentials } from '../ports/credentials.ts';
import { createEgress } from './guarded-fetch.ts';
import { renewingEgress } from './renewing-egress.ts';

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

interface Heard {
  readonly method: string | undefined;
  readonly authorization: string | undefined;
  readonly body: string;
}

/** A server that answers as told, and a client that renews tokens towards it. */
async function world(
  answer: (heard: Heard, res: ServerResponse, count: number) => void,
  renew: PeerCredentials['renew'],
) {
  const heard: Heard[] = [];
  const serve = async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    const { authorization } = req.headers;
    const one = { method: req.method, authorization, body: await text(req) };
    heard.push(one);
    answer(one, res, heard.length);
  };
  const server = createServer((req, res) => void serve(req, res));
  await new Promise<void>((go) => void server.listen(0, '127.0.0.1', go));
  const egress = createEgress({ allow: [], allowLoopback: true });
  closers.push(
    () => egress.close(),
    () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  );
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  return { heard, url, client: renewingEgress(egress, { renew }) };
}

const post = (authorization?: string) => ({
  method: 'POST' as const,
  headers: { 'content-type': 'text/plain', ...(authorization && { authorization }) },
  body: 'the same body',
});

/** Takes the second token alone. */
const onlySecond = ({ authorization }: Heard, res: ServerResponse): void => {
  const ok = authorization === 'Bearer second';
  res.writeHead(ok ? 200 : 401, { 'www-authenticate': 'Bearer error="invalid_token"' });
  res.end(ok ? 'done' : 'no');
};

describe('a request that is refused for its token', () => {
  it('is repeated once, the same but for the token', async () => {
    const asked: unknown[] = [];
    const { heard, url, client } = await world(onlySecond, async (refused, { challenges }) => {
      asked.push([refused, challenges]);
      return 'Bearer second';
    });
    const reply = await client.request(url, post('Bearer first'));
    expect([reply.status, await reply.text()]).toEqual([200, 'done']);
    expect(heard).toEqual([
      { method: 'POST', authorization: 'Bearer first', body: 'the same body' },
      { method: 'POST', authorization: 'Bearer second', body: 'the same body' },
    ]);
    expect(asked).toEqual([['Bearer first', ['Bearer error="invalid_token"']]]);
  });

  it('is repeated over fetch as well, with a body that is a form', async () => {
    const { heard, url, client } = await world(onlySecond, async () => 'Bearer second');
    const body = new URLSearchParams({ a: 'b' });
    const headers = { Authorization: 'Bearer first' };
    const response = await client.fetch(url, { method: 'POST', headers, body });
    expect(await response.text()).toBe('done');
    expect(heard.map((one) => one.body)).toEqual(['a=b', 'a=b']);
  });

  it('is not repeated a second time', async () => {
    let renewals = 0;
    const { heard, url, client } = await world(onlySecond, async () => {
      renewals += 1;
      return 'Bearer third';
    });
    const reply = await client.request(url, post('Bearer first'));
    expect([reply.status, await reply.text()]).toEqual([401, 'no']);
    expect([heard.length, renewals]).toEqual([2, 1]);
  });

  it.each([
    ['there is no other token', async () => undefined],
    ['the other token is the same', async () => 'Bearer first'],
  ])('is passed on when %s', async (_, renew) => {
    const { heard, url, client } = await world(onlySecond, renew);
    const reply = await client.request(url, post('Bearer first'));
    expect([reply.status, await reply.text(), heard.length]).toEqual([401, 'no', 1]);
  });

  it('fails with the reason why there is no other token', async () => {
    const { heard, url, client } = await world(onlySecond, () =>
      Promise.reject(new Error('ask a person first')),
    );
    await expect(client.request(url, post('Bearer first'))).rejects.toThrow('ask a person first');
    expect(heard).toHaveLength(1);
  });
});

describe('no other token is asked for', () => {
  const never = async (): Promise<string> => {
    throw new Error('nobody should have asked');
  };

  it.each([
    ['a request without credentials', undefined, 401, 'Bearer'],
    ['a 403 that is not about scopes', 'Bearer first', 403, 'Bearer error="invalid_request"'],
    ['a 403 without a challenge', 'Bearer first', 403, undefined],
    ['a 500', 'Bearer first', 500, 'Bearer error="insufficient_scope"'],
  ])('for %s', async (_, authorization, status, challenge) => {
    const { heard, url, client } = await world(
      (_heard, res) =>
        void res.writeHead(status, challenge ? { 'www-authenticate': challenge } : {}).end(),
      never,
    );
    expect((await client.request(url, post(authorization))).status).toBe(status);
    expect(heard).toHaveLength(1);
  });
});

it('a 403 for want of scopes is repeated once with what is given for it', async () => {
  const { heard, url, client } = await world(
    ({ authorization }, res) =>
      void res
        .writeHead(authorization === 'Bearer more' ? 200 : 403, {
          'www-authenticate': ['Basic', 'Bearer error="insufficient_scope", scope="a"'],
        })
        .end(),
    async (_refused, { challenges }) => (challenges.length === 0 ? undefined : 'Bearer more'),
  );
  expect((await client.request(url, post('Bearer less'))).status).toBe(200);
  expect(heard).toHaveLength(2);
});
