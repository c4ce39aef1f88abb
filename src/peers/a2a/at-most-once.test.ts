import { connect as dial, createServer } from 'node:net';
import type { AddressInfo, Server } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startA2aAgent } from '../../../test/support/a2a-agent.ts';
import type { A2aAgent } from '../../../test/support/a2a-agent.ts';
import type { Artifact } from '../../model/a2a.ts';
import { GatewayError } from '../../model/errors.ts';
import { anonymous } from '../../model/principal.ts';
import type { PeerContext, PeerEvent } from '../../ports/peer.ts';
import { mergeArtifact } from '../../translate/artifacts.ts';
import { createEgress } from '../guarded-fetch.ts';
import type { Egress } from '../guarded-fetch.ts';
import { createA2aPeer } from './a2a-peer.ts';

/** A wire that breaks each connection after a number of answer bytes that changes every time. */
async function startBreakingWire(target: () => number): Promise<Server> {
  let connections = 0;
  const server = createServer((near) => {
    connections += 1;
    let left = (connections * 1_397) % 4_000;
    const far = dial(target(), '127.0.0.1');
    const cut = () => {
      near.destroy();
      far.destroy();
    };
    near.on('error', cut).on('close', cut).pipe(far);
    far.on('error', cut).on('close', cut);
    far.on('data', (chunk: Buffer) => {
      near.write(chunk.subarray(0, left));
      left -= chunk.length;
      if (left <= 0) setTimeout(cut, 1);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

describe('over a wire that breaks again and again', () => {
  let agent: A2aAgent;
  let wire: Server;
  let egress: Egress;

  beforeAll(async () => {
    agent = await startA2aAgent();
    wire = await startBreakingWire(() => agent.port);
    egress = createEgress({ allow: [], allowLoopback: true });
  });
  afterAll(async () => {
    wire.close();
    await egress.close();
    await agent.close();
  });

  // With `fetch` alone, calls go through the SDK's transports.
  it.each([
    ['request', 'm'],
    ['fetch', 'f'],
  ])(
    'each message over %s reaches the agent at most once, and what is told is whole',
    async (way, prefix) => {
      const { port } = wire.address() as AddressInfo;
      const broken = (input: string | URL): URL => {
        const url = new URL(input);
        // The card comes over a good wire: without it there is nothing to test.
        if (!url.pathname.startsWith('/.well-known')) url.port = String(port);
        return url;
      };
      const brokenFetch: typeof fetch = (input, init) =>
        egress.fetch(broken(input instanceof Request ? input.url : input), init);
      const brokenRequest: Egress['request'] = (target, init) =>
        egress.request(broken(target), init);
      const before = agent.ledger.length;
      const peer = createA2aPeer({
        id: 'travel',
        card: new URL(agent.cardUrl),
        egress: { fetch: brokenFetch, ...(way === 'request' && { request: brokenRequest }) },
        timeouts: { requestMs: 2_000, connectMs: 2_000, idleMs: 200, recoverMs: 5_000 },
        dedupesMessageId: false,
        clock: Date.now,
        mintId: () => 'minted',
      });
      const context: PeerContext = { principal: anonymous, signal: AbortSignal.timeout(50_000) };
      const outcome = async (index: number): Promise<string> => {
        let last: PeerEvent | undefined;
        let artifacts: Artifact[] = [];
        const message = {
          messageId: `${prefix}-${index}`,
          role: 'ROLE_USER' as const,
          parts: [{ text: 'stream 6 5' }],
        };
        try {
          for await (const event of peer.start({ message }, context)) {
            last = event;
            if (event.kind === 'artifact') artifacts = mergeArtifact(artifacts, event);
          }
        } catch (error) {
          return error instanceof GatewayError ? error.code : String(error);
        }
        const text = artifacts.flatMap((one) => one.parts.map((part) => part.text)).join('');
        return last?.kind === 'status' ? `${last.state} ${text.replaceAll(/\D+/g, '')}` : 'nothing';
      };
      const outcomes = await Promise.all(Array.from({ length: 60 }, (_, index) => outcome(index)));
      await peer.close();
      expect(new Set(outcomes)).toEqual(
        new Set(['TASK_STATE_COMPLETED 123456', 'peer-unavailable']),
      );
      const ids = agent.ledger.slice(before).map((one) => one.messageId);
      expect(ids).toHaveLength(new Set(ids).size);
      expect(ids.length).toBeGreaterThan(30);
      expect(agent.received.filter((one) => one.rpcMethod === 'GetTask').length).toBeGreaterThan(0);
    },
    60_000,
  );
});
