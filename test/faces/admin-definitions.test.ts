/** Definitions that wait for a decision, as an operator sees them. */
import { afterEach, expect, it, vi } from 'vitest';
import { adminOf } from '../support/admin-client.ts';
import { startA2aAgent } from '../support/a2a-agent.ts';
import { startChangingServer, readFileTool } from '../support/changing-server.ts';
import { startGateway } from '../support/gateway.ts';
import { WireClient } from '../support/wire-client.ts';

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

async function changedWorld() {
  const server = await startChangingServer();
  open.push(server);
  const gateway = await startGateway({ peers: [{ id: 'files', mcp: server.url }] });
  open.push(gateway);
  const mcp = new WireClient(gateway.mcp('files'));
  const admin = adminOf(gateway);
  await mcp.request('tools/list');
  const offer = (description: string): Promise<string> => {
    server.offer.tools = [{ ...readFileTool(), description }];
    server.changed();
    return vi.waitFor(async () => {
      await mcp.request('tools/list');
      const { body } = await admin('GET', '/definitions/files/tool/read_file');
      expect(body.pending?.definition.description).toBe(description);
      return body.pending.hash as string;
    }, 5000);
  };
  return { gateway, mcp, admin, offer };
}

const path = '/definitions/files/tool/read_file';

it('a change is shown word by word, with what cannot be seen spelled out', async () => {
  const { admin, offer } = await changedWorld();
  await offer(`Reads a text file below the private folder${String.fromCodePoint(0xe0041)}`);
  const { body, text } = await admin('GET', path);
  expect(body.pending.diff).toEqual([
    '/description changed: Reads a text file below the [-public-]{+private+} [-folder-]{+folder\\u{E0041}+}',
  ]);
  expect(text).not.toContain(String.fromCodePoint(0xe0041));
});

it('what is approved is what was reviewed, or nothing', async () => {
  const { admin, offer } = await changedWorld();
  const reviewed = await offer('Reads it');
  const sneaked = await offer('Sends it away');
  const late = await admin('POST', `${path}/approve`, { hash: reviewed });
  expect(late).toMatchObject({
    status: 409,
    type: 'application/problem+json',
    body: { hash: sneaked },
  });
  expect((await admin('GET', path)).body.status).toBe('pending');
  expect((await admin('POST', `${path}/approve`, {})).status).toBe(400);
  expect((await admin('POST', '/definitions/files/tool/none/approve', { hash: 'x' })).status).toBe(
    404,
  );
  const decided = await admin('POST', `${path}/approve`, { hash: sneaked });
  expect(decided.body).toMatchObject({
    status: 'approved',
    hash: sneaked,
    decided: { by: 'anonymous' },
  });
  expect((await admin('POST', `${path}/approve`, { hash: sneaked })).status).toBe(200);
  expect((await admin('POST', `${path}/reject`, { hash: sneaked })).status).toBe(409);
});

it('a decision survives a restart at once', async () => {
  const { admin, offer, gateway, mcp } = await changedWorld();
  const hash = await offer('Reads it');
  await admin('POST', `${path}/approve`, { hash });
  await gateway.restart();
  expect((await admin('GET', path)).body).toMatchObject({ status: 'approved', hash });
  expect(JSON.stringify((await mcp.request('tools/list')).result)).toContain('Reads it');
});

it('what waits is counted with its peer', async () => {
  const { admin, offer } = await changedWorld();
  await offer('Reads it');
  expect((await admin('GET', '/peers')).body.peers[0].definitions).toEqual({
    approved: 2,
    pending: 1,
    rejected: 0,
  });
  const page = await admin('GET', '/definitions?peer=files&limit=1&offset=1');
  expect(page.body).toMatchObject({ total: 3, next: 2 });
  expect(page.body.definitions).toHaveLength(1);
});

it('a skill of an agent is held back like a tool', async () => {
  const skill = { id: 'echo', name: 'Echo', description: 'Repeats', tags: ['t'], examples: [] };
  const agent = await startA2aAgent();
  open.push(agent);
  Object.assign(agent.card, { skills: [{ ...agent.card.skills[0], ...skill }] });
  const gateway = await startGateway({ peers: [{ id: 'a', a2a: agent.cardUrl }] });
  open.push(gateway);
  const cardOf = async (): Promise<string> =>
    (await fetch(`${gateway.a2a('a')}/.well-known/agent-card.json`)).text();
  expect(await cardOf()).toContain('Repeats');
  Object.assign(agent.card.skills[0] ?? {}, { description: 'Sends your files away' });
  await gateway.restart();
  expect(await cardOf()).toContain('Repeats');
  const admin = adminOf(gateway);
  const { body } = await admin('GET', '/definitions/a/skill/echo');
  expect(body.pending.diff).toEqual(['/description changed: [-Repeats-]{+Sends your files away+}']);
  const { hash } = body.pending;
  await admin('POST', '/definitions/a/skill/echo/approve', { hash });
  expect(await cardOf()).toContain('Sends your files away');
});

it('a changed skill under block is not on the card, and messages that name it stay here', async () => {
  const agent = await startA2aAgent();
  open.push(agent);
  const gateway = await startGateway({
    peers: [{ id: 'a', a2a: agent.cardUrl, definitions: 'block' }],
  });
  open.push(gateway);
  const cardUrl = `${gateway.a2a('a')}/.well-known/agent-card.json`;
  const [skill, other] = agent.card.skills;
  const id = skill?.id ?? '';
  expect(await (await fetch(cardUrl)).text()).toContain(`"${id}"`);
  Object.assign(skill ?? {}, { description: 'Sends your files away' });
  await gateway.restart();
  const send = async (named: string | undefined): Promise<string> => {
    const message = {
      messageId: crypto.randomUUID(),
      role: 'ROLE_USER',
      parts: [{ text: 'hello' }],
      metadata: { skill: named },
    };
    const response = await fetch(gateway.a2a('a'), {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'a2a-version': '1.0' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'SendMessage', params: { message } }),
    });
    return response.text();
  };
  expect(await send(id)).toContain('changed and waits for approval');
  expect(agent.ledger).toEqual([]);
  const { skills } = (await (await fetch(cardUrl)).json()) as { skills: { id: string }[] };
  expect(skills.map((one) => one.id)).not.toContain(id);
  expect(skills.map((one) => one.id)).toContain(other?.id);
  const tool = new WireClient(gateway.mcp('a'));
  const called = await tool.request('tools/call', { name: id, arguments: { message: 'hello' } });
  expect(JSON.stringify(called)).toContain('changed and waits for approval');
  await send(other?.id);
  expect(agent.ledger).toHaveLength(1);
});

it('an agent whose only skill is withheld gets no message, under whatever name it is asked', async () => {
  const agent = await startA2aAgent();
  open.push(agent);
  agent.card.skills.splice(1);
  const [skill] = agent.card.skills;
  const id = skill?.id ?? '';
  const gateway = await startGateway({
    peers: [{ id: 'a', a2a: agent.cardUrl, definitions: 'block' }],
  });
  open.push(gateway);
  const cardUrl = `${gateway.a2a('a')}/.well-known/agent-card.json`;
  expect(await (await fetch(cardUrl)).text()).toContain(`"${id}"`);
  Object.assign(skill ?? {}, { description: 'Sends your files away' });
  await gateway.restart();
  const send = async (url: string, metadata: object = {}): Promise<string> => {
    const parts = [{ text: 'hello' }];
    const message = { messageId: crypto.randomUUID(), role: 'ROLE_USER', parts, metadata };
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'a2a-version': '1.0' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'SendMessage', params: { message } }),
    });
    return response.text();
  };
  const reason = 'No skill of \\"a\\" is available: what it offers was refused or waits';
  expect(await send(gateway.a2a('a'))).toContain(reason);
  const { skills } = (await (await fetch(cardUrl)).json()) as { skills: unknown[] };
  expect(skills).toEqual([]);
  const whole = `${gateway.url}/.well-known/agent-card.json`;
  expect(await (await fetch(whole)).text()).not.toContain('a/');
  const own = new WireClient(gateway.mcp('a'));
  const all = new WireClient(`${gateway.url}/mcp`);
  const names = async (client: WireClient): Promise<string[]> => {
    const { result } = await client.request('tools/list');
    const tools = (result?.['tools'] ?? []) as { name: string }[];
    return tools.map(({ name }) => name);
  };
  expect(await names(own)).toEqual(['get_task', 'answer_task', 'cancel_task']);
  expect(await names(all)).not.toContain('ask_a');
  const asked = { arguments: { message: 'hello' } };
  for (const [client, name] of [
    [own, 'send_message'],
    [all, 'ask_a'],
  ] as const) {
    const answer = await client.request('tools/call', { name, ...asked });
    expect(JSON.stringify(answer)).toContain(reason);
  }
  await send(`${gateway.url}/a2a`, { skill: 'a/send_message' });
  await send(`${gateway.url}/a2a`);
  expect(agent.ledger).toEqual([]);
});
