/** Two organizations federate through their gateways: who calls, who owns, and what ends when. */
import { DatabaseSync } from 'node:sqlite';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Client } from '@modelcontextprotocol/client';
import { keysCommand } from '../../src/keys-command.ts';
import { RawA2a, say } from '../faces/a2a-raw.ts';
import { connectModernClient, userWho, type TestUser } from '../support/mcp-clients.ts';
import { WireClient } from '../support/wire-client.ts';
import {
  organizationOfA,
  startFederation,
  tokenSeconds,
  type Federation,
} from './federation-world.ts';

let world: Federation;
/** Tokens of callers of `a`: none of them may reach `b`. */
const inbound: string[] = [];

beforeAll(async () => {
  world = await startFederation();
}, 30_000);
afterAll(() => world.close());

async function personAt(peer: string, who: string, user?: TestUser): Promise<Client> {
  const resource = world.a.mcp(peer);
  const token = await world.logIn(resource, who);
  inbound.push(token);
  const headers = { authorization: `Bearer ${token}` };
  return connectModernClient(resource, { headers, ...(user !== undefined && { user }) });
}

/** A program of `a` that calls an agent with a token of the provider of `a`. */
async function programAt(peer: string, subject = 'alice') {
  const face = new RawA2a(world.a.a2a(peer));
  const token = await world.idpOfA.sign(
    {
      aud: face.url,
      sub: subject,
      client_id: 'program',
      scope: 'peer:*:call',
      jti: crypto.randomUUID(),
    },
    'at+jwt',
  );
  inbound.push(token);
  const headers = { authorization: `Bearer ${token}` };
  const rpc = (method: string, params: unknown) => face.rpc(method, params, { headers });
  return {
    rpc,
    async task(params: unknown) {
      const { body } = await rpc('SendMessage', params);
      if (body.result?.task === undefined) throw new Error(JSON.stringify(body));
      return body.result.task;
    },
  };
}

/** The owners of what `b` keeps, as its database has them. */
function ownersAtB(): unknown[][] {
  const database = new DatabaseSync(join(world.b.dir, 'isthmus.db'), { readOnly: true });
  const rows = database.prepare('SELECT DISTINCT owner FROM task ORDER BY owner').all();
  database.close();
  return rows.map(({ owner }) => JSON.parse(String(owner)) as unknown[]);
}

describe('a person of one organization, at the peers of another', () => {
  it.each(['tools', 'tools-dpop', 'tools-person', 'tools-exchange'])(
    'calls a tool through both gateways: %s',
    async (peer) => {
      const client = await personAt(peer, 'alice');
      const { tools } = await client.listTools();
      expect(tools.map(({ name }) => name)).toContain('echo');
      const result = await client.callTool({ name: 'echo', arguments: { text: `by ${peer}` } });
      expect(result.content).toEqual([{ type: 'text', text: `by ${peer}` }]);
      await client.close();
    },
  );

  it.each(['bot', 'bot-dpop', 'bot-person'])('asks an agent through both: %s', async (peer) => {
    const client = await personAt(peer, 'alice');
    const result = await client.callTool({ name: 'echo', arguments: { message: 'hello' } });
    expect(JSON.stringify(result.content)).toContain('hello');
    await client.close();
    const program = await programAt(peer);
    const { body } = await program.rpc('SendMessage', say('echo from a program'));
    expect(JSON.stringify(body)).toContain('from a program');
  });

  it('is asked what a server and an agent want to know, and their answers arrive', async () => {
    const user = userWho({ action: 'accept', content: { city: 'Oslo', nights: 3 } });
    const atTools = await personAt('tools-person', 'alice', user);
    const trip = await atTools.callTool({ name: 'ask_form', arguments: {} });
    expect(trip.structuredContent).toMatchObject({ trip: { city: 'Oslo', nights: 3 } });
    expect(user.asked).toMatchObject([{ message: 'Where to?' }]);
    await atTools.close();

    const program = await programAt('bot-person');
    const asked = await program.task(say('ask'));
    expect(asked.status.state).toBe('TASK_STATE_INPUT_REQUIRED');
    const done = await program.task(
      say('Bergen', { taskId: asked.id, contextId: asked.contextId }),
    );
    expect(done.status.state).toBe('TASK_STATE_COMPLETED');
    expect(JSON.stringify(done.artifacts)).toContain('city: Bergen');
  });

  it('cancels what runs at the far end', async () => {
    const program = await programAt('bot-dpop');
    const before = cancels();
    const task = await program.task({
      ...say('cancelable'),
      configuration: { returnImmediately: true },
    });
    await expect
      .poll(async () => JSON.stringify((await program.rpc('GetTask', { id: task.id })).body))
      .toContain('TASK_STATE_WORKING');
    const { body } = await program.rpc('CancelTask', { id: task.id });
    expect(JSON.stringify(body)).toContain('TASK_STATE_CANCELED');
    await expect.poll(() => cancels() - before).toBe(1);
  });

  it('has MCP tasks that begin, ask, are answered, and are canceled at the far end', async () => {
    const url = world.a.mcp('bot-person');
    const token = await world.logIn(url, 'alice');
    inbound.push(token);
    const headers = { authorization: `Bearer ${token}` };
    const wire = new WireClient(url);
    const at = async (taskId: unknown) =>
      (await wire.request('tasks/get', { taskId }, { headers })).result ?? {};

    const { taskId } = await wire.call('ask', { message: 'trip' }, { headers });
    await expect.poll(async () => (await at(taskId))['status']).toBe('input_required');
    const asked = (await at(taskId))['inputRequests'] as Record<string, unknown>;
    const [key = ''] = Object.keys(asked);
    const inputResponses = { [key]: { action: 'accept', content: { answer: 'Turku' } } };
    await wire.request('tasks/update', { taskId, inputResponses }, { headers });
    await expect.poll(async () => (await at(taskId))['status']).toBe('completed');
    expect(JSON.stringify(await at(taskId))).toContain('city: Turku');

    const before = cancels();
    const running = await wire.call('cancelable', { message: 'go' }, { headers });
    expect(running).toMatchObject({ resultType: 'task', status: 'working' });
    await wire.request('tasks/cancel', { taskId: running['taskId'] }, { headers });
    await expect.poll(async () => (await at(running['taskId']))['status']).toBe('cancelled');
    await expect.poll(() => cancels() - before).toBe(1);
  });

  it('cannot see what another person of the same organization started', async () => {
    const alices = await programAt('bot-person', 'alice');
    const bobs = await programAt('bot-person', 'bob');
    const task = await alices.task(say('task done'));
    await bobs.task(say('task his own'));
    expect((await alices.rpc('GetTask', { id: task.id })).body.result).toMatchObject({
      id: task.id,
    });
    expect((await bobs.rpc('GetTask', { id: task.id })).body.error?.code).toBe(-32001);
    expect((await bobs.rpc('GetTask', { id: 'absent' })).body.error?.code).toBe(-32001);
  });

  it('is a person of that organization at the far end; the gateway as itself is one of its clients', async () => {
    await (await programAt('bot')).task(say('task one'));
    await (await programAt('bot-person', 'alice')).task(say('task two'));
    await (await programAt('bot-person', 'bob')).task(say('task three'));
    const owners = ownersAtB();
    const { clientId, b, idpOfA } = world;
    expect(owners).toContainEqual(['a', `${b.url}/sts`, clientId, clientId]);
    expect(owners).toContainEqual(['a', idpOfA.issuer, 'alice', clientId]);
    expect(owners).toContainEqual(['a', idpOfA.issuer, 'bob', clientId]);
    expect(owners.map(([organization]) => organization)).toEqual(owners.map(() => 'a'));
  });

  it('is vouched for by their provider after a login, else by their gateway to their provider', async () => {
    for (const peer of ['tools-person', 'tools-exchange']) {
      const client = await personAt(peer, 'alice');
      await client.listTools();
      await client.close();
    }
    await (await programAt('bot-person', 'bob')).task(say('task done'));
    const { assertions, clientId, b } = world;
    expect(new Set(assertions.map(({ by }) => by))).toEqual(new Set(['provider', 'gateway']));
    for (const { client_id, sub } of assertions) {
      expect(client_id).toBe(clientId);
      expect(['alice', 'bob']).toContain(sub);
    }
    const audiences = new Set(assertions.map(({ aud }) => aud));
    expect(audiences).toEqual(new Set([`${b.url}/sts`, b.mcp('tools')]));
  });
});

/** What the gateway of `a` publishes of its keys. */
async function keyIds(): Promise<string[]> {
  const response = await fetch(`${world.a.url}/.well-known/jwks.json`);
  const { keys } = (await response.json()) as { keys: { kid: string }[] };
  return keys.map(({ kid }) => kid);
}

function cancels(): number {
  return world.agent.received.filter(({ rpcMethod }) => rpcMethod === 'CancelTask').length;
}

describe('what changes while they talk', () => {
  it('new keys at the caller’s gateway interrupt nobody', { timeout: 30_000 }, async () => {
    const clients = await Promise.all(
      ['tools', 'tools-person', 'tools-exchange'].map((peer) => personAt(peer, 'alice')),
    );
    const call = () =>
      Promise.all(
        clients.map(async (client, n) => {
          const text = `call ${n}`;
          const { content } = await client.callTool({ name: 'echo', arguments: { text } });
          expect(content).toEqual([{ type: 'text', text }]);
        }),
      );
    await call();
    const before = await keyIds();
    const place = { dir: join(world.a.dir, 'keys'), out: () => {}, err: () => {} };
    expect(await keysCommand(['rotate'], place)).toBe(0);
    // Long enough for every token from before to be replaced by one under the new key.
    for (const end = Date.now() + (tokenSeconds + 2) * 1000; Date.now() < end;) {
      await call();
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    const after = await keyIds();
    expect(after).toHaveLength(before.length + 1);
    expect(after).toEqual(expect.arrayContaining(before));
    await Promise.all(clients.map((client) => client.close()));
  });

  it(
    'a client that is not known any more is out when its token ends',
    { timeout: 30_000 },
    async () => {
      const program = await programAt('bot');
      const echo = async () =>
        JSON.stringify((await program.rpc('SendMessage', say('echo x'))).body);
      expect(await echo()).toContain('"x"');
      const { clientIds: _, ...rest } = organizationOfA(world.clientId);
      const revokedAt = Date.now();
      world.b.reconfigure({ organizations: [rest] });
      await expect.poll(echo, { timeout: 15_000, interval: 100 }).not.toContain('"x"');
      // Nothing was kept alive beyond the token: its life, and what clocks may differ.
      expect(Date.now() - revokedAt).toBeLessThan((tokenSeconds + 2) * 1000);
      const refused = await program.rpc('SendMessage', say('echo x'));
      expect(JSON.stringify(refused.body)).toContain('invalid_client');
      world.b.reconfigure({ organizations: [organizationOfA(world.clientId)] });
      await expect.poll(echo, { timeout: 20_000, interval: 200 }).toContain('"x"');
    },
  );

  it(
    'an organization that may do nothing any more is out at once',
    { timeout: 30_000 },
    async () => {
      const client = await personAt('tools-person', 'alice');
      const echo = () => client.callTool({ name: 'echo', arguments: { text: 'x' } });
      expect((await echo()).isError).toBeUndefined();
      world.b.reconfigure({ organizations: [{ ...organizationOfA(world.clientId), scopes: [] }] });
      expect(await echo()).toMatchObject({
        isError: true,
        content: [{ text: expect.stringContaining('(HTTP 403)') }],
      });
      world.b.reconfigure({ organizations: [organizationOfA(world.clientId)] });
      expect((await echo()).isError).toBeUndefined();
      await client.close();
    },
  );
});

it('no byte of what callers showed to their own gateway has reached the other', () => {
  const heard = world.heardByB();
  expect(heard).toMatch(/authorization: DPoP ey/i);
  expect(heard).toMatch(/authorization: Bearer ey/i);
  expect(inbound.length).toBeGreaterThan(10);
  for (const token of inbound) {
    const [, payload = '', signature = ''] = token.split('.');
    expect(payload.length).toBeGreaterThan(50);
    expect(heard).not.toContain(payload);
    expect(heard).not.toContain(signature);
  }
  const log = JSON.stringify([...world.a.log, ...world.b.log]);
  expect(log).not.toMatch(/eyJ[\w-]+\.[\w-]+\.[\w-]+/);
});
