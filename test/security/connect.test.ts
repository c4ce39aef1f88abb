/** SECURITY rows 4, 5, 6, 22 and the list "Connect": links to third parties, by name. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  listSealingKeys,
  removeSealingKey,
  rotateSealingKey,
} from '../../src/auth/sealing-keys.ts';
import { createSeal } from '../../src/auth/seal.ts';
import type { TaskHandle, TaskView } from '../../src/ports/tasks.ts';
import { CookieClient, type Visit } from '../support/cookie-client.ts';
import {
  linkOf,
  principal,
  resource,
  startConnectWorld,
  type ConnectWorld,
} from './connect-world.ts';

let world: ConnectWorld;
beforeAll(async () => {
  world = await startConnectWorld();
});
afterAll(() => world.close());
afterEach(() => {
  world.sql("DELETE FROM secret WHERE kind = 'connection'");
  world.guarded.refused.clear();
  world.events.length = 0;
});

/** Alice's client calls a tool of the server that wants her own token. */
async function asked(
  who = 'alice',
  client = 'client-one',
): Promise<{ handle: TaskHandle; view: TaskView; url: string }> {
  const handle = world.tasks.start({
    principal: principal(world, who, client),
    peerId: 'files',
    message: { messageId: `m-${Math.random()}`, role: 'ROLE_USER', parts: [] },
    call: { name: 'echo', arguments: { text: 'for Alice' } },
  });
  await handle.settled({ timeoutMs: 5000 });
  const view = await handle.commit();
  expect(view.task.status.state).toBe('TASK_STATE_AUTH_REQUIRED');
  return { handle, view, url: linkOf(view) };
}

/** The page of a link, in a browser in which somebody is logged in. */
async function opened(url: string, who = 'alice', browser = new CookieClient()) {
  return { browser, page: await browser.logIn(url, who) };
}

/** From the page to the third party: its URL, before anything was typed there. */
async function allowed(browser: CookieClient, page: Visit): Promise<URL> {
  const leaving = await browser.submit(page, {}, { button: `Continue to ${thirdHost()}` });
  expect(leaving.status).toBe(200);
  const refresh = leaving.headers.get('refresh') ?? '';
  expect(refresh.startsWith('0;url=')).toBe(true);
  return new URL(refresh.slice('0;url='.length));
}

/** The redirect back from the third party, not yet followed. */
async function redirected(browser: CookieClient, to: URL): Promise<URL> {
  const end = await browser.logIn(to, 'alice-there', {
    follow: (next) => !next.pathname.startsWith('/connect/callback/'),
  });
  if (end.location === undefined) throw new Error(`No redirect: ${end.text}`);
  return end.location;
}

const thirdHost = () => new URL(world.third.issuer).host;
const held = () => world.rows("SELECT * FROM secret WHERE kind = 'connection'");
const wishes = () => world.rows("SELECT * FROM secret WHERE kind = 'connect-request'").length;

/** Everything up to "Connected". */
async function connectAlice(url: string) {
  const { browser, page } = await opened(url);
  const back = await redirected(browser, await allowed(browser, page));
  const done = await browser.get(back);
  expect(done.text).toContain('Connected');
  return { browser, back };
}

describe('a connection', () => {
  it('lets the call go on by itself, within a second of consent, and is asked for once', async () => {
    const { handle, view, url } = await asked();
    const parts = view.task.status.message?.parts ?? [];
    expect(parts[1]?.data).toEqual({ url });
    expect(parts[0]?.text).toContain('Files Inc');
    const { browser, page } = await opened(url);
    for (const fact of ['Alice', 'example', 'client-one', 'Files Inc', thirdHost(), 'files.read']) {
      expect(page.text).toContain(fact);
    }
    const to = await allowed(browser, page);
    expect(Object.fromEntries(to.searchParams)).toMatchObject({
      response_type: 'code',
      client_id: 'isthmus',
      scope: 'files.read',
      resource,
      redirect_uri: `${world.url}/connect/callback/files`,
      code_challenge_method: 'S256',
    });
    const back = await redirected(browser, to);
    expect(held()).toHaveLength(0);
    const started = Date.now();
    expect((await browser.get(back)).text).toContain('Connected');
    const settled = await handle.settled({ timeoutMs: 5000, afterSeq: view.seq });
    expect(Date.now() - started).toBeLessThan(1000);
    expect(settled.kind === 'task' && settled.view.outcome).toMatchObject({
      result: { content: [{ type: 'text', text: 'for Alice' }] },
    });
    const again = world.tasks.start({
      principal: principal(world, 'alice'),
      peerId: 'files',
      message: { messageId: 'again', role: 'ROLE_USER', parts: [] },
      call: { name: 'echo', arguments: { text: 'twice' } },
    });
    const direct = await again.settled({ timeoutMs: 5000 });
    expect(JSON.stringify(direct)).toContain('twice');
    // Spec: RFC 8707 §2.2
    expect(world.third.tokenRequests.at(-1)?.body['resource']).toBe(resource);
  });

  it('is per client: another client of the same person is asked anew', async () => {
    const first = await asked();
    await connectAlice(first.url);
    await first.handle.settled({ timeoutMs: 5000, afterSeq: first.view.seq });
    const { view } = await asked('alice', 'client-two');
    expect(view.task.status.state).toBe('TASK_STATE_AUTH_REQUIRED');
    expect(held()).toHaveLength(1);
  });

  it('declined ends the task, says so, and nothing was sent', async () => {
    const { handle, view, url } = await asked();
    const calls = () => world.guarded.seen.filter(({ method }) => method === 'tools/call').length;
    const before = calls();
    const { browser, page } = await opened(url);
    const done = await browser.submit(page, {}, { button: 'Decline' });
    expect(done.text).toContain('Declined');
    const settled = await handle.settled({ timeoutMs: 2000, afterSeq: view.seq });
    expect(settled.kind === 'task' && settled.view.task.status.state).toBe('TASK_STATE_REJECTED');
    expect(JSON.stringify(settled)).toContain('declined');
    expect(calls()).toBe(before);
    expect((await browser.get(url)).status).toBe(404);
  });

  it('is listed and removed by its person, and its token is revoked at the service', async () => {
    const { browser } = await connectAlice((await asked()).url);
    const token = world.third.tokenRequests.at(-1)?.reply?.['refresh_token'];
    const list = await browser.get(`${world.url}/connect`);
    expect(list.text).toContain('Files Inc');
    expect(list.text).toContain('client-one');
    const { browser: bobs } = await opened(`${world.url}/connect`, 'bob');
    const id = /name="remove" value="([^"]+)"/.exec(list.text)?.[1] ?? '';
    const bobsList = await bobs.get(`${world.url}/connect`);
    expect(bobsList.text).not.toContain('Files Inc');
    const formToken = /name="formToken" value="([^"]+)"/.exec(list.text)?.[1] ?? '';
    await bobs.post(`${world.url}/connect`, { remove: id, formToken });
    expect(held()).toHaveLength(1);
    const after = await browser.submit(list);
    expect(after.text).toContain('There are none');
    expect(held()).toHaveLength(0);
    const revoked = world.third.requests.filter(({ url }) => url.startsWith('/token/revocation'));
    expect(revoked).toHaveLength(2);
    const reply = await fetch(`${world.third.issuer}/token`, {
      method: 'POST',
      headers: {
        authorization: `Basic ${Buffer.from('isthmus:a+secret+of+the+third+party').toString('base64')}`,
        'content-type': 'application/x-www-form-urlencoded',
      },
      body: new URLSearchParams({ grant_type: 'refresh_token', refresh_token: String(token) }),
    });
    expect(await reply.json()).toMatchObject({ error: 'invalid_grant' });
    expect((await asked()).view.task.status.state).toBe('TASK_STATE_AUTH_REQUIRED');
  });

  it('that the server refuses is renewed once, and asked for again when that is over too', async () => {
    await connectAlice((await asked()).url);
    const first = await world.vault.accessToken(principal(world, 'alice'), world.use('files'));
    world.guarded.refused.add(first);
    const run = async () => {
      const handle = world.tasks.start({
        principal: principal(world, 'alice'),
        peerId: 'files',
        message: { messageId: `n-${Math.random()}`, role: 'ROLE_USER', parts: [] },
        call: { name: 'echo', arguments: { text: 'renewed' } },
      });
      return JSON.stringify(await handle.settled({ timeoutMs: 5000 }));
    };
    expect(await run()).toContain('renewed');
    const second = await world.vault.accessToken(principal(world, 'alice'), world.use('files'));
    expect(second).not.toBe(first);
    world.guarded.refused.add(second);
    // Whatever it renews to is refused as well: the person is not asked in circles.
    const has = world.guarded.refused.has.bind(world.guarded.refused);
    world.guarded.refused.has = () => true;
    expect(await run()).toContain('refused');
    world.guarded.refused.has = has;
  });

  it('is renewed once however many calls need it at the same time', async () => {
    await connectAlice((await asked()).url);
    const who = principal(world, 'alice');
    const token = await world.vault.accessToken(who, world.use('files'));
    const before = world.third.tokenRequests.length;
    const tokens = await Promise.all(
      Array.from({ length: 20 }, () => world.vault.refused(who, world.use('files'), { token })),
    );
    expect(new Set(tokens).size).toBe(1);
    expect(tokens[0]).not.toBe(token);
    expect(world.third.tokenRequests.length - before).toBe(1);
  });

  it('survives a restart while it is waited for, and the call is then sent exactly once', async () => {
    const { handle, view, url } = await asked();
    const calls = () => world.guarded.seen.filter(({ method }) => method === 'tools/call').length;
    const before = calls();
    await world.restart();
    await connectAlice(url);
    const later = await world.tasks.open(principal(world, 'alice'), handle.id, 'files');
    const settled = await later.settled({ timeoutMs: 3000, afterSeq: view.seq });
    expect(JSON.stringify(settled)).toContain('for Alice');
    expect(calls() - before).toBe(1);
  });

  it('that is not needed any more leaves no link behind', async () => {
    const { handle, url } = await asked();
    await world.tasks.cancel(principal(world, 'alice'), handle.id, 'files');
    const { page } = await opened(url);
    expect(page.status).toBe(404);
  });
});

describe('who may decide', () => {
  it("Bob opens Alice's link: refused, no token stored, audited", async () => {
    const { url } = await asked();
    const { page } = await opened(url, 'bob');
    expect(page.status).toBe(403);
    for (const secret of ['client-one', 'Files Inc', 'files.read', 'alice', 'Alice']) {
      expect(page.text).not.toContain(secret);
    }
    expect(page.forms).toEqual([]);
    expect(held()).toHaveLength(0);
    expect(world.events).toEqual([
      {
        event: 'connection.refused',
        reason: 'other-person',
        connection: 'files',
        peer: 'files',
        by: JSON.stringify(['example', world.provider.issuer, 'bob']),
      },
    ]);
  });

  it("Bob posts the form of Alice's link: refused", async () => {
    const { url } = await asked();
    const { browser } = await opened(`${world.url}/connect`, 'bob');
    const list = await browser.get(`${world.url}/connect`);
    const formToken = /name="formToken" value="([^"]+)"/.exec(list.text)?.[1] ?? '';
    const end = await browser.post(url, { decision: 'allow', formToken });
    expect(end.status).toBe(403);
    expect(wishes()).toBeGreaterThan(0);
  });

  it("Bob finishes it from the third party's page: refused, and Alice can still go on", async () => {
    const { url } = await asked();
    const alice = await opened(url);
    const to = await allowed(alice.browser, alice.page);
    const bob = await opened(`${world.url}/connect`, 'bob');
    const end = await bob.browser.logIn(to, 'bob-there');
    expect(end.url.pathname).toBe('/connect/callback/files');
    expect(end.status).toBe(400);
    expect(held()).toHaveLength(0);
    expect(world.events.at(-1)).toMatchObject({ reason: 'other-browser' });
    const back = await redirected(alice.browser, to);
    expect((await alice.browser.get(back)).text).toContain('Connected');
  });

  it('same user, other browser: refused', async () => {
    const { url } = await asked();
    const alice = await opened(url);
    const back = await redirected(alice.browser, await allowed(alice.browser, alice.page));
    const other = await opened(`${world.url}/connect`, 'alice');
    expect((await other.browser.get(back)).status).toBe(400);
    expect(held()).toHaveLength(0);
  });

  it('the browser of Alice in which Bob has logged in meanwhile: refused', async () => {
    const { url } = await asked();
    const alice = await opened(url);
    const back = await redirected(alice.browser, await allowed(alice.browser, alice.page));
    const bob = await opened(`${world.url}/connect`, 'bob');
    const session = bob.browser.cookies(world.url)['__Host-isthmus'] ?? '';
    alice.browser.setCookie(world.url, `__Host-isthmus=${session}; Path=/; Secure`);
    const end = await alice.browser.get(back);
    expect(end.status).toBe(403);
    expect(held()).toHaveLength(0);
    expect(world.events.at(-1)).toMatchObject({ reason: 'other-person' });
  });

  it('the same subject of another organization: refused', async () => {
    const { handle } = await asked();
    const stranger = { ...principal(world, 'alice'), organization: 'elsewhere' };
    await expect(world.tasks.open(stranger, handle.id, 'files')).rejects.toMatchObject({
      code: 'task-not-found',
    });
    const wish = await world.vault.request(stranger, world.use('files'));
    const { browser } = await opened(`${world.url}/connect`, 'alice');
    expect((await browser.get(wish.url)).status).toBe(403);
  });
});

describe('the redirect of the third party', () => {
  it('callback replay: refused', async () => {
    const { browser, back } = await connectAlice((await asked()).url);
    expect((await browser.get(back)).status).toBe(400);
    expect(held()).toHaveLength(1);
    expect(world.events.at(-1)).toMatchObject({ reason: 'transaction' });
  });

  it('replay, 20 at the same time: one is taken', async () => {
    const { url } = await asked();
    const { browser, page } = await opened(url);
    const back = await redirected(browser, await allowed(browser, page));
    const cookie = Object.entries(browser.cookies(back))
      .map(([name, value]) => `${name}=${value}`)
      .join('; ');
    const ends = await Promise.all(
      Array.from({ length: 20 }, () => fetch(back, { headers: { cookie } })),
    );
    expect(ends.filter(({ status }) => status === 200)).toHaveLength(1);
  });

  it('connection swapped: refused, and not used up', async () => {
    const { url } = await asked();
    const { browser, page } = await opened(url);
    const back = await redirected(browser, await allowed(browser, page));
    const swapped = new URL(back);
    swapped.pathname = '/connect/callback/other';
    expect((await browser.get(swapped)).status).toBe(400);
    expect(world.events.at(-1)).toMatchObject({ reason: 'connection', connection: 'other' });
    expect((await browser.get(back)).text).toContain('Connected');
  });

  it.each([
    ['wrong', (iss: string) => [`${iss}.evil.example`]],
    ['slashed', (iss: string) => [`${iss}/`]],
    ['missing', () => []],
    ['doubled', (iss: string) => [iss, iss]],
  ])('%s iss: refused, no token', async (_what, change) => {
    const { url } = await asked();
    const { browser, page } = await opened(url);
    const back = await redirected(browser, await allowed(browser, page));
    const iss = back.searchParams.get('iss') ?? '';
    back.searchParams.delete('iss');
    for (const each of change(iss)) back.searchParams.append('iss', each);
    const before = world.third.tokenRequests.length;
    const end = await browser.get(back);
    expect(end.status).toBe(400);
    expect(held()).toHaveLength(0);
    expect(world.third.tokenRequests).toHaveLength(before);
  });

  it('an error is shown by its code when its iss is right, and not at all when it is not', async () => {
    const { url } = await asked();
    const { browser, page } = await opened(url);
    const error = async (iss: string) => {
      const to = await allowed(browser, page);
      const back = new URL(`${world.url}/connect/callback/files`);
      back.search = new URLSearchParams({
        state: to.searchParams.get('state') ?? '',
        error: 'temporarily_unavailable',
        error_description: '<b>CALL 555-0100</b>',
        iss,
      }).toString();
      return browser.get(back);
    };
    const right = await error(world.third.issuer);
    expect(right.text).toContain('temporarily_unavailable');
    expect(right.text).not.toContain('555-0100');
    const wrong = await error('https://evil.example');
    expect(wrong.text).not.toContain('temporarily_unavailable');
    expect(wrong.text).not.toContain('555-0100');
    // It can be tried again.
    expect((await browser.get(url)).status).toBe(200);
  });

  it('saying no at the third party leaves the question open', async () => {
    const { url } = await asked();
    const { browser, page } = await opened(url);
    const there = await browser.get(await allowed(browser, page));
    const end = await browser.submit(there, {}, { button: 'Cancel' });
    expect(end.text).toContain('did not agree');
    expect(end.text).toContain('Try again or decline');
    expect(held()).toHaveLength(0);
    expect((await browser.get(url)).status).toBe(200);
  });
});

describe('the form', () => {
  const post = async (
    change: (fields: Record<string, string>) => Record<string, string>,
    headers: Record<string, string> = {},
  ): Promise<Visit> => {
    const { url } = await asked();
    const { browser, page } = await opened(url);
    const formToken = /name="formToken" value="([^"]+)"/.exec(page.text)?.[1] ?? '';
    const end = await browser.post(url, change({ decision: 'allow', formToken }), { headers });
    expect(wishes()).toBeGreaterThan(0);
    return end;
  };

  it('CSRF: without its token nothing is decided', async () => {
    expect((await post(({ decision }) => ({ decision: decision ?? '' }))).status).toBe(403);
    expect((await post((fields) => ({ ...fields, formToken: 'x' }))).status).toBe(403);
    expect(world.events.every((event) => 'reason' in event && event.reason === 'form')).toBe(true);
  });

  it('foreign Origin: refused, with the token too', async () => {
    const foreign = { origin: 'https://evil.example' };
    expect((await post((fields) => fields, foreign)).status).toBe(403);
    expect((await post((fields) => fields, { origin: 'null' })).status).toBe(403);
    expect((await post((fields) => fields, { 'sec-fetch-site': 'cross-site' })).status).toBe(403);
    expect((await post((fields) => fields)).status).toBe(200);
  });

  it('framed consent: no page may be framed', async () => {
    const { url } = await asked();
    const { page, browser } = await opened(url);
    for (const each of [page, await browser.get(`${world.url}/connect`)]) {
      const policy = each.headers.get('content-security-policy') ?? '';
      expect(policy).toContain("frame-ancestors 'none'");
      expect(policy).toContain("default-src 'none'");
      expect(policy).not.toMatch(/script-src|unsafe/);
      expect(each.headers.get('x-frame-options')).toBe('DENY');
      expect(each.text).not.toContain('<script');
    }
  });

  it('prefetch changes nothing', async () => {
    const { url, handle } = await asked();
    const { browser } = await opened(url);
    const before = JSON.stringify(world.rows("SELECT * FROM secret WHERE kind LIKE 'connect%'"));
    for (let n = 0; n < 3; n += 1) {
      await browser.get(url, { headers: { 'sec-purpose': 'prefetch' } });
      await browser.get(`${world.url}/connect/callback/files`);
      await browser.get(`${world.url}/connect?remove=x`);
    }
    expect(JSON.stringify(world.rows("SELECT * FROM secret WHERE kind LIKE 'connect%'"))).toBe(
      before,
    );
    expect(handle.view().task.status.state).toBe('TASK_STATE_AUTH_REQUIRED');
  });
});

describe('the link', () => {
  it('tampered, foreign or made for another use: nothing here, for everybody', async () => {
    const { url } = await asked();
    const foreign = createSeal(Buffer.from(Array.from({ length: 32 }, (_, n) => n * 7)));
    const id = url.slice(url.lastIndexOf('/') + 1);
    const bad = [
      id.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A')),
      id.replace(/^./, (first) => (first === 'A' ? 'B' : 'A')),
      foreign.sealStable(JSON.stringify({ request: 'x' }), 'connect'),
      'x',
    ];
    const pages = await Promise.all(bad.map((each) => fetch(`${world.url}/connect/${each}`)));
    expect(pages.map(({ status }) => status)).toEqual([404, 404, 404, 404]);
    expect(new Set(await Promise.all(pages.map((each) => each.text()))).size).toBe(1);
  });

  it('expired: nothing here, and the task has failed', async () => {
    const { handle, view, url } = await asked();
    world.sql("UPDATE secret SET expires_at = 1 WHERE kind = 'connect-request'");
    const { page } = await opened(url);
    expect(page.status).toBe(404);
    const settled = await handle.settled({ timeoutMs: 3000, afterSeq: view.seq });
    expect(settled.kind === 'task' && settled.view.task.status.state).toBe('TASK_STATE_FAILED');
  });
});

describe('what is kept', () => {
  it('vault row moved: it opens for nobody', async () => {
    await connectAlice((await asked()).url);
    const bob = principal(world, 'bob');
    const wish = await asked('bob');
    expect(wish.view.task.status.state).toBe('TASK_STATE_AUTH_REQUIRED');
    const [row] = held();
    const owner = JSON.stringify(['example', world.provider.issuer, 'bob']);
    world.sql("UPDATE secret SET owner = ? WHERE kind = 'connection'", owner);
    expect(await world.vault.list(bob)).toEqual([]);
    expect(await world.vault.isConnected(principal(world, 'alice'), world.use('files'))).toBe(
      false,
    );
    world.sql(
      "UPDATE secret SET owner = ?, id = 'moved' WHERE kind = 'connection'",
      String(row?.['owner']),
    );
    expect(await world.vault.isConnected(principal(world, 'alice'), world.use('files'))).toBe(
      false,
    );
    expect(await world.vault.list(principal(world, 'alice'))).toEqual([]);
  });

  it('sealing key removed: the connection is gone, and the person is asked again', async () => {
    await connectAlice((await asked()).url);
    const keys = join(world.dir, 'keys');
    const [first] = listSealingKeys(keys);
    await rotateSealingKey(keys);
    expect(await world.vault.isConnected(principal(world, 'alice'), world.use('files'))).toBe(true);
    await removeSealingKey(keys, first?.kid ?? '');
    expect(await world.vault.isConnected(principal(world, 'alice'), world.use('files'))).toBe(
      false,
    );
    await connectAlice((await asked()).url);
    expect(await world.vault.isConnected(principal(world, 'alice'), world.use('files'))).toBe(true);
  });

  it('credentials are not reused after the issuer or the client changed', async () => {
    await connectAlice((await asked()).url);
    const who = principal(world, 'alice');
    for (const change of [{ issuer: `${world.third.issuer}/other` }, { clientId: 'another' }]) {
      world.reconfigure(change);
      expect(await world.vault.isConnected(who, world.use('files'))).toBe(false);
      await expect(world.vault.accessToken(who, world.use('files'))).rejects.toMatchObject({
        code: 'connection-needed',
        facts: { connection: 'files' },
      });
    }
    world.reconfigure({});
    expect(await world.vault.isConnected(who, world.use('files'))).toBe(true);
  });

  it('no third-party token in any byte bound for a client or an agent, nor in the clear on disk', async () => {
    const { handle, view, url } = await asked();
    const { browser, page } = await opened(url);
    const seen: string[] = [JSON.stringify(view), page.text];
    const leaving = await browser.submit(page, {}, { button: `Continue to ${thirdHost()}` });
    seen.push(leaving.text, JSON.stringify([...leaving.headers]));
    const to = new URL((leaving.headers.get('refresh') ?? '').slice('0;url='.length));
    const done = await browser.get(await redirected(browser, to));
    seen.push(done.text, JSON.stringify([...done.headers]));
    const settled = await handle.settled({ timeoutMs: 3000, afterSeq: view.seq });
    seen.push(JSON.stringify(settled));
    seen.push((await browser.get(`${world.url}/connect`)).text);
    seen.push(JSON.stringify(world.events), JSON.stringify(world.audit));
    seen.push(readFileSync(join(world.dir, 'x.db'), 'latin1'));
    seen.push(readFileSync(join(world.dir, 'x.db-wal'), 'latin1'));
    const reply = world.third.tokenRequests.at(-1)?.reply ?? {};
    const tokens = [String(reply['access_token']), String(reply['refresh_token'])];
    for (const token of tokens) {
      expect(token.length).toBeGreaterThan(20);
      for (const text of seen) expect(text.includes(token)).toBe(false);
    }
    // The one that it is for has got it.
    expect(world.guarded.seen.some((call) => call.authorization === `Bearer ${tokens[0]}`)).toBe(
      true,
    );
  });
});
