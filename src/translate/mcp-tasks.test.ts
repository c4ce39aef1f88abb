import { isCreateTaskResultV2, isDetailedTaskV2 } from '@modelcontextprotocol/ext-tasks/core/v2';
import { TaskV1Schema } from '@modelcontextprotocol/ext-tasks/core/v1';
import { CallToolResultSchema, ToolSchema } from '@modelcontextprotocol/sdk/types.js';
import { describe, expect, it } from 'vitest';
import type { TaskState } from '../model/a2a.ts';
import { taskStates } from '../model/a2a.ts';
import type { OpenQuestion } from '../ports/peer.ts';
import type { TaskView } from '../ports/tasks.ts';
import type { McpTaskOptions } from './mcp-tasks.ts';
import { createTaskResult, detailedTask, legacyTask } from './mcp-tasks.ts';
import { helperTools } from './skills.ts';

const form: OpenQuestion = {
  key: 'q1',
  answerAs: 'text',
  request: {
    method: 'elicitation/create',
    params: {
      mode: 'form',
      message: 'Which day?',
      requestedSchema: { type: 'object', properties: { day: { type: 'string' } } },
    },
  },
};
const page: OpenQuestion = {
  key: 'q2',
  answerAs: 'none',
  request: { method: 'elicitation/create', params: { mode: 'url', message: 'Sign in' } },
  url: { candidates: ['https://air.example/'], text: 'Sign in' },
};

function viewOf(state: TaskState, questions: OpenQuestion[] = []): TaskView {
  return {
    task: {
      id: 't1',
      contextId: 'c1',
      status: { state },
      artifacts: [
        {
          artifactId: 'a',
          name: 'n',
          parts: [{ text: 'x' }, { data: 1 }, { url: 'https://f.example/x' }, { raw: 'AAE=' }],
        },
      ],
    },
    peerId: 'travel',
    seq: 1,
    questions,
    createdAt: 1_790_000_000_000,
    updatedAt: 1_790_000_000_001,
    ttlMs: 1000,
    peerTask: true,
    committed: true,
  };
}

const options: McpTaskOptions = {
  connectUrlOf: (key) => `https://gw.example/connect/${key}`,
  inlineBytes: 10,
  pollIntervalMs: 500,
  canAsk: () => true,
};

describe('MCP tasks', () => {
  it.each(taskStates)('in %s are what the Tasks extension and 2025-11-25 define', (state) => {
    const view = viewOf(state, state.endsWith('_REQUIRED') ? [form, page] : []);
    expect(isDetailedTaskV2(detailedTask(view, options))).toBe(true);
    expect(isCreateTaskResultV2(createTaskResult(view, options))).toBe(true);
    expect(TaskV1Schema.parse(legacyTask(view, options))).toEqual(legacyTask(view, options));
  });

  it('show a client only what it can be asked, and say the rest', () => {
    const view = viewOf('TASK_STATE_INPUT_REQUIRED', [form, page]);
    const task = detailedTask(view, { ...options, canAsk: ({ key }) => key === 'q1' });
    expect(task['status']).toBe('input_required');
    expect(Object.keys(task['inputRequests'] as object)).toEqual(['q1']);
    expect(task['statusMessage']).toContain('Open this page: https://gw.example/connect/q2');
  });

  it('never complete while the agent waits, whatever the client can do', () => {
    for (const questions of [[], [form], [page]]) {
      const view = viewOf('TASK_STATE_AUTH_REQUIRED', questions);
      const task = detailedTask(view, { ...options, canAsk: () => false });
      expect(task['status']).toBe('working');
      const says = JSON.stringify(task['statusMessage'] ?? '').includes(
        'answer_task: {\\"taskId\\"',
      );
      expect(says).toBe(questions.length > 0);
    }
  });

  it('give a server’s own result and error back unchanged', () => {
    const done = {
      ...viewOf('TASK_STATE_COMPLETED'),
      outcome: { result: { content: [], structuredContent: { a: 1 }, _meta: { b: 2 } } },
    };
    expect(detailedTask(done, options)['result']).toEqual({
      resultType: 'complete',
      content: [],
      structuredContent: { a: 1 },
      _meta: { b: 2 },
    });
    const error = { code: -32602, message: 'bad', data: { x: 1 } };
    const failed = detailedTask({ ...viewOf('TASK_STATE_FAILED'), outcome: { error } }, options);
    expect(failed['status']).toBe('failed');
    expect(failed['error']).toEqual(error);
    expect(
      legacyTask(
        { ...viewOf('TASK_STATE_FAILED'), outcome: { result: { content: [], isError: true } } },
        options,
      )['status'],
    ).toBe('failed');
  });

  it('and their results are what the official client parses', () => {
    const { result } = detailedTask(viewOf('TASK_STATE_COMPLETED'), options);
    expect(CallToolResultSchema.parse(result)).toMatchObject(result as object);
    for (const tool of helperTools) expect(ToolSchema.parse(tool)).toEqual(tool);
  });
});
