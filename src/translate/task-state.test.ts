import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isInterrupted, isTerminal, taskStates } from '../model/a2a.ts';
import {
  mcpStatusOf,
  taskStateFromMcpStatus,
  taskStateFromPeer,
  taskStateOfMcpStatus,
} from './task-state.ts';

describe('task states', () => {
  it('stay terminal, waiting or running on the other side', () => {
    fc.assert(
      fc.property(fc.constantFrom(...taskStates), (state) => {
        const status = mcpStatusOf[state];
        const back = taskStateOfMcpStatus[status];
        expect(isTerminal(back)).toBe(isTerminal(state));
        expect(isInterrupted(back)).toBe(isInterrupted(state));
        expect(mcpStatusOf[back]).toBe(status);
      }),
    );
  });

  it('of an MCP server come back as the status they were, but for a failed one', () => {
    expect(
      Object.entries(taskStateOfMcpStatus).map(([status, state]) => [status, mcpStatusOf[state]]),
    ).toEqual([
      ['working', 'working'],
      ['input_required', 'input_required'],
      ['completed', 'completed'],
      ['failed', 'completed'],
      ['cancelled', 'cancelled'],
    ]);
  });

  it('that do not exist are the peer’s fault, never a default', () => {
    fc.assert(
      fc.property(fc.anything(), (value) => {
        fc.pre(!taskStates.includes(value as never));
        expect(() => taskStateFromPeer(value)).toThrow(
          expect.objectContaining({ code: 'peer-protocol' }),
        );
      }),
    );
    for (const value of ['toString', '__proto__', 'Completed', '', undefined, null, 3]) {
      expect(() => taskStateFromMcpStatus(value)).toThrow(
        expect.objectContaining({ code: 'peer-protocol' }),
      );
    }
    expect(() => taskStateFromPeer('TASK_STATE_UNSPECIFIED')).toThrow(
      'The agent reported a task state that A2A does not define: "TASK_STATE_UNSPECIFIED".',
    );
  });
});
