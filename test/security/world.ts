/** A gateway between hostile peers, hostile clients and their victims. */
import { connect } from 'node:net';
import { afterEach } from 'vitest';
import { startA2aAgent, type A2aAgent, type A2aAgentOptions } from '../support/a2a-agent.ts';
import { startBadPeer, type BadPeer } from '../support/bad-peer.ts';
import type { BadPeerScript, Misbehaviour } from '../support/bad-peer-script.ts';
import { startGateway, type TestGateway, type TestGatewayOptions } from '../support/gateway.ts';
import { startModernServer, type ModernServer } from '../support/modern-server.ts';

const open: { close(): Promise<void> }[] = [];

afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

/** Closes something when the test has ended. */
export function closing<T extends { close(): Promise<void> }>(one: T): T {
  open.push(one);
  return one;
}

/** A gateway until the end of the test. */
export async function gatewayWith(options: TestGatewayOptions): Promise<TestGateway> {
  return closing(await startGateway(options));
}

/** An agent until the end of the test. */
export async function agentWith(options: A2aAgentOptions = {}): Promise<A2aAgent> {
  return closing(await startA2aAgent(options));
}

/** A modern MCP server until the end of the test. */
export async function serverOf(): Promise<ModernServer> {
  return closing(await startModernServer());
}

/** A hostile peer until the end of the test. */
export async function hostile(script: BadPeerScript): Promise<BadPeer> {
  return closing(await startBadPeer(script));
}

/** Answers with a result that is written as it is, however wrong. */
export function rawResult(json: string, headers: Record<string, string> = {}): Misbehaviour {
  return ({ response, id }) => {
    response.writeHead(200, { 'content-type': 'application/json', ...headers });
    response.end(`{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":${json}}`);
  };
}

/** `tools/list` of a hostile MCP server. */
export function toolList(tools: unknown): Misbehaviour {
  return rawResult(
    JSON.stringify({ resultType: 'complete', ttlMs: 60_000, cacheScope: 'private', tools }),
  );
}

/** Sends bytes as they are; resolves with everything that came back when the other side closes. */
export function rawHttp(url: string, text: string, patienceMs = 3000): Promise<string> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    let heard = '';
    const socket = connect(Number(port), hostname, () => socket.write(text));
    const done = (): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(heard);
    };
    const timer = setTimeout(done, patienceMs);
    socket.on('data', (data) => (heard += data.toString('latin1')));
    socket.on('close', done).on('error', done);
  });
}

/** The headers of a modern MCP request. */
export function modernHeaders(method: string, name?: string): Record<string, string> {
  return {
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
    'mcp-protocol-version': '2026-07-28',
    'mcp-method': method,
    ...(name !== undefined && { 'mcp-name': name }),
  };
}

/** The `_meta` that a modern MCP request has to have. */
export const modernMeta = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientInfo': { name: 'attacker', version: '1' },
  'io.modelcontextprotocol/clientCapabilities': {
    elicitation: { form: {}, url: {} },
  },
};

/** The longest time that the event loop stood still while `work` ran (ms). */
export async function longestBlock(work: () => Promise<unknown>): Promise<number> {
  let last = performance.now();
  let longest = 0;
  const timer = setInterval(() => {
    const now = performance.now();
    longest = Math.max(longest, now - last - 5);
    last = now;
  }, 5);
  await work();
  await new Promise((resolve) => setTimeout(resolve, 10));
  clearInterval(timer);
  return longest;
}
