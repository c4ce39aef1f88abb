import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startEverythingServer } from './everything-server.ts';
import type { EverythingServer } from './everything-server.ts';
import { connectLegacyClient, connectModernClient, userWho } from './mcp-clients.ts';

let server: EverythingServer;
beforeEach(async () => {
  server = await startEverythingServer();
});
afterEach(() => server.close());

const ANSWER = { username: 'ada', email: 'ada@example.org' };

describe('the everything server', () => {
  it.each([
    ['the modern client', connectModernClient, 0],
    ['the v1 client', connectLegacyClient, 1],
  ] as const)('asks user and model through %s', async (_name, connect, sessions) => {
    const user = userWho({ action: 'accept', content: ANSWER });
    const client = await connect(server.url, { user });
    expect(server.sessionCount()).toBe(sessions);
    const call = { name: 'test_elicitation', arguments: { message: 'Who are you?' } };
    const { content } = await client.callTool(call);
    expect(JSON.stringify(content)).toContain('ada@example.org');
    expect(user.asked).toMatchObject([{ message: 'Who are you?' }]);
    const sampled = await client.callTool({ name: 'test_sampling', arguments: { prompt: 'Hi' } });
    expect(sampled.content).toEqual([{ type: 'text', text: 'LLM response: The model says hello' }]);
    await client.close();
  });

  it('really changes the tool list when triggered', async () => {
    const client = await connectModernClient(server.url);
    const names = async (): Promise<string[]> =>
      (await client.listTools(undefined, { cacheMode: 'bypass' })).tools.map((tool) => tool.name);
    expect(await names()).not.toContain('test_extra_tool');
    await client.callTool({ name: 'test_trigger_tool_change' });
    expect(await names()).toContain('test_extra_tool');
    await client.close();
  });
});
