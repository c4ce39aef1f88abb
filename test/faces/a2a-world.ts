/** A gateway with an A2A agent and an MCP server behind it, for the tests of the A2A face. */
import { TaskState } from '@a2a-js/sdk';
import { startA2aAgent } from '../support/a2a-agent.ts';
import type { A2aAgent } from '../support/a2a-agent.ts';
import type { Behaviour } from '../support/a2a-agent-behaviours.ts';
import { artifact, textPart } from '../support/a2a-parts.ts';
import { startGateway } from '../support/gateway.ts';
import type { TestGateway, TestGatewayOptions } from '../support/gateway.ts';
import { startModernServer } from '../support/modern-server.ts';
import type { ModernServer } from '../support/modern-server.ts';
import { RawA2a } from './a2a-raw.ts';

/** Peers `agent` (A2A) and `tools` (MCP), and the gateway in front. */
export interface A2aWorld {
  gateway: TestGateway;
  agentPeer: A2aAgent;
  server: ModernServer;
  /** The A2A faces of the two peers. */
  agent: RawA2a;
  tools: RawA2a;
  /** Lets the agent's task of the message `gated NAME` or `numbered NAME` go on. */
  open(name: string): void;
  close(): Promise<void>;
}

/** Starts all of it. */
export async function startA2aWorld(options: Partial<TestGatewayOptions> = {}): Promise<A2aWorld> {
  const gates = new Map<string, PromiseWithResolvers<void>>();
  const gate = (name: string): PromiseWithResolvers<void> => {
    const known = gates.get(name) ?? Promise.withResolvers<void>();
    gates.set(name, known);
    return known;
  };
  const agentPeer = await startA2aAgent({
    behaviours: gatedBehaviours((name) => gate(name).promise),
  });
  const server = await startModernServer();
  const { peers = [], ...rest } = options;
  const gateway = await startGateway({
    ...rest,
    peers: [{ id: 'agent', a2a: agentPeer.cardUrl }, { id: 'tools', mcp: server.url }, ...peers],
  });
  return {
    gateway,
    agentPeer,
    server,
    agent: new RawA2a(gateway.a2a('agent')),
    tools: new RawA2a(gateway.a2a('tools')),
    open: (name) => gate(name).resolve(),
    async close() {
      for (const { resolve } of gates.values()) resolve();
      await gateway.close();
      await agentPeer.close();
      await server.close();
    },
  };
}

/**
 * `gated NAME` works until its gate is opened; `numbered NAME` produces numbered chunks 1–50, waits
 * for its gate, and goes on to 100; `late NAME` answers with a message once its gate is opened;
 * `heavy` produces 80 chunks of 100 kB as fast as it can.
 */
function gatedBehaviours(opened: (name: string) => Promise<void>): Record<string, Behaviour> {
  return {
    gated: async (turn) => {
      turn.begin();
      await opened(turn.argument);
      turn.complete([artifact('result', [textPart(`passed ${turn.argument}`)])]);
    },
    late: async (turn) => {
      await opened(turn.argument);
      turn.reply([textPart('at last')]);
    },
    heavy: (turn) => {
      turn.begin();
      for (let n = 0; n < 80; n += 1) {
        const chunk = artifact('heavy', [textPart(`${n}${'.'.repeat(100_000)}`)]);
        turn.produce(chunk, { append: n > 0, lastChunk: n === 79 });
      }
      turn.status(TaskState.TASK_STATE_COMPLETED);
    },
    numbered: async (turn) => {
      turn.begin();
      for (let n = 1; n <= 100; n += 1) {
        if (n === 51) await opened(turn.argument);
        turn.produce(artifact('numbers', [textPart(`${n} `)]), {
          append: n > 1,
          lastChunk: n === 100,
        });
      }
      turn.status(TaskState.TASK_STATE_COMPLETED);
    },
  };
}
