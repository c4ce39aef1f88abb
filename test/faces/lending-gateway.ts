/** A gateway between an agent that takes offers and a server whose tools it is lent. */
import { onTestFinished } from 'vitest';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { startHoldingAgent, type HoldingAgent } from '../support/holding-agent.ts';
import { startModernServer, type ModernServer } from '../support/modern-server.ts';

/** The three of them. */
export interface LendingGateway {
  /** The peer `agent`. */
  readonly agent: HoldingAgent;
  /** The peer `files`. */
  readonly files: ModernServer;
  readonly gateway: TestGateway;
}

/** Starts them for one test, with the rules of lending. */
export async function startLendingGateway(
  lending: Record<string, unknown>[],
): Promise<LendingGateway> {
  const agent = await startHoldingAgent();
  onTestFinished(() => agent.close());
  const files = await startModernServer();
  onTestFinished(() => files.close());
  const gateway = await startGateway({
    peers: [
      { id: 'agent', a2a: agent.cardUrl },
      { id: 'files', mcp: files.url },
    ],
    organizations: [{ id: 'partner', clientIds: [agent.clientId] }],
    lending,
  });
  onTestFinished(() => gateway.close());
  return { agent, files, gateway };
}
