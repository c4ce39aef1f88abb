/** A gateway whose own agent stands for several peers, for the tests of `/a2a`. */
import { startA2aAgent } from '../support/a2a-agent.ts';
import type { A2aAgent } from '../support/a2a-agent.ts';
import { freePort } from '../faults/child.ts';
import { RawA2a } from './a2a-raw.ts';
import { startA2aWorld } from './a2a-world.ts';
import type { A2aWorld } from './a2a-world.ts';

/**
 * Beside `agent` and `tools`: `other`, a second agent; `dead`, which nobody answers for; and
 * `hidden`, an agent that is not public.
 */
export interface AggregateWorld extends A2aWorld {
  /** The gateway's own agent. */
  own: RawA2a;
  otherPeer: A2aAgent;
  hiddenPeer: A2aAgent;
}

/** Starts all of it. */
export async function startAggregateWorld(): Promise<AggregateWorld> {
  const otherPeer = await startA2aAgent();
  const hiddenPeer = await startA2aAgent();
  const world = await startA2aWorld({
    peers: [
      { id: 'other', a2a: otherPeer.cardUrl },
      { id: 'hidden', a2a: hiddenPeer.cardUrl, public: false },
      { id: 'dead', a2a: `http://127.0.0.1:${await freePort()}/card.json` },
    ],
  });
  return {
    ...world,
    own: new RawA2a(`${world.gateway.url}/a2a`),
    otherPeer,
    hiddenPeer,
    async close() {
      await world.close();
      await otherPeer.close();
      await hiddenPeer.close();
    },
  };
}
