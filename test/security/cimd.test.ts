/** SECURITY, negative tests "CIMD": clients whose id is the URL of a document about them. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { decodeJwt } from 'jose';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createEgress } from '../../src/peers/guarded-fetch.ts';
import { testKey, type TestKey } from '../support/issuer.ts';
import { jwtBearer, startSts, type Answer, type StsWorld } from './sts-world.ts';

type Handler = (req: IncomingMessage, res: ServerResponse) => void;

/** A client's own site. */
let site: Server;
let origin: string;
let pages: Map<string, Handler>;
let asked: string[];
let sts: StsWorld;
let key: TestKey;

beforeAll(async () => {
  key = await testKey();
  site = createServer((req, res) => {
    asked.push(req.url ?? '');
    const page = pages.get(req.url ?? '');
    if (page === undefined) res.writeHead(404).end();
    else page(req, res);
  }).listen(0, '127.0.0.1');
  await once(site, 'listening');
  origin = `http://127.0.0.1:${(site.address() as AddressInfo).port}`;
});
afterAll(() => {
  site.closeAllConnections();
  site.close();
});
beforeEach(async () => {
  pages = new Map();
  asked = [];
  sts = await startSts({ fetchTimeoutMs: 300 });
});
afterEach(() => sts.close());

const json =
  (body: unknown, headers: Record<string, string> = {}): Handler =>
  (_req, res) => {
    res.writeHead(200, { 'content-type': 'application/json', ...headers });
    res.end(typeof body === 'string' ? body : JSON.stringify(body));
  };
const described = (id: string, over: Record<string, unknown> = {}): Record<string, unknown> => ({
  client_id: id,
  client_name: 'Robot',
  token_endpoint_auth_method: 'private_key_jwt',
  grant_types: ['client_credentials'],
  jwks: { keys: [key.publicJwk] },
  ...over,
});
const trust = { organization: 'acme', scopes: ['peer:travel:read'] };

/** Publishes a document at a path, which acme trusts. */
function publish(path: string, page?: Handler): string {
  const id = `${origin}${path}`;
  pages.set(path, page ?? json(described(id)));
  sts.trusted.set(id, trust);
  return id;
}
async function ask(id: string, form = {}, signer = key): Promise<Answer> {
  return sts.token({ ...(await sts.credentials(id, signer)), ...form });
}
const outcome = ({ status, json: body }: Answer): [number, unknown] => [status, body['error']];
const refused = [401, 'invalid_client'];

it('a client that an organization trusts gets a token by its document', async () => {
  const id = publish('/client.json');
  const answer = await ask(id);
  expect(answer.status).toBe(200);
  expect(decodeJwt(String(answer.json['access_token']))).toMatchObject({
    sub: id,
    client_id: id,
    org: 'acme',
    idp: sts.issuer,
    scope: 'peer:travel:read',
  });
});

it('a client that nobody trusts is refused, and nothing is fetched', async () => {
  const id = publish('/client.json');
  sts.trusted.delete(id);
  expect(outcome(await ask(id))).toEqual(refused);
  expect(asked).toEqual([]);
});

describe('a document is refused', () => {
  const withDocument = (name: string, over: (id: string) => Record<string, unknown>): void => {
    it(name, async () => {
      const id = `${origin}/client.json`;
      publish('/client.json', json(described(id, over(id))));
      pages.set('/jwks', json({ keys: [key.publicJwk] }));
      expect(outcome(await ask(id))).toEqual(refused);
      expect(asked).toEqual(['/client.json']);
    });
  };
  withDocument('whose client_id is another', () => ({ client_id: 'https://other.example/c' }));
  withDocument('whose client_id differs in a slash', (id) => ({ client_id: `${id}/` }));
  withDocument('whose client_id differs in case', (id) => ({ client_id: id.toUpperCase() }));
  withDocument('without a client_id', () => ({ client_id: undefined }));
  withDocument('with a shared secret', () => ({ client_secret: 's' }));
  withDocument('with the end of a shared secret', () => ({ client_secret_expires_at: 0 }));
  for (const method of ['client_secret_basic', 'client_secret_post', 'client_secret_jwt', 'none']) {
    withDocument(`for ${method}`, () => ({ token_endpoint_auth_method: method }));
  }
  withDocument('for no method, which means a secret', () => ({
    token_endpoint_auth_method: undefined,
  }));
  withDocument('without keys', () => ({ jwks: undefined }));
  withDocument('with keys at two places', () => ({ jwks_uri: `${origin}/jwks` }));
  withDocument("with keys on another's site", () => ({
    jwks: undefined,
    jwks_uri: `${origin.replace('127.0.0.1', 'localhost')}/jwks`,
  }));
  withDocument('with keys behind credentials', () => ({
    jwks: undefined,
    jwks_uri: `${origin.replace('//', '//user:password@')}/jwks`,
  }));
  withDocument('with a private key', () => ({ jwks: { keys: [key.privateJwk] } }));
  withDocument('with a symmetric key', () => ({ jwks: { keys: [{ kty: 'oct', k: 'AAAA' }] } }));
  withDocument('with a weak algorithm', () => ({ token_endpoint_auth_signing_alg: 'HS256' }));
  withDocument('for another algorithm than is used', () => ({
    token_endpoint_auth_signing_alg: 'ES384',
  }));

  const withAnswer = (name: string, page: (id: string) => Handler): void => {
    it(name, async () => {
      const id = `${origin}/client.json`;
      publish('/client.json', page(id));
      pages.set('/elsewhere.json', json(described(id)));
      expect(outcome(await ask(id))).toEqual(refused);
      expect(asked).toEqual(['/client.json']);
    });
  };
  for (const status of [301, 302, 303, 307, 308]) {
    withAnswer(`that is a ${status} redirect`, () => (_req, res) => {
      res.writeHead(status, { location: '/elsewhere.json' }).end();
    });
  }
  withAnswer('that is an error with a document', (id) => (_req, res) => {
    res.writeHead(404, { 'content-type': 'application/json' });
    res.end(JSON.stringify(described(id)));
  });
  withAnswer('of another type', (id) => json(described(id), { 'content-type': 'text/html' }));
  withAnswer('that is no JSON', () => json('{'));
  withAnswer('with a member twice', (id) =>
    json(`{"client_id":"x",${JSON.stringify(described(id)).slice(1)}`),
  );
  withAnswer('larger than 5 KiB', (id) => json(described(id, { padding: 'x'.repeat(5120) })));
  withAnswer('larger than 5 KiB, without an end', () => (_req, res) => {
    res.writeHead(200, { 'content-type': 'application/json' });
    const timer = setInterval(() => res.write(' '.repeat(4096)), 5);
    res.on('close', () => clearInterval(timer));
  });
  withAnswer('that does not come', () => () => {});
  withAnswer('that comes too slowly', (id) => (_req, res) => {
    res.writeHead(200, { 'content-type': 'application/json' });
    const text = JSON.stringify(described(id));
    let at = 0;
    const timer = setInterval(() => res.write(text.slice(at, (at += 10))), 100);
    res.on('close', () => clearInterval(timer));
  });
});

describe('a client id is refused without a fetch', () => {
  it.each([
    ['with a fragment', '/client.json#a'],
    ['with an empty fragment', '/client.json#'],
    ['without a path', '/'],
    ['without a path or slash', ''],
    ['with a dot segment', '/./client.json'],
    ['with a double-dot segment', '/a/../client.json'],
    ['with a hidden double-dot segment', '/a/%2e%2E/client.json'],
    ['with a backslash', '/a\\client.json'],
    ['with a line break', '/client\n.json'],
  ])('%s', async (_name, path) => {
    const id = `${origin}${path}`;
    sts.trusted.set(id, trust);
    expect(outcome(await ask(id))).toEqual(refused);
    expect(asked).toEqual([]);
  });
  it('with credentials', async () => {
    const id = `${origin.replace('//', '//user:password@')}/client.json`;
    sts.trusted.set(id, trust);
    expect(outcome(await ask(id))).toEqual(refused);
    expect(asked).toEqual([]);
  });
  it('over plain http, outside of tests', async () => {
    const strict = await startSts({ urlRules: {} });
    strict.trusted.set(publish('/client.json'), trust);
    const form = await strict.credentials(`${origin}/client.json`, key);
    const answer = await strict.token(form);
    expect(outcome(answer)).toEqual(refused);
    expect(asked).toEqual([]);
    await strict.close();
  });
});

describe('the way out is guarded', () => {
  it.each([
    ['a private address', 'https://10.0.0.1/client.json'],
    ['a loopback address', 'https://127.0.0.1/client.json'],
    ['the metadata address of a cloud', 'https://169.254.169.254/client.json'],
    ['an address inside, in IPv6', 'https://[::ffff:7f00:1]/client.json'],
  ])('against %s', async (_name, id) => {
    const refusals: string[] = [];
    const egress = createEgress({
      allow: [],
      allowLoopback: false,
      onRefused: (error) => refusals.push(error.message),
    });
    const guarded = await startSts({ fetch: egress.fetch });
    guarded.trusted.set(id, trust);
    const form = await guarded.credentials(id, key);
    expect(outcome(await guarded.token(form))).toEqual(refused);
    expect(refusals).toHaveLength(1);
    await guarded.close();
    await egress.close();
  });
  it('against a name that leads inside the second time (rebinding)', async () => {
    const refusals: string[] = [];
    const egress = createEgress({
      allow: [],
      allowLoopback: false,
      resolve: async () => [{ address: '127.0.0.1', family: 4 }],
      onRefused: (error) => refusals.push(error.message),
    });
    const guarded = await startSts({ fetch: egress.fetch });
    const id = 'https://client.example/client.json';
    guarded.trusted.set(id, trust);
    const form = await guarded.credentials(id, key);
    expect(outcome(await guarded.token(form))).toEqual(refused);
    expect(refusals).toHaveLength(1);
    await guarded.close();
    await egress.close();
  });
});

describe('fetches are few:', () => {
  it('a document is kept', async () => {
    const id = publish('/client.json');
    for (let n = 0; n < 5; n += 1) expect((await ask(id)).status).toBe(200);
    expect(asked).toEqual(['/client.json']);
  });
  it('20 that need the same document at once wait for one fetch', async () => {
    const id = publish('/client.json');
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask(id)));
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 200));
    expect(asked).toEqual(['/client.json']);
  });
  it('it is kept for a bounded time, whatever it asks for', async () => {
    const forever = { 'cache-control': 'public, max-age=99999999' };
    const never = { 'cache-control': 'no-store, max-age=0' };
    const long = publish('/long.json', json(described(`${origin}/long.json`), forever));
    const short = publish('/short.json', json(described(`${origin}/short.json`), never));
    await ask(long);
    await ask(short);
    await ask(short);
    expect(asked).toEqual(['/long.json', '/short.json']);
    sts.skew = 59_000;
    await ask(short);
    expect(asked).toHaveLength(2);
    sts.skew = 61_000;
    await ask(short);
    await ask(long);
    expect(asked).toEqual(['/long.json', '/short.json', '/short.json']);
    sts.skew = 60 * 60_000 + 1000;
    await ask(long);
    expect(asked.at(-1)).toBe('/long.json');
  });
  it('a failure is followed by a pause, and is not kept beyond it', async () => {
    const id = publish('/client.json', (_req, res) => res.writeHead(500).end());
    for (let n = 0; n < 10; n += 1) expect(outcome(await ask(id))).toEqual(refused);
    expect(asked).toEqual(['/client.json']);
    publish('/client.json');
    expect(outcome(await ask(id))).toEqual(refused);
    sts.skew = 10_001;
    expect((await ask(id)).status).toBe(200);
  });
  it('a host that hangs is not asked by more than two at once', async () => {
    const ids = Array.from({ length: 12 }, (_, n) => publish(`/${n}.json`, () => {}));
    const answers = await Promise.all(ids.map((id) => ask(id)));
    expect(answers.map(outcome)).toEqual(ids.map(() => refused));
    expect(asked).toHaveLength(2);
    const good = publish('/good.json');
    expect((await ask(good)).status).toBe(200);
  });
  it('unknown keys cause no storm', async () => {
    const id = `${origin}/client.json`;
    publish('/client.json', json(described(id, { jwks: undefined, jwks_uri: `${origin}/jwks` })));
    pages.set('/jwks', json({ keys: [key.publicJwk] }));
    expect((await ask(id)).status).toBe(200);
    const strangers = await Promise.all(Array.from({ length: 10 }, () => testKey()));
    for (const stranger of strangers) {
      expect(outcome(await ask(id, {}, stranger))).toEqual(refused);
    }
    expect(asked).toEqual(['/client.json', '/jwks']);
  });
});

it('a client changes its keys, inside its document or beside it', async () => {
  const inside = publish('/inside.json');
  const beside = publish(
    '/beside.json',
    json(described(`${origin}/beside.json`, { jwks: undefined, jwks_uri: `${origin}/jwks` })),
  );
  pages.set('/jwks', json({ keys: [key.publicJwk] }));
  await ask(inside);
  await ask(beside);
  const next = await testKey();
  publish('/inside.json', json(described(inside, { jwks: { keys: [next.publicJwk] } })));
  pages.set('/jwks', json({ keys: [next.publicJwk] }));
  sts.skew = 31_000;
  expect((await ask(inside, {}, next)).status).toBe(200);
  expect((await ask(beside, {}, next)).status).toBe(200);
});

it('a key set with a private key in it is refused', async () => {
  const id = `${origin}/client.json`;
  publish('/client.json', json(described(id, { jwks: undefined, jwks_uri: `${origin}/jwks` })));
  pages.set('/jwks', json({ keys: [key.publicJwk, (await testKey()).privateJwk] }));
  expect(outcome(await ask(id))).toEqual(refused);
});

it('a client gets only the grants that it says it uses', async () => {
  const id = publish('/client.json');
  const person = await ask(id, { grant_type: jwtBearer, assertion: 'x' });
  expect(outcome(person)).toEqual([400, 'unauthorized_client']);
  const browser = publish(
    '/browser.json',
    json(
      described(`${origin}/browser.json`, {
        grant_types: undefined,
      }),
    ),
  );
  expect(outcome(await ask(browser))).toEqual([400, 'unauthorized_client']);
});

it('a client that says so gets bound tokens only', async () => {
  const id = `${origin}/client.json`;
  publish('/client.json', json(described(id, { dpop_bound_access_tokens: true })));
  expect(outcome(await ask(id))).toEqual([400, 'invalid_dpop_proof']);
});

it('a registered client is not looked up, also when its id is a URL', async () => {
  const id = publish('/client.json');
  sts.clients.set(id, { ...trust, clientId: id, jwks: { keys: [key.publicJwk] } });
  expect((await ask(id)).status).toBe(200);
  expect(asked).toEqual([]);
});
