import type { AgentExtension as CardExtension, Message } from '@a2a-js/sdk';
import { RequestContext, ServerCallContext } from '@a2a-js/sdk/server';
import { Client, InMemoryTransport } from '@modelcontextprotocol/client';
import { Server } from '@modelcontextprotocol/server';
import { Server as LegacyServer } from '@modelcontextprotocol/sdk/server/index.js';
import { InMemoryTransport as LegacyTransport } from '@modelcontextprotocol/sdk/inMemory.js';
import { Client as LegacyClient } from '@modelcontextprotocol/sdk/client/index.js';
import { CallToolRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { describe, expect, it } from 'vitest';
import { agentExtension, offerIn, serverExtension } from '../../src/borrower/borrower.ts';

/** Where the official SDKs put what a caller sent. */

const offer = {
  iss: 'https://gw.example.org/sts',
  resource: 'https://gw.example.org/callback/0PKMG-1mQ3yOqvJvJ2oV7w/mcp',
  lease_ref: 'xJ8aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',
  exp: 1_790_000_000,
  tools: ['files__read_file'],
};
const call = { name: 'research', _meta: { 'dev.isthmus/tool-lease': offer } };
const clientId = 'https://partner.example/agent.json';
const info = { name: 'test', version: '1' };

describe('an offer is where the official SDKs show it', () => {
  it('to a handler of the current MCP SDK, whose client sees the declaration', async () => {
    const seen: unknown[] = [];
    const extensions = serverExtension(clientId);
    const server = new Server(info, { capabilities: { tools: {}, extensions } });
    server.setRequestHandler('tools/call', ({ params }, ctx) => {
      seen.push(offerIn(ctx), offerIn(params));
      return { content: [] };
    });
    const client = new Client(info);
    const [near, far] = InMemoryTransport.createLinkedPair();
    await Promise.all([server.connect(far), client.connect(near)]);
    await client.callTool(call);
    expect(seen[0]).toEqual(offer);
    expect(client.getServerCapabilities()?.extensions).toEqual({
      'dev.isthmus/tool-lease': { client_id: 'https://partner.example/agent.json' },
    });
    await client.close();
  });

  it('to a handler of the v1 MCP SDK', async () => {
    const seen: unknown[] = [];
    const server = new LegacyServer(info, { capabilities: { tools: {} } });
    server.setRequestHandler(CallToolRequestSchema, (request, extra) => {
      seen.push(offerIn(extra), offerIn(request), offerIn(request.params));
      return { content: [] };
    });
    const client = new LegacyClient(info);
    const [near, far] = LegacyTransport.createLinkedPair();
    await Promise.all([server.connect(far), client.connect(near)]);
    await client.callTool(call);
    expect(seen).toEqual([offer, offer, offer]);
    await client.close();
  });

  it("to an executor of A2A's SDK, whose card has the declaration", () => {
    const message = {
      messageId: 'm1',
      parts: [],
      metadata: { 'urn:isthmus:ext:tool-lease:v1': offer },
    } as unknown as Message;
    const request = { tenant: '', message, configuration: undefined, metadata: undefined };
    const context = new RequestContext(request, 't1', 'c1', new ServerCallContext());
    expect(offerIn(context)).toEqual(offer);
    expect(offerIn(message)).toEqual(offer);
    const declared: CardExtension = agentExtension(clientId);
    expect(declared.params).toEqual({ client_id: 'https://partner.example/agent.json' });
  });
});
