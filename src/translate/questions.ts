/**
 * Interrupts: A2A `input-required` and `auth-required` ⇄ MCP elicitation and other requests that a
 * server makes of its client; and the answers, back.
 *
 * Differs: an A2A agent asks in prose, and any further message is the answer; MCP asks with a
 * schema under a key, and the answer accepts, declines or cancels. AUTH_REQUIRED goes on by itself
 * when the authorization exists; a URL elicitation is answered with "accept" when the page was
 * opened, not when it is done.
 * Kept: where both ends know `urn:isthmus:ext:tool-call:v1`, requests and responses travel as data
 * parts and nothing is lost. A prose question becomes a form with one field `answer`.
 * Lost: a schema that is not flat becomes a text field of JSON (see elicitation-schema.ts); parts
 * of a question that are neither text, data nor links; links that are not http(s); the difference
 * between "declined" and a message that says so, for agents without the extension. Flagged:
 * `loss` of the question, and `isthmus/loss` in the request's `_meta` or the part's metadata.
 *
 * Spec: MCP 2026-07-28 client/elicitation; A2A 1.0 §3.4.3, §7.6 (in-task authorization)
 */
import type { Message, Part, TaskStatus } from '../model/a2a.ts';
import { GatewayError } from '../model/errors.ts';
import type { Json, JsonObject } from '../model/json.ts';
import { isObject } from '../model/json.ts';
import type { InputRequest } from '../model/mcp.ts';
import type { OpenQuestion, PeerQuestion } from '../ports/peer.ts';
import { describedQuestion } from './describe-question.ts';
import { exactQuestions, notALink, proseQuestion, urlQuestion } from './agent-questions.ts';
import { textOfParts } from './content.ts';
import { answerFromForm, flatForm, jsonField } from './elicitation-schema.ts';
import { travellingParams } from './hop-meta.ts';
import { isHttpUrl } from './http-url.ts';
import { withLoss } from './loss.ts';
import { toolCallExtensionUri } from './tool-call-extension.ts';

/**
 * What an A2A agent asks with a status. Nothing for states that ask nothing. Requests in data
 * parts of the extension stand as they are, also where their schema is not flat: answers are
 * checked against it, and `inputRequestFor` makes the form. Everything else is one question.
 * Throws `peer-protocol` for a request that MCP does not define.
 */
export function questionsFromStatus(status: TaskStatus): PeerQuestion[] {
  const { state } = status;
  if (state !== 'TASK_STATE_INPUT_REQUIRED' && state !== 'TASK_STATE_AUTH_REQUIRED') return [];
  const parts = status.message?.parts ?? [];
  const exact = exactQuestions(parts);
  if (exact.length > 0) return exact;
  return [state === 'TASK_STATE_AUTH_REQUIRED' ? urlQuestion(parts) : proseQuestion(parts)];
}

/**
 * A question as an MCP client is shown it: forms are flat; a URL question whose request holds its
 * own URL (an MCP server's) keeps it, any other (an A2A agent's) points at `connectUrl`.
 *
 * Spec: MCP 2026-07-28 client/elicitation "Requested Schema", "URL Mode Elicitation Requests"
 */
export function inputRequestFor(
  question: OpenQuestion,
  options: { connectUrl: string },
): InputRequest {
  const { method } = question.request;
  const params = travellingParams(question.request.params ?? {});
  if (method !== 'elicitation/create') return { ...question.request, params };
  if (params['mode'] === 'url') {
    const url = isHttpUrl(params['url']) ? params['url'] : options.connectUrl;
    return { method, params: flagged({ ...params, url }, question.loss ?? []) };
  }
  const form = flatForm(params['requestedSchema']);
  const loss = [...(question.loss ?? []), ...form.loss];
  return {
    method,
    params: flagged({ ...params, mode: 'form', requestedSchema: form.schema }, loss),
  };
}

/**
 * Questions as the parts of an interrupt's status message: prose for people and models, and each
 * request as a data part `{ key, request }` (with `url` beside it where there is one).
 */
export function questionStatusParts(questions: readonly (PeerQuestion | OpenQuestion)[]): Part[] {
  const prose = questions
    .map((question) => describedQuestion(question))
    .filter((text) => text !== '');
  const parts: Part[] = prose.length === 0 ? [] : [{ text: prose.join('\n\n') }];
  return [...parts, ...questions.map(questionPart)];
}

/** AUTH_REQUIRED where every question is a page to open; INPUT_REQUIRED otherwise. */
export function stateOfQuestions(
  questions: readonly PeerQuestion[],
): 'TASK_STATE_INPUT_REQUIRED' | 'TASK_STATE_AUTH_REQUIRED' {
  const authorization =
    questions.length > 0 && questions.every(({ request }) => request.params?.['mode'] === 'url');
  return authorization ? 'TASK_STATE_AUTH_REQUIRED' : 'TASK_STATE_INPUT_REQUIRED';
}

function questionPart(question: PeerQuestion & { key?: string }): Part {
  const key = question.key ?? question.peerKey;
  const { method } = question.request;
  const params = question.request.params && travellingParams(question.request.params);
  const data: { [key: string]: Json } = key === undefined ? {} : { key };
  const loss = [...(question.loss ?? [])];
  const request: { [key: string]: Json } = { method };
  if (params !== undefined) request['params'] = params;
  if (params?.['mode'] === 'url') {
    const { url: own, ...rest } = params;
    const [offered, ...more] = question.url?.candidates ?? [];
    const url = own ?? (more.length === 0 ? offered : undefined);
    if (isHttpUrl(url)) {
      data['url'] = url;
      request['params'] = { ...rest, url };
    } else {
      request['params'] = rest;
      if (url !== undefined) loss.push(notALink(url));
    }
  }
  data['request'] = request;
  const part: Part = { data, mediaType: 'application/json' };
  const metadata = withLoss(undefined, loss);
  if (metadata !== undefined) part.metadata = metadata;
  return part;
}

function flagged(params: JsonObject, loss: readonly string[]): JsonObject {
  const meta = isObject(params['_meta']) ? params['_meta'] : undefined;
  const flaggedMeta = withLoss(meta, loss);
  return flaggedMeta === undefined ? params : { ...params, _meta: flaggedMeta };
}

// ── answers ─────────────────────────────────────────────────────────────────

/** What an agent without the extension is told when its caller declines. */
export const declinedText = 'The user declined';

/** The message that carries an MCP client's responses, each as a data part `{ key, response }`. */
export function messageFromResponses(
  responses: { [key: string]: Json },
  messageId: string,
): Message {
  return {
    messageId,
    role: 'ROLE_USER',
    parts: Object.entries(responses).map(([key, response]) => ({
      data: { key, response },
      mediaType: 'application/json',
    })),
    extensions: [toolCallExtensionUri],
  };
}

/**
 * The responses to an MCP server's questions in a caller's message, by the gateway's keys. Reads
 * data parts `{ key, response }`; with a single open question also a plain data part with its
 * fields, or text where the form has one text field. Any message that follows a single URL
 * question says that the page was opened.
 * Throws `invalid-params` for a response that no client may give.
 */
export function responsesFromMessage(
  message: Message,
  open: readonly OpenQuestion[],
): { responses: { [key: string]: JsonObject }; unknownKeys: string[] } {
  const responses = new Map<string, JsonObject>();
  const unknownKeys: string[] = [];
  for (const { data } of message.parts) {
    const keyed = keyedResponse(data);
    if (keyed === undefined) continue;
    const question = questionOf(keyed.key, open);
    if (question === undefined) unknownKeys.push(keyed.key ?? '');
    else responses.set(question.key, checkedResponse(question, keyed.response));
  }
  const [only, ...others] = open;
  if (only !== undefined && others.length === 0 && responses.size === 0) {
    const plain = plainResponse(message, only);
    if (plain !== undefined && unknownKeys.length === 0) {
      responses.set(only.key, checkedResponse(only, plain));
    }
  }
  return { responses: Object.fromEntries(responses), unknownKeys };
}

/**
 * A caller's message as an A2A agent wants it: answers under the gateway's keys in the style that
 * each question asks for, everything else untouched. `undefined` when nothing is left to send: an
 * opened page or a dismissed question is no message.
 * Throws `invalid-params` for a response that no client may give.
 */
export function peerMessageFrom(
  message: Message,
  open: readonly OpenQuestion[],
): Message | undefined {
  const parts = message.parts.flatMap((part) => {
    const keyed = keyedResponse(part.data);
    const question = keyed === undefined ? undefined : questionOf(keyed.key, open);
    if (keyed === undefined || question === undefined) return [part];
    return styledAnswer(question, checkedResponse(question, keyed.response), part);
  });
  if (parts.length === 0) return undefined;
  const rewritten: Message = { ...message, parts };
  if (message.extensions?.includes(toolCallExtensionUri) && !parts.some(isExact)) {
    const extensions = message.extensions.filter((uri) => uri !== toolCallExtensionUri);
    if (extensions.length > 0) rewritten.extensions = extensions;
    else delete rewritten.extensions;
  }
  return rewritten;
}

/** The keys of open questions that were answered with "cancel": dismissed, not answered. */
export function dismissed(
  responses: { [key: string]: Json },
  open: readonly OpenQuestion[],
): string[] {
  return open
    .map(({ key }) => key)
    .filter((key) => {
      const response = Object.hasOwn(responses, key) ? responses[key] : undefined;
      return isObject(response) && response['action'] === 'cancel';
    });
}

/** A data part `{ key, response }`, or `{ response }` from a caller with one open question. */
function keyedResponse(data: Json | undefined): { key?: string; response: unknown } | undefined {
  if (!isObject(data) || data['response'] === undefined) return undefined;
  const { key, response } = data;
  if (key === undefined) return isObject(response) ? { response } : undefined;
  return typeof key === 'string' ? { key, response } : undefined;
}

/** The question under a key: the gateway's key first, else the peer's own where it is not ambiguous. */
function questionOf(
  key: string | undefined,
  open: readonly OpenQuestion[],
): OpenQuestion | undefined {
  if (key === undefined) return open.length === 1 ? open[0] : undefined;
  const ours = open.find((question) => question.key === key);
  if (ours !== undefined) return ours;
  const theirs = open.filter(({ peerKey }) => peerKey === key);
  return theirs.length === 1 ? theirs[0] : undefined;
}

function checkedResponse(question: OpenQuestion, response: unknown): JsonObject {
  if (!isObject(response)) throw wrongAnswer('response', 'must be an object');
  if (question.request.method !== 'elicitation/create') return response as JsonObject;
  const { action, content } = response;
  if (action !== 'accept' && action !== 'decline' && action !== 'cancel') {
    throw wrongAnswer('response/action', 'must be "accept", "decline" or "cancel"');
  }
  const { params } = question.request;
  if (action !== 'accept' || params?.['mode'] === 'url') return { action };
  if (content !== undefined && !isObject(content)) {
    throw wrongAnswer('response/content', 'must be an object');
  }
  const answer = answerFromForm(params?.['requestedSchema'], (content ?? {}) as JsonObject);
  if (!isObject(answer))
    throw wrongAnswer(`response/content/${jsonField}`, 'must be a JSON object');
  return { action, content: answer };
}

/** The response that a message without `{ key, response }` gives to the one open question. */
function plainResponse(message: Message, question: OpenQuestion): JsonObject | undefined {
  const { method, params } = question.request;
  const data = message.parts.map((part) => part.data).find((value) => isObject(value));
  const isAction = isObject(data) && isBareResponse(data);
  if (method !== 'elicitation/create') return isObject(data) ? data : undefined;
  if (isAction) return data;
  if (params?.['mode'] === 'url') return { action: 'accept' };
  if (isObject(data)) return { action: 'accept', content: data };
  const text = textOfParts(message.parts);
  const field = onlyTextField(params?.['requestedSchema']);
  if (text === '' || field === undefined) return undefined;
  return { action: 'accept', content: { [field]: text } };
}

/** `{ action, content? }` without a key and nothing else: a response, not a form's fields. */
function isBareResponse(data: Record<string, unknown>): boolean {
  const action = data['action'];
  return (
    (action === 'accept' || action === 'decline' || action === 'cancel') &&
    Object.keys(data).every((name) => name === 'action' || name === 'content')
  );
}

/** The one text field of a form, if it has no other field that must be filled. */
function onlyTextField(schema: Json | undefined): string | undefined {
  const form = flatForm(schema).schema;
  const properties = isObject(form['properties']) ? Object.entries(form['properties']) : [];
  const texts = properties.filter(([, field]) => isObject(field) && field['type'] === 'string');
  const [only, ...more] = texts;
  if (only === undefined || more.length > 0) return undefined;
  const required = Array.isArray(form['required']) ? form['required'] : [];
  return required.every((name) => name === only[0]) ? only[0] : undefined;
}

function styledAnswer(question: OpenQuestion, response: JsonObject, part: Part): Part[] {
  const { action, content } = response;
  if (action === 'cancel') return [];
  switch (question.answerAs) {
    case 'response': {
      const data: JsonObject =
        question.peerKey === undefined ? { response } : { key: question.peerKey, response };
      return [{ ...part, data }];
    }
    case 'none':
      return action === 'decline' ? [{ text: declinedText }] : [];
    case 'text':
      return [{ text: action === 'decline' ? declinedText : answerText(content) }];
    case 'data':
      if (action === 'decline') return [{ text: declinedText }];
      return [{ data: content ?? {}, mediaType: 'application/json' }];
    default:
      return question.answerAs satisfies never;
  }
}

function answerText(content: Json | undefined): string {
  if (!isObject(content)) return '';
  const values = Object.values(content);
  const [only] = values;
  return values.length === 1 && typeof only === 'string' ? only : JSON.stringify(content);
}

function isExact(part: Part): boolean {
  return keyedResponse(part.data) !== undefined || (isObject(part.data) && 'tool' in part.data);
}

function wrongAnswer(field: string, problem: string): GatewayError {
  return new GatewayError('invalid-params', `The answer's "${field}" ${problem}.`, {
    facts: { field },
  });
}
