/** Peers that cannot be asked what they offer, that go away, and that come back. */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { RawA2a } from '../faces/a2a-raw.ts';
import { startBadPeer } from '../support/bad-peer.ts';
import type { BadPeer } from '../support/bad-peer.ts';
import { sendResult } from '../support/bad-peer-defaults.ts';
import type { BadPeerScript, Misbehaviour } from '../support/bad-peer-script.ts';
import { startGateway } from '../support/gateway.ts';
import {
  cardWithForeignInterface,
  cardWithoutInterfaces,
  hang,
  html,
  invalidJson,
  json,
  late,
  LEGACY_MCP,
  oversize,
  redirect,
  result,
  status,
} from '../support/misbehaviours.ts';
import { WireClient } from '../support/wire-client.ts';
import {
  BadPeerWorld,
  expectFine,
  expectNoInternals,
  expectOthersServed,
  failure,
  secret,
  shortLimits,
  shortPeer,
} from './bad-peer-world.ts';
import type { Planned, Protocol } from './bad-peer-world.ts';

vi.setConfig({ maxConcurrency: 6, testTimeout: 30_000 });

const trap = await startBadPeer();

const mute: Planned[] = [
  ['an agent whose card is a page', 'a2a', { card: html() }],
  ['an agent whose card is half a document', 'a2a', { card: invalidJson() }],
  ['an agent whose card hangs', 'a2a', { card: hang() }],
  ['an agent whose card is a failure', 'a2a', { card: status(500, secret) }],
  ['an agent whose card is too large', 'a2a', { card: oversize(400_000) }],
  ['an agent whose card is a redirect', 'a2a', { card: redirect(trap.cardUrl, 302) }],
  ['an agent whose card names no interface', 'a2a', { card: cardWithoutInterfaces() }],
  ['an agent whose card names a strange one', 'a2a', { card: cardWithForeignInterface() }],
  ['a server that shows a page', 'mcp', { on: { '*': html() } }],
  ['a server that hangs', 'mcp', { on: { '*': hang() } }],
  ['a server that fails', 'mcp', { on: { '*': status(500, secret) } }],
  ['a server that redirects', 'mcp', { on: { '*': redirect(trap.mcpUrl) } }],
  ['a server whose list is none', 'mcp', { on: { 'tools/list': result({ tools: 'all' }) } }],
  ['a server whose list hangs', 'mcp', { on: { 'tools/list': hang() } }],
  ['a server whose list drags on', 'mcp', { on: { 'tools/list': late(1000, endlessPage()) } }],
];

function endlessPage(): Misbehaviour {
  let page = 0;
  return (exchange) => {
    const nextCursor = `${(page += 1)}`;
    sendResult(exchange, { tools: [], nextCursor, ttlMs: 0, cacheScope: 'private' });
  };
}

let world: BadPeerWorld;

beforeAll(async () => {
  world = await BadPeerWorld.start(mute);
});

afterAll(async () => {
  await world.close();
  await trap.close();
});

describe.concurrent('what offers nothing that can be read:', () => {
  it.each(mute)('%s', async (name, protocol) => {
    const { id, peer } = world.named(name);
    const bad = { id, protocol, port: peer.port };
    const started = Date.now();
    const mcp = new WireClient(world.gateway.mcp(id));
    const asking = Promise.all([
      new RawA2a(world.gateway.a2a(id)).rest('GET', '/.well-known/agent-card.json'),
      mcp.request('tools/list'),
      mcp.request('server/discover'),
      failure(world.gateway, bad, 'a2a'),
      failure(world.gateway, bad, 'mcp'),
    ]);
    await expectOthersServed(world);
    const [card, tools, discovery, ...texts] = await asking;
    expect(card.status).toBeGreaterThanOrEqual(500);
    const named = expect.stringContaining(`"${id}"`);
    expect(tools.error).toMatchObject({ code: -32603, message: named });
    for (const text of texts) expect(text).toEqual(named);
    expectNoInternals([card.body, tools.messages, discovery.messages], peer.port);
    expect(Date.now() - started).toBeLessThan(12_000);
  });

  it('none of them sends the gateway elsewhere, or finds it unprepared', () => {
    expect(trap.requests).toEqual([]);
    expect(world.gateway.log.filter(({ event }) => event === 'internal.error')).toEqual([]);
  });
});

/** One peer that is replaced by others at the same address. */
class Place {
  port = 0;
  #peer: BadPeer | undefined;

  async take(script: BadPeerScript = {}): Promise<BadPeer> {
    await this.#peer?.close();
    this.#peer = await startBadPeer(script, this.port);
    this.port = this.#peer.port;
    return this.#peer;
  }

  async leave(): Promise<void> {
    await this.#peer?.close();
    this.#peer = undefined;
  }
}

/** Refuses the handshake of older revisions. */
const modernOnly = json(400, {
  jsonrpc: '2.0',
  id: null,
  error: { code: -32022, message: 'Unsupported', data: { supported: ['2026-07-28'] } },
});

const kept: [what: string, protocol: Protocol, era: NonNullable<BadPeerScript['on']>][] = [
  ['an agent', 'a2a', {}],
  ['an MCP server', 'mcp', { initialize: modernOnly }],
  ['a legacy MCP server', 'mcp', LEGACY_MCP],
];
const faces = ['a2a', 'mcp'] as const;
const troubled: BadPeerScript = { on: { '*': html(500) }, card: html(500) };

describe.concurrent.each(kept)('%s', (_what, protocol, era) => {
  async function withPlace(
    work: (place: Place, gateway: Awaited<ReturnType<typeof startGateway>>) => Promise<void>,
  ): Promise<void> {
    const place = new Place();
    const peer = await place.take({ on: era });
    const peers = [shortPeer('mine', protocol, peer)];
    const gateway = await startGateway({ peers, limits: shortLimits });
    try {
      await work(place, gateway);
    } finally {
      await gateway.close();
      await place.leave();
    }
  }

  it('that goes away, breaks off and is in trouble is told of, and works when it is back', async () => {
    await withPlace(async (place, gateway) => {
      const texts = async () => {
        const bad = { id: 'mine', protocol, port: place.port };
        return Promise.all(faces.map((face) => failure(gateway, bad, face)));
      };
      await expectFine(gateway, 'mine', protocol);
      await place.leave();
      for (const text of await texts()) expect(text).toMatch(/"mine" (cannot be reached|broke)/);
      const gone: Misbehaviour = () => place.leave();
      const calls = { 'tools/call': gone, SendMessage: gone, SendStreamingMessage: gone };
      await place.take({ on: { ...era, ...calls } });
      for (const text of await texts()) expect(text).toContain('"mine"');
      await place.take(troubled);
      for (const text of await texts()) expect(text).toContain('"mine"');
      await place.take({ on: era });
      await expectFine(gateway, 'mine', protocol);
    });
  });

  it('that was never there, and then in trouble, works as soon as it comes', async () => {
    await withPlace(async (place, gateway) => {
      await place.leave();
      const bad = { id: 'mine', protocol, port: place.port };
      expect(await failure(gateway, bad, 'mcp')).toContain('"mine" cannot be reached');
      await place.take(troubled);
      expect(await failure(gateway, bad, 'a2a')).toContain('"mine"');
      await place.take({ on: era });
      await expectFine(gateway, 'mine', protocol);
    });
  });
});
