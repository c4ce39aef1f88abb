/** Work that waits for a person's consent, as the engine and its callers see it. */
import { createHash } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { join } from 'node:path';
import { TaskState } from '@a2a-js/sdk';
import { loadSealingSecret } from '../../src/auth/key-files.ts';
import { createSeal } from '../../src/auth/seal.ts';
import { ConnectLinks } from '../../src/mcp/connect-links.ts';
import { isTerminal, type Message } from '../../src/model/a2a.ts';
import type { Principal } from '../../src/model/principal.ts';
import type { ToolPeer } from '../../src/ports/peer.ts';
import type { Settled, TaskView } from '../../src/ports/tasks.ts';
import { messageFromResponses } from '../../src/translate/questions.ts';
import {
  linkOf,
  startConnectWorld,
  principal,
  type ConnectWorld,
} from '../security/connect-world.ts';
import { startA2aAgent, type A2aAgent } from '../support/a2a-agent.ts';
import { artifact, textPart } from '../support/a2a-parts.ts';
import { CookieClient } from '../support/cookie-client.ts';

let agent: A2aAgent;
let world: ConnectWorld;
beforeAll(async () => {
  agent = await startA2aAgent({
    behaviours: {
      // Asks for an authorization, and goes on with whatever is said next.
      needs: (turn) => {
        turn.begin();
        turn.live.next = async (next) => {
          next.begin();
          next.complete([artifact('result', [textPart('done with your account')])]);
        };
        turn.status(TaskState.TASK_STATE_AUTH_REQUIRED, [textPart('I need your account.')]);
      },
    },
  });
  world = await startConnectWorld({ agentCard: agent.cardUrl });
});
afterAll(async () => {
  await world.close();
  await agent.close();
});
afterEach(() => world.sql("DELETE FROM secret WHERE kind IN ('connection', 'connect-request')"));

let count = 0;
const mint = (): string => `m${(count += 1)}`;
const alice = (): Principal => principal(world, 'alice');

async function started(peerId: string, name: string, args: Record<string, string> = {}) {
  const isAgent = peerId === 'agent';
  const message: Message = {
    messageId: mint(),
    role: 'ROLE_USER',
    parts: isAgent ? [{ text: name }] : [],
  };
  const handle = world.tasks.start({
    principal: alice(),
    peerId,
    message,
    ...(!isAgent && { call: { name, arguments: args } }),
  });
  await handle.settled({ timeoutMs: 5000 });
  const view = await handle.commit();
  return { handle, view, link: linkOf(view) };
}

/** Alice consents in her browser. */
async function consent(link: string): Promise<void> {
  const browser = new CookieClient();
  const page = await browser.logIn(link, 'alice');
  const host = new URL(world.third.issuer).host;
  const leaving = await browser.submit(page, {}, { button: `Continue to ${host}` });
  const to = (leaving.headers.get('refresh') ?? '').slice('0;url='.length);
  expect((await browser.logIn(to, 'alice-there')).text).toContain('Connected');
}

async function answer(view: TaskView, action: string) {
  const key = view.questions[0]?.key ?? '';
  return world.tasks.followUp({
    principal: alice(),
    taskId: view.task.id,
    peerId: view.peerId,
    message: messageFromResponses({ [key]: { action } }, mint()),
  });
}

const calls = () => world.guarded.seen.filter(({ method }) => method === 'tools/call').length;
const stateOf = (settled: Settled) =>
  settled.kind === 'message' ? 'message' : settled.view.task.status.state;

describe('a server that wants the connection of its caller', () => {
  it('offers one tool to whoever has none: it asks for it, and the real tools are announced', async () => {
    const context = { principal: principal(world, 'bob'), signal: new AbortController().signal };
    // Nobody has connected since this gateway started, so that nothing is known of the server.
    await world.restart();
    const fresh = world.peer('files') as ToolPeer;
    expect((await fresh.catalogue(context)).tools.map(({ name }) => name)).toEqual(['connect']);
    const ending = new AbortController();
    const heard: unknown[] = [];
    const listening = (async () => {
      const filter = { tools: true };
      for await (const change of fresh.changes(filter, {
        principal: alice(),
        signal: ending.signal,
      })) {
        heard.push(change);
      }
    })();
    const { handle, view, link } = await started('files', 'connect');
    expect(view.task.status.state).toBe('TASK_STATE_AUTH_REQUIRED');
    await consent(link);
    const settled = await handle.settled({ timeoutMs: 2000, afterSeq: view.seq });
    expect(stateOf(settled)).toBe('TASK_STATE_COMPLETED');
    expect(JSON.stringify(settled)).toContain('List its tools again');
    await expect.poll(() => heard).toEqual([{ kind: 'tools' }]);
    const { tools } = await fresh.catalogue({ principal: alice(), signal: context.signal });
    expect(tools.map(({ name }) => name)).toContain('echo');
    ending.abort();
    await listening.catch(() => {});
  });

  it('offers its own tools too to whoever has none, where it shows them to anybody', async () => {
    const context = { principal: principal(world, 'bob'), signal: new AbortController().signal };
    const lists = ['tools', 'prompts', 'resources', 'resources/templates'];
    for (const method of ['server/discover', ...lists.map((one) => `${one}/list`)]) {
      world.guarded.open.add(method);
    }
    await world.restart();
    const fresh = world.peer('files') as ToolPeer;
    const { tools } = await fresh.catalogue(context);
    expect(tools.map(({ name }) => name)).toEqual(expect.arrayContaining(['echo', 'connect']));
    const { view } = await started('files', 'echo', { text: 'mine' });
    expect(view.task.status.state).toBe('TASK_STATE_AUTH_REQUIRED');
    expect(calls()).toBe(0);
    world.guarded.open.clear();
    await world.restart();
  });

  it('fails a request that is no task with the link in its words', async () => {
    const { signal } = new AbortController();
    const peer = world.peer('files') as ToolPeer;
    const reading = peer.request(
      'resources/read',
      { uri: 'test://notes/first' },
      { principal: alice(), signal },
    );
    await expect(reading).rejects.toMatchObject({
      code: 'connection-needed',
      message: expect.stringContaining(`${world.url}/connect/`),
    });
    const again = peer.request('resources/list', {}, { principal: alice(), signal });
    await expect(again).rejects.toMatchObject({ code: 'connection-needed' });
    // Whoever tries in a loop gets the same link.
    expect(world.rows("SELECT * FROM secret WHERE kind = 'connect-request'")).toHaveLength(1);
  });

  it('"accept" says that the link was opened: the call is at work, and ends with the consent', async () => {
    const { handle, view, link } = await started('files', 'echo', { text: 'opened' });
    const { afterSeq } = await answer(view, 'accept');
    const pending = await handle.settled({ timeoutMs: 300, afterSeq });
    expect(pending.kind).toBe('pending');
    expect(stateOf(pending)).toBe('TASK_STATE_WORKING');
    const before = calls();
    await consent(link);
    const settled = await handle.settled({ timeoutMs: 3000, afterSeq });
    expect(JSON.stringify(settled)).toContain('opened');
    expect(calls() - before).toBe(1);
  });

  it.each([
    ['decline', 'declined'],
    ['cancel', 'was not made'],
  ])('"%s" ends the call with the reason', async (action, words) => {
    const { handle, view, link } = await started('files', 'echo', { text: 'no' });
    const before = calls();
    const { afterSeq } = await answer(view, action);
    const settled = await handle.settled({ timeoutMs: 2000, afterSeq });
    expect(stateOf(settled)).toBe('TASK_STATE_REJECTED');
    expect(settled.kind === 'task' && settled.view.outcome).toMatchObject({
      result: { isError: true, content: [{ text: expect.stringContaining(words) }] },
    });
    expect(calls()).toBe(before);
    const browser = new CookieClient();
    expect((await browser.logIn(link, 'alice')).status).toBe(404);
  });

  it('one consent lets every waiting call of this client go on', async () => {
    const all = await Promise.all(
      ['one', 'two', 'three'].map((text) => started('files', 'echo', { text })),
    );
    await consent(all[1]?.link ?? '');
    for (const [n, { handle, view }] of all.entries()) {
      const settled = await handle.settled({ timeoutMs: 3000, afterSeq: view.seq });
      expect(JSON.stringify(settled)).toContain(['one', 'two', 'three'][n]);
    }
  });

  it('a call that may have been sent before a crash is not sent again', async () => {
    const { handle, view, link } = await started('files', 'echo', { text: 'once' });
    const [row] = world.rows(`SELECT position FROM task WHERE id = '${handle.id}'`);
    const position = JSON.parse(String(row?.['position'])) as { consent: { ticket: string } };
    const used = createHash('sha256').update(position.consent.ticket).digest('base64url');
    // As if the gateway had died right after it let the call go.
    world.sql('INSERT INTO replay (id, expires_at) VALUES (?, 9999999999999)', `consent ${used}`);
    await world.restart();
    const before = calls();
    await consent(link);
    const later = await world.tasks.open(alice(), handle.id, 'files');
    await expect.poll(() => isTerminal(later.view().task.status.state)).toBe(true);
    expect(later.view().task.status.state).toBe('TASK_STATE_FAILED');
    expect(later.view().seq).toBeGreaterThan(view.seq);
    expect(calls()).toBe(before);
  });

  it('a question that nobody answers fails the task, and its link is gone', async () => {
    const short = await startConnectWorld({ interruptTtlMs: 300 });
    try {
      const handle = short.tasks.start({
        principal: principal(short, 'alice'),
        peerId: 'files',
        message: { messageId: mint(), role: 'ROLE_USER', parts: [] },
        call: { name: 'echo', arguments: { text: 'late' } },
      });
      await handle.settled({ timeoutMs: 5000 });
      const view = await handle.commit();
      const settled = await handle.settled({ timeoutMs: 3000, afterSeq: view.seq });
      expect(stateOf(settled)).toBe('TASK_STATE_FAILED');
      expect(JSON.stringify(settled)).toContain('not answered in time');
      const browser = new CookieClient();
      await expect.poll(async () => (await browser.logIn(linkOf(view), 'alice')).status).toBe(404);
    } finally {
      await short.close();
    }
  });
});

describe('an agent that says AUTH_REQUIRED, for which there is a connection', () => {
  it('is told in the same task, with the new credentials, as soon as the person has consented', async () => {
    const { handle, view, link } = await started('agent', 'needs');
    expect(view.task.status.state).toBe('TASK_STATE_AUTH_REQUIRED');
    expect(new URL(link).origin).toBe(world.url);
    const before = agent.ledger.length;
    await consent(link);
    const settled = await handle.settled({ timeoutMs: 3000, afterSeq: view.seq });
    expect(stateOf(settled)).toBe('TASK_STATE_COMPLETED');
    expect(JSON.stringify(settled)).toContain('done with your account');
    const [told, ...more] = agent.ledger.slice(before);
    expect(more).toEqual([]);
    expect(told).toMatchObject({ text: 'The authorization was granted. Please go on.' });
    expect(told?.taskId).toBeTruthy();
    expect(told?.headers['authorization']).toMatch(/^Bearer ey/);
  });

  it('waits on when the caller says that the link was opened, and the link stays', async () => {
    const { handle, view, link } = await started('agent', 'needs');
    await answer(view, 'accept');
    expect(handle.view().task.status.state).toBe('TASK_STATE_AUTH_REQUIRED');
    await consent(link);
    await expect
      .poll(() => handle.view().task.status.state, { timeout: 3000 })
      .toBe('TASK_STATE_COMPLETED');
  });

  it('a text to the task does not pass for consent: the same link is asked again', async () => {
    const { handle, view, link } = await started('agent', 'needs');
    const before = agent.ledger.length;
    const { afterSeq } = await world.tasks.followUp({
      principal: alice(),
      taskId: handle.id,
      peerId: 'agent',
      message: { messageId: mint(), role: 'ROLE_USER', parts: [{ text: 'I did it' }] },
    });
    const settled = await handle.settled({ timeoutMs: 2000, afterSeq });
    expect(stateOf(settled)).toBe('TASK_STATE_AUTH_REQUIRED');
    expect(settled.kind === 'task' && linkOf(settled.view)).toBe(link);
    expect(agent.ledger).toHaveLength(before);
    expect(view.questions[0]?.key).not.toBe(handle.view().questions[0]?.key);
  });

  it('declined: the task is rejected, and canceled at the agent', async () => {
    const { handle, view } = await started('agent', 'needs');
    const { afterSeq } = await answer(view, 'decline');
    const settled = await handle.settled({ timeoutMs: 2000, afterSeq });
    expect(stateOf(settled)).toBe('TASK_STATE_REJECTED');
    await expect
      .poll(() => agent.received.filter(({ rpcMethod }) => rpcMethod === 'CancelTask').length)
      .toBe(1);
  });

  it('canceled: so is the task, and the link is gone', async () => {
    const { handle, link } = await started('agent', 'needs');
    const canceled = await world.tasks.cancel(alice(), handle.id, 'agent');
    expect(canceled.task.status.state).toBe('TASK_STATE_CANCELED');
    expect((await new CookieClient().logIn(link, 'alice')).status).toBe(404);
  });

  it('survives a restart while it waits', async () => {
    const { handle, link } = await started('agent', 'needs');
    await world.restart();
    await consent(link);
    const later = await world.tasks.open(alice(), handle.id, 'agent');
    await expect
      .poll(() => later.view().task.status.state, { timeout: 3000 })
      .toBe('TASK_STATE_COMPLETED');
    expect(JSON.stringify(later.view())).toContain('done with your account');
  });
});

describe('a URL that the agent chose', () => {
  /** Alice's connection is there, so that the agent's wish is its own affair. */
  async function agentsOwn() {
    const wish = await world.vault.request(alice(), world.use('agent'));
    await consent(wish.url);
    const { view } = await started('agent', 'auth');
    expect(view.task.status.state).toBe('TASK_STATE_AUTH_REQUIRED');
    const seal = createSeal(loadSealingSecret(join(world.dir, 'keys')));
    const links = new ConnectLinks({ seal, publicUrl: world.url });
    return { view, link: links.url(view, view.questions[0]?.key ?? '') };
  }
  it('is shown with its host to the person whose task asked, and to nobody else', async () => {
    const { link } = await agentsOwn();
    const page = await new CookieClient().logIn(link, 'alice');
    expect(page.status).toBe(200);
    expect(page.text).toContain(`<strong class="host">${new URL(agent.url).host}</strong>`);
    expect(page.text).toContain('Please authorize the travel desk.');
    expect(page.forms).toEqual([]);
    world.events.length = 0;
    const bobs = await new CookieClient().logIn(link, 'bob');
    expect(bobs.status).toBe(403);
    expect(bobs.text).not.toContain('travel desk');
    expect(bobs.text).not.toContain(new URL(agent.url).host);
    expect(world.events).toMatchObject([
      { event: 'connection.refused', reason: 'other-person', peer: 'agent' },
    ]);
  });

  it('is nothing to anybody for a task that is not there', async () => {
    const { view } = await agentsOwn();
    const seal = createSeal(loadSealingSecret(join(world.dir, 'keys')));
    const links = new ConnectLinks({ seal, publicUrl: world.url });
    const absent = links.url({ ...view, task: { ...view.task, id: 'absent' } }, 'q1');
    expect((await fetch(absent)).status).toBe(404);
    // And no form of any kind changes it.
    const posted = await fetch(links.url(view, 'q1'), { method: 'POST' });
    expect(posted.status).toBe(405);
    expect(posted.headers.get('allow')).toBe('GET, HEAD');
  });
});
