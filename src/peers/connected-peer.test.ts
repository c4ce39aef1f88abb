/** A peer that acts for people, over real connectors: what was sent is never taken for unsent. */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { contextOf, mcpPeer, Turn } from '../../test/support/mcp-peer-driver.ts';
import { GatewayError } from '../model/errors.ts';
import { openDatabase } from '../store/sqlite/database.ts';
import { SqliteReplayStore } from '../store/sqlite/replay-store.ts';
import { connected } from './connected-peer.ts';

it.each(['connection-needed', 'peer-refused'] as const)(
  'a call whose stream was cut is not sent again when its token is gone by then (%s)',
  async (code) => {
    let calls = 0;
    const server = createServer(async (req, res) => {
      let text = '';
      for await (const chunk of req) text += String(chunk);
      const { id, method } = (text === '' ? {} : JSON.parse(text)) as Record<string, unknown>;
      const answer = (result: object, headers = {}): void => {
        res.writeHead(200, { 'content-type': 'application/json', ...headers });
        res.end(JSON.stringify({ jsonrpc: '2.0', id, result }));
      };
      if (method === 'initialize') {
        const result = {
          protocolVersion: '2025-11-25',
          capabilities: { tools: {} },
          serverInfo: { name: 'cut', version: '1' },
        };
        answer(result, { 'mcp-session-id': randomUUID() });
      } else if (method === 'tools/list') {
        answer({ tools: [{ name: 'pay', inputSchema: { type: 'object' } }] });
      } else if (method === 'tools/call') {
        calls += 1;
        res.writeHead(200, { 'content-type': 'text/event-stream' });
        res.end('id: 1\nretry: 0\ndata:\n\n');
      } else
        res.writeHead(method === 'server/discover' ? 400 : req.method === 'GET' ? 405 : 202).end();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const dir = mkdtempSync(join(tmpdir(), 'isthmus-connected-'));
    const database = openDatabase(join(dir, 'x.db'));
    const inner = mcpPeer(`http://127.0.0.1:${port}/mcp`, {
      credentials: async () => {
        if (calls === 0) return { authorization: 'Bearer theirs' };
        throw new GatewayError(code, 'Connect first.', {
          facts: { peer: 'tools', status: 401 },
        });
      },
    });
    let asked = 0;
    const peer = connected(inner, {
      use: {
        connection: 'files',
        peerId: 'tools',
        resource: `http://127.0.0.1:${port}/mcp`,
        origins: [`http://127.0.0.1:${port}`],
      },
      connections: {
        request: async () => {
          asked += 1;
          return { id: 'r', url: 'https://gw.example/connect/r', message: 'Connect.' };
        },
        isOpen: async () => true,
        withdraw: async () => {},
        settled: async () => (asked === 1 ? 'connected' : 'declined'),
        isConnected: async () => false,
      },
      replay: new SqliteReplayStore(database),
      mintId: randomUUID,
      clock: Date.now,
    });
    const message = { messageId: 'm-1', role: 'ROLE_USER' as const, parts: [] };
    const turn = new Turn();
    const reading = turn.read(
      peer.start({ message, call: { name: 'pay', arguments: {} } }, contextOf()),
    );
    await expect(reading).rejects.toMatchObject({ code: 'peer-unavailable' });
    expect({ calls, asked }).toEqual({ calls: 1, asked: 0 });
    await peer.close();
    database.close();
    server.closeAllConnections();
    server.close();
    rmSync(dir, { recursive: true });
  },
);
