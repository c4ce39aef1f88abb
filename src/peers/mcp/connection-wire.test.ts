/** The connector over a channel, against servers of the official SDKs at its other end. */
import type { JSONRPCMessage, Transport } from '@modelcontextprotocol/server';
import { describe, expect, it, onTestFinished } from 'vitest';
import { channelPair, type ChannelPair } from '../../../test/support/channel-pair.ts';
import { legacyLent, modernLent, waitUntil, type Ledger } from '../../../test/support/lender.ts';
import { ableClient, answer, call, contextOf } from '../../../test/support/mcp-peer-driver.ts';
import { createMintId } from '../../model/ids.ts';
import { createChannelPeer } from './peer.ts';

type Wire = { id?: string; method?: string; params?: Record<string, unknown> };

function channelPeer(timeouts: { connectMs?: number; idleMs?: number } = {}) {
  const made = createChannelPeer({
    id: 'lent',
    clock: Date.now,
    mintId: createMintId(),
    timeouts: { requestMs: 2000, connectMs: 2000, idleMs: 5000, ...timeouts },
  });
  onTestFinished(() => made.close());
  return made;
}

/** Puts a server at the other end of a channel. */
function connected(server: { connect(transport: Transport): unknown }): ChannelPair {
  const pair = channelPair();
  const transport: Transport = {
    start: async () => {
      pair.onSent = (text) => transport.onmessage?.(JSON.parse(text) as JSONRPCMessage);
    },
    send: async (message) => pair.say(JSON.stringify(message)),
    close: async () => pair.end(),
  };
  void server.connect(transport);
  return pair;
}

const wire = ({ sent }: ChannelPair): Wire[] => sent.map((text) => JSON.parse(text) as Wire);
const sentTo = (pair: ChannelPair, method: string): Wire[] =>
  wire(pair).filter((message) => message.method === method);
const newLedger = (): Ledger => ({ ran: [], cancelled: [] });
const away = { code: 'peer-unavailable', facts: { peer: 'lent' } };
const able = () => contextOf({ features: ableClient });

describe.each([
  ['2026-07-28', modernLent],
  ['2025-11-25', legacyLent],
])('a server of %s', (revision, lent) => {
  it('is recognized, once, and asked for its catalogue', async () => {
    const { peer, attach } = channelPeer();
    const pair = connected(lent(newLedger()));
    attach(pair.channel);
    const [first, second] = await Promise.all([
      peer.catalogue(able()),
      peer.catalogue(contextOf()),
    ]);
    expect([first.revision, second.revision]).toEqual([revision, revision]);
    expect(sentTo(pair, 'server/discover').length).toBe(1);
    expect(sentTo(pair, 'initialize').length).toBe(revision === '2025-11-25' ? 1 : 0);
  });

  it('that is left fails everything at once, and nothing is sent to the next channel by itself', async () => {
    const { peer, attach } = channelPeer();
    const ledger = newLedger();
    const first = connected(lent(ledger));
    attach(first.channel);
    const calls = [call(peer, 'slow'), call(peer, 'slow')];
    await waitUntil(() => ledger.ran.length === 2);
    const second = connected(lent(ledger));
    first.end();
    for (const one of calls) await expect(one).rejects.toMatchObject({ code: 'peer-unavailable' });
    await expect(peer.catalogue(contextOf())).rejects.toMatchObject({
      ...away,
      facts: { peer: 'lent', stage: 'connect' },
    });
    attach(second.channel);
    expect((await call(peer, 'add', { a: 1, b: 2 })).output).toBe('3');
    expect(ledger.ran).toEqual(['slow', 'slow', 'add']);
    expect(sentTo(second, 'tools/call').length).toBe(1);
  });

  it('is told when it was silent for too long', async () => {
    const { peer, attach } = channelPeer({ idleMs: 200 });
    const ledger = newLedger();
    const pair = connected(lent(ledger));
    attach(pair.channel);
    await expect(call(peer, 'slow')).rejects.toMatchObject({ code: 'peer-timeout' });
    await waitUntil(() => ledger.cancelled.length === 1);
    const [asked] = sentTo(pair, 'tools/call');
    const [cancelled] = sentTo(pair, 'notifications/cancelled');
    expect(cancelled?.params?.['requestId']).toBe(asked?.id);
  });

  it('says nothing of a call that an earlier process had open', async () => {
    const { peer, attach } = channelPeer();
    attach(connected(lent(newLedger())).channel);
    const work = { method: 'tools/call', params: { name: 'slow' }, idempotent: false };
    const position = { stage: 'open', callId: 'earlier', work };
    await expect(async () => {
      for await (const _event of peer.resume(position, contextOf())) continue;
    }).rejects.toMatchObject({ code: 'outcome-unknown' });
  });

  it('tells subscribers after it came back, whatever they missed', async () => {
    const { peer, attach } = channelPeer();
    const first = connected(lent(newLedger()));
    attach(first.channel);
    const stop = new AbortController();
    const heard: string[] = [];
    const following = (async () => {
      const context = contextOf({ signal: stop.signal });
      for await (const change of peer.changes({ tools: true }, context)) heard.push(change.kind);
    })();
    await peer.catalogue(contextOf());
    await waitUntil(() => wire(first).some(({ method }) => method === 'tools/list'));
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(heard).toEqual([]);
    const second = connected(lent(newLedger()));
    first.end();
    await new Promise((resolve) => setTimeout(resolve, 50));
    attach(second.channel);
    await waitUntil(() => heard.length > 0);
    expect(heard).toEqual(['tools']);
    stop.abort();
    await following;
  });
});

describe('a server of 2025-11-25', () => {
  it('asks the only call that is open, and gets the answer', async () => {
    const { peer, attach } = channelPeer();
    attach(connected(legacyLent(newLedger())).channel);
    const asked = await call(peer, 'ask', {}, able());
    expect(asked.last.state).toBe('TASK_STATE_INPUT_REQUIRED');
    const reply = { action: 'accept', content: { name: 'Ada' } };
    const done = await answer(peer, asked, { '*': reply }, able());
    expect(done.output).toBe('Hello Ada');
  });

  it('that asks while several calls are open is refused: nobody knows whom it asks', async () => {
    const { peer, attach } = channelPeer();
    attach(connected(legacyLent(newLedger())).channel);
    await peer.catalogue(able());
    const stop = new AbortController();
    const other = call(peer, 'slow', {}, contextOf({ signal: stop.signal }));
    other.catch(() => undefined);
    const refused = await call(peer, 'ask', {}, able());
    expect(refused.output).toContain('It is not clear which call this request is about');
    stop.abort();
    await expect(other).rejects.toThrow('aborted');
  });

  it('is not told of roots, so that no caller widens what was lent', async () => {
    const { peer, attach } = channelPeer();
    const pair = connected(legacyLent(newLedger()));
    attach(pair.channel);
    await peer.catalogue(able());
    const [initialize] = sentTo(pair, 'initialize');
    expect(initialize?.params?.['capabilities']).toEqual({
      elicitation: { form: {}, url: {} },
      sampling: {},
    });
  });

  it('whose question waits when it goes away fails the call with the answer, which goes nowhere', async () => {
    const { peer, attach } = channelPeer();
    const first = connected(legacyLent(newLedger()));
    attach(first.channel);
    const asked = await call(peer, 'ask', {}, able());
    first.end();
    const second = connected(legacyLent(newLedger()));
    attach(second.channel);
    const reply = { action: 'accept', content: { name: 'Ada' } };
    await expect(answer(peer, asked, { '*': reply }, able())).rejects.toMatchObject({
      code: 'peer-unavailable',
    });
    expect(second.sent.join()).not.toContain('Ada');
  });

  it('that says nothing to a modern question is asked in its own words', async () => {
    const { peer, attach } = channelPeer({ connectMs: 150 });
    const pair = channelPair();
    pair.onSent = (text) => {
      const { id, method } = JSON.parse(text) as Wire;
      const say = (result: object): void =>
        pair.say(JSON.stringify({ jsonrpc: '2.0', id, result }));
      if (method === 'initialize') {
        const serverInfo = { name: 'quiet', version: '1' };
        say({ protocolVersion: '2025-06-18', capabilities: { tools: {} }, serverInfo });
      }
      if (method === 'tools/list') say({ tools: [] });
    };
    attach(pair.channel);
    expect((await peer.catalogue(contextOf())).revision).toBe('2025-06-18');
  });
});

describe('a server of 2026-07-28', () => {
  it('that asks by a request is refused, because it asks in its results', async () => {
    const { peer, attach } = channelPeer();
    const pair = connected(modernLent(newLedger()));
    attach(pair.channel);
    await peer.catalogue(able());
    pair.say(JSON.stringify({ jsonrpc: '2.0', id: 'q', method: 'elicitation/create', params: {} }));
    pair.say(JSON.stringify({ jsonrpc: '2.0', id: 'p', method: 'ping' }));
    await waitUntil(() => wire(pair).some(({ id }) => id === 'p'));
    const answers = wire(pair).filter(({ id }) => id === 'q' || id === 'p');
    const message = 'This client does not answer elicitation/create';
    expect(answers).toEqual([
      { jsonrpc: '2.0', id: 'q', error: { code: -32601, message } },
      { jsonrpc: '2.0', id: 'p', result: {} },
    ]);
  });
});
