/** Clients of 2025-11-25 and 2025-06-18, beside modern ones on the same endpoint. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { covers } from '../requirements/requirement.ts';
import { startA2aAgent, type A2aAgent } from '../support/a2a-agent.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { LegacyWire } from '../support/legacy-wire.ts';
import { connectLegacyClient } from '../support/mcp-clients.ts';
import { startModernServer, type ModernServer } from '../support/modern-server.ts';
import { WireClient, type WireMessage } from '../support/wire-client.ts';
import { Opened, post } from './mcp-world.ts';

const opened = new Opened();
let agent: A2aAgent;
let modern: ModernServer;
let gateway: TestGateway;

beforeAll(async () => {
  agent = opened.add(await startA2aAgent());
  modern = opened.add(await startModernServer());
  gateway = opened.add(
    await startGateway({
      peers: [
        { id: 'agent', a2a: agent.cardUrl },
        { id: 'modern', mcp: modern.url },
      ],
      limits: { syncCall: '5s' },
    }),
  );
});

afterAll(() => opened.close());

const peers = {
  agent: { message: 'hello' },
  modern: { text: 'hello' },
} as const;
const accept = { accept: 'application/json, text/event-stream' };

describe('a session', () => {
  it('is introduced with capabilities and server information', async () => {
    covers('MCP-legacy-02');
    const introductions = {
      agent: { name: 'ip4-127-0-0-1/agent', title: 'Scripted agent' },
      modern: { name: 'ip4-127-0-0-1/modern', title: 'Modern test server' },
    };
    for (const [peer, serverInfo] of Object.entries(introductions)) {
      for (const protocolVersion of ['2025-11-25', '2025-06-18']) {
        const wire = await LegacyWire.open(gateway.mcp(peer), { protocolVersion });
        expect(wire.initialized).toMatchObject({
          protocolVersion,
          serverInfo,
          capabilities: { tools: {}, prompts: {}, resources: {} },
        });
        expect(wire.initialized).not.toHaveProperty('resultType');
      }
    }
  });

  it('has an id of visible ASCII', async () => {
    covers('MCP-legacy-04');
    for (const peer of Object.keys(peers)) {
      const ids = await Promise.all(
        Array.from(
          { length: 20 },
          async () => (await LegacyWire.open(gateway.mcp(peer))).sessionId,
        ),
      );
      for (const id of ids) expect(id).toMatch(/^[\x21-\x7e]{16,}$/);
      expect(new Set(ids).size).toBe(20);
    }
  });

  it('speaks the protocol that its client chose, in that protocol’s shapes', async () => {
    covers('MCP-versioning-05');
    for (const [peer, args] of Object.entries(peers)) {
      for (const protocolVersion of ['2025-11-25', '2025-06-18']) {
        const wire = await LegacyWire.open(gateway.mcp(peer), { protocolVersion });
        const headers = { 'mcp-protocol-version': protocolVersion };
        const listed = await wire.request('tools/list', {}, headers);
        const called = await wire.request('tools/call', { name: 'echo', arguments: args }, headers);
        expect(listed.result?.['tools']).toEqual(
          expect.arrayContaining([expect.objectContaining({ name: 'echo' })]),
        );
        expect(called.result).toMatchObject({ content: [{ type: 'text', text: 'hello' }] });
        for (const { result } of [listed, called]) {
          for (const member of ['resultType', 'ttlMs', 'cacheScope']) {
            expect(result).not.toHaveProperty(member);
          }
        }
        const discover = await wire.request('server/discover', {}, headers);
        expect(discover.error?.code).toBe(-32601);
        expect(await wire.request('ping', {}, headers)).toMatchObject({ result: {} });
      }
      const client = await connectLegacyClient(gateway.mcp(peer));
      const result = await client.callTool({ name: 'echo', arguments: args });
      expect(result.content).toMatchObject([{ text: 'hello' }]);
      await client.close();
    }
  });

  it('is beside modern requests, which have none', async () => {
    covers('MCP-versioning-04');
    for (const [peer, args] of Object.entries(peers)) {
      const session = await LegacyWire.open(gateway.mcp(peer));
      const call = { name: 'echo', arguments: args };
      const [old, young] = await Promise.all([
        session.request('tools/call', call),
        new WireClient(gateway.mcp(peer)).request('tools/call', call),
      ]);
      expect(old.result).not.toHaveProperty('resultType');
      expect(young.result).toMatchObject({ resultType: 'complete' });
      expect(young.headers.get('mcp-session-id')).toBeNull();
      const inside = await new WireClient(gateway.mcp(peer)).request('tools/call', call, {
        headers: { 'mcp-session-id': session.sessionId },
      });
      expect(inside.result).toMatchObject({ resultType: 'complete' });
      expect(inside.headers.get('mcp-session-id')).toBeNull();
      const gone = await new WireClient(gateway.mcp(peer)).request('tools/call', call, {
        headers: { 'mcp-session-id': 'long-gone' },
      });
      expect(gone.result).toMatchObject({ resultType: 'complete' });
      expect((await session.request('tools/list')).result).toHaveProperty('tools');
    }
  });

  it('that has ended is not found', async () => {
    covers('MCP-legacy-05');
    for (const peer of Object.keys(peers)) {
      const wire = await LegacyWire.open(gateway.mcp(peer));
      expect((await wire.request('tools/list')).status).toBe(200);
      await wire.delete();
      expect((await wire.request('tools/list')).status).toBe(404);
      expect((await wire.get()).status).toBe(404);
    }
  });

  it('refuses a version header that is no version of it', async () => {
    covers('MCP-legacy-07');
    const wire = await LegacyWire.open(gateway.mcp('agent'));
    for (const version of ['banana', '1999-01-01', '']) {
      const reply = await wire.request('tools/list', {}, { 'mcp-protocol-version': version });
      expect([version, reply.status, reply.result]).toEqual([version, 400, undefined]);
    }
    expect((await wire.request('tools/list')).status).toBe(200);
  });

  it('has a stream of its own by GET, and nobody else has', async () => {
    covers('MCP-legacy-09');
    const wire = await LegacyWire.open(gateway.mcp('modern'));
    const stream = await wire.get();
    expect([stream.status, stream.headers.get('content-type')]).toEqual([200, 'text/event-stream']);
    await stream.body?.cancel();
    for (const headers of [{}, { 'mcp-session-id': 'none' }]) {
      const response = await fetch(gateway.mcp('modern'), {
        headers: { accept: 'text/event-stream', ...headers },
      });
      expect(Math.floor(response.status / 100)).toBe(4);
      expect(response.headers.get('content-type')).not.toBe('text/event-stream');
      await response.body?.cancel();
    }
  });

  it('takes notifications and responses with 202 and no body', async () => {
    covers('MCP-legacy-10');
    const url = gateway.mcp('agent');
    const wire = await LegacyWire.open(url, { capabilities: { elicitation: { form: {} } } });
    const headers = { ...accept, 'mcp-session-id': wire.sessionId };
    const method = 'notifications/initialized';
    const told = await post(url, { jsonrpc: '2.0', method }, headers);
    expect([told.status, told.text]).toEqual([202, '']);
    let replied: [number, string] | undefined;
    const asking = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify({
        jsonrpc: '2.0',
        id: 9,
        method: 'tools/call',
        params: { name: 'ask', arguments: { message: 'go' } },
      }),
    });
    let text = '';
    for await (const chunk of (asking.body ?? []) as AsyncIterable<Uint8Array>) {
      text += Buffer.from(chunk).toString('utf8');
      const question = messagesIn(text).find(({ method: name }) => name === 'elicitation/create');
      if (question === undefined || replied !== undefined) continue;
      const result = { action: 'accept', content: { answer: 'Rome' } };
      const reply = await post(url, { jsonrpc: '2.0', id: question.id, result }, headers);
      replied = [reply.status, reply.text];
    }
    expect(replied).toEqual([202, '']);
    expect(messagesIn(text).at(-1)).toMatchObject({
      id: 9,
      result: { structuredContent: { text: 'city: Rome' } },
    });
  });
});

function messagesIn(text: string): WireMessage[] {
  return [...text.matchAll(/^data: (\{.+\})$/gm)].map(
    (match) => JSON.parse(match[1] ?? '{}') as WireMessage,
  );
}
