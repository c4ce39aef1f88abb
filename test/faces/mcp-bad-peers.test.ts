/** Peers that misbehave, as an MCP client sees them: an error that can be acted on, soon. */
import { afterEach, describe, expect, it } from 'vitest';
import { covers } from '../requirements/requirement.ts';
import { startBadPeer } from '../support/bad-peer.ts';
import type { BadPeerScript, Misbehaviour } from '../support/bad-peer-script.ts';
import { startGateway } from '../support/gateway.ts';
import {
  disconnect,
  hang,
  html,
  invalidJson,
  result,
  rpcError,
  status,
  wrongId,
} from '../support/misbehaviours.ts';
import { WireClient } from '../support/wire-client.ts';

const open: { close(): Promise<void> }[] = [];

afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

async function clientOf(kind: 'a2a' | 'mcp', script: BadPeerScript): Promise<WireClient> {
  const peer = await startBadPeer(script);
  open.push(peer);
  const gateway = await startGateway({
    peers: [
      {
        id: 'bad',
        ...(kind === 'a2a' ? { a2a: peer.cardUrl } : { mcp: peer.mcpUrl }),
        timeouts: { call: '500ms', idle: '500ms' },
      },
    ],
    limits: { syncCall: '3s' },
  });
  open.push(gateway);
  return new WireClient(gateway.mcp('bad'));
}

const cacheable = { resultType: 'complete', ttlMs: 0, cacheScope: 'private' };

/** What a server with tools, prompts and resources says of itself. */
const known = {
  'server/discover': result({
    ...cacheable,
    supportedVersions: ['2026-07-28'],
    capabilities: { tools: {}, prompts: {}, resources: {} },
  }),
  'tools/list': result({
    ...cacheable,
    tools: [{ name: 'work', inputSchema: { type: 'object' } }],
  }),
  'prompts/list': result({ ...cacheable, prompts: [] }),
  'resources/list': result({ ...cacheable, resources: [] }),
  'resources/templates/list': result({ ...cacheable, resourceTemplates: [] }),
};

const secret = 'SECRET at /srv/agent/main.py:17';

const wrongs: [string, Misbehaviour][] = [
  ['answers with a page', html()],
  ['answers with half a document', invalidJson()],
  ['answers somebody else', wrongId()],
  ['answers with status 500 and a stack trace', status(500, secret)],
  ['hangs', hang()],
  ['cuts the connection', disconnect()],
  ['answers with an error of its own', rpcError(-32603, secret)],
];

describe('an agent that', () => {
  const states = result({ task: { id: 'x', contextId: 'c', status: { state: 'TASK_STATE_NAP' } } });
  it.each([...wrongs, ['returns a state that does not exist', states] as const])(
    '%s makes a tool error without internals',
    async (_what, behaviour) => {
      covers('MCP-tools-09');
      const on = { SendMessage: behaviour, SendStreamingMessage: behaviour };
      const wire = await clientOf('a2a', { on });
      const { result: tools } = await wire.request('tools/list');
      const [tool] = (tools?.['tools'] ?? []) as { name: string }[];
      const got = await wire.call(tool?.name ?? '', { message: 'go' }, { capabilities: {} });
      expect(got).toMatchObject({ resultType: 'complete', isError: true });
      expect(JSON.stringify(got)).not.toMatch(/SECRET|stack|node_modules|ECONN|127\.0\.0\.1/);
    },
  );

  it('has no card makes every method an error, not a hang', async () => {
    const wire = await clientOf('a2a', { card: status(500, secret) });
    for (const method of ['server/discover', 'tools/list']) {
      const { error } = await wire.request(method);
      expect(error?.code).toBe(-32603);
      expect(error?.message).not.toContain('SECRET');
    }
  });
});

describe('an MCP server that', () => {
  const own = 'answers with an error of its own';
  it.each(wrongs.filter(([what]) => what !== own))(
    '%s makes a tool error without internals',
    async (_what, behaviour) => {
      covers('MCP-tools-09');
      const wire = await clientOf('mcp', { on: { 'tools/call': behaviour } });
      const got = await wire.call('work', { text: 'go' }, { capabilities: {} });
      expect(got).toMatchObject({ resultType: 'complete', isError: true });
      expect(JSON.stringify(got)).not.toMatch(/SECRET|stack|node_modules|ECONN|127\.0\.0\.1/);
    },
  );

  it('answers with an error of its own has it relayed as it is', async () => {
    const on = { 'tools/call': rpcError(1055, 'No seats left', { seats: 0 }) };
    const wire = await clientOf('mcp', { on });
    const { error } = await wire.request('tools/call', { name: 'work', arguments: {} });
    expect(error).toEqual({ code: 1055, message: 'No seats left', data: { seats: 0 } });
  });

  it.each([-32000, -32001, -32004, -32019, -32023, -32042, -32055, -32099])(
    'answers with the code %i, which is not its to use, is relayed with another',
    async (code) => {
      covers('MCP-basic-09', 'MCP-basic-10');
      const on = { '*': rpcError(code, 'No seats left', { seats: 0 }) };
      const wire = await clientOf('mcp', { on: { ...known, ...on } });
      for (const [method, params] of [
        ['tools/call', { name: 'work', arguments: {} }],
        ['prompts/get', { name: 'x' }],
        ['resources/read', { uri: 'x:y' }],
      ] as const) {
        const { error } = await wire.request(method, params);
        expect(error).toEqual({
          code: -32603,
          message: 'No seats left',
          data: { seats: 0, 'isthmus/code': code },
        });
      }
    },
  );

  it('knows no resource under the code of an earlier revision says so under that of this one', async () => {
    covers('MCP-basic-10');
    const on = { ...known, 'resources/read': rpcError(-32002, 'Not here', { uri: 'x:y' }) };
    const wire = await clientOf('mcp', { on });
    const { error } = await wire.request('resources/read', { uri: 'x:y' });
    expect(error).toEqual({ code: -32602, message: 'Not here', data: { uri: 'x:y' } });
  });
});
