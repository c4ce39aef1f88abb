/** Peers that misbehave, each with a good one beside it, behind one gateway, seen from both faces. */
import { expect } from 'vitest';
import { RawA2a, callTool, say } from '../faces/a2a-raw.ts';
import { startBadPeer } from '../support/bad-peer.ts';
import type { BadPeer } from '../support/bad-peer.ts';
import type { BadPeerScript } from '../support/bad-peer-script.ts';
import { startGateway } from '../support/gateway.ts';
import type { TestGateway } from '../support/gateway.ts';
import { WireClient } from '../support/wire-client.ts';

export type Protocol = 'a2a' | 'mcp';

/** A peer that is to be: its name in the test, what it speaks, and how it misbehaves. */
export type Planned = readonly [name: string, protocol: Protocol, script: BadPeerScript];

/** A text that a peer says and that nobody else may hear. */
export const secret = 'SECRET at /srv/agent/main.py:17';

/** Limits that make a bad peer's time short. */
export const shortLimits = { peerReply: '128KiB', peerConnect: '2s' };

/** One peer in the configuration of the gateway, with little time. */
export function shortPeer(id: string, protocol: Protocol, peer: BadPeer) {
  const address = protocol === 'a2a' ? { a2a: peer.cardUrl } : { mcp: peer.mcpUrl };
  return { id, ...address, timeouts: { call: '1500ms', idle: '1500ms' } };
}

/** All planned peers behind one gateway, and a good one. */
export class BadPeerWorld {
  readonly gateway: TestGateway;
  readonly #peers: ReadonlyMap<string, { id: string; peer: BadPeer }>;

  constructor(gateway: TestGateway, peers: ReadonlyMap<string, { id: string; peer: BadPeer }>) {
    this.gateway = gateway;
    this.#peers = peers;
  }

  static async start(plan: readonly Planned[]): Promise<BadPeerWorld> {
    const peers = new Map<string, { id: string; peer: BadPeer }>();
    const good = await startBadPeer();
    peers.set('good', { id: 'good', peer: good });
    const config = [];
    for (const [n, [name, protocol, script]] of plan.entries()) {
      const peer = await startBadPeer(script);
      const id = `peer-${n}`;
      peers.set(name, { id, peer });
      config.push(shortPeer(id, protocol, peer));
    }
    const limits = shortLimits;
    const all = [{ id: 'good', mcp: good.mcpUrl }, ...config];
    return new BadPeerWorld(await startGateway({ peers: all, limits }), peers);
  }

  named(name: string): { id: string; peer: BadPeer } {
    const found = this.#peers.get(name);
    if (found === undefined) throw new Error(`no peer ${name}`);
    return found;
  }

  async close(): Promise<void> {
    await this.gateway.close();
    for (const { peer } of this.#peers.values()) await peer.close();
  }
}

/** A call to the good peer, which must not wait for the bad ones. */
export async function expectOthersServed({ gateway }: BadPeerWorld): Promise<void> {
  const started = Date.now();
  const client = new WireClient(gateway.mcp('good'));
  const got = await client.call('work', { text: 'go' }, { capabilities: {} });
  expect(got).toMatchObject({ content: [{ text: 'fine' }] });
  expect(Date.now() - started).toBeLessThan(3000);
}

const insides =
  /SECRET|127\.0\.0\.1|localhost|node_modules|src\/|\.ts\b|ECONN|EPIPE|ENOTFOUND|ETIMEDOUT|UND_ERR|TypeError|SyntaxError|undefined|\bat \w+ \(|<h1|It works/;

/** Asserts that nothing of the peer, of the network or of our code is in an answer. */
export function expectNoInternals(value: unknown, port: number): void {
  const text = JSON.stringify(value);
  expect(text).not.toMatch(insides);
  expect(text).not.toContain(`:${port}`);
}

/** Calls a bad peer; the text of the FAILED task or of the tool error that comes back. */
export async function failure(
  gateway: TestGateway,
  peer: { id: string; protocol: Protocol; port: number },
  face: Protocol,
): Promise<string> {
  const { id, protocol, port } = peer;
  if (face === 'a2a') {
    const call = protocol === 'a2a' ? say('go') : callTool('work', { text: 'go' });
    const { status } = await new RawA2a(gateway.a2a(id)).task(call);
    expect(status.state).toBe('TASK_STATE_FAILED');
    expectNoInternals(status, port);
    return status.message?.parts.map(({ text }) => text).join('\n') ?? '';
  }
  const got = await callAsMcp(gateway, id, protocol);
  expect(got).toMatchObject({ resultType: 'complete', isError: true });
  expectNoInternals(got, port);
  return (got['content'] as { text?: string }[]).map(({ text }) => text).join('\n');
}

/** The same for an MCP client that follows tasks: at once, or as the result of its task. */
export async function taskFailure(gateway: TestGateway, id: string, port: number): Promise<string> {
  const client = new WireClient(gateway.mcp(id));
  const got = await client.call('work', { text: 'go' });
  const { taskId } = got;
  const task =
    typeof taskId === 'string'
      ? await client.pollTask(taskId)
      : { status: 'completed', result: got };
  expect(task).toMatchObject({ status: 'completed', result: { isError: true } });
  expectNoInternals(task, port);
  const { content } = task['result'] as { content: { text?: string }[] };
  return content.map(({ text }) => text).join('\n');
}

/** Asserts that both faces of a peer work. */
export async function expectFine(
  gateway: TestGateway,
  id: string,
  protocol: Protocol,
): Promise<void> {
  const call = protocol === 'a2a' ? say('go') : callTool('work', { text: 'go' });
  const { body } = await new RawA2a(gateway.a2a(id)).rpc('SendMessage', call);
  const { message, task } = body.result ?? {};
  expect(message?.parts ?? task?.artifacts?.[0]?.parts).toMatchObject([{ text: 'fine' }]);
  const got = await callAsMcp(gateway, id, protocol);
  expect(got).not.toHaveProperty('isError');
  expect(got['content']).toMatchObject([{ text: 'fine' }]);
}

function callAsMcp(gateway: TestGateway, id: string, protocol: Protocol) {
  const [name, args] = protocol === 'a2a' ? ['echo', { message: 'go' }] : ['work', { text: 'go' }];
  return new WireClient(gateway.mcp(id)).call(name, args, { capabilities: {} });
}
