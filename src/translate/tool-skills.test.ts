import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../model/json.ts';
import type { Catalogue } from '../ports/peer.ts';
import { chooseTool, skillNames, skillsFromCatalogue, toolCallExtension } from './tool-skills.ts';

function catalogueOf(tools: JsonObject[]): Catalogue {
  return {
    serverInfo: { name: 's' },
    capabilities: {},
    revision: '2026-07-28',
    tools,
    prompts: [],
    resources: [],
    resourceTemplates: [],
    version: '1',
  };
}

const tool = (name: string): JsonObject => ({
  name,
  description: 'x',
  inputSchema: { type: 'object', properties: { q: { type: 'string' } }, required: ['q'] },
});

describe('the skills of an MCP server', () => {
  it('can each be called exactly by the name on the card', () => {
    const names = fc.uniqueArray(
      fc.oneof(fc.string({ minLength: 1 }), fc.constantFrom('read_resource', 'get_prompt')),
      { minLength: 1 },
    );
    fc.assert(
      fc.property(names, (ids) => {
        const catalogue = {
          ...catalogueOf(ids.map(tool)),
          prompts: [{ name: 'p' }],
          resources: [{ uri: 'x:y' }],
        };
        const skills = skillsFromCatalogue(catalogue);
        expect(new Set(skills.map(({ id }) => id)).size).toBe(ids.length + 2);
        expect(skills.slice(0, ids.length).map(({ id }) => id)).toEqual(ids);
        for (const id of ids) {
          const parts = [{ data: { tool: id, arguments: { q: 'x' } } }];
          expect(chooseTool({ messageId: 'm', role: 'ROLE_USER', parts }, catalogue)).toEqual({
            kind: 'tool',
            name: id,
            arguments: { q: 'x' },
          });
        }
      }),
    );
  });

  it('have what a card may not lack: a description and tags', () => {
    const [skill] = skillsFromCatalogue(catalogueOf([{ name: 'bare' }]));
    expect(skill).toEqual({
      id: 'bare',
      name: 'bare',
      description: 'bare',
      tags: ['mcp', 'tool'],
      inputModes: ['application/json'],
      outputModes: ['text/plain', 'application/json'],
    });
  });

  it('list their schemas in the extension, unchanged', () => {
    expect(toolCallExtension(catalogueOf([tool('a')])).params).toEqual({
      tools: {
        a: {
          inputSchema: { type: 'object', properties: { q: { type: 'string' } }, required: ['q'] },
        },
      },
    });
  });
});

describe('a server of very many or very long tools', () => {
  it('has each of its skills named, and no more of them shown than asked for', () => {
    const catalogue = {
      ...catalogueOf(Array.from({ length: 500 }, (_, n) => tool(`t${n}`))),
      prompts: [{ name: 'p' }],
    };
    expect(skillNames(catalogue)).toHaveLength(501);
    const skills = skillsFromCatalogue(catalogue, 3);
    expect(skills.map(({ id }) => id)).toEqual(['t0', 't1', 'get_prompt']);
  });

  it('has long descriptions cut', () => {
    const long = { ...tool('a'), description: 'd'.repeat(1_000_000) };
    const [skill] = skillsFromCatalogue(catalogueOf([long]));
    expect(skill?.description).toHaveLength(16 * 1024);
    expect(skill?.description.at(-1)).toBe('…');
  });

  it('is asked about with the schemas of a hundred, and how many there are', () => {
    let reads = 0;
    const tools = Array.from({ length: 500 }, (_, n) => ({
      name: `t${n}`,
      get description() {
        reads += 1;
        return 'x';
      },
    }));
    const message = { messageId: 'm', role: 'ROLE_USER' as const, parts: [{ text: 'hi' }] };
    const choice = chooseTool(message, catalogueOf(tools));
    expect(choice.kind).toBe('ask');
    const data = 'parts' in choice ? choice.parts[1]?.data : undefined;
    expect(data).toMatchObject({ total: 500 });
    expect((data as { skills: unknown[] }).skills).toHaveLength(100);
    // Those in prose and those in data; the others are not read at all.
    expect(reads).toBe(130);
  });
});

describe('choosing a tool', () => {
  const message = (parts: object[], skill?: string) => ({
    messageId: 'm',
    role: 'ROLE_USER' as const,
    parts,
    ...(skill === undefined ? {} : { metadata: { skill } }),
  });

  it('asks where text could mean more than one tool, and never guesses', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const choice = chooseTool(message([{ text }]), catalogueOf([tool('a'), tool('b')]));
        expect(choice.kind).toBe('ask');
      }),
    );
  });

  it('asks for an empty message, and lists every schema as data', () => {
    const choice = chooseTool(
      message([]),
      catalogueOf(Array.from({ length: 40 }, (_, n) => tool(`t${n}`))),
    );
    if (choice.kind !== 'ask') throw new Error('expected a question');
    const [prose, data] = choice.parts;
    expect(prose?.text).toContain('… and 10 more.');
    expect(data?.data).toMatchObject({ skills: { length: 40 } });
  });

  it('says which parts the call cannot carry', () => {
    const files = [{ data: { q: 'x' } }, { text: 'please' }, { url: 'https://a.example/f' }];
    expect(chooseTool(message(files, 'a'), catalogueOf([tool('a')]))).toEqual({
      kind: 'tool',
      name: 'a',
      arguments: { q: 'x' },
      loss: [
        'The text beside the arguments is not passed to the tool.',
        'The files of the message are not passed to the tool.',
      ],
    });
  });

  it('does not take the name of a built-in member for a tool', () => {
    for (const name of ['__proto__', 'constructor', 'toString']) {
      expect(chooseTool(message([{ data: { tool: name } }]), catalogueOf([tool('a')])).kind).toBe(
        'unknown',
      );
    }
  });
});
