/**
 * Questions of a server, and whether a message answers them. An answer is checked against the
 * question's schema before it is sent, so that the server is not asked to explain a typing error.
 *
 * Spec: MCP 2026-07-28 client/elicitation "Response Actions"; basic/patterns/mrtr
 */
import { GatewayError } from '../../model/errors.ts';
import { isObject, type JsonObject } from '../../model/json.ts';
import type { ClientFeatures, InputRequest } from '../../model/mcp.ts';
import type { MintId } from '../../model/ids.ts';
import type { PeerEvent, PeerFollowUp, PeerQuestion } from '../../ports/peer.ts';
import type { SchemaValidator } from '../../translate/json-schema.ts';
import { plainText, shortened } from '../../translate/plain-text.ts';
import { responsesFromMessage, stateOfQuestions } from '../../translate/questions.ts';
import { canAnswer } from './capabilities.ts';
import { offProtocol } from './faults.ts';
import { agentMessage } from './results.ts';

/** How many keys that no question has are named in an answer. */
const mostNamedKeys = 5;

/** The server's questions by the server's keys. */
export type InputRequests = Record<string, InputRequest>;

/**
 * Reads `inputRequests`. Throws `peer-protocol` for what is none, and for questions that the
 * caller did not declare it can answer.
 *
 * Spec: MCP 2026-07-28 basic/patterns/mrtr "Server Requirements"
 */
export function inputRequestsOf(
  peerId: string,
  value: unknown,
  features: ClientFeatures | undefined,
): InputRequests {
  if (value === undefined) return {};
  if (!isObject(value)) throw offProtocol(peerId, 'call', 'its input requests are no object');
  const requests: InputRequests = {};
  for (const [key, request] of Object.entries(value)) {
    // As the name of a member it would be lost, here or at some client.
    if (key === '__proto__')
      throw offProtocol(peerId, 'call', 'an input request has no usable key');
    if (!isObject(request) || typeof request['method'] !== 'string') {
      throw offProtocol(peerId, 'call', 'an input request has no method');
    }
    const params = isObject(request['params']) ? (request['params'] as JsonObject) : {};
    if (!canAnswer(features, request['method'], params)) {
      throw offProtocol(peerId, 'call', 'it asks for what the client did not offer');
    }
    requests[key] = { method: request['method'], params };
  }
  return requests;
}

/** The questions as the engine knows them. */
export function peerQuestions(requests: InputRequests): PeerQuestion[] {
  return Object.entries(requests).map(([peerKey, request]) => {
    const { url, message } = request.params ?? {};
    return {
      peerKey,
      request,
      answerAs: 'response',
      ...(isLink(request) &&
        typeof url === 'string' && {
          url: { candidates: [url], text: typeof message === 'string' ? message : '' },
        }),
    };
  });
}

/** Whether a question is a link to open. */
export function isLink(request: InputRequest): boolean {
  return request.method === 'elicitation/create' && request.params?.['mode'] === 'url';
}

/**
 * The status that waits for answers. The questions speak for themselves; `problem` says what was
 * wrong with the last answers.
 */
export function asking(requests: InputRequests, mintId: MintId, problem?: string): PeerEvent {
  const questions = peerQuestions(requests);
  return {
    kind: 'status',
    state: stateOfQuestions(questions),
    questions,
    ...(problem !== undefined && { message: agentMessage(mintId, [{ text: problem }]) }),
  };
}

/** What a message brought. */
export interface CollectedAnswers {
  /** All valid answers so far, by the server's keys. */
  answers: JsonObject;
  /** The questions that are still without one. */
  remaining: InputRequests;
  /** What is missing or wrong, for a person. */
  problem?: string;
}

/** Adds the answers in a message to those that are known. */
export function collectAnswers(
  requests: InputRequests,
  known: JsonObject,
  turn: PeerFollowUp,
  validator: SchemaValidator,
): CollectedAnswers {
  const answers: JsonObject = { ...known };
  const problems: string[] = [];
  const { responses, unknownKeys } = readResponses(turn, problems);
  for (const question of turn.open) {
    const response = responses[question.key];
    const peerKey = question.peerKey ?? question.key;
    const request = requests[peerKey];
    if (response === undefined || request === undefined) continue;
    const wrong = problemsOf(request, response, validator);
    if (wrong.length === 0) answers[peerKey] = response;
    else problems.push(...wrong);
  }
  const remaining = Object.fromEntries(
    Object.entries(requests).filter(([key]) => !Object.hasOwn(answers, key)),
  );
  if (Object.keys(remaining).length === 0) return { answers, remaining };
  return { answers, remaining, problem: problemText(problems, unknownKeys, remaining) };
}

/** The responses in a message; what cannot be read as one is a problem, not a failure. */
function readResponses(
  turn: PeerFollowUp,
  problems: string[],
): ReturnType<typeof responsesFromMessage> {
  try {
    return responsesFromMessage(turn.message, turn.open);
  } catch (error) {
    if (!(error instanceof GatewayError) || error.code !== 'invalid-params') throw error;
    problems.push(error.message);
    return { responses: {}, unknownKeys: [] };
  }
}

function problemText(problems: string[], unknownKeys: string[], remaining: InputRequests): string {
  const strange = unknownKeys.slice(0, mostNamedKeys).map(strangeKey);
  if (problems.length > 0) {
    return ['The answer does not fit the question.', ...problems, ...strange].join(' ');
  }
  const asked = Object.values(remaining).map((request) => {
    const message = request.params?.['message'];
    return typeof message === 'string' ? `"${message}"` : request.method;
  });
  return [...strange, `Still waiting for an answer to: ${asked.join(', ')}.`].join(' ');
}

function strangeKey(key: string): string {
  return key === ''
    ? 'An answer needs the "key" of its question.'
    : `There is no open question ${JSON.stringify(shortened(plainText(key), 128))}.`;
}

function problemsOf(
  request: InputRequest,
  response: JsonObject,
  validator: SchemaValidator,
): string[] {
  if (request.method === 'sampling/createMessage') {
    return isObject(response['content']) || Array.isArray(response['content'])
      ? []
      : ['A sampling answer needs "role", "content" and "model".'];
  }
  if (request.method === 'roots/list') {
    return Array.isArray(response['roots']) ? [] : ['A roots answer needs a list "roots".'];
  }
  const { action, content } = response;
  if (action === 'decline' || action === 'cancel') return [];
  if (action !== 'accept') return ['"action" must be accept, decline or cancel.'];
  const schema = request.params?.['requestedSchema'];
  if (isLink(request) || !isObject(schema)) return [];
  const checked = validator.check(schema, content ?? {});
  if (checked.ok) return [];
  return checked.problems.map(({ field, message }) =>
    field === '' ? `${message}.` : `${field}: ${message}.`,
  );
}
