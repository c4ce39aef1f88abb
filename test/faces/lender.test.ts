/** The library of whoever lends, with the official clients. */
import { beforeEach, describe, expect, it } from 'vitest';
import { lend } from '../../src/lender/lender.ts';
import { connectA2a } from '../support/a2a-client.ts';
import { userRequest } from '../support/a2a-parts.ts';
import { connectLegacyClient, connectModernClient } from '../support/mcp-clients.ts';
import { startLendingGateway, type LendingGateway } from './lending-gateway.ts';

let agent: LendingGateway['agent'];
let gateway: LendingGateway['gateway'];

beforeEach(async () => {
  ({ agent, gateway } = await startLendingGateway([
    { to: 'agent', tools: ['files/*', 'own/*'], offer: 'request' },
  ]));
});

const hold = { name: 'hold', arguments: { message: 'Act' } };

describe('lend', () => {
  it('lends tools of the gateway with the calls of a client, and nothing with other calls', async () => {
    const client = await connectModernClient(gateway.mcp('agent'));
    const { client: lending } = await lend(client, { tools: ['files/echo'], max_calls: 1 });
    const called = lending.callTool(hold);
    const task = await agent.next();
    expect(task.offer).toMatchObject({ tools: ['files__echo'], max_calls: 1 });
    task.complete('Done');
    await called;
    const plain = client.callTool(hold);
    const other = await agent.next();
    expect(other.offer).toBeUndefined();
    other.complete('Done');
    await plain;
    await client.close();
  });

  it('serves functions, with a client of the v1 SDK', async () => {
    const client = await connectLegacyClient(gateway.mcp('agent'));
    const seen: unknown[] = [];
    const lent = await lend(client, {
      channel: { gateway: gateway.url, name: 'desk' },
      tools: {
        read_note: {
          description: 'Reads a note',
          inputSchema: { properties: { id: { type: 'string' } }, required: ['id'] },
          run: ({ id }) => {
            seen.push(id);
            return `Note ${JSON.stringify(id)}`;
          },
        },
      },
    });
    const called = lent.client.callTool(hold);
    const task = await agent.next();
    expect(task.offer?.tools).toEqual(['desk__read_note']);
    const lease = await agent.open(task.offer);
    const read = (args: Record<string, unknown>) =>
      lease.client.callTool({ name: 'desk__read_note', arguments: args });
    expect((await read({ id: 'a' })).content).toEqual([{ type: 'text', text: 'Note "a"' }]);
    expect(await read({})).toMatchObject({
      isError: true,
      content: [{ text: "The arguments do not fit: data must have required property 'id'." }],
    });
    expect(seen).toEqual(['a']);
    await lent.close();
    expect(await read({ id: 'b' })).toMatchObject({ isError: true });
    await lease.close();
    task.complete('Done');
    await called;
    await client.close();
  });

  it('lends with the messages of an A2A client', async () => {
    const client = await connectA2a(`${gateway.a2a('agent')}/.well-known/agent-card.json`, {
      version: '1.0',
      binding: 'HTTP+JSON',
    });
    const { client: lending } = await lend(client, { tools: ['files/echo'] });
    const sent = lending.sendMessage(userRequest('Act'));
    const task = await agent.next();
    expect(task.offer?.tools).toEqual(['files__echo']);
    task.complete('Done');
    expect(JSON.stringify(await sent)).not.toContain('files/echo');
  });

  it('says why nothing is lent', async () => {
    const client = await connectModernClient(gateway.mcp('agent'));
    const { client: lending } = await lend(client, { tools: ['agent/hold'] });
    await expect(lending.callTool(hold)).rejects.toThrow(
      'Nothing is lent to "agent". None of agent/hold may be. The operator\'s rules decide',
    );
    await expect(lend(client, { tools: { f: { run: () => '' } } })).rejects.toThrow(
      'say in "channel" to which gateway',
    );
    await client.close();
  });
});
