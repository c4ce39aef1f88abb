/** How the gateway, as a client, finds out what an MCP server speaks, and keeps to it. */
import { afterEach, describe, expect, it } from 'vitest';
import { covers } from '../requirements/requirement.ts';
import { goodMcpAnswer } from '../support/bad-peer-defaults.ts';
import type { Misbehaviour } from '../support/bad-peer-script.ts';
import { startGateway } from '../support/gateway.ts';
import { startLegacyServer } from '../support/legacy-server.ts';
import { disconnect, html, json, LEGACY_MCP, rpcError, status } from '../support/misbehaviours.ts';
import { startModernServer } from '../support/modern-server.ts';
import { startTasksServer } from '../support/tasks-server.ts';
import { WireClient } from '../support/wire-client.ts';
import { callTool } from './a2a-raw.ts';
import { facesOf, metaOf, Opened, saying, scripted } from './scripted-server.ts';

const opened = new Opened();
afterEach(() => opened.close());

const text = { capabilities: {} };

describe('the era of a server', () => {
  it('is modern where it refuses in modern words: it is asked in a version that it supports', async () => {
    covers('MCP-versioning-06');
    const refusing = (...supported: string[]) =>
      json(400, {
        jsonrpc: '2.0',
        id: null,
        error: {
          code: -32022,
          message: 'Unsupported',
          data: { supported, requested: '2026-07-28' },
        },
      });
    const discover = [refusing('2026-07-28', '2025-11-25'), goodMcpAnswer];
    const fine = await scripted({ 'server/discover': discover }, opened);
    expect(await fine.mcp.call('work', { text: 'a' }, text)).toMatchObject(saying('fine'));
    expect(fine.peer.requestsOf('initialize')).toEqual([]);
    const versions = fine.peer.requestsOf('server/discover').map(metaOf);
    expect(versions.map((meta) => meta['io.modelcontextprotocol/protocolVersion'])).toEqual([
      '2026-07-28',
      '2026-07-28',
    ]);
    const strange = await scripted({ 'server/discover': refusing('2099-01-01') }, opened);
    const { error } = await strange.mcp.request('tools/list');
    expect(error?.message).toContain('no protocol revision that the gateway knows');
    const { status: state } = await strange.a2a.task(callTool('work'));
    expect(state.state).toBe('TASK_STATE_FAILED');
    expect(strange.peer.requestsOf('initialize')).toEqual([]);
  });

  it('is legacy where it gives no modern error', async () => {
    covers('MCP-versioning-07');
    const server = opened.add(await startLegacyServer());
    const { a2a, mcp } = await facesOf(server.url, opened);
    expect(await mcp.call('echo', { text: 'a' }, text)).toMatchObject(saying('a'));
    const { status: state } = await a2a.task(callTool('echo', { text: 'b' }));
    expect(state.state).toBe('TASK_STATE_COMPLETED');
    expect(server.sessionCount()).toBeGreaterThan(0);
    const refusals = [status(404), status(405), html(400), rpcError(-32601, 'Method not found')];
    for (const refusal of refusals) {
      const { peer, mcp: client } = await scripted({ 'server/discover': refusal }, opened);
      expect(await client.call('work', { text: 'a' }, text)).toMatchObject(saying('fine'));
      const methods = peer.requests.map(({ method }) => method);
      expect(methods.slice(0, 2)).toEqual(['server/discover', 'initialize']);
    }
  });
});

describe('a legacy server', () => {
  const inSession: Misbehaviour = (exchange) => {
    const result = {
      protocolVersion: '2025-06-18',
      capabilities: { tools: {} },
      serverInfo: { name: 'old', version: '1' },
    };
    const sessionId = `session-${exchange.id}`;
    const body = JSON.stringify({ jsonrpc: '2.0', id: exchange.id, result });
    exchange.response
      .writeHead(200, { 'content-type': 'application/json', 'mcp-session-id': sessionId })
      .end(body);
  };

  it('hears that it is initialized before anything else, then version and session each time', async () => {
    covers('MCP-legacy-03', 'MCP-legacy-06', 'MCP-legacy-08');
    const on = { ...LEGACY_MCP, initialize: inSession };
    const { peer, a2a, mcp } = await scripted(on, opened);
    await Promise.all([
      a2a.task(callTool('work', { text: 'a' })),
      mcp.call('work', { text: 'b' }, text),
      mcp.request('tools/list'),
    ]);
    await opened.close();
    expect(peer.requestsOf('DELETE').length).toBeGreaterThan(0);
    const sessions = new Map<string, string[]>();
    const handshakes = peer.requestsOf('initialize');
    expect(handshakes.flatMap(({ headers }) => headers['mcp-session-id'] ?? [])).toEqual([]);
    const before = ['server/discover', 'initialize'];
    for (const { method, headers } of peer.requests.filter((one) => !before.includes(one.method))) {
      const id = headers['mcp-session-id'];
      expect(id).toMatch(/^session-/);
      expect(headers['mcp-protocol-version']).toBe('2025-06-18');
      sessions.set(String(id), [...(sessions.get(String(id)) ?? []), method]);
    }
    expect(sessions.size).toBe(handshakes.length);
    for (const methods of sessions.values()) {
      expect(methods[0]).toBe('notifications/initialized');
      expect(methods.length).toBeGreaterThan(1);
    }
    expect(peer.requestsOf('tools/call')).toHaveLength(2);
  });

  it('that lost a session gets a new one, and no call twice', async () => {
    covers('MCP-legacy-06');
    const server = opened.add(await startLegacyServer());
    const { a2a, mcp } = await facesOf(server.url, opened);
    await a2a.task(callTool('record', { key: 'before' }));
    await server.forgetSessions();
    const after = await a2a.task(callTool('record', { key: 'after' }));
    expect(after.status.state).toBe('TASK_STATE_COMPLETED');
    expect(await mcp.call('record', { key: 'mcp' }, text)).not.toHaveProperty('isError');
    expect([...server.ledger.executionsByKey()]).toEqual([
      ['before', 1],
      ['after', 1],
      ['mcp', 1],
    ]);
    const on = {
      ...LEGACY_MCP,
      initialize: inSession,
      'tools/call': [disconnect(), goodMcpAnswer],
    };
    const cut = await scripted(on, opened);
    const failed = await cut.a2a.task(callTool('work', { text: 'a' }));
    expect(failed.status.state).toBe('TASK_STATE_FAILED');
    expect(cut.peer.requestsOf('tools/call')).toHaveLength(1);
  });
});

describe('an extension that only one side has', () => {
  it('is not used: the call is plain, or refused by name', async () => {
    covers('MCP-versioning-03');
    const plain = opened.add(await startModernServer());
    const tasks = opened.add(await startTasksServer());
    const gateway = opened.add(
      await startGateway({
        peers: [
          { id: 'plain', mcp: plain.url },
          { id: 'worker', mcp: tasks.url },
        ],
      }),
    );
    const knowing = new WireClient(gateway.mcp('plain'));
    const atOnce = await knowing.call('echo', { text: 'a' });
    expect(atOnce).toMatchObject({ resultType: 'complete', ...saying('a') });
    // The gateway has the extension also where its server has not: the task is its own.
    const { taskId } = await knowing.call('slow', { ms: 900 });
    expect(await knowing.pollTask(String(taskId))).toMatchObject({
      status: 'completed',
      result: saying('Waited 900 ms'),
    });
    const client = new WireClient(gateway.mcp('worker'));
    const direct = await client.call('slow_compute', { seconds: 0.5, label: 'it' }, text);
    expect(direct).toMatchObject({ resultType: 'complete', ...saying('Computed it in 0.5 s') });
    const { error, status: code } = await client.request(
      'tools/call',
      { name: 'failing_job', arguments: {} },
      text,
    );
    expect(code).toBe(400);
    expect(error).toMatchObject({
      code: -32021,
      data: { requiredCapabilities: { extensions: { 'io.modelcontextprotocol/tasks': {} } } },
    });
    expect(tasks.tasks.ids()).toEqual([]);
  });
});
