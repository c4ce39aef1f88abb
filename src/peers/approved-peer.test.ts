import { describe, expect, it } from 'vitest';
import type { Message } from '../model/a2a.ts';
import type { PeerDefinitions } from '../ports/definitions.ts';
import type { PeerContext, PeerEvent, Sending } from '../ports/peer.ts';
import { approved } from './approved-peer.ts';
import type { ManagedPeer } from './registry.ts';

const context: PeerContext = {
  principal: { kind: 'anonymous' } as never,
  signal: new AbortController().signal,
};
const message: Message = { messageId: 'm', role: 'ROLE_USER', parts: [{ text: 'hello' }] };

/** Definitions of which the tool `pay` was refused. */
const definitions: PeerDefinitions = {
  of: () => definitions,
  observed: true,
  catalogue: (raw) => raw,
  card: (raw) => raw,
  extendedCard: (raw) => raw,
  isWhole: () => true,
  silence: () => undefined,
  onDecision: () => () => {},
  refusal: (_kind, name) => (name === 'pay' ? 'pay was refused' : undefined),
};

function peerWith(sent: string[]): ManagedPeer {
  const act = (name: string) =>
    async function* (): AsyncGenerator<PeerEvent> {
      sent.push(name);
      yield { kind: 'context', contextId: 'c' };
    };
  return {
    id: 'p',
    protocol: 'mcp',
    dedupes: true,
    start: act('start'),
    followUp: act('followUp'),
    resume: act('resume'),
    cancel: async () => {},
    close: async () => {},
    catalogue: () => Promise.reject(new Error('not asked')),
    request: async () => ({}),
    changes: act('changes') as never,
  };
}

async function resumed(sending: Sending | undefined): Promise<string[]> {
  const sent: string[] = [];
  const peer = approved(peerWith(sent), { definitions });
  const position = { work: { method: 'tools/call', params: { name: 'pay' } } };
  for await (const _event of peer.resume(position, context, sending)) void _event;
  return sent;
}

describe('work that is picked up after a restart', () => {
  it('is not started again at a tool that was refused meanwhile', async () => {
    const call = { name: 'pay', arguments: {} };
    await expect(resumed({ kind: 'start', turn: { message, call } })).rejects.toMatchObject({
      code: 'tool-not-found',
      message: 'pay was refused',
    });
  });

  it('gets no further message there either', async () => {
    const sending: Sending = { kind: 'followUp', turn: { message, open: [] } };
    await expect(resumed(sending)).rejects.toThrow('pay was refused');
  });

  it('is read on where nothing is sent, and started again where nothing is refused', async () => {
    expect(await resumed(undefined)).toEqual(['resume']);
    const call = { name: 'read', arguments: {} };
    expect(await resumed({ kind: 'start', turn: { message, call } })).toEqual(['resume']);
  });
});
