import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { AgentCard } from '../model/a2a.ts';
import type { JsonObject } from '../model/json.ts';
import { SchemaValidator } from './json-schema.ts';
import {
  helperTools,
  messageFromArguments,
  promptsFromCard,
  skillOfTool,
  toolsFromCard,
} from './skills.ts';

function cardOf(ids: string[]): AgentCard {
  return {
    name: 'Agent',
    description: 'An agent.',
    version: '1',
    supportedInterfaces: [],
    capabilities: {},
    defaultInputModes: ['text/plain'],
    defaultOutputModes: ['text/plain'],
    skills: ids.map((id) => ({
      id,
      name: id,
      description: 'A skill.',
      tags: [],
      examples: ['One', 'Two'],
    })),
  };
}

const anyId = fc.oneof(
  fc.string({ maxLength: 90, unit: 'binary' }),
  fc.constantFrom('get_task', 'a', 'a b', 'a_b', 'ä', '…'),
);

describe('the tools of an agent', () => {
  it('have valid and unique names that lead back to their skill', () => {
    fc.assert(
      fc.property(fc.array(anyId, { minLength: 1, maxLength: 8 }), (ids) => {
        const card = cardOf(ids);
        const tools = toolsFromCard(card);
        const names = [...tools, ...helperTools].map(({ name }) => name);
        expect(new Set(names).size).toBe(names.length);
        for (const name of names) expect(name).toMatch(/^[A-Za-z0-9_-]{1,64}$/);
        expect(tools.map(({ name }) => skillOfTool(card, name))).toEqual(card.skills);
        expect(tools.map(({ _meta }) => _meta?.['isthmus/skill'])).toEqual(ids);
        const prompts = promptsFromCard(card).map(({ name }) => name);
        expect(new Set(prompts).size).toBe(ids.length * 2);
      }),
    );
  });

  it('carry the bare skill id where it is a name already', () => {
    const ids = ['plan trip', 'plan_trip', 'plan-trip', 'get_task', 'Überfahrt nach Ål'];
    expect(toolsFromCard(cardOf(ids)).map(({ name }) => name)).toEqual([
      'plan_trip_2',
      'plan_trip',
      'plan-trip',
      'get_task_2',
      'Uberfahrt_nach_Al',
    ]);
  });

  it('of an agent without skills are send_message', () => {
    const card = cardOf([]);
    expect(toolsFromCard(card).map(({ name }) => name)).toEqual(['send_message']);
    expect(skillOfTool(card, 'send_message')).toBe('send_message');
    expect(skillOfTool(card, 'get_task')).toBeUndefined();
    expect(skillOfTool(cardOf(['a']), 'send_message')).toBeUndefined();
  });

  it('describe every argument and take no others', () => {
    for (const tool of [
      ...toolsFromCard(cardOf(['a'])),
      ...toolsFromCard(cardOf([])),
      ...helperTools,
    ]) {
      expect(tool.inputSchema['additionalProperties']).toBe(false);
      expect(tool.inputSchema['type']).toBe('object');
      expect(tool.outputSchema?.['type']).toBe('object');
      const properties = tool.inputSchema['properties'] as { [name: string]: JsonObject };
      for (const property of Object.values(properties)) {
        expect(property['description']).toMatch(/^[A-Za-z].{20,}\.$/);
      }
    }
  });

  it('hide no characters from a person that a model would read', () => {
    const card = cardOf(['a']);
    card.skills = [
      {
        id: 'a',
        name: 'A\u202E\u200B',
        description: 'Reads\u0007 mail.\u{E0041}\u{E0042}',
        tags: ['x\u2066'],
      },
    ];
    const [tool] = toolsFromCard(card);
    expect(tool?.title).toBe('A');
    expect(tool?.description).toBe('Reads mail.\n\nA skill of the agent "Agent".\n\nTags: x');
  });

  it('share no schema objects between two lists', () => {
    const [first] = toolsFromCard(cardOf(['a']));
    const [second] = toolsFromCard(cardOf(['a']));
    expect(first?.inputSchema).toEqual(second?.inputSchema);
    expect(first?.inputSchema).not.toBe(second?.inputSchema);
  });
});

describe('arguments', () => {
  const args = fc.record(
    {
      message: fc.string({ minLength: 1 }),
      data: fc.dictionary(fc.string(), fc.integer()),
      files: fc.array(fc.webUrl()),
      contextId: fc.string({ minLength: 1 }),
      referenceTaskIds: fc.array(fc.string({ minLength: 1 })),
    },
    { requiredKeys: ['message'] },
  );

  it('that fit the schema become a message that holds all of them', () => {
    const validator = new SchemaValidator();
    const [tool] = toolsFromCard(cardOf(['a']));
    fc.assert(
      fc.property(args, (given) => {
        expect(validator.check(tool?.inputSchema ?? {}, given)).toEqual({ ok: true });
        const message = messageFromArguments(given, 'a', 'm');
        const data = message.parts.find((part) => part.data !== undefined)?.data;
        const back = {
          message: message.parts[0]?.text,
          ...(data === undefined ? {} : { data }),
          files: message.parts.flatMap(({ url }) => (url === undefined ? [] : [url])),
          ...(message.contextId === undefined ? {} : { contextId: message.contextId }),
          referenceTaskIds: message.referenceTaskIds ?? [],
        };
        expect(back).toEqual({ files: [], referenceTaskIds: [], ...given });
        expect(message.metadata).toEqual({ skill: 'a' });
      }),
    );
  });

  it.each([
    [{}, 'message'],
    [{ message: '' }, 'message'],
    [{ message: 'x', data: [1] }, 'data'],
    [{ message: 'x', files: 'https://a.example' }, 'files'],
    [{ message: 'x', files: ['https://a.example', 'javascript:alert(1)'] }, 'files/1'],
    [{ message: 'x', contextId: 7 }, 'contextId'],
    [{ message: 'x', referenceTaskIds: [1] }, 'referenceTaskIds/0'],
  ])('that are wrong name the field: %j', (given, field) => {
    expect(() => messageFromArguments(given as JsonObject, 'a', 'm')).toThrow(
      expect.objectContaining({ code: 'invalid-params', facts: { field } }),
    );
  });
});
