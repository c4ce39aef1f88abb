/** Peers that misbehave, as an MCP client sees them: an error that can be acted on, soon. */
import { afterEach, describe, expect, it } from 'vitest';
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
      const wire = await clientOf('mcp', { on: { 'tools/call': behaviour } });
      const got = await wire.call('echo', { text: 'go' }, { capabilities: {} });
      expect(got).toMatchObject({ resultType: 'complete', isError: true });
      expect(JSON.stringify(got)).not.toMatch(/SECRET|stack|node_modules|ECONN|127\.0\.0\.1/);
    },
  );

  it('answers with an error of its own has it relayed as it is', async () => {
    const on = { 'tools/call': rpcError(-32055, 'No seats left', { seats: 0 }) };
    const wire = await clientOf('mcp', { on });
    const { error } = await wire.request('tools/call', { name: 'echo', arguments: {} });
    expect(error).toEqual({ code: -32055, message: 'No seats left', data: { seats: 0 } });
  });
});
