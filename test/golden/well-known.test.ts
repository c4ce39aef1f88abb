/** `isthmus well-known` over the quickstart, beside the files that are kept of it. */
import { join } from 'node:path';
import type { JSONWebKeySet } from 'jose';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { verifyCard } from '../discovery/card-signature.ts';
import { fetchDocument } from '../discovery/site.ts';
import { until } from '../faults/child.ts';
import {
  documentsIn,
  goldenDir,
  prepareQuickstart,
  writeDocuments,
  type Quickstart,
} from './well-known-site.ts';

let quickstart: Quickstart;

beforeAll(async () => {
  quickstart = await prepareQuickstart();
}, 60_000);

afterAll(() => quickstart.close());

const golden = documentsIn(goldenDir);

it('every document of both protocols is among the files', () => {
  expect([...golden.keys()]).toEqual([
    '.well-known/agent-card.json',
    '.well-known/agent.json',
    '.well-known/ai-catalog.json',
    '.well-known/jwks.json',
    '.well-known/mcp.json',
    'a2a/notes/.well-known/agent-card.json',
    'a2a/notes/.well-known/agent.json',
    'a2a/travel/.well-known/agent-card.json',
    'a2a/travel/.well-known/agent.json',
    'mcp/notes/server-card',
    'mcp/server-card',
    'mcp/travel/server-card',
    'v0.1/servers/index.json',
    'v0.1/servers/ip4-127-0-0-1/notes/versions/1.0.0+5dae658f2b62f71b',
    'v0.1/servers/ip4-127-0-0-1/notes/versions/index.json',
    'v0.1/servers/ip4-127-0-0-1/notes/versions/latest',
    'v0.1/servers/ip4-127-0-0-1/travel/versions/1.0.0+5008df3c2096c255',
    'v0.1/servers/ip4-127-0-0-1/travel/versions/index.json',
    'v0.1/servers/ip4-127-0-0-1/travel/versions/latest',
  ]);
});

it('the same peers and key make the same bytes, signatures among them', async () => {
  const out = join(quickstart.dir, 'out');
  await writeDocuments(quickstart, out);
  const written = documentsIn(out);
  expect([...written.keys()]).toEqual([...golden.keys()]);
  // A document is one long line: its path says enough.
  const changed = [...written].flatMap(([path, text]) => (text === golden.get(path) ? [] : [path]));
  expect(changed).toEqual([]);
}, 60_000);

it('the cards among the files are signed by the key among them', async () => {
  const keys = JSON.parse(golden.get('.well-known/jwks.json') ?? '') as JSONWebKeySet;
  const cards = [...golden].filter(([path]) => path.endsWith('agent-card.json'));
  expect(cards).toHaveLength(3);
  for (const [, text] of cards) expect(await verifyCard(text, keys)).not.toEqual([]);
});

it('no file holds a private key or the address of a peer', () => {
  for (const [path, text] of golden) {
    expect([path, text.match(/"d":|4124[12]|key\.json/)]).toEqual([path, null]);
  }
});

it('what is written beside a running gateway is what it serves, byte for byte', async () => {
  const gateway = await quickstart.serve();
  try {
    await until('both peers are described', 15_000, async () => {
      const { text } = await fetchDocument(`${gateway.origin}/.well-known/agent-card.json`);
      return text.includes('"travel/book"') && text.includes('"notes/') ? true : undefined;
    });
    const out = join(quickstart.dir, 'beside');
    await quickstart.command(['well-known', '--out', out]);
    const written = documentsIn(out);
    expect([...written.keys()]).toEqual([...golden.keys()]);
    for (const [path, text] of written) {
      const url = `${gateway.origin}/${path.replace(/\/index\.json$/, '')}`;
      const served = await fetchDocument(url);
      expect([path, served.status, served.text]).toEqual([path, 200, text]);
    }
  } finally {
    await gateway.stop();
  }
}, 60_000);
