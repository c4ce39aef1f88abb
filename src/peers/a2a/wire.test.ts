import { describe, expect, it } from 'vitest';
import { createWireReader } from './wire.ts';

const reader = createWireReader('travel');

const said = (more: Record<string, unknown> = {}) => ({
  messageId: 'm',
  role: 'ROLE_AGENT',
  parts: [{ text: 'x' }],
  ...more,
});

const answerWith = (parts: unknown) => reader.answer({ message: said({ parts }) }).message?.parts;

describe('what an agent sends', () => {
  it('is kept as it came: every kind of part, also empty text and JSON null', () => {
    const parts = [
      { text: '' },
      { raw: 'AP/+', mediaType: 'a/b', filename: 'f' },
      { url: 'https://a.example/f' },
      { data: null },
      { data: { deep: [1, null] }, metadata: { m: 1 } },
    ];
    const message = {
      messageId: 'm',
      contextId: 'c',
      taskId: 't',
      role: 'ROLE_AGENT',
      parts,
      metadata: { skill: 's' },
      extensions: ['urn:x'],
      referenceTaskIds: ['r'],
    };
    expect(reader.answer({ message })).toEqual({ message });
  });

  it('loses what A2A does not define, and empty members', () => {
    const task = {
      id: 't',
      contextId: 'c',
      kind: 'task',
      status: { state: 'TASK_STATE_WORKING', timestamp: '', mood: 'good' },
      artifacts: [
        {
          artifactId: 'a',
          name: '',
          description: '',
          extensions: [],
          parts: [{ text: 'x', n: 1 }],
        },
      ],
      history: [{ ...said({ taskId: '', contextId: '', metadata: null }), extra: true }],
    };
    expect(reader.answer({ task })).toEqual({
      task: {
        id: 't',
        contextId: 'c',
        status: { state: 'TASK_STATE_WORKING' },
        artifacts: [{ artifactId: 'a', parts: [{ text: 'x' }] }],
        history: [{ messageId: 'm', role: 'ROLE_AGENT', parts: [{ text: 'x' }] }],
      },
    });
  });

  it('may spell fields and enums in the other ways of protobuf JSON', () => {
    const status = { state: 6, message: { message_id: 'm', role: 2, parts: [] } };
    expect(reader.event({ status_update: { task_id: 't', context_id: 'c', status } })).toEqual({
      statusUpdate: {
        taskId: 't',
        contextId: 'c',
        status: {
          state: 'TASK_STATE_INPUT_REQUIRED',
          message: { messageId: 'm', role: 'ROLE_AGENT', parts: [] },
        },
      },
    });
    const artifact = { artifact_id: 'a', parts: [{ url: 'u', media_type: 'a/b' }] };
    expect(reader.event({ artifact_update: { task_id: 't', artifact, last_chunk: true } })).toEqual(
      {
        artifactUpdate: {
          taskId: 't',
          contextId: '',
          artifact: { artifactId: 'a', parts: [{ url: 'u', mediaType: 'a/b' }] },
          append: false,
          lastChunk: true,
        },
      },
    );
  });

  it('has bytes in the standard alphabet, padded, whatever was sent', () => {
    expect(answerWith([{ raw: 'AP_-' }])).toEqual([{ raw: 'AP/+' }]);
    expect(answerWith([{ raw: 'AA' }])).toEqual([{ raw: 'AA==' }]);
  });

  it('may set other kinds of content to null, and the first one that is set counts', () => {
    expect(answerWith([{ text: null, url: null, data: [1] }])).toEqual([{ data: [1] }]);
    expect(answerWith([{ text: 'x', data: null }])).toEqual([{ text: 'x' }]);
  });

  it('may be a message without parts, which is an empty list', () => {
    expect(answerWith(undefined)).toEqual([]);
  });
});

describe('what A2A does not allow', () => {
  const working = { state: 'TASK_STATE_WORKING' };
  const messages: [string, unknown][] = [
    ['a message without messageId', said({ messageId: '' })],
    ['a message without messageId', said({ messageId: {} })],
    ['a message without messageId', 'hello'],
    ['a message with an unknown role', said({ role: 'ROLE_DOG' })],
    ['a message with an unknown role', said({ role: 0 })],
    ['a message with an unknown role', said({ role: 'constructor' })],
    ['a message in the role of the user', said({ role: 'ROLE_USER' })],
    ['a part without content in a message', said({ parts: [{}] })],
    ['a part without content in a message', said({ parts: [null] })],
    ['a part without content in a message', said({ parts: ['x'] })],
    ['a part without content in a message', said({ parts: [{ text: { deep: 1 } }] })],
  ];
  it.each(messages)('is refused: %s', (problem, message) => {
    expect(() => reader.answer({ message })).toThrow(`sent ${problem},`);
    expect(() => reader.event({ message })).toThrow(`sent ${problem},`);
  });

  const tasks: [string, unknown][] = [
    ['a task without id', { status: working }],
    ['a task without id', 7],
    ['a task without status', { id: 't' }],
    ['a task in a state that does not exist', { id: 't', status: { state: 'DANCING' } }],
    ['a task in a state that does not exist', { id: 't', status: { state: 9 } }],
    ['a task in a state that does not exist', { id: 't', status: { state: 0 } }],
    ['a task in a state that does not exist', { id: 't', status: {} }],
    [
      'a status message with an unknown role',
      { id: 't', status: { ...working, message: said({ role: 'agent' }) } },
    ],
    [
      'a part without content in a message in the history',
      { id: 't', status: working, history: [said({ parts: [{}] })] },
    ],
    ['an artifact without artifactId', { id: 't', status: working, artifacts: [{}] }],
  ];
  it.each(tasks)('is refused: %s', (problem, task) => {
    expect(() => reader.task(task)).toThrow(`sent ${problem},`);
    expect(() => reader.answer({ task })).toThrow(`sent ${problem},`);
  });

  const events: [string, unknown][] = [
    ['a status update without taskId', { statusUpdate: { status: working } }],
    ['a status update without status', { statusUpdate: { taskId: 't' } }],
    ['an artifact update without taskId', { artifactUpdate: { artifact: {} } }],
    ['an artifact update without artifact', { artifactUpdate: { taskId: 't' } }],
    ['an event that is neither task, message, status nor artifact', { nothing: 1 }],
    ['an event that is neither task, message, status nor artifact', null],
  ];
  it.each(events)('is refused: %s', (problem, event) => {
    expect(() => reader.event(event)).toThrow(`sent ${problem},`);
  });

  it('is refused: an answer that is an update', () => {
    expect(() => reader.answer({ statusUpdate: { taskId: 't', status: working } })).toThrow(
      'sent an answer that is neither task nor message,',
    );
  });
});
