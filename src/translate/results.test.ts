import { describe, expect, it } from 'vitest';
import type { Task, TaskState } from '../model/a2a.ts';
import { taskStates } from '../model/a2a.ts';
import type { OpenQuestion } from '../ports/peer.ts';
import type { TaskView } from '../ports/tasks.ts';
import { SchemaValidator } from './json-schema.ts';
import {
  toolResultFromMessage,
  toolResultFromTask,
  toolResultNeedingInput,
  toolResultPending,
} from './results.ts';
import { helperTools } from './skills.ts';

const question: OpenQuestion = {
  key: 'q1',
  answerAs: 'text',
  request: {
    method: 'elicitation/create',
    params: {
      mode: 'form',
      message: 'Which day?',
      requestedSchema: { type: 'object', properties: {} },
    },
  },
};

function viewOf(state: TaskState, more: Partial<Task> = {}): TaskView {
  return {
    task: { id: 't1', contextId: 'c1', status: { state }, ...more },
    peerId: 'travel',
    seq: 1,
    questions: state === 'TASK_STATE_INPUT_REQUIRED' ? [question] : [],
    createdAt: 0,
    updatedAt: 0,
    ttlMs: 1,
    peerTask: true,
    committed: true,
  };
}

const artifacts = [
  {
    artifactId: 'a',
    parts: [{ text: 'x' }, { data: { n: 1 } }, { url: 'https://files.example/x', filename: 'x' }],
  },
];

describe('tool results of tasks', () => {
  const validator = new SchemaValidator();
  const outputSchema = helperTools[0]?.outputSchema ?? {};

  it.each(taskStates)('fit the output schema in %s', (state) => {
    const view = viewOf(state, { artifacts });
    for (const result of [
      toolResultFromTask(view, { inlineBytes: 10 }),
      toolResultNeedingInput(view),
      toolResultPending(view),
    ]) {
      expect(result.resultType).toBe('complete');
      expect(result.content.length).toBeGreaterThan(0);
      expect(validator.check(outputSchema, result.structuredContent)).toEqual({ ok: true });
      expect(result.structuredContent).toMatchObject({ contextId: 'c1', taskId: 't1', state });
    }
  });

  it('are errors exactly where the task ended without success', () => {
    const errors = taskStates.filter(
      (state) => toolResultFromTask(viewOf(state), { inlineBytes: 10 }).isError === true,
    );
    expect(errors).toEqual(['TASK_STATE_FAILED', 'TASK_STATE_CANCELED', 'TASK_STATE_REJECTED']);
  });

  it('of a direct message fit the output schema', () => {
    const message = {
      messageId: 'm',
      role: 'ROLE_AGENT' as const,
      parts: artifacts[0]?.parts ?? [],
    };
    const result = toolResultFromMessage(message, { inlineBytes: 10 });
    expect(validator.check(outputSchema, result.structuredContent)).toEqual({ ok: true });
    expect(result.structuredContent).toEqual({
      text: 'x',
      data: [{ n: 1 }],
      files: [{ url: 'https://files.example/x', name: 'x' }],
    });
  });

  it('refuse a state that does not exist', () => {
    const view = viewOf('TASK_STATE_PAUSED' as TaskState);
    expect(() => toolResultFromTask(view, { inlineBytes: 10 })).toThrow(
      expect.objectContaining({ code: 'peer-protocol' }),
    );
  });

  it('name the helper tools and the task to whoever cannot be asked', () => {
    const [block] = toolResultNeedingInput(viewOf('TASK_STATE_INPUT_REQUIRED')).content;
    expect(block?.text).toContain('Which day?');
    expect(block?.text).toContain('answer_task: {"taskId": "t1"');
    const [pending] = toolResultPending(viewOf('TASK_STATE_WORKING')).content;
    expect(pending?.text).toContain('get_task with {"taskId": "t1"}');
  });
});
