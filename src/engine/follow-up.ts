/**
 * What a further message to a task must be.
 *
 * Spec: A2A 1.0 §3.4.2, §3.4.3 (messages to tasks that exist)
 */
import { isInterrupted, isTerminal, type Message, type TaskState } from '../model/a2a.ts';
import { GatewayError } from '../model/errors.ts';
import { protocolOf, type OpenQuestion, type Peer } from '../ports/peer.ts';
import { responsesFromMessage } from '../translate/questions.ts';
import type { LiveTask } from './live-task.ts';

/** Throws what is wrong with a message to this task, now. */
export function checkFollowUp(live: LiveTask, peer: Peer, message: Message): void {
  if (isTerminal(live.state)) {
    throw new GatewayError(
      'task-finished',
      `The task is ${words(live.state)} and takes no more messages. Start a new one and name this one in referenceTaskIds.`,
    );
  }
  const { contextId } = message;
  if (contextId !== undefined && contextId !== '' && contextId !== live.contextId) {
    throw new GatewayError(
      'context-invalid',
      "The task belongs to another context. Leave contextId out, or use the task's own.",
      { facts: { field: 'contextId' } },
    );
  }
  if (protocolOf(peer, live.position) === 'mcp' && !isInterrupted(live.state)) {
    throw new GatewayError(
      'unsupported',
      'The task is at work and takes no message now. Wait until it asks for input.',
    );
  }
}

/** The keys that a message answers. What cannot be read as an answer is for the peer to judge. */
export function answeredKeys(message: Message, open: OpenQuestion[]): string[] {
  try {
    return Object.keys(responsesFromMessage(message, open).responses);
  } catch (error) {
    if (error instanceof GatewayError) return [];
    throw error;
  }
}

/** A state in words. */
export function words(state: TaskState): string {
  return state.slice('TASK_STATE_'.length).toLowerCase().replace('_', ' ');
}
