/** SECURITY rows 7 and 9: no document of a stranger leads the gateway inside. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RawA2a, say } from '../faces/a2a-raw.ts';
import { startChild, until } from '../faults/child.ts';
import { covers } from '../requirements/requirement.ts';
import { startBadPeer } from '../support/bad-peer.ts';
import type { BadPeer } from '../support/bad-peer.ts';
import { serveCard } from '../support/bad-peer-defaults.ts';
import { startGateway } from '../support/gateway.ts';
import type { TestGateway, TestPeer } from '../support/gateway.ts';
import { WireClient } from '../support/wire-client.ts';
import { loopbackSpellings, privateAddresses } from './inside-addresses.ts';
import { fetchDocument } from './site.ts';
import { startWebsite, type Website } from './website.ts';

const open: { close(): Promise<unknown> }[] = [];

/** Nobody may come here. */
let trap: BadPeer;

beforeEach(async () => {
  trap = closing(await startBadPeer());
});

afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

function closing<T extends { close(): Promise<unknown> }>(one: T): T {
  open.push(one);
  return one;
}

/** A gateway that may reach the given ports of loopback and nothing else inside. */
async function strictGateway(peers: TestPeer[], ports: readonly number[]): Promise<TestGateway> {
  const allow = ports.map((port) => `127.0.0.1:${port}`);
  const egress = { allowLoopback: false, allow };
  return closing(await startGateway({ peers, egress, limits: { peerConnect: '1s' } }));
}

const inside = (port: number): string[] => [...loopbackSpellings(port), ...privateAddresses];

async function callBothFaces(gateway: TestGateway, id: string): Promise<string> {
  const a2a = await new RawA2a(gateway.a2a(id)).rpc('SendMessage', say('echo x'));
  const mcp = await new WireClient(gateway.mcp(id)).request('tools/call', {
    name: 'echo',
    arguments: { message: 'x' },
  });
  return JSON.stringify([a2a.body, mcp.messages]);
}

const lists = [
  '/.well-known/agent-card.json',
  '/.well-known/mcp.json',
  '/.well-known/ai-catalog.json',
  '/v0.1/servers?limit=100',
];

/** Every list of a gateway as one text. */
async function allLists(gateway: TestGateway): Promise<string> {
  const all = await Promise.all(lists.map((path) => fetchDocument(`${gateway.url}${path}`)));
  expect(all.map(({ status }) => status)).toEqual(lists.map(() => 200));
  return all.map(({ text }) => text).join('\n');
}

async function everyPeerRefused(gateway: TestGateway, count: number): Promise<void> {
  await until('each of them is refused', 15_000, () => {
    const refused = gateway.log.filter(({ event }) => event === 'egress.refused');
    return refused.length >= count ? true : undefined;
  });
}

describe('an address inside', () => {
  it('as the address of a card is never asked', async () => {
    const peers = inside(trap.port).map((origin, n) => ({
      id: `p${n}`,
      a2a: `${origin}/.well-known/agent-card.json`,
    }));
    const gateway = await strictGateway(peers, []);
    await everyPeerRefused(gateway, peers.length);
    await allLists(gateway);
    expect(trap.requests).toEqual([]);
  });

  it('as the address of an MCP server is never asked', async () => {
    const peers = inside(trap.port).map((origin, n) => ({ id: `p${n}`, mcp: `${origin}/mcp` }));
    const gateway = await strictGateway(peers, []);
    await everyPeerRefused(gateway, peers.length);
    await allLists(gateway);
    expect(trap.requests).toEqual([]);
  });

  it.each(['JSONRPC', 'HTTP+JSON'])(
    'as the %s interface of a card is never asked, and never told',
    async (protocolBinding) => {
      const addresses = inside(trap.port);
      const peers: TestPeer[] = [];
      const ports: number[] = [];
      for (const [n, origin] of addresses.entries()) {
        const supportedInterfaces = [
          { url: `${origin}/a2a/jsonrpc`, protocolBinding, protocolVersion: '1.0' },
        ];
        const card = serveCard((good) => ({ ...good, supportedInterfaces }));
        const peer = closing(await startBadPeer({ card }));
        ports.push(peer.port);
        peers.push({ id: `p${n}`, a2a: peer.cardUrl });
      }
      const gateway = await strictGateway(peers, ports);
      for (const { id } of peers) {
        const answer = await callBothFaces(gateway, id);
        expect(answer).toMatch(/error|TASK_STATE_FAILED|TASK_STATE_REJECTED/);
        expect(answer).not.toContain(`${trap.port}`);
      }
      const told = await allLists(gateway);
      expect(told).not.toContain(`:${trap.port}`);
      expect(told).not.toContain('169.254');
      expect(trap.requests).toEqual([]);
    },
    60_000,
  );

  it('as the place of the keys of a card is never asked', async () => {
    const header = {
      alg: 'ES256',
      typ: 'JOSE',
      kid: 'theirs',
      jku: `http://127.0.0.1:${trap.port}/jwks.json`,
    };
    const protectedHeader = Buffer.from(JSON.stringify(header)).toString('base64url');
    const signatures = [{ protected: protectedHeader, signature: 'AAAA' }];
    const peer = closing(await startBadPeer({ card: serveCard((c) => ({ ...c, signatures })) }));
    const gateway = await strictGateway([{ id: 'signed', a2a: peer.cardUrl }], [peer.port]);
    await callBothFaces(gateway, 'signed');
    const card = await fetchDocument(`${gateway.a2a('signed')}/.well-known/agent-card.json`);
    expect(card.text).not.toContain(protectedHeader);
    expect(trap.requests).toEqual([]);
  });
});

/** Documents of a site that lead a reader on, by the kind of what they name. */
const leads: readonly (readonly [
  name: string,
  documents: (origin: string) => Website['documents'],
])[] = [
  [
    'an entry for an agent in its catalogue',
    (origin) => ({
      '/.well-known/ai-catalog.json': catalogOf('application/a2a-agent-card+json', origin),
    }),
  ],
  [
    'an entry for a server in its catalogue',
    (origin) => ({
      '/.well-known/ai-catalog.json': catalogOf('application/mcp-server-card+json', origin),
    }),
  ],
  [
    'a catalogue within its catalogue',
    (origin) => ({
      '/.well-known/ai-catalog.json': catalogOf('application/ai-catalog+json', origin),
    }),
  ],
  [
    'the endpoint in its mcp.json',
    (origin) => ({ '/.well-known/mcp.json': { mcp_endpoint: `${origin}/mcp` } }),
  ],
  [
    'a remote in its Server Card',
    (origin) => ({
      '/mcp/server-card': {
        $schema: 'https://static.modelcontextprotocol.io/schemas/v1/server-card.schema.json',
        name: 'com.example/lead',
        version: '1.0.0',
        description: 'Leads inside',
        remotes: [
          {
            type: 'streamable-http',
            url: `${origin}/mcp`,
            supportedProtocolVersions: ['2026-07-28'],
          },
        ],
      },
    }),
  ],
];

function catalogOf(mediaType: string, origin: string): unknown {
  const identifier = 'urn:air:example.com:lead:inside';
  const entry = { identifier, displayName: 'Inside', mediaType, type: mediaType };
  return {
    specVersion: '1.0',
    entries: [{ ...entry, url: `${origin}/.well-known/agent-card.json` }],
  };
}

describe.each(leads)('a site whose lead is %s', (_name, documentsFor) => {
  it('leads nobody inside', async () => {
    const sites: Website[] = [];
    for (const origin of inside(trap.port)) {
      sites.push(closing(await startWebsite(documentsFor(origin))));
    }
    const peers = sites.map(({ url, documents }, n): TestPeer & { discover: string } => ({
      id: `p${n}`,
      discover: '/mcp/server-card' in documents ? `${url}/mcp/server-card` : url,
    }));
    const gateway = await strictGateway(
      peers,
      sites.map(({ port }) => port),
    );
    await until('every site has been read', 15_000, () =>
      sites.every(({ requests }) => requests.length > 0) ? true : undefined,
    );
    for (const { id } of peers) await fetchDocument(`${gateway.mcp(id)}/server-card`);
    await everyPeerRefused(gateway, 1);
    expect(await allLists(gateway)).not.toContain(`:${trap.port}`);
    expect(trap.requests).toEqual([]);
  }, 60_000);
});

describe('`isthmus check URL`', () => {
  async function check(url: string, egress: Record<string, unknown>) {
    const dir = mkdtempSync(join(tmpdir(), 'isthmus-inside-'));
    const file = join(dir, 'isthmus.json');
    writeFileSync(
      file,
      JSON.stringify({
        store: { url: `sqlite:${join(dir, 'isthmus.db')}` },
        keys: { dir: join(dir, 'keys') },
        egress,
      }),
    );
    const child = startChild('src/cli.ts', ['check', url, '--config', file, '--json']);
    const code = await child.ended;
    rmSync(dir, { recursive: true, force: true });
    return { code, said: child.output() };
  }

  it('goes nowhere inside, and says so', async () => {
    for (const origin of loopbackSpellings(trap.port).slice(0, 4)) {
      const { code, said } = await check(origin, { allowLoopback: false });
      expect([origin, code]).toEqual([origin, 1]);
      expect(said).toMatch(/egress|public network|not allow/i);
    }
    expect(trap.requests).toEqual([]);
  }, 60_000);

  it('finds an agent by its origin alone, and says which interface it would use', async () => {
    covers('A2A-8.2-02');
    const { code, said } = await check(trap.url, { allowLoopback: true });
    expect([code, said]).toEqual([0, said]);
    expect(said).toContain('Bad peer');
    expect(said).toMatch(/JSONRPC/);
    expect(said).toMatch(/1\.0/);
    expect(trap.requestsOf('card').map(({ path }) => path)).toContain(
      '/.well-known/agent-card.json',
    );
  }, 30_000);
});
