import { expect, it } from 'vitest';
import { createMintId } from '../model/ids.ts';
import type { LeaseOffer } from '../model/lease.ts';
import { anonymous } from '../model/principal.ts';
import type { Peer } from '../ports/peer.ts';
import { lending, LentWorks } from './lending-peer.ts';
import { QuestionDesk } from './question-desk.ts';

const mintId = createMintId();
const offer: LeaseOffer = {
  iss: 'https://gw.example.org/sts',
  resource: 'https://gw.example.org/callback/0PKMG-1mQ3yOqvJvJ2oV7w/mcp',
  lease_ref: 'x'.repeat(43),
  exp: 1_790_000_000,
  tools: ['files__read_file'],
};

it('an offer that is ready when nobody waits for the task any more is taken back, and not sent', async () => {
  const caller = new AbortController();
  const takenBack: LeaseOffer[] = [];
  const works = new LentWorks({ desk: new QuestionDesk({ mintId }), mintId });
  const offers = {
    concern: () => true,
    hasLease: () => false,
    forStart: async () => {
      caller.abort();
      return offer;
    },
    forFollowUp: async () => undefined,
    takeBack: async (one: LeaseOffer) => void takenBack.push(one),
  };
  const called: string[] = [];
  const peer = {
    id: 'agent',
    protocol: 'mcp',
    close: async () => {},
    async *start() {
      called.push('start');
      yield* [];
    },
  } as unknown as Peer & { close(): Promise<void> };
  const lent = lending(peer, { offers, works, ownClient: () => undefined });
  const message = { messageId: 'm', role: 'ROLE_USER' as const, parts: [] };
  const context = { principal: anonymous, signal: caller.signal, task: 't' };
  const heard = [];
  for await (const event of lent.start({ message }, context)) heard.push(event);
  expect([heard, called, takenBack]).toEqual([[], [], [offer]]);
  expect(works.get('t')).toBeUndefined();
});
