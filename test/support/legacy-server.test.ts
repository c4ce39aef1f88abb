import {
  CallToolResultSchema,
  ErrorCode,
  PromptListChangedNotificationSchema,
  ResourceUpdatedNotificationSchema,
  ToolListChangedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startLegacyServer } from './legacy-server.ts';
import type { LegacyServer } from './legacy-server.ts';
import { connectLegacyClient, connectModernClient, userWho } from './mcp-clients.ts';

let server: LegacyServer;
beforeEach(async () => {
  server = await startLegacyServer();
});
afterEach(() => server.close());

const TRIP = { city: 'Bern', nights: 3 };

describe('the legacy server with the v1 client', () => {
  it('answers with structured content, errors and progress', async () => {
    const client = await connectLegacyClient(server.url);
    const sum = await client.callTool({ name: 'add', arguments: { a: 2, b: 3 } });
    expect(sum.structuredContent).toEqual({ sum: 5 });
    expect(await client.callTool({ name: 'soft_error' })).toMatchObject({ isError: true });
    expect(await client.callTool({ name: 'throw_error' })).toMatchObject({ isError: true });
    const seen: number[] = [];
    await client.callTool(
      { name: 'progress', arguments: { steps: 2, stepMs: 5 } },
      CallToolResultSchema,
      { onprogress: ({ progress }) => void seen.push(progress) },
    );
    expect(seen).toEqual([1, 2]);
    await client.close();
  });

  it('asks by form, by URL, by -32042, and the model', async () => {
    const user = userWho({ action: 'accept', content: TRIP }, { action: 'decline' });
    const client = await connectLegacyClient(server.url, { user });
    const form = await client.callTool({ name: 'ask_form' });
    expect(form.structuredContent).toEqual({ trip: TRIP });
    const url = 'https://login.example.org/authorize';
    const visited = await client.callTool({ name: 'ask_url', arguments: { url } });
    expect(visited.content).toEqual([{ type: 'text', text: 'The user chose decline' }]);
    expect(user.asked[1]).toMatchObject({ mode: 'url', url });
    const call = { name: 'ask_url_error', arguments: { url, elicitationId: 'e1' } };
    await expect(client.callTool(call)).rejects.toMatchObject({
      code: ErrorCode.UrlElicitationRequired,
      data: { elicitations: [{ mode: 'url', url, elicitationId: 'e1' }] },
    });
    expect((await client.callTool(call)).content).toEqual([{ type: 'text', text: 'Authorized' }]);
    const model = await client.callTool({ name: 'ask_model', arguments: { prompt: 'Hi' } });
    expect(JSON.stringify(model.content)).toContain('The model says hello');
    await client.close();
  });

  it('notices a cancelled call', async () => {
    const client = await connectLegacyClient(server.url);
    const abort = new AbortController();
    const slow = client.callTool(
      { name: 'slow', arguments: { ms: 30_000 } },
      CallToolResultSchema,
      { signal: abort.signal },
    );
    await expect.poll(() => server.ledger.of('executed', 'slow').length).toBe(1);
    abort.abort();
    await expect(slow).rejects.toThrow(/abort/i);
    await expect.poll(() => server.ledger.of('cancelled', 'slow').length).toBe(1);
    await client.close();
  });

  it('runs a task to its result, with a question in the middle', async () => {
    const user = userWho({ action: 'accept', content: { answer: 'blue' } });
    const client = await connectLegacyClient(server.url, { user });
    await client.listTools();
    const kinds: string[] = [];
    let result: unknown;
    for await (const message of client.experimental.tasks.callToolStream(
      { name: 'asking_task', arguments: { question: 'Color?' } },
      CallToolResultSchema,
      { task: { ttl: 60_000 } },
    )) {
      kinds.push(message.type);
      if (message.type === 'result') result = message.result;
      if (message.type === 'error') throw message.error;
    }
    expect(kinds[0]).toBe('taskCreated');
    expect(result).toMatchObject({ content: [{ type: 'text', text: 'Heard blue' }] });
    await client.close();
  });

  it('cancels a task', async () => {
    const client = await connectLegacyClient(server.url);
    await client.listTools();
    const { tasks } = client.experimental;
    const stream = tasks.callToolStream(
      { name: 'long_task', arguments: { ms: 300 } },
      CallToolResultSchema,
      { task: { ttl: 60_000 } },
    );
    for await (const message of stream) {
      if (message.type !== 'taskCreated') continue;
      const cancelled = await tasks.cancelTask(message.task.taskId);
      expect(cancelled.status).toBe('cancelled');
      break;
    }
    await expect.poll(() => server.ledger.of('cancelled', 'long_task').length).toBe(1);
    await client.close();
  });

  it('tells sessions about changed lists and subscribed resources', async () => {
    const client = await connectLegacyClient(server.url);
    const heard: string[] = [];
    for (const schema of [
      ToolListChangedNotificationSchema,
      PromptListChangedNotificationSchema,
      ResourceUpdatedNotificationSchema,
    ]) {
      client.setNotificationHandler(schema, ({ method }) => void heard.push(method));
    }
    await client.subscribeResource({ uri: 'test://notes/first' });
    server.triggerToolChange('extra');
    server.triggerPromptChange('extra');
    server.triggerResourceChange('test://notes/first', 'Changed');
    await expect
      .poll(() => [...heard].sort())
      .toEqual([
        'notifications/prompts/list_changed',
        'notifications/resources/updated',
        'notifications/tools/list_changed',
      ]);
    const { contents } = await client.readResource({ uri: 'test://notes/first' });
    expect(contents[0]).toMatchObject({ text: 'Changed' });
    await client.close();
  });

  it('forgets its sessions on request', async () => {
    const client = await connectLegacyClient(server.url);
    await server.forgetSessions();
    await expect(client.listTools()).rejects.toMatchObject({ code: 404 });
    await client.close();
  });
});

describe('the legacy server with the modern client', () => {
  it('is found out to be 2025-11-25 and can still ask', async () => {
    const user = userWho({ action: 'accept', content: TRIP });
    const client = await connectModernClient(server.url, { user });
    expect(client.getNegotiatedProtocolVersion()).toBe('2025-11-25');
    const form = await client.callTool({ name: 'ask_form' });
    expect(form.structuredContent).toEqual({ trip: TRIP });
    await client.close();
  });

  it('can be held to 2025-06-18', async () => {
    const old = await startLegacyServer({ protocolVersion: '2025-06-18' });
    const client = await connectModernClient(old.url);
    expect(client.getNegotiatedProtocolVersion()).toBe('2025-06-18');
    await client.close();
    await old.close();
  });
});
