import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { citationsIn } from './citations.ts';
import { requirements } from './requirement.ts';

const root = join(import.meta.dirname, '..', '..');
const own = join('test', 'requirements');

const files = ['src', 'test']
  .flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((name) =>
      join(folder, name),
    ),
  )
  .filter((file) => file.endsWith('.test.ts') && !file.startsWith(own));

const found = files.map((file) => citationsIn(file, readFileSync(join(root, file), 'utf8')));
const citations = found.flatMap((file) => file.citations);
const ids: readonly string[] = requirements.map((r) => r.id);

const shapes = {
  A2A: {
    id: /^A2A-(\d+(?:\.\d+)*)-\d{2}$/,
    spec: /^A2A 1\.0 §(\d+(?:\.\d+)*)$/,
    url: /^https:\/\/a2a-protocol\.org\/latest\/specification\/#(\d+)(?:-[a-z0-9]+)+$/,
  },
  MCP: {
    id: /^MCP-([a-z]+)-\d{2}$/,
    spec: /^MCP (2026-07-28|2025-11-25) ([a-z]+(?:[-/][a-z]+)*)$/,
    url: /^https:\/\/modelcontextprotocol\.io\/specification\/([\d-]+)\/([a-z/-]+)(?:#[a-z0-9-]+)?$/,
  },
  CARD: {
    id: /^CARD-([a-z]+)-\d{2}$/,
    spec: /^MCP Server Card ([a-z0-9-]+)$/,
    url: /^https:\/\/github\.com\/modelcontextprotocol\/experimental-ext-server-card\/blob\/main\/docs\/discovery\.md#([a-z0-9-]+)$/,
  },
  CATALOG: {
    id: /^CATALOG-([a-z]+)-\d{2}$/,
    spec: /^AI Catalog ([a-z0-9-]+)$/,
    url: /^https:\/\/github\.com\/Agent-Card\/ai-catalog\/blob\/main\/specification\/ai-catalog\.md#([a-z0-9-]+)$/,
  },
  REGISTRY: {
    id: /^REGISTRY-([a-z]+)-\d{2}$/,
    spec: /^MCP Registry (openapi)$/,
    url: /^https:\/\/github\.com\/modelcontextprotocol\/registry\/blob\/main\/docs\/reference\/api\/(openapi)\.yaml$/,
  },
  TASKS: {
    id: /^TASKS-([a-z]+(?:-[a-z]+)*)-\d{2}$/,
    spec: /^MCP Tasks ([a-z0-9-]+)$/,
    url: /^https:\/\/github\.com\/modelcontextprotocol\/ext-tasks\/blob\/main\/specification\/draft\/tasks\.md#([a-z0-9-]+)$/,
  },
} as const;

/** The place in the spec as each of a requirement's three references has it. */
function places(r: (typeof requirements)[number]): Record<'id' | 'spec' | 'url', string> {
  const family = r.id.slice(0, r.id.indexOf('-')) as keyof typeof shapes;
  const part = (key: 'id' | 'spec' | 'url', groups: readonly number[]): string => {
    const match = shapes[family][key].exec(r[key]);
    return match ? groups.map((group) => match[group]).join(' ') : `malformed: ${r[key]}`;
  };
  switch (family) {
    case 'A2A':
      return {
        id: part('id', [1]).replaceAll('.', ''),
        spec: part('spec', [1]).replaceAll('.', ''),
        url: part('url', [1]),
      };
    case 'MCP':
      return { id: part('spec', [1, 2]), spec: part('spec', [1, 2]), url: part('url', [1, 2]) };
    case 'CARD':
    case 'CATALOG':
    case 'REGISTRY':
    case 'TASKS':
      return { id: part('spec', [1]), spec: part('spec', [1]), url: part('url', [1]) };
  }
}

describe('the requirements', () => {
  it('have ids that are unique and well-formed', () => {
    expect(ids.filter((id, index) => ids.indexOf(id) !== index)).toEqual([]);
    const malformed = ids.filter((id) => !Object.values(shapes).some((shape) => shape.id.test(id)));
    expect(malformed).toEqual([]);
  });

  it('name a place in a spec by id, reference and URL alike', () => {
    const astray = requirements.filter((requirement) => {
      const { id, spec, url } = places(requirement);
      return id !== spec || url !== spec || spec.includes('malformed');
    });
    expect(astray).toEqual([]);
  });

  it('each say in a sentence of their own what can be seen', () => {
    const texts: readonly string[] = requirements.map((r) => r.text);
    expect(texts.filter((text) => !/^[A-Za-z].{20,}\.$/.test(text))).toEqual([]);
    expect(texts.filter((text, index) => texts.indexOf(text) !== index)).toEqual([]);
  });
});

describe('the tests', () => {
  it('cite every requirement', () => {
    const cited = new Set(citations.map((citation) => citation.id));
    const uncited = requirements.filter((r) => !cited.has(r.id));
    expect(uncited.map((r) => `${r.id} ${r.text}`)).toEqual([]);
  });

  it('cite no requirement that does not exist', () => {
    expect(citations.filter((citation) => !ids.includes(citation.id))).toEqual([]);
  });

  it('cite where the citation is proof', () => {
    expect(found.flatMap((file) => file.problems)).toEqual([]);
  });
});
