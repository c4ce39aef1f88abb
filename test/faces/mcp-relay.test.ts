/** MCP servers behind the gateway: everything that a client could do with them directly. */
import type { Client as ModernClient } from '@modelcontextprotocol/client';
import type { Client as LegacyClient } from '@modelcontextprotocol/sdk/client/index.js';
import {
  LoggingMessageNotificationSchema,
  ResourceUpdatedNotificationSchema,
  ToolListChangedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { covers } from '../requirements/requirement.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { startLegacyServer, type LegacyServer } from '../support/legacy-server.ts';
import { connectLegacyClient, connectModernClient, userWho } from '../support/mcp-clients.ts';
import { startModernServer, type ModernServer } from '../support/modern-server.ts';
import { WireClient } from '../support/wire-client.ts';

let modern: ModernServer;
let legacy: LegacyServer;
let gateway: TestGateway;

beforeAll(async () => {
  [modern, legacy] = await Promise.all([startModernServer(), startLegacyServer()]);
  gateway = await startGateway({
    peers: [
      { id: 'modern', mcp: modern.url },
      { id: 'legacy', mcp: legacy.url },
    ],
    limits: { syncCall: '5s' },
  });
});

afterAll(async () => {
  await gateway.close();
  await Promise.all([modern.close(), legacy.close()]);
});

const servers = ['modern', 'legacy'] as const;
const clients = { modern: connectModernClient, legacy: connectLegacyClient } as const;
const pairs = servers.flatMap((server) =>
  (['modern', 'legacy'] as const).map((client) => ({ server, client })),
);

/** The clients differ in where a call's options stand. */
function callWith(
  kind: 'modern' | 'legacy',
  client: ModernClient,
  name: string,
  args: Record<string, unknown>,
  options: { signal?: AbortSignal; onprogress?: (progress: { progress: number }) => void },
): Promise<unknown> {
  const params = { name, arguments: args };
  if (kind === 'modern') return client.callTool(params, options);
  return (client as unknown as LegacyClient).callTool(params, undefined, options);
}

const trip = { city: 'Rome', nights: 2 };
const accept = (content: Record<string, string | number>) => ({
  action: 'accept' as const,
  content,
});

describe.each(pairs)('a $client client of a $server server', ({ server, client }) => {
  /** Both clients have the calls that are used here in common. */
  const connect = (options: Parameters<typeof connectModernClient>[1] = {}) =>
    clients[client](gateway.mcp(server), options) as Promise<ModernClient>;

  it('gets the same tools, results and unknown members as directly', async () => {
    const direct = (await clients[server](
      server === 'modern' ? modern.url : legacy.url,
    )) as ModernClient;
    const through = await connect();
    const [ours, theirs] = await Promise.all([through.listTools(), direct.listTools()]);
    expect(ours.tools.map(({ name }) => name)).toEqual(theirs.tools.map(({ name }) => name));
    const call = { name: 'all_content', arguments: {} };
    const [a, b] = await Promise.all([through.callTool(call), direct.callTool(call)]);
    expect(a.content).toEqual(b.content);
    await Promise.all([through.close(), direct.close()]);
  });

  it('reads resources and templates, gets prompts, and completes', async () => {
    const through = await connect();
    const { resources } = await through.listResources();
    expect(resources.map(({ uri }) => uri)).toContain('test://notes/first');
    const { contents } = await through.readResource({ uri: 'test://notes/first' });
    expect(contents).toMatchObject([{ text: 'The first note' }]);
    const { resourceTemplates } = await through.listResourceTemplates();
    const templates = resourceTemplates.map(({ uriTemplate }) => uriTemplate);
    expect(templates).toContain('test://cities/{city}');
    const prompt = await through.getPrompt({ name: 'review', arguments: { language: 'perl' } });
    expect(JSON.stringify(prompt.messages)).toContain('perl');
    const { completion } = await through.complete({
      ref: { type: 'ref/prompt', name: 'review' },
      argument: { name: 'language', value: 'p' },
    });
    expect(completion.values).toContain('python');
    await through.close();
  });

  it('is asked with forms, round after round', async () => {
    const user = userWho(accept(trip), accept({ answer: 'one' }), accept({ answer: 'two' }));
    const through = await connect({ user });
    const form = await through.callTool({ name: 'ask_form', arguments: {} });
    expect(form.structuredContent).toMatchObject({ trip });
    const rounds = await through.callTool({ name: 'ask_rounds', arguments: { rounds: 2 } });
    expect(rounds.content).toMatchObject([{ text: 'one, two' }]);
    expect(user.asked).toHaveLength(3);
    await through.close();
  });

  it('passes refusals on, of both kinds', async () => {
    const user = userWho({ action: 'decline' }, { action: 'cancel' });
    const through = await connect({ user });
    for (const action of ['decline', 'cancel']) {
      const result = await through.callTool({ name: 'ask_form', arguments: {} });
      expect(result.content).toMatchObject([{ text: `The user chose ${action}` }]);
    }
    await through.close();
  });

  it('is asked for samples and roots', async () => {
    const through = await connect();
    const sample = await through.callTool({ name: 'ask_model', arguments: { prompt: 'hi' } });
    expect(JSON.stringify(sample.content)).toContain('The model says hello');
    const roots = await through.callTool({ name: 'ask_roots', arguments: {} });
    expect(roots.content).toMatchObject([{ text: 'file:///workspace' }]);
    await through.close();
  });

  it('hears progress under its own token', async () => {
    const through = await connect();
    const heard: unknown[] = [];
    await callWith(
      client,
      through,
      'progress',
      { steps: 3, stepMs: 60 },
      {
        onprogress: ({ progress }) => void heard.push(progress),
      },
    );
    expect(heard).toEqual([1, 2, 3]);
    await through.close();
  });

  it('gets tool errors as results, and nothing of a failure inside the server but its answer', async () => {
    const through = await connect();
    const soft = await through.callTool({ name: 'soft_error', arguments: {} });
    expect(soft).toMatchObject({ isError: true, content: [{ text: 'No flights on that day' }] });
    await through.close();
  });

  it('cancels at the server what it cancels itself', async () => {
    covers('MCP-http-11');
    const through = await connect();
    const ledger = server === 'modern' ? modern.ledger : legacy.ledger;
    const key = `cancel-${server}-${client}`;
    const controller = new AbortController();
    const options = { signal: controller.signal };
    const call = callWith(client, through, 'slow', { ms: 10_000, key }, options);
    call.catch(() => undefined);
    const events = () =>
      ledger.entries
        .filter((entry) => JSON.stringify(entry).includes(key))
        .map(({ event }) => event);
    await expect.poll(events).toContain('executed');
    controller.abort();
    await expect.poll(events).toContain('cancelled');
    await through.close();
  });
});

describe('a legacy session', () => {
  it('hears of changed lists and of resources that it subscribed to', async () => {
    for (const [id, server] of [
      ['modern', modern],
      ['legacy', legacy],
    ] as const) {
      const client = await connectLegacyClient(gateway.mcp(id));
      const heard: string[] = [];
      client.setNotificationHandler(ToolListChangedNotificationSchema, ({ method }) => {
        heard.push(method);
      });
      client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => {
        heard.push(params.uri);
      });
      await client.subscribeResource({ uri: 'test://notes/first' });
      await new Promise((resolve) => setTimeout(resolve, 400));
      server.triggerToolChange('extra');
      server.triggerResourceChange('test://notes/first', 'Changed');
      await expect.poll(() => heard).toContain('notifications/tools/list_changed');
      await expect.poll(() => heard).toContain('test://notes/first');
      await expect
        .poll(async () => (await client.listTools()).tools.map(({ name }) => name))
        .toContain('extra');
      server.triggerToolChange('extra');
      server.triggerResourceChange('test://notes/first', 'The first note');
      await client.close();
    }
  });

  it.each(servers)('gets log messages of a %s server from the level on that it set', async (id) => {
    const client = await connectLegacyClient(gateway.mcp(id));
    const heard: string[] = [];
    client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => {
      heard.push(params.level);
    });
    await client.setLoggingLevel('warning');
    await client.callTool({ name: 'log', arguments: {} });
    await expect.poll(() => heard).toEqual(['warning', 'error']);
    await client.close();
  });
});

describe('a modern request', () => {
  it('gets log messages only when it names a level', async () => {
    const wire = new WireClient(gateway.mcp('modern'));
    const call = { name: 'log', arguments: {} };
    const silent = await wire.request('tools/call', call);
    expect(silent.messages.filter(({ method }) => method !== undefined)).toEqual([]);
    const meta = { 'io.modelcontextprotocol/logLevel': 'warning' };
    const { messages } = await wire.request('tools/call', call, { meta });
    const levels = messages.flatMap(({ method, params }) =>
      method === 'notifications/message' ? [params?.['level']] : [],
    );
    expect(levels).toEqual(['warning', 'error']);
  });

  it('is answered input_required by a prompt that asks, with a state that is ours', async () => {
    const wire = new WireClient(gateway.mcp('modern'));
    const { result: first } = await wire.request('prompts/get', { name: 'ask_first' });
    expect(first).toMatchObject({
      resultType: 'input_required',
      inputRequests: { topic: { method: 'elicitation/create' } },
      requestState: expect.any(String),
    });
    const { result } = await wire.request('prompts/get', {
      name: 'ask_first',
      inputResponses: { topic: { action: 'accept', content: { topic: 'bees' } } },
      requestState: first?.['requestState'],
    });
    expect(JSON.stringify(result?.['messages'])).toContain('About bees');
    const other = await wire.request('prompts/get', {
      name: 'review',
      requestState: first?.['requestState'],
    });
    expect(other.error?.code).toBe(-32602);
  });

  it('is -32021 where the server asks for what the client did not declare', async () => {
    const wire = new WireClient(gateway.mcp('modern'));
    const params = { name: 'ask_first' };
    const { status, error } = await wire.request('prompts/get', params, { capabilities: {} });
    expect([status, error?.code]).toEqual([400, -32021]);
    expect(error?.data).toMatchObject({ requiredCapabilities: { elicitation: {} } });
  });

  it('must mirror the parameters that a tool wants in headers', async () => {
    const wire = new WireClient(gateway.mcp('modern'));
    const params = { name: 'in_region', arguments: { region: 'süd' } };
    const encoded = `=?base64?${Buffer.from('süd').toString('base64')}?=`;
    for (const header of [undefined, 'nord', '=?base64?!?=']) {
      const headers = { 'mcp-param-region': header };
      const { status, error } = await wire.request('tools/call', params, { headers });
      expect([status, error?.code]).toEqual([400, -32020]);
    }
    const headers = { 'mcp-param-region': encoded };
    const { result } = await wire.request('tools/call', params, { headers });
    expect(result?.['content']).toMatchObject([{ text: 'In süd' }]);
  });

  it('hears of changes on the stream that it listens on', async () => {
    for (const [id, server] of [
      ['modern', modern],
      ['legacy', legacy],
    ] as const) {
      const wire = new WireClient(gateway.mcp(id));
      const controller = new AbortController();
      const uri = 'test://notes/first';
      const params = { notifications: { toolsListChanged: true, resourceSubscriptions: [uri] } };
      const stream = wire.stream('subscriptions/listen', params, { signal: controller.signal });
      const heard: string[] = [];
      let honoured: unknown;
      for await (const { method, params: told } of stream) {
        heard.push(method ?? '');
        if (method === 'notifications/subscriptions/acknowledged') {
          honoured = told?.['notifications'];
          setTimeout(() => {
            server.triggerToolChange('brief');
            server.triggerResourceChange(uri, 'Changed');
          }, 400);
        }
        if (
          heard.includes('notifications/tools/list_changed') &&
          heard.includes('notifications/resources/updated')
        ) {
          break;
        }
      }
      expect(honoured).toEqual(params.notifications);
      controller.abort();
      server.triggerToolChange('brief');
      server.triggerResourceChange(uri, 'The first note');
    }
  });

  it('gets -32602 for a resource that does not exist, whatever the server calls it', async () => {
    for (const id of servers) {
      const wire = new WireClient(gateway.mcp(id));
      const { error } = await wire.request('resources/read', { uri: 'test://none' });
      expect(error?.code).toBe(-32602);
    }
  });
});
