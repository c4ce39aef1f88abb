/** Whoever borrows: an agent or a server, for a moment or for long, over a restart of the gateway. */
import { createMcpHandler, Server } from '@modelcontextprotocol/server';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair } from 'jose';
import { afterEach, describe, expect, it } from 'vitest';
import { offerIn, openLease, serverExtension } from '../../src/borrower/borrower.ts';
import { startA2aAgent, type A2aAgent } from '../support/a2a-agent.ts';
import { auditOf } from '../support/audit-log.ts';
import { startGateway, type TestGateway, type TestGatewayOptions } from '../support/gateway.ts';
import { startHoldingAgent, type HoldingAgent } from '../support/holding-agent.ts';
import { connectModernClient, userWho } from '../support/mcp-clients.ts';
import { startModernServer, type ModernServer } from '../support/modern-server.ts';
import { WireClient } from '../support/wire-client.ts';

let agent: HoldingAgent;
let files: ModernServer;
let helper: A2aAgent;
let gateway: TestGateway;
const closing: (() => Promise<void>)[] = [];

async function start(
  lending: Record<string, unknown>[],
  options: Partial<TestGatewayOptions> & { streaming?: boolean } = {},
): Promise<void> {
  const { streaming = true, ...more } = options;
  agent = await startHoldingAgent({ streaming });
  files = await startModernServer();
  helper = await startA2aAgent();
  gateway = await startGateway({
    ...more,
    peers: [
      { id: 'agent', a2a: agent.cardUrl },
      { id: 'files', mcp: files.url },
      { id: 'helper', a2a: helper.cardUrl },
      ...(more.peers ?? []),
    ],
    organizations: [{ id: 'partner', clientIds: [agent.clientId] }, ...(more.organizations ?? [])],
    lending,
  });
}

afterEach(async () => {
  await gateway.close();
  await Promise.all([agent.close(), files.close(), helper.close()]);
  await Promise.all(closing.splice(0).map((close) => close()));
});

const rule = { to: 'agent', tools: ['files/*', 'helper/*'] };
const user = () => userWho({ action: 'accept', content: { decision: 'allow once' } });

describe('a borrower', () => {
  it('is lent the skills of another agent as tools', async () => {
    await start([rule]);
    const client = await connectModernClient(gateway.mcp('agent'));
    const called = client.callTool({ name: 'hold', arguments: { message: 'Act' } });
    const task = await agent.next();
    const lease = await agent.open(task.offer);
    const { tools } = await lease.client.listTools();
    expect(tools.map(({ name }) => name)).toContain('helper__slow');
    const direct = await lease.client.callTool({
      name: 'helper__echo',
      arguments: { message: 'hello' },
    });
    expect(direct).toMatchObject({ content: [{ type: 'text', text: 'hello' }] });
    expect(JSON.stringify(direct)).not.toContain('contextId');
    const slow = await lease.client.callTool({
      name: 'helper__slow',
      arguments: { message: '400' },
    });
    expect(slow.isError).not.toBe(true);
    expect(slow.structuredContent).not.toHaveProperty('taskId');
    await lease.close();
    task.complete('Done');
    await called;
    await client.close();
  });

  it('of a skill that asks leaves the answer to the lender, and hears of none', async () => {
    await start([rule]);
    const asked = userWho(
      { action: 'accept', content: { answer: 'Lisbon' } },
      { action: 'decline' },
      { action: 'accept' },
    );
    const client = await connectModernClient(gateway.mcp('agent'), { user: asked });
    const called = client.callTool({ name: 'hold', arguments: { message: 'Act' } });
    const task = await agent.next();
    const lease = await agent.open(task.offer);
    const skill = (name: string, message: string) =>
      lease.client.callTool({ name: `helper__${name}`, arguments: { message } });
    expect(JSON.stringify(await skill('ask', 'Where to?'))).toContain('Lisbon');
    expect(JSON.stringify(await skill('ask', 'Where to?'))).toContain('The user declined');
    const waiting = skill('auth', 'go');
    await expect.poll(() => asked.asked.length).toBe(3);
    expect(asked.asked[2]).toMatchObject({ mode: 'url' });
    await expect.poll(() => helper.waitingForAuth().length).toBe(1);
    const [taskId = ''] = helper.waitingForAuth();
    expect(helper.completeAuth(taskId)).toBe(true);
    expect(await waiting).toMatchObject({ content: [{ type: 'text' }] });
    await lease.close();
    task.complete('Done');
    await called;
    await client.close();
  });

  it('gets a task for a call that is long, where it can follow one', async () => {
    await start([rule]);
    const client = await connectModernClient(gateway.mcp('agent'));
    const called = client.callTool({ name: 'hold', arguments: { message: 'Act' } });
    const task = await agent.next();
    const lease = await agent.open(task.offer);
    const wire = new WireClient(task.offer?.resource ?? '', lease.fetch);
    const created = await wire.call('files__slow', { ms: 900, key: 'a' });
    expect(created).toMatchObject({ resultType: 'task', status: 'working' });
    const ended = await wire.pollTask(String(created['taskId']));
    expect(ended).toMatchObject({ result: { content: [{ text: 'Waited 900 ms' }] } });
    await lease.close();
    task.complete('Done');
    await called;
    await client.close();
  });

  it('goes on after a restart of the gateway, with the same key alone', async () => {
    await start([{ ...rule, maxCalls: 2 }]);
    const wire = new WireClient(gateway.mcp('agent'));
    const created = await wire.call('hold', { message: 'Act' });
    const task = await agent.next();
    const lease = await agent.open(task.offer);
    const echo = () => lease.client.callTool({ name: 'files__echo', arguments: { text: 'still' } });
    await echo();
    await gateway.restart();
    expect((await echo()).content).toEqual([{ type: 'text', text: 'still' }]);
    expect(await echo()).toMatchObject({ isError: true });
    await expect(agent.open(task.offer)).rejects.toMatchObject({ code: 'lease-over' });
    task.complete('Done');
    await wire.pollTask(String(created['taskId']));
    await expect(echo()).rejects.toThrow(/lease/i);
    await lease.close();
  });

  it('follows a long call over a restart, and the audit log has what became of it', async () => {
    await start([rule]);
    const client = new WireClient(gateway.mcp('agent'));
    const created = await client.call('hold', { message: 'Act' });
    const task = await agent.next();
    const lease = await agent.open(task.offer);
    const wire = new WireClient(task.offer?.resource ?? '', lease.fetch);
    const call = await wire.call('helper__slow', { message: '2500' });
    expect(call).toMatchObject({ resultType: 'task', status: 'working' });
    await gateway.restart();
    const ended = await wire.pollTask(String(call['taskId']));
    expect(ended).toMatchObject({ status: 'completed' });
    task.complete('Done');
    await client.pollTask(String(created['taskId']));
    await lease.close();
    const outcomes = auditOf(gateway, 'call.ended').map(({ facts }) => facts);
    expect(outcomes).toEqual([{ outcome: 'interrupted' }, { outcome: 'completed' }]);
    expect(auditOf(gateway, 'call.allowed')).toHaveLength(1);
  });

  it('that sends no stream is asked for all the same', async () => {
    await start([{ ...rule, approval: 'always' }], { streaming: false });
    const asked = user();
    const client = await connectModernClient(gateway.mcp('agent'), { user: asked });
    const called = client.callTool({ name: 'hold', arguments: { message: 'Act' } });
    const task = await agent.next();
    const lease = await agent.open(task.offer);
    const result = await lease.client.callTool({ name: 'files__echo', arguments: { text: 'x' } });
    expect(result.content).toEqual([{ type: 'text', text: 'x' }]);
    expect(asked.asked).toHaveLength(1);
    await lease.close();
    task.complete('Done');
    expect((await called).content).toEqual([expect.objectContaining({ text: 'Done' })]);
    await client.close();
  });

  it('may be an MCP server in the middle of a call', async () => {
    const server = await startBorrowingServer();
    closing.push(server.close);
    await start([{ to: 'code', tools: ['files/echo'], approval: 'always' }], {
      peers: [{ id: 'code', mcp: server.url }],
      organizations: [{ id: 'code', clientIds: [server.clientId] }],
    });
    const asked = user();
    const client = await connectModernClient(gateway.mcp('code'), { user: asked });
    const result = await client.callTool({ name: 'relay', arguments: { text: 'through' } });
    expect(result.content).toEqual([{ type: 'text', text: 'through' }]);
    expect(asked.asked).toEqual([
      expect.objectContaining({
        message: '"code" wants to call files/echo with {"text":"through"}. Allow it?',
      }),
    ]);
    await client.close();
  });
});

/** An MCP server whose one tool calls whatever tool it is lent. */
async function startBorrowingServer() {
  const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true });
  const jwk = { ...(await exportJWK(publicKey)), kid: 'code', alg: 'ES256' };
  let clientId = '';
  const handler = createMcpHandler(() => {
    const server = new Server(
      { name: 'code', version: '1.0.0' },
      { capabilities: { tools: {}, extensions: serverExtension(clientId) } },
    );
    server.setRequestHandler('tools/list', () => ({
      tools: [{ name: 'relay', inputSchema: { type: 'object' as const } }],
    }));
    server.setRequestHandler('tools/call', async ({ params }, ctx) => {
      const offer = offerIn(ctx);
      if (offer === undefined) return { content: [{ type: 'text', text: 'nothing is lent' }] };
      const lease = await openLease(offer, {
        clientId,
        key: privateKey,
        keyId: 'code',
        issuers: () => true,
      });
      const [name = ''] = lease.tools;
      const { content } = await lease.client.callTool({ name, arguments: params.arguments ?? {} });
      await lease.close();
      return { content };
    });
    return server;
  });
  const mcp = toNodeHandler(handler);
  const http = createServer((req, res) => {
    if (req.url !== '/client.json') return void mcp(req, res);
    const document = {
      client_id: clientId,
      grant_types: ['urn:ietf:params:oauth:grant-type:token-exchange'],
      token_endpoint_auth_method: 'private_key_jwt',
      jwks: { keys: [jwk] },
    };
    res.setHeader('content-type', 'application/json').end(JSON.stringify(document));
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  const origin = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  clientId = `${origin}/client.json`;
  return {
    url: `${origin}/mcp`,
    clientId,
    close: async () => {
      await handler.close();
      http.closeAllConnections();
      await new Promise((resolve) => http.close(resolve));
    },
  };
}
