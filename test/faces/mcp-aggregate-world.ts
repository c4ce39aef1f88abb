/** The peers that the tests of the endpoint of all peers share: an agent, servers of both eras, and some that are away. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { startA2aAgent, type A2aAgent } from '../support/a2a-agent.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { startLegacyServer, type LegacyServer } from '../support/legacy-server.ts';
import { startModernServer, type ModernServer } from '../support/modern-server.ts';
import { WireClient } from '../support/wire-client.ts';
import { Opened } from './mcp-world.ts';

/** Everything that runs. */
export interface AggregateWorld {
  agent: A2aAgent;
  modern: ModernServer;
  legacy: LegacyServer;
  gateway: TestGateway;
  /** The endpoint of all peers. */
  url: string;
  wire: WireClient;
  close(): Promise<void>;
}

/** Starts the peers `desk` (agent), `files` (modern), `old-files` (legacy), and `gone` (nobody is there). */
export async function startAggregateWorld(): Promise<AggregateWorld> {
  const opened = new Opened();
  const agent = opened.add(await startA2aAgent());
  const modern = opened.add(await startModernServer());
  const legacy = opened.add(await startLegacyServer());
  const gateway = opened.add(
    await startGateway({
      peers: [
        { id: 'desk', a2a: agent.cardUrl },
        { id: 'files', mcp: modern.url },
        { id: 'gone', mcp: `http://127.0.0.1:${await freePort()}/mcp` },
        { id: 'old-files', mcp: legacy.url },
      ],
      limits: { syncCall: '3s' },
    }),
  );
  const url = `${gateway.url}/mcp`;
  const wire = new WireClient(url);
  await untilListed(wire, ['ask_desk', 'files__echo', 'old-files__echo']);
  return { agent, modern, legacy, gateway, url, wire, close: () => opened.close() };
}

/** A port on which nobody listens. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** The names that `tools/list` shows. */
export async function listedNames(wire: WireClient): Promise<string[]> {
  const { result } = await wire.request('tools/list');
  return ((result?.['tools'] ?? []) as { name: string }[]).map(({ name }) => name);
}

/** Waits until something holds; for set-up, where no test runs yet. */
export async function until(holds: () => Promise<boolean>, patienceMs = 10_000): Promise<void> {
  const end = Date.now() + patienceMs;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error('It did not come to that in time');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Waits until the gateway has read its peers. */
export function untilListed(wire: WireClient, names: readonly string[]): Promise<void> {
  return until(async () => {
    const listed = await listedNames(wire);
    return names.every((name) => listed.includes(name));
  });
}

/** The structured content of a result. */
export function structured(result: { structuredContent?: unknown } | Record<string, unknown>) {
  return result.structuredContent as {
    taskId: string;
    contextId: string;
    state: string;
    text: string;
  };
}
