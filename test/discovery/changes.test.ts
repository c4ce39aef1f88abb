/** Documents change when, and only when, what they say does. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { until } from '../faults/child.ts';
import { covers } from '../requirements/requirement.ts';
import { objectsIn, peerIds, startSite, type Fetched, type Site } from './site.ts';

const rootCard = '/.well-known/agent-card.json';
const agentCard = `/a2a/${peerIds.agent}/.well-known/agent-card.json`;
const toolboxCard = `/a2a/${peerIds.server}/.well-known/agent-card.json`;

/** Documents that show the skills of `toolbox`. */
const showing = [rootCard, toolboxCard];

/** Documents that do not. */
const silent = [
  agentCard,
  `/mcp/${peerIds.agent}/server-card`,
  `/mcp/${peerIds.server}/server-card`,
  '/.well-known/jwks.json',
];

let site: Site;

beforeEach(async () => {
  site = await startSite();
});

afterEach(() => site.close());

async function snapshot(paths: readonly string[]): Promise<Map<string, Fetched>> {
  const all = await Promise.all(paths.map(async (path) => [path, await site.get(path)] as const));
  expect(all.map(([path, { status }]) => [path, status])).toEqual(paths.map((path) => [path, 200]));
  return new Map(all);
}

const skillIds = ({ json }: Fetched): unknown[] => objectsIn(json['skills']).map(({ id }) => id);

async function skillIn(path: string, id: string, there: boolean): Promise<Fetched> {
  return until(`${id} is ${there ? '' : 'not '}in ${path}`, 5000, async () => {
    const card = await site.get(path);
    return skillIds(card).includes(id) === there ? card : undefined;
  });
}

it('a tool that a server adds shows in its card and in ours, under new versions and ETags', async () => {
  covers('A2A-8.6.1-02');
  const before = await snapshot([...showing, ...silent]);
  site.server.triggerToolChange('extra');
  const names = new Map([
    [rootCard, `${peerIds.server}/extra`],
    [toolboxCard, 'extra'],
  ]);
  for (const path of showing) {
    const old = before.get(path);
    const now = await skillIn(path, names.get(path) ?? '', true);
    expect(now.json['version']).not.toBe(old?.json['version']);
    expect(now.headers.get('etag')).not.toBe(old?.headers.get('etag'));
    const revalidated = await site.get(path, { 'if-none-match': old?.headers.get('etag') ?? '' });
    expect(revalidated.status).toBe(200);
  }
  for (const path of silent) {
    const [old, now] = [before.get(path), await site.get(path)];
    expect([path, now.text]).toEqual([path, old?.text]);
    expect([path, now.headers.get('etag')]).toEqual([path, old?.headers.get('etag')]);
  }
});

it('a tool that goes away goes from the documents, and the version is the one from before', async () => {
  const before = await snapshot(showing);
  site.server.triggerToolChange('extra');
  await skillIn(toolboxCard, 'extra', true);
  site.server.triggerToolChange('extra');
  for (const path of showing) {
    const id = path === rootCard ? `${peerIds.server}/extra` : 'extra';
    const now = await skillIn(path, id, false);
    expect(now.json['version']).toBe(before.get(path)?.json['version']);
  }
});

it('a notification without a change changes nothing', async () => {
  const paths = [...showing, ...silent, '/.well-known/mcp.json', '/.well-known/ai-catalog.json'];
  const before = await snapshot(paths);
  site.server.notify.toolsChanged();
  site.server.notify.promptsChanged();
  site.server.triggerResourceChange('test://notes/first', 'A new text of a note that is known');
  await new Promise((resolve) => setTimeout(resolve, 1500));
  for (const [path, old] of before) {
    expect([path, (await site.get(path)).text]).toEqual([path, old.text]);
  }
});

it('a restart gives the same versions, and the same ETags where nothing is signed', async () => {
  const cards = [rootCard, agentCard, toolboxCard];
  const plain = silent.filter((path) => !cards.includes(path));
  const before = await snapshot([...cards, ...plain]);
  await site.gateway.restart();
  await skillIn(rootCard, `${peerIds.server}/echo`, true);
  await skillIn(rootCard, `${peerIds.agent}/echo`, true);
  for (const path of cards) {
    const now = await site.get(path);
    expect([path, now.json['version']]).toEqual([path, before.get(path)?.json['version']]);
  }
  for (const path of plain) {
    const now = await site.get(path);
    expect([path, now.headers.get('etag')]).toEqual([path, before.get(path)?.headers.get('etag')]);
  }
});
