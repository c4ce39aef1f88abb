/** What a server of 2025-11-25 logs on its standalone stream, where it names no call. */
import type { Client } from '@modelcontextprotocol/sdk/client/index.js';
import {
  ElicitRequestSchema,
  LoggingMessageNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { startLegacyServer, type LegacyServer } from '../support/legacy-server.ts';
import { connectLegacyClient } from '../support/mcp-clients.ts';
import { WireClient } from '../support/wire-client.ts';
import { Opened } from './scripted-server.ts';

const opened = new Opened();
let server: LegacyServer;
let gateway: TestGateway;

beforeEach(async () => {
  server = opened.add(await startLegacyServer());
  gateway = opened.add(await startGateway({ peers: [{ id: 'legacy', mcp: server.url }] }));
});

afterEach(() => opened.close());

interface Listener {
  client: Client;
  heard: unknown[];
}

async function connect(url: string): Promise<Listener> {
  const client = opened.add(await connectLegacyClient(url));
  const heard: unknown[] = [];
  client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => {
    heard.push(params);
  });
  return { client, heard };
}

const log = { name: 'log', arguments: {} };
const lines = ['debug', 'info', 'warning', 'error'].map((level) => ({
  level,
  logger: 'peer',
  data: `A line at ${level}`,
}));

it('reaches a legacy client as it does directly', async () => {
  for (const url of [server.url, gateway.mcp('legacy')]) {
    const { client, heard } = await connect(url);
    await client.callTool(log);
    await expect.poll(() => heard).toEqual(lines);
  }
});

it('reaches a modern client on the stream of its call, from the level on that it named', async () => {
  const wire = new WireClient(gateway.mcp('legacy'));
  const meta = { 'io.modelcontextprotocol/logLevel': 'info' };
  for (let call = 0; call < 10; call += 1) {
    const { messages } = await wire.request('tools/call', log, { meta });
    const logged = messages.filter(({ method }) => method === 'notifications/message');
    expect(logged.map(({ params }) => params)).toEqual(lines.slice(1));
  }
});

it('reaches the standalone stream of a session where no call is open, or several are', async () => {
  const { client, heard } = await connect(gateway.mcp('legacy'));
  await client.setLoggingLevel('notice');
  await expect
    .poll(() => {
      server.triggerLog('warning', 'nobody calls');
      return heard;
    })
    .toContainEqual({ level: 'warning', data: 'nobody calls' });
  const slow = { name: 'slow', arguments: { ms: 600 } };
  const calls = [client.callTool(slow), client.callTool(slow)];
  await expect.poll(() => server.ledger.of('executed', 'slow')).toHaveLength(2);
  heard.length = 0;
  server.triggerLog('info', 'not wanted');
  server.triggerLog('error', 'two call');
  await Promise.all(calls);
  expect(heard).toEqual([{ level: 'error', data: 'two call' }]);
});

it('reaches the standalone stream while the only call waits for its user', async () => {
  const asked = Promise.withResolvers<void>();
  const answered = Promise.withResolvers<void>();
  const { client, heard } = await connect(gateway.mcp('legacy'));
  client.setRequestHandler(ElicitRequestSchema, async () => {
    asked.resolve();
    await answered.promise;
    return { action: 'decline' };
  });
  const call = client.callTool({ name: 'ask_form', arguments: {} });
  await asked.promise;
  server.triggerLog('error', 'still here');
  await expect.poll(() => heard).toEqual([{ level: 'error', data: 'still here' }]);
  answered.resolve();
  await call;
});
