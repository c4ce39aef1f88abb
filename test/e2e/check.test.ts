/** `isthmus check` as an operator runs it, against peers that are not what the file says. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { startChild } from '../faults/child.ts';
import { startA2aAgent } from '../support/a2a-agent.ts';
import { startBadPeer } from '../support/bad-peer.ts';
import { startLegacyServer } from '../support/legacy-server.ts';
import { html } from '../support/misbehaviours.ts';
import { startModernServer } from '../support/modern-server.ts';

const open: { close(): Promise<void> }[] = [];

afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

function opened<T extends { close(): Promise<void> }>(one: T): T {
  open.push(one);
  return one;
}

/** Runs the command; its exit code and reports. */
async function check(cards: Record<string, string>) {
  const dir = mkdtempSync(join(tmpdir(), 'isthmus-check-'));
  const file = join(dir, 'isthmus.json');
  const config = {
    gateway: {
      listen: { host: '127.0.0.1', port: 1 },
      organization: { id: 'test', name: 'Test' },
    },
    store: { url: `sqlite:${join(dir, 'isthmus.db')}` },
    keys: { dir: join(dir, 'keys') },
    peers: Object.entries(cards).map(([id, card]) => ({ id, a2a: { card } })),
    egress: { allowLoopback: true },
  };
  writeFileSync(file, JSON.stringify(config));
  const child = startChild('src/cli.ts', ['check', '--config', file, '--json']);
  const code = await child.ended;
  rmSync(dir, { recursive: true, force: true });
  const reports = JSON.parse(child.output()) as { peer: string; ok: boolean; problem: string }[];
  return { code, reports };
}

it('a card address that leads to something else says that no agent card is there', async () => {
  const agent = opened(await startA2aAgent());
  const modern = opened(await startModernServer());
  const legacy = opened(await startLegacyServer());
  const site = opened(await startBadPeer({ card: html() }));
  const { code, reports } = await check({
    agent: agent.cardUrl,
    modern: modern.url,
    legacy: legacy.url,
    endpoint: `${agent.url}/a2a/jsonrpc`,
    site: site.cardUrl,
    missing: new URL('/nothing.json', agent.cardUrl).href,
  });
  expect(code).toBe(1);
  expect(reports.map(({ peer, ok }) => [peer, ok])).toEqual([
    ['agent', true],
    ['modern', false],
    ['legacy', false],
    ['endpoint', false],
    ['site', false],
    ['missing', false],
  ]);
  for (const { peer, problem } of reports.slice(1)) {
    expect(problem).toMatch(
      new RegExp(`^No agent card was found for "${peer}": .*Check the address.$`),
    );
  }
});
