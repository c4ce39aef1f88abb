/** SECURITY row 4: consent that a person gave for one peer is none for any other, nor elsewhere. */
import { DatabaseSync } from 'node:sqlite';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { freePort } from '../faults/child.ts';
import { adminOf } from '../support/admin-client.ts';
import { CookieClient, type Visit } from '../support/cookie-client.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { startIdentityProvider, type IdentityProvider } from '../support/identity-provider.ts';
import { WireClient } from '../support/wire-client.ts';
import { startGuardedServer, type GuardedServer } from './connect-world.ts';

const credentials = { type: 'user_oauth', connection: 'files' };
const notes = { uri: 'test://notes/first' };
const framing = { capabilities: { elicitation: { form: {}, url: {} } } };

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

interface World {
  readonly gateway: TestGateway;
  readonly third: IdentityProvider;
  readonly one: GuardedServer;
  readonly two: GuardedServer;
  readonly connection: Record<string, unknown>;
}

/** A gateway with two servers of one connection. */
async function startWorld(more: Record<string, unknown> = {}): Promise<World> {
  const port = await freePort();
  const clientSecret = 'a secret of the third party';
  const third = await startIdentityProvider({
    scopes: ['files.read'],
    clients: [
      {
        client_id: 'isthmus',
        client_secret: clientSecret,
        grant_types: ['authorization_code', 'refresh_token'],
        redirect_uris: [`http://127.0.0.1:${port}/connect/callback/files`],
      },
    ],
  });
  open.push(third);
  const [one, two] = [await startServer(), await startServer()];
  const connection = {
    id: 'files',
    name: 'Files Inc',
    issuer: third.issuer,
    clientId: 'isthmus',
    clientSecret,
    scopes: ['files.read'],
    ...more,
  };
  const gateway = await startGateway({
    port,
    peers: [
      { id: 'one', mcp: one.url, credentials },
      { id: 'two', mcp: two.url, credentials },
    ],
    connections: [connection],
  });
  open.push(gateway);
  return { gateway, third, one, two, connection };
}

async function startServer(): Promise<GuardedServer> {
  const server = await startGuardedServer();
  open.push(server);
  return server;
}

/** A read at a peer: what it gives, or where the person is asked. */
async function read({ gateway }: World, peer: string) {
  const wire = new WireClient(gateway.mcp(peer));
  const { result, error } = await wire.request('resources/read', notes, framing);
  const data = error?.data as { url?: string } | undefined;
  return { text: JSON.stringify(result ?? ''), link: data?.url, message: error?.message ?? '' };
}

/** The person follows the link and agrees everywhere. */
async function consent({ third }: World, link = ''): Promise<Visit> {
  const browser = new CookieClient();
  const page = await browser.get(link);
  const button = `Continue to ${new URL(third.issuer).host}`;
  const leaving = await browser.submit(page, {}, { button });
  const to = (leaving.headers.get('refresh') ?? '').slice('0;url='.length);
  expect((await browser.logIn(to, 'alice-there')).text).toContain('Connected');
  return page;
}

const hostOf = ({ url }: GuardedServer): string => new URL(url).host;
const originOf = ({ url }: GuardedServer): string => new URL(url).origin;
const tokensAt = ({ seen }: GuardedServer): Set<string> =>
  new Set(seen.flatMap(({ authorization }) => authorization ?? []));

/** How many consents are kept. */
function kept({ gateway }: World): number {
  const file = new DatabaseSync(join(gateway.dir, 'isthmus.db'), { readOnly: true });
  const rows = file.prepare("SELECT id FROM secret WHERE kind = 'connection'").all();
  file.close();
  return rows.length;
}

describe('consent for one peer', () => {
  it('gives nothing to another peer of the same connection: it asks for itself', async () => {
    const world = await startWorld();
    await consent(world, (await read(world, 'one')).link);
    expect((await read(world, 'one')).text).toContain('notes/first');
    const asked = await read(world, 'two');
    expect(asked.link).toContain('/connect/');
    expect(tokensAt(world.two)).toEqual(new Set());
    await consent(world, asked.link);
    expect((await read(world, 'two')).text).toContain('notes/first');
    const [ofOne] = tokensAt(world.one);
    expect(tokensAt(world.two).size).toBe(1);
    expect(tokensAt(world.two).has(ofOne ?? '')).toBe(false);
  });

  it('names the peer and the host that gets the token, before and after', async () => {
    const world = await startWorld();
    const page = await consent(world, (await read(world, 'one')).link);
    expect(page.text).toContain('<dt>To be used by</dt><dd>one (<code>one</code>)</dd>');
    const host = `<strong class="host">${hostOf(world.one)}</strong>`;
    expect(page.text).toContain(`<dt>Sent to</dt><dd>${host}</dd>`);
    expect(page.text).toContain(`it sends the token to ${host}, and to nobody else`);
    expect(page.text).not.toContain(hostOf(world.two));
    const list = await new CookieClient().get(`${world.gateway.url}/connect`);
    expect(list.text).toContain(`<code>one</code> at ${hostOf(world.one)}`);
  });

  it('is none for the same id at another origin', async () => {
    const world = await startWorld();
    await consent(world, (await read(world, 'one')).link);
    const elsewhere = await startServer();
    world.gateway.reconfigure({ peers: [{ id: 'one', mcp: elsewhere.url, credentials }] });
    expect((await read(world, 'one')).link).toContain('/connect/');
    expect(tokensAt(elsewhere)).toEqual(new Set());
  });

  it('is not touched by a 401 of another peer', async () => {
    const world = await startWorld();
    world.third.tamperTokens((body) => void delete body['refresh_token']);
    for (const peer of ['one', 'two']) await consent(world, (await read(world, peer)).link);
    world.two.refused.has = () => true;
    expect((await read(world, 'two')).link).toContain('/connect/');
    expect((await read(world, 'one')).text).toContain('notes/first');
  });
});

describe('a peer that refuses every token', () => {
  it('without a refresh token: is sent it no more, and consent is asked for, not deleted', async () => {
    const world = await startWorld();
    world.third.tamperTokens((body) => void delete body['refresh_token']);
    await consent(world, (await read(world, 'one')).link);
    await read(world, 'one');
    const has = world.one.refused.has.bind(world.one.refused);
    world.one.refused.has = () => true;
    const { link } = await read(world, 'one');
    expect(link).toContain('/connect/');
    expect(kept(world)).toBe(1);
    const sent = world.one.seen.filter(({ authorization }) => authorization !== undefined).length;
    await read(world, 'one');
    expect(world.one.seen.filter(({ authorization }) => authorization !== undefined)).toHaveLength(
      sent,
    );
    world.one.refused.has = has;
    await consent(world, link);
    expect((await read(world, 'one')).text).toContain('notes/first');
    expect(kept(world)).toBe(1);
  });

  it('with a refresh token: has it renewed once a minute, and the connection stays', async () => {
    const world = await startWorld();
    await consent(world, (await read(world, 'one')).link);
    await read(world, 'one');
    const has = world.one.refused.has.bind(world.one.refused);
    world.one.refused.has = () => true;
    world.third.tokenRequests.length = 0;
    for (let times = 0; times < 5; times += 1) {
      const { link, message } = await read(world, 'one');
      expect([link, message]).toEqual([undefined, expect.stringContaining('refused')]);
    }
    expect(world.third.tokenRequests).toHaveLength(1);
    world.one.refused.has = has;
    expect((await read(world, 'one')).text).toContain('notes/first');
  });
});

describe('a peer that the admin API adds', () => {
  const entry = ({ url }: GuardedServer) => ({ id: 'late', mcp: { url }, credentials });

  it('may not name a connection that does not list its origin', async () => {
    for (const origins of [undefined, ['https://files.example']]) {
      const world = await startWorld();
      world.gateway.reconfigure({
        peers: [],
        connections: [{ ...world.connection, ...(origins && { origins }) }],
      });
      const late = await startServer();
      const answer = await adminOf(world.gateway)('POST', '/peers', entry(late));
      expect(answer.status).toBe(422);
      expect(answer.body.mistakes).toEqual([
        { path: 'credentials.connection', message: expect.stringContaining('origin') },
      ]);
      expect(late.seen).toEqual([]);
    }
  });

  it('may name one that does, and asks for a consent of its own', async () => {
    const world = await startWorld();
    await consent(world, (await read(world, 'one')).link);
    const late = await startServer();
    const connections = [
      { ...world.connection, origins: [world.one, world.two, late].map(originOf) },
    ];
    world.gateway.reconfigure({ connections });
    expect((await adminOf(world.gateway)('POST', '/peers', entry(late))).status).toBe(201);
    const asked = await read(world, 'late');
    expect(tokensAt(late)).toEqual(new Set());
    await consent(world, asked.link);
    expect((await read(world, 'late')).text).toContain('notes/first');

    // The operator takes the list back: the token stays here, also after a restart.
    late.seen.length = 0;
    world.gateway.reconfigure({ connections: [world.connection] });
    const refused = await read(world, 'late');
    expect([refused.link, refused.message]).toEqual([
      undefined,
      expect.stringContaining('may not be given tokens of the connection "files"'),
    ]);
    await world.gateway.restart();
    await vi.waitFor(async () => expect((await read(world, 'late')).text).toBe('""'));
    expect(world.gateway.log).toContainEqual(
      expect.objectContaining({ event: 'peer.unusable', peer: 'late' }),
    );
    expect(tokensAt(late)).toEqual(new Set());
    expect((await read(world, 'one')).text).toContain('notes/first');
  });

  it('gets no consent at a link that was made before the list was taken back', async () => {
    const world = await startWorld();
    const late = await startServer();
    const connections = [{ ...world.connection, origins: [originOf(late)] }];
    world.gateway.reconfigure({ peers: [], connections });
    await adminOf(world.gateway)('POST', '/peers', entry(late));
    const { link = '' } = await read(world, 'late');
    expect((await new CookieClient().get(link)).status).toBe(200);
    world.gateway.reconfigure({ connections: [world.connection] });
    expect((await new CookieClient().get(link)).status).toBe(404);
  });
});
