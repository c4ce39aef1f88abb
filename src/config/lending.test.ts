import { describe, expect, it } from 'vitest';
import { parseConfig } from './load.ts';
import { formatMistakes } from './mistake.ts';
import type { Config } from './schema.ts';

const context = {
  env: {},
  readFile: (): string => {
    throw new Error('no file is read here');
  },
};

const peers = `peers:
  - { id: travel, a2a: { card: "https://travel.example/card.json" } }
  - { id: files, mcp: { url: "https://files.example/mcp" } }
`;

function config(lending: string, before = peers): Config {
  const result = parseConfig(`${before}lending:\n  - ${lending}\n`, context);
  if (!result.ok) throw new Error(formatMistakes(result.mistakes));
  return result.config;
}

function mistakes(lending: string, before = peers): string[] {
  const result = parseConfig(`${before}lending:\n  - ${lending}\n`, context);
  if (result.ok) throw new Error('the configuration is valid');
  return formatMistakes(result.mistakes).split('\n');
}

describe('a lending rule', () => {
  it('has careful defaults', () => {
    expect(config('{ to: travel, tools: [files/read_file] }').lending).toEqual([
      {
        to: 'travel',
        tools: ['files/read_file'],
        arguments: {},
        maxCalls: 20,
        maxCallsPerTool: {},
        ttl: 900_000,
        depth: 0,
        approval: 'never',
        offer: 'always',
      },
    ]);
  });

  it('may set everything', () => {
    const text = `{
      to: "trav*", tools: [files/read_file, "cal*/list_*", own/*, offered/*],
      from: [{ organization: partner, subject: bob }, { client: desk }],
      arguments: { files/read_file: { type: object, properties: { path: { pattern: "^/public/" } } } },
      maxCalls: 5, maxCallsPerTool: { "calendar/*": 2 }, ttl: 1s, depth: 5,
      approval: always, offer: request }`;
    expect(config(text).lending).toEqual([
      {
        to: 'trav*',
        tools: ['files/read_file', 'cal*/list_*', 'own/*', 'offered/*'],
        from: [{ organization: 'partner', subject: 'bob' }, { client: 'desk' }],
        arguments: {
          'files/read_file': { type: 'object', properties: { path: { pattern: '^/public/' } } },
        },
        maxCalls: 5,
        maxCallsPerTool: { 'calendar/*': 2 },
        ttl: 1000,
        depth: 5,
        approval: 'always',
        offer: 'request',
      },
    ]);
  });

  const pattern =
    'expected a tool such as files/read_file, calendar/* or own/*; "*" only at the end of either part';
  it.each<[string, string[]]>([
    [
      '{ tools: [a/b] }',
      ['lending[0].to: expected the id of a peer, or a pattern such as travel-*'],
    ],
    ['{ to: travel }', ['lending[0].tools: expected a list of tools']],
    ['{ to: travel, tools: [] }', ['lending[0].tools: expected at least one tool']],
    ['{ to: travel, tools: [read_file] }', [`lending[0].tools[0]: ${pattern}`]],
    ['{ to: travel, tools: ["files/*_file"] }', [`lending[0].tools[0]: ${pattern}`]],
    ['{ to: travel, tools: ["*s/read"] }', [`lending[0].tools[0]: ${pattern}`]],
    ['{ to: travel, tools: ["files/"] }', [`lending[0].tools[0]: ${pattern}`]],
    ['{ to: travel, tools: ["files/a\\tb"] }', [`lending[0].tools[0]: ${pattern}`]],
    [
      '{ to: "*vel", tools: [a/b] }',
      ['lending[0].to: expected the id of a peer, or a pattern such as travel-*'],
    ],
    [
      '{ to: trave, tools: [a/b] }',
      ['lending[0].to: expected the id of an entry of peers, or a pattern with "*"'],
    ],
    [
      '{ to: travel, tools: [a/b], ttl: 25h }',
      ['lending[0].ttl: expected a duration from 1s to 24h'],
    ],
    [
      '{ to: travel, tools: [a/b], ttl: 999ms }',
      ['lending[0].ttl: expected a duration from 1s to 24h'],
    ],
    [
      '{ to: travel, tools: [a/b], depth: 6 }',
      ['lending[0].depth: expected a whole number from 0 to 5'],
    ],
    [
      '{ to: travel, tools: [a/b], maxCalls: 0 }',
      ['lending[0].maxCalls: expected a whole number from 1 to 1000000'],
    ],
    [
      '{ to: travel, tools: [a/b], approval: maybe }',
      ['lending[0].approval: expected never or always'],
    ],
    [
      '{ to: travel, tools: [a/b], offer: never }',
      ['lending[0].offer: expected always or request'],
    ],
    ['{ to: travel, tools: [a/b], max: 1 }', ['lending[0].max: unknown key']],
    [
      '{ to: travel, tools: [a/b], from: [] }',
      [
        'lending[0].from: expected at least one caller; without "from" it is everybody of our organization',
      ],
    ],
    [
      '{ to: travel, tools: [a/b], from: [{}] }',
      ['lending[0].from[0]: expected organization, subject or client, or several of them'],
    ],
    [
      '{ to: travel, tools: [files/a], arguments: { files/b: {} } }',
      ['lending[0].arguments["files/b"]: expected a tool that "tools" of this rule lends'],
    ],
    [
      '{ to: travel, tools: ["*/*"], maxCallsPerTool: { own/a: 1 } }',
      ['lending[0].maxCallsPerTool["own/a"]: expected a tool that "tools" of this rule lends'],
    ],
    [
      '{ to: travel, tools: [a/b], arguments: { a/b: [] } }',
      ['lending[0].arguments["a/b"]: expected a JSON Schema, which is a section with keys'],
    ],
    [
      '{ to: travel, tools: [a/b], arguments: { a/b: { pattern: "(a+)+" } } }',
      [
        'lending[0].arguments["a/b"]: cannot be enforced: The schema has a pattern that could take too long to check.',
      ],
    ],
    [
      '{ to: travel, tools: [a/b], arguments: { a/b: { $schema: "urn:other" } } }',
      [
        'lending[0].arguments["a/b"]: cannot be enforced: It cannot be checked: the JSON Schema dialect "urn:other" is not supported.',
      ],
    ],
    [
      '{ to: travel, tools: [a/b], arguments: { a/b: { type: 7 } } }',
      [
        'lending[0].arguments["a/b"]: cannot be enforced: The schema is not valid: data/type must be equal to one of the allowed values, data/type must be array, data/type must match a schema in anyOf.',
      ],
    ],
  ])('is refused where it says %s', (text, expected) => {
    expect(mistakes(text)).toEqual(expected);
  });
});

describe('the lease of a peer', () => {
  const withLease = (lease: string) =>
    `peers: [{ id: travel, a2a: { card: "https://t.example/c" }, lease: ${lease} }]\n`;
  const rule = '{ to: travel, tools: [a/b] }';

  it('pins its client, and is offered where the peer asks for it', () => {
    expect(
      config(rule, withLease('{ clientId: "https://t.example/agent.json" }')).peers,
    ).toMatchObject([
      { id: 'travel', lease: { clientId: 'https://t.example/agent.json', offer: 'declared' } },
    ]);
    expect(config(rule, peers).peers[0]).not.toHaveProperty('lease');
  });

  it('cannot be offered to nobody', () => {
    expect(mistakes(rule, withLease('{ offer: always }'))).toEqual([
      'peers[0].lease.clientId: expected the OAuth client of a peer that does not declare one itself',
    ]);
  });

  it.each(['own', 'offered'])('goes to no peer with the id "%s"', (id) => {
    expect(mistakes(rule, `peers: [{ id: ${id}, mcp: { url: "https://t.example" } }]\n`)).toEqual([
      'peers[0].id: reserved; choose another than server-card, tasks, v1, own, offered',
    ]);
  });
});
