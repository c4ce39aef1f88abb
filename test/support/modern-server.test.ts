import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connectLegacyClient, connectModernClient, userWho } from './mcp-clients.ts';
import { startModernServer } from './modern-server.ts';
import type { ModernServer } from './modern-server.ts';
import { WireClient } from './wire-client.ts';

let server: ModernServer;
beforeEach(async () => {
  server = await startModernServer();
});
afterEach(() => server.close());

const TRIP = { city: 'Bern', nights: 3 };

describe('the modern server with the official modern client', () => {
  it('negotiates 2026-07-28 and lists tools, prompts, resources and templates', async () => {
    const client = await connectModernClient(server.url);
    expect(client.getNegotiatedProtocolVersion()).toBe('2026-07-28');
    const { tools } = await client.listTools();
    expect(tools.map((tool) => tool.name)).toEqual(
      expect.arrayContaining(['echo', 'add', 'ask_form', 'ask_url', 'ask_rounds', 'in_region']),
    );
    const { prompts } = await client.listPrompts();
    expect(prompts.map((p) => p.name)).toEqual(['review', 'illustrated', 'ask_first']);
    const { resources } = await client.listResources();
    expect(resources.map((r) => r.uri)).toEqual(['test://notes/first', 'test://blob']);
    const { resourceTemplates } = await client.listResourceTemplates();
    expect(resourceTemplates.map((t) => t.uriTemplate)).toEqual(['test://cities/{city}']);
    await client.close();
  });

  it('answers with structured content, every content type and tool errors', async () => {
    const client = await connectModernClient(server.url);
    const sum = await client.callTool({ name: 'add', arguments: { a: 2, b: 3 } });
    expect(sum.structuredContent).toEqual({ sum: 5 });
    const all = await client.callTool({ name: 'all_content' });
    expect(all.content.map((block) => block.type)).toEqual([
      'text',
      'image',
      'audio',
      'resource_link',
      'resource',
      'resource',
    ]);
    const failed = await client.callTool({ name: 'soft_error' });
    expect(failed).toMatchObject({ isError: true });
    await client.close();
  });

  it('asks by form and URL, over several rounds, and accepts a decline', async () => {
    const user = userWho(
      { action: 'accept', content: TRIP },
      { action: 'accept' },
      { action: 'accept', content: { answer: 'one' } },
      { action: 'accept', content: { answer: 'two' } },
      { action: 'decline' },
    );
    const client = await connectModernClient(server.url, { user });
    const form = await client.callTool({ name: 'ask_form' });
    expect(form.structuredContent).toEqual({ trip: TRIP });
    const url = 'https://login.example.org/authorize';
    const visited = await client.callTool({ name: 'ask_url', arguments: { url } });
    expect(visited.content).toEqual([{ type: 'text', text: 'The user chose accept' }]);
    const rounds = await client.callTool({ name: 'ask_rounds', arguments: { rounds: 2 } });
    expect(rounds.content).toEqual([{ type: 'text', text: 'one, two' }]);
    const declined = await client.callTool({ name: 'ask_form' });
    expect(declined.content).toEqual([{ type: 'text', text: 'The user chose decline' }]);
    expect(user.asked.map((params) => params.mode)).toEqual([
      'form',
      'url',
      'form',
      'form',
      'form',
    ]);
    await client.close();
  });

  it('reports progress and notices a cancelled call', async () => {
    const client = await connectModernClient(server.url);
    const seen: number[] = [];
    await client.callTool(
      { name: 'progress', arguments: { steps: 3, stepMs: 5 } },
      { onprogress: ({ progress }) => void seen.push(progress) },
    );
    expect(seen).toEqual([1, 2, 3]);
    const abort = new AbortController();
    const slow = client.callTool(
      { name: 'slow', arguments: { ms: 30_000, key: 'k' } },
      { signal: abort.signal },
    );
    await expect.poll(() => server.ledger.of('executed', 'slow').length).toBe(1);
    abort.abort();
    await expect(slow).rejects.toThrow(/abort/i);
    await expect.poll(() => server.ledger.of('cancelled', 'slow').length).toBe(1);
    await client.close();
  });

  it('tells subscribers about changed lists and resources', async () => {
    const client = await connectModernClient(server.url);
    const heard: string[] = [];
    for (const method of [
      'notifications/tools/list_changed',
      'notifications/prompts/list_changed',
      'notifications/resources/list_changed',
      'notifications/resources/updated',
    ] as const) {
      client.setNotificationHandler(method, () => void heard.push(method));
    }
    const subscription = await client.listen({
      toolsListChanged: true,
      promptsListChanged: true,
      resourcesListChanged: true,
      resourceSubscriptions: ['test://notes/first'],
    });
    server.triggerToolChange('extra');
    server.triggerPromptChange('extra');
    server.triggerResourceChange('test://notes/first', 'Changed');
    server.triggerResourceChange('test://notes/second', 'New');
    await expect.poll(() => heard).toHaveLength(4);
    expect((await client.callTool({ name: 'extra' })).content).toEqual([
      { type: 'text', text: 'extra' },
    ]);
    const { contents } = await client.readResource({ uri: 'test://notes/first' });
    expect(contents[0]).toMatchObject({ text: 'Changed' });
    await subscription.close();
    await client.close();
  });

  it('completes prompt and template arguments', async () => {
    const client = await connectModernClient(server.url);
    const language = await client.complete({
      ref: { type: 'ref/prompt', name: 'review' },
      argument: { name: 'language', value: 'p' },
    });
    expect(language.completion.values).toEqual(['python', 'pascal', 'perl']);
    const city = await client.complete({
      ref: { type: 'ref/resource', uri: 'test://cities/{city}' },
      argument: { name: 'city', value: 'ber' },
    });
    expect(city.completion.values).toEqual(['berlin', 'bern']);
    await client.close();
  });

  it('keeps headers and _meta of every call in the ledger', async () => {
    const client = await connectModernClient(server.url, { headers: { 'x-test': 'yes' } });
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    await client.listTools();
    await client.callTool({
      name: 'in_region',
      arguments: { region: 'eu' },
      _meta: { traceparent },
    });
    const [entry] = server.ledger.of('received', 'in_region');
    expect(entry?.headers).toMatchObject({
      'x-test': 'yes',
      'mcp-name': 'in_region',
      'mcp-param-region': 'eu',
    });
    expect(entry?.meta).toMatchObject({ traceparent });
    await client.close();
  });
});

describe('the modern server', () => {
  it('refuses a changed requestState', async () => {
    const wire = new WireClient(server.url);
    const first = await wire.call('come_back', { times: 1 });
    expect(first.resultType).toBe('input_required');
    const forged = await wire.request('tools/call', {
      name: 'come_back',
      arguments: { times: 1 },
      requestState: `${String(first.requestState)}x`,
    });
    expect(forged.error?.code).toBe(-32602);
    const again = await wire.call(
      'come_back',
      { times: 1 },
      { more: { requestState: first.requestState } },
    );
    expect(again.content).toEqual([{ type: 'text', text: 'Came back 1 times' }]);
  });

  it('misbehaves once when told to', async () => {
    server.failNext('unavailable', 'tools/call');
    const wire = new WireClient(server.url);
    expect((await wire.request('tools/list')).status).toBe(200);
    expect((await wire.request('tools/call', { name: 'echo' })).status).toBe(503);
    expect(await wire.call('echo', { text: 'a' })).toMatchObject({
      content: [{ type: 'text', text: 'a' }],
    });
  });

  it('refuses legacy clients, unless told to keep sessions for them', async () => {
    await expect(connectLegacyClient(server.url)).rejects.toThrow(/protocol version/i);
    const both = await startModernServer({ legacySessions: true });
    const user = userWho({ action: 'accept', content: TRIP });
    const client = await connectLegacyClient(both.url, { user });
    const form = await client.callTool({ name: 'ask_form' });
    expect(form.structuredContent).toEqual({ trip: TRIP });
    expect(both.sessionCount()).toBe(1);
    await client.close();
    await both.close();
  });
});
