/**
 * What a further message to a task must be.
 *
 * Spec: A2A 1.0 §3.4.2, §3.4.3 (messages to tasks that exist)
 */
import { isInterrupted, isTerminal, type Message, type TaskState } from '../model/a2a.ts';
import { GatewayError } from '../model/errors.ts';
import { isObject, type Json } from '../model/json.ts';
import { callbackKeyPrefix, protocolOf, type OpenQuestion, type Peer } from '../ports/peer.ts';
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

/**
 * While callbacks ask, and after they have, what is said must say what it answers: an answer that is
 * meant for a lent tool goes to nobody else, and a permission for one call is none for the next.
 * Throws `invalid-params`; a message without a key after a question was taken back once, so that
 * its sender looks again.
 */
export function checkAnswers(live: LiveTask, message: Message): void {
  const { questions: open, takenBack } = live.facts;
  const keys = message.parts.flatMap(({ data }) => keyOf(data) ?? []);
  const isOpen = (key: string): boolean =>
    open.some((question) => question.key === key || question.peerKey === key);
  if (keys.some((key) => key.startsWith(callbackKeyPrefix) && !isOpen(key))) {
    throw notPassedOn('The question that this answers was taken back.');
  }
  if (takenBack === true) {
    live.apply([], { facts: { takenBack: undefined } });
    if (keys.length === 0) {
      throw notPassedOn('A question of this task was taken back before this message came.');
    }
  }
  if (!open.some(({ ours }) => ours === true)) return;
  const { responses } = responsesFromMessage(message, open);
  if (Object.keys(responses).length > 0) return;
  throw notPassedOn('A tool that was lent asks something, and this does not answer it.');
}

function keyOf(data: Json | undefined): string | undefined {
  if (!isObject(data) || data['response'] === undefined) return undefined;
  return typeof data['key'] === 'string' ? data['key'] : undefined;
}

function notPassedOn(what: string): GatewayError {
  return new GatewayError(
    'invalid-params',
    `${what} Nothing was passed on. Look at what the task asks now, and answer with a data part {"key": …, "response": …}.`,
    { facts: { field: 'message' } },
  );
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
