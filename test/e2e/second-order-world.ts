/** A gateway in `open` mode in front of the second-order servers of examples/ and what they borrow. */
import type { Client } from '@modelcontextprotocol/client';
import { startAttachmentProcessor } from '../../examples/attachment-processor/server.ts';
import { startCodeModeServer } from '../../examples/code-mode-server/server.ts';
import { startMemoryServer } from '../../examples/memory-server/server.ts';
import { startResearchAgent } from '../../examples/research-agent/server.ts';
import { startSearchServer } from '../../examples/search-server/server.ts';
import { startSigningVault } from '../../examples/signing-vault/server.ts';
import { startToolSearchServer } from '../../examples/tool-search-server/server.ts';
import { freePort } from '../faults/child.ts';
import { startGateway, type TestGateway, type TestPeer } from '../support/gateway.ts';
import { connectModernClient } from '../support/mcp-clients.ts';

/** The world. */
export interface SecondOrder {
  readonly gateway: TestGateway;
  /** A client of the MCP face of a peer; closed with the world. */
  at(peer: string): Promise<Client>;
  close(): Promise<void>;
}

/** What is different in a test. */
export interface SecondOrderOptions {
  readonly lending: Record<string, unknown>[];
  /** Peers beside the examples. */
  readonly peers?: TestPeer[];
}

/** Starts everything on free ports. */
export async function startSecondOrder(options: SecondOrderOptions): Promise<SecondOrder> {
  const port = await freePort();
  const issuers = [`http://127.0.0.1:${port}/sts`];
  const [search, memory, vault, research, code, attachments, toolSearch] = await Promise.all([
    startSearchServer({ port: 0 }),
    startMemoryServer({ port: 0 }),
    startSigningVault({ port: 0 }),
    startResearchAgent({ port: 0, issuers }),
    startCodeModeServer({ port: 0, issuers, limits: { computeMs: 1000 } }),
    startAttachmentProcessor({ port: 0, issuers }),
    startToolSearchServer({ port: 0, issuers }),
  ]);
  const borrowers = [research, code, attachments, toolSearch];
  const gateway = await startGateway({
    port,
    peers: [
      { id: 'search', mcp: search.url },
      { id: 'memory', mcp: memory.url },
      { id: 'vault', mcp: vault.url },
      { id: 'research', a2a: research.cardUrl },
      { id: 'code', mcp: code.url },
      { id: 'attachments', mcp: attachments.url },
      { id: 'toolbox', mcp: toolSearch.url },
      ...(options.peers ?? []),
    ],
    organizations: [
      { id: 'borrowers', clientIds: borrowers.map(({ origin }) => `${origin}/client.json`) },
    ],
    lending: options.lending,
  });
  const clients: Client[] = [];
  return {
    gateway,
    async at(peer) {
      const client = await connectModernClient(gateway.mcp(peer));
      clients.push(client);
      return client;
    },
    async close() {
      await Promise.all(clients.map((client) => client.close()));
      await gateway.close();
      await Promise.all([...borrowers, search, memory, vault].map((one) => one.close()));
    },
  };
}
