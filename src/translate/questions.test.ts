import { ElicitRequestFormParamsSchema } from '@modelcontextprotocol/sdk/types.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Message, TaskStatus } from '../model/a2a.ts';
import type { Json, JsonObject } from '../model/json.ts';
import type { OpenQuestion } from '../ports/peer.ts';
import { answerFromForm, flatForm } from './elicitation-schema.ts';
import {
  dismissed,
  inputRequestFor,
  messageFromResponses,
  peerMessageFrom,
  questionStatusParts,
  questionsFromStatus,
  responsesFromMessage,
  stateOfQuestions,
} from './questions.ts';

const json = fc
  .jsonValue({ maxDepth: 2 })
  .map((value) => JSON.parse(JSON.stringify(value)) as Json);
const key = fc.oneof(
  fc.string({ minLength: 1 }),
  fc.constantFrom('__proto__', 'constructor', 'q1'),
);
const response: fc.Arbitrary<JsonObject> = fc.oneof(
  fc
    .dictionary(fc.stringMatching(/^[a-z]{1,6}$/), json)
    .map((content) => ({ action: 'accept', content })),
  fc.constantFrom({ action: 'decline' }, { action: 'cancel' }),
);

function form(questionKey: string, more: Partial<OpenQuestion> = {}): OpenQuestion {
  return {
    key: questionKey,
    answerAs: 'response',
    request: {
      method: 'elicitation/create',
      params: {
        message: 'Well?',
        requestedSchema: { type: 'object', properties: { name: { type: 'string' } } },
      },
    },
    ...more,
  };
}

function user(parts: Message['parts'], more: Partial<Message> = {}): Message {
  return { messageId: 'm', role: 'ROLE_USER', parts, ...more };
}

describe('responses', () => {
  it('survive the way through a message, whatever the keys are', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.tuple(key, response), { selector: ([name]) => name, minLength: 1 }),
        (pairs) => {
          const given = Object.fromEntries(pairs);
          const message = messageFromResponses(given, 'm');
          const wire = JSON.parse(JSON.stringify(message)) as Message;
          const read = responsesFromMessage(
            wire,
            pairs.map(([name]) => form(name)),
          );
          expect(Object.entries(read.responses)).toEqual(Object.entries(given));
          expect(read.unknownKeys).toEqual([]);
        },
      ),
    );
  });

  it('for questions that are not open are named, not taken', () => {
    const message = messageFromResponses(
      { old: { action: 'decline' }, q1: { action: 'cancel' } },
      'm',
    );
    expect(responsesFromMessage(message, [form('q1'), form('q2')])).toEqual({
      responses: { q1: { action: 'cancel' } },
      unknownKeys: ['old'],
    });
  });

  it('that were cancelled are found among the open questions only', () => {
    const responses = {
      q1: { action: 'cancel' },
      q2: { action: 'accept' },
      q9: { action: 'cancel' },
      q3: 'cancel',
    };
    expect(dismissed(responses, [form('q1'), form('q2'), form('q3'), form('toString')])).toEqual([
      'q1',
    ]);
  });

  it('may leave out the key, the action or the fields where there is one question', () => {
    const accepted = {
      responses: { q1: { action: 'accept', content: { name: 'Ada' } } },
      unknownKeys: [],
    };
    const ways: Message['parts'] = [
      { data: { response: { action: 'accept', content: { name: 'Ada' } } } },
      { data: { action: 'accept', content: { name: 'Ada' } } },
      { data: { name: 'Ada' } },
      { text: 'Ada' },
    ];
    for (const part of ways) {
      expect(responsesFromMessage(user([part]), [form('q1')])).toEqual(accepted);
    }
    expect(responsesFromMessage(user([{ text: '' }]), [form('q1')])).toEqual({
      responses: {},
      unknownKeys: [],
    });
    expect(
      responsesFromMessage(user([{ data: { action: 'decline' } }]), [form('q1')]).responses,
    ).toEqual({
      q1: { action: 'decline' },
    });
  });

  it.each([[7], [[]], ['accept'], [{}], [{ action: 'ok' }], [{ action: 'accept', content: [] }]])(
    'that no client may give are refused: %j',
    (given) => {
      expect(() =>
        responsesFromMessage(messageFromResponses({ q1: given }, 'm'), [form('q1')]),
      ).toThrow(expect.objectContaining({ code: 'invalid-params' }));
    },
  );

  it('of sampling pass through as they are', () => {
    const open: OpenQuestion = {
      key: 's',
      answerAs: 'response',
      request: { method: 'sampling/createMessage' },
    };
    const given = { role: 'assistant', content: { type: 'text', text: 'x' }, model: 'm' };
    expect(responsesFromMessage(messageFromResponses({ s: given }, 'm'), [open]).responses).toEqual(
      { s: given },
    );
  });
});

describe('messages to an agent', () => {
  it('that answer nothing pass unchanged', () => {
    const message = user(
      [
        { text: 'also this' },
        { data: { key: 'other', response: { action: 'accept' } } },
        { data: { response: 5 } },
      ],
      {
        extensions: ['urn:isthmus:ext:tool-call:v1', 'urn:x'],
        metadata: { a: 1 },
      },
    );
    expect(peerMessageFrom(message, [form('q1'), form('q2')])).toEqual(message);
  });

  it('keep other parts beside an answer in prose, and drop the extension that it no longer uses', () => {
    const message = user(
      [
        { text: 'See file' },
        { data: { key: 'q1', response: { action: 'accept', content: { answer: 'Friday' } } } },
      ],
      {
        extensions: ['urn:isthmus:ext:tool-call:v1', 'urn:x'],
      },
    );
    expect(peerMessageFrom(message, [form('q1', { answerAs: 'text' })])).toEqual(
      user([{ text: 'See file' }, { text: 'Friday' }], { extensions: ['urn:x'] }),
    );
  });

  it('go back under the key of the peer', () => {
    const message = messageFromResponses({ q7: { action: 'decline' } }, 'm');
    expect(peerMessageFrom(message, [form('q7', { peerKey: 'theirs' })])?.parts).toEqual([
      { data: { key: 'theirs', response: { action: 'decline' } }, mediaType: 'application/json' },
    ]);
    expect(peerMessageFrom(message, [form('q7')])?.parts).toEqual([
      { data: { response: { action: 'decline' } }, mediaType: 'application/json' },
    ]);
  });
});

describe('questions', () => {
  const status = (state: TaskStatus['state'], parts: Message['parts']): TaskStatus => ({
    state,
    message: { messageId: 'm', role: 'ROLE_AGENT', parts },
  });

  it('are asked only by interrupted states', () => {
    expect(questionsFromStatus(status('TASK_STATE_WORKING', [{ text: 'Which day?' }]))).toEqual([]);
    expect(questionsFromStatus(status('TASK_STATE_COMPLETED', [{ text: 'Which day?' }]))).toEqual(
      [],
    );
  });

  it('of the extension survive the way through a status message', () => {
    const asked = [
      form('q1'),
      form('q2', { request: { method: 'sampling/createMessage', params: { maxTokens: 5 } } }),
    ];
    const parts = questionStatusParts(asked);
    const state = stateOfQuestions(asked);
    expect(state).toBe('TASK_STATE_INPUT_REQUIRED');
    expect(questionsFromStatus(status(state, parts))).toEqual(
      asked.map(({ key: peerKey, request }) => ({ peerKey, request, answerAs: 'response' })),
    );
  });

  it('with a URL of an MCP server offer it to an agent’s reader and are AUTH_REQUIRED', () => {
    const request = {
      method: 'elicitation/create',
      params: { mode: 'url', message: 'Sign in', url: 'https://s.example/a' },
    };
    const asked = [form('q1', { request })];
    expect(stateOfQuestions(asked)).toBe('TASK_STATE_AUTH_REQUIRED');
    expect(stateOfQuestions([])).toBe('TASK_STATE_INPUT_REQUIRED');
    const [again] = questionsFromStatus(
      status('TASK_STATE_AUTH_REQUIRED', questionStatusParts(asked)),
    );
    expect(again?.url).toEqual({ candidates: ['https://s.example/a'], text: 'Sign in' });
    expect(again?.peerKey).toBe('q1');
  });

  it('of an A2A agent never carry the agent’s own URL to the client', () => {
    const [asked] = questionsFromStatus(
      status('TASK_STATE_AUTH_REQUIRED', [{ text: 'Go' }, { url: 'https://evil.example/' }]),
    );
    const shown = inputRequestFor(
      { key: 'q1', ...asked! },
      { connectUrl: 'https://gw.example/connect/1' },
    );
    expect(JSON.stringify(shown)).not.toContain('evil');
    expect(shown.params?.['url']).toBe('https://gw.example/connect/1');
  });

  it('for an authorization say what stands beside the URL, in words', () => {
    const data = { url: 'https://air.example/login', reason: 'It reads your calendar' };
    const [question] = questionsFromStatus(
      status('TASK_STATE_AUTH_REQUIRED', [{ text: 'Please sign in.' }, { data }]),
    );
    expect(question?.request.params).toEqual({
      mode: 'url',
      message: 'Please sign in.\nreason: It reads your calendar',
    });
    expect(question?.url?.candidates).toEqual(['https://air.example/login']);
    const [nested] = questionsFromStatus(
      status('TASK_STATE_AUTH_REQUIRED', [{ data: { ...data, scopes: ['read'] } }]),
    );
    expect(nested?.request.params?.['message']).toBe(
      '{"reason":"It reads your calendar","scopes":["read"]}',
    );
  });

  it('with an unknown elicitation mode are the agent’s fault', () => {
    const parts = [
      { data: { request: { method: 'elicitation/create', params: { mode: 'voice' } } } },
    ];
    expect(() => questionsFromStatus(status('TASK_STATE_INPUT_REQUIRED', parts))).toThrow(
      expect.objectContaining({ code: 'peer-protocol' }),
    );
  });
});

describe('forms', () => {
  const keywords = fc.record(
    {
      type: fc.constantFrom(
        'string',
        'number',
        'integer',
        'boolean',
        'array',
        'object',
        'null',
        ['string', 'null'],
        ['string', 'number'],
        7,
      ),
      title: fc.constantFrom('T', 7),
      description: fc.constantFrom('D', null),
      minLength: fc.constantFrom(1, 'x'),
      maximum: fc.constantFrom(1, null),
      format: fc.constantFrom('email', 'uuid', 'date-time', 7),
      pattern: fc.constant('^x'),
      default: fc.constantFrom('a', 1, true, ['a'], null),
      enum: fc.constantFrom(['a', 'b'], [1], [], 'a'),
      enumNames: fc.constantFrom(['A', 'B'], 7),
      oneOf: fc.constantFrom([{ const: 'a', title: 'A' }], [{ type: 'string' }], []),
      items: fc.constantFrom(
        { type: 'string', enum: ['a'] },
        { anyOf: [{ const: 'a', title: 'A' }] },
        { type: 'string' },
        true,
      ),
      minItems: fc.constantFrom(1, 'x'),
      $ref: fc.constant('#/x'),
    },
    { requiredKeys: [] },
  );
  const anySchema = fc.oneof(
    json,
    fc.record({
      type: fc.constantFrom('object', undefined),
      properties: fc.dictionary(
        fc.oneof(fc.string(), fc.constant('__proto__')),
        fc.oneof(keywords, json),
      ),
      required: fc.constantFrom(undefined, [], ['a'], 7),
      anyOf: fc.constantFrom(undefined, []),
    }),
  );

  it('are what an MCP client accepts, without a word that it does not know', () => {
    fc.assert(
      fc.property(anySchema, (schema) => {
        const { schema: flat, wrapped } = flatForm(JSON.parse(JSON.stringify(schema)));
        const params = { mode: 'form', message: 'm', requestedSchema: flat };
        expect(ElicitRequestFormParamsSchema.parse(params)).toEqual(params);
        expect(wrapped ? flat : flatForm(flat).schema).toEqual(flat);
      }),
      { numRuns: 500 },
    );
  });

  it('keep everything that MCP clients know', () => {
    const schema = {
      type: 'object',
      properties: {
        mail: {
          type: 'string',
          format: 'email',
          title: 'Mail',
          minLength: 3,
          maxLength: 50,
          default: 'a@b.c',
        },
        age: { type: 'integer', minimum: 0, maximum: 120, default: 3 },
        ok: { type: 'boolean', default: false },
        size: { type: 'string', enum: ['S', 'M'], default: 'S' },
        color: { type: 'string', oneOf: [{ const: '#f00', title: 'Red' }] },
        many: {
          type: 'array',
          minItems: 1,
          items: { type: 'string', enum: ['a', 'b'] },
          default: ['a'],
        },
        titled: { type: 'array', items: { anyOf: [{ const: 'a', title: 'A' }] } },
      },
      required: ['mail'],
    };
    expect(flatForm(schema)).toEqual({ schema, wrapped: false, loss: [] });
  });

  it('become one field of JSON where anything is deeper, and the answer is unpacked', () => {
    for (const schema of [
      { type: 'object', properties: { a: { type: 'object' } } },
      { type: 'object', properties: { a: { $ref: '#/$defs/x' } } },
      { type: 'object', properties: { a: { type: 'array', items: { type: 'number' } } } },
      { type: 'object', properties: { a: { type: 'string', enum: [1] } } },
      { type: 'object', properties: {}, required: ['a'] },
      { type: 'array' },
    ]) {
      const form = flatForm(schema);
      expect(form.wrapped).toBe(true);
      expect(form.loss).toHaveLength(1);
      expect(Object.keys(form.schema['properties'] as object)).toEqual(['json']);
      expect(answerFromForm(schema, { json: '{"a":[1]}' })).toEqual({ a: [1] });
      expect(answerFromForm(schema, { json: 'no' })).toBeUndefined();
      expect(answerFromForm(schema, { a: [1] })).toEqual({ a: [1] });
    }
  });

  it('leave an answer alone where the field is really named json', () => {
    const schema = { type: 'object', properties: { json: { type: 'string' } } };
    expect(answerFromForm(schema, { json: '{"a":1}' })).toEqual({ json: '{"a":1}' });
  });
});
