/**
 * The questions in the status message of an A2A agent (see questions.ts for what differs and what
 * is lost): exact requests of the extension, a page to open, a form, or prose.
 */
import type { Part } from '../model/a2a.ts';
import { GatewayError } from '../model/errors.ts';
import type { Json, JsonObject } from '../model/json.ts';
import { isObject } from '../model/json.ts';
import type { InputRequest } from '../model/mcp.ts';
import type { PeerQuestion } from '../ports/peer.ts';
import { flatForm } from './elicitation-schema.ts';
import { httpUrlsIn, isHttpUrl, schemeOf } from './http-url.ts';
import { shortened } from './plain-text.ts';

/** The requests in a message's data parts `{ key, request }`; none where there are no such parts. */
export function exactQuestions(parts: readonly Part[]): PeerQuestion[] {
  return parts.flatMap((part) => exactQuestion(part.data));
}

function exactQuestion(data: Json | undefined): PeerQuestion[] {
  if (!isObject(data) || !isObject(data['request'])) return [];
  const { method, params } = data['request'];
  if (typeof method !== 'string') return [];
  if (!['elicitation/create', 'sampling/createMessage', 'roots/list'].includes(method)) {
    throw new GatewayError(
      'peer-protocol',
      `The agent asks with a request that MCP does not define: ${shortened(method, 60)}.`,
      { facts: { field: 'request.method' } },
    );
  }
  const request: InputRequest = { method };
  if (isObject(params)) request.params = params;
  const question: PeerQuestion = { request, answerAs: 'response' };
  if (typeof data['key'] === 'string') question.peerKey = data['key'];
  if (method === 'elicitation/create') return [exactElicitation(question, request.params ?? {})];
  return [question];
}

function exactElicitation(question: PeerQuestion, params: JsonObject): PeerQuestion {
  const mode = params['mode'] ?? 'form';
  const message = typeof params['message'] === 'string' ? params['message'] : '';
  if (mode === 'form') {
    const { loss } = flatForm(params['requestedSchema']);
    return loss.length === 0 ? question : { ...question, loss };
  }
  if (mode !== 'url') {
    throw new GatewayError(
      'peer-protocol',
      `The agent asks with an elicitation mode that MCP does not define: ${shortened(JSON.stringify(mode), 60)}.`,
      { facts: { field: 'request.params.mode' } },
    );
  }
  // The address is a fact of the question, not of the request: the caller is shown our page first.
  const { url, ...rest } = params;
  const page: PeerQuestion = { ...question, request: { ...question.request, params: rest } };
  if (isHttpUrl(url)) return { ...page, url: { candidates: [url], text: message } };
  const text = [message, typeof url === 'string' ? url : '']
    .filter((line) => line !== '')
    .join('\n');
  return { ...page, url: { candidates: [], text }, loss: [notALink(url)] };
}

/** AUTH_REQUIRED: a page to open, whatever the agent offers as its address. */
export function urlQuestion(parts: readonly Part[]): PeerQuestion {
  const loss: string[] = [];
  const prose = proseOf(parts.flatMap(withoutLink), loss);
  const offered = parts.flatMap(({ data }) =>
    isObject(data) && typeof data['url'] === 'string' ? [data['url']] : [],
  );
  const linked = parts.flatMap(({ url }) => (url === undefined ? [] : [url]));
  const named = offered.length > 0 ? offered : linked;
  loss.push(...offered.filter((url) => !isHttpUrl(url)).map(notALink));
  const safe = [...new Set(named.filter(isHttpUrl))];
  const candidates = named.length > 0 ? safe : httpUrlsIn(prose);
  const message = prose || 'The agent needs an authorization before it can go on.';
  const question: PeerQuestion = {
    request: { method: 'elicitation/create', params: { mode: 'url', message } },
    answerAs: 'none',
    url: { candidates, text: message },
  };
  return loss.length === 0 ? question : { ...question, loss };
}

/** INPUT_REQUIRED without the extension: a form where the agent sent a schema, else one text. */
export function proseQuestion(parts: readonly Part[]): PeerQuestion {
  const schema = parts.map(({ data }) => schemaIn(data)).find((found) => found !== undefined);
  const loss: string[] = [];
  const shown = parts.filter(({ data }) => data === undefined || schemaIn(data) === undefined);
  const message = proseOf(shown, loss) || 'The agent needs more input before it can go on.';
  const requestedSchema: JsonObject = schema ?? {
    type: 'object',
    properties: { answer: { type: 'string', title: 'Answer' } },
    required: ['answer'],
  };
  loss.push(...flatForm(requestedSchema).loss);
  const question: PeerQuestion = {
    request: { method: 'elicitation/create', params: { mode: 'form', message, requestedSchema } },
    answerAs: schema === undefined ? 'text' : 'data',
  };
  return loss.length === 0 ? question : { ...question, loss };
}

/** What a part says beside an address, which the page or the link shows anyway. */
function withoutLink(part: Part): Part[] {
  const { url, data } = part;
  if (url !== undefined) return isHttpUrl(url) ? [] : [part];
  if (!isObject(data) || !isHttpUrl(data['url'])) return [part];
  const rest = Object.entries(data).filter(([name]) => name !== 'url');
  if (rest.length === 0) return [];
  if (rest.some(([, value]) => typeof value !== 'string')) {
    return [{ data: Object.fromEntries(rest) }];
  }
  return [{ text: rest.map(([name, value]) => `${name}: ${value as string}`).join('\n') }];
}

/** A JSON Schema of an object that an agent sent as data, bare or under a usual name. */
function schemaIn(data: Json | undefined): JsonObject | undefined {
  if (!isObject(data)) return undefined;
  const candidates = [data, data['requestedSchema'], data['schema'], data['form']];
  return candidates.find(
    (value): value is JsonObject =>
      isObject(value) && value['type'] === 'object' && isObject(value['properties']),
  );
}

/** Everything of a question that a person can read. */
function proseOf(parts: readonly Part[], loss: string[]): string {
  const lines = parts.flatMap((part) => {
    if (part.text !== undefined) return [part.text];
    if (part.url !== undefined) {
      if (!isHttpUrl(part.url)) loss.push(notALink(part.url));
      return [part.filename === undefined ? part.url : `${part.filename}: ${part.url}`];
    }
    if (part.data !== undefined) return [JSON.stringify(part.data)];
    loss.push(
      `A file of the question is not shown: ${part.filename ?? part.mediaType ?? 'unnamed'}.`,
    );
    return [];
  });
  return lines.filter((line) => line.trim() !== '').join('\n');
}

/** The loss of an address that may not become a link. */
export function notALink(url: unknown): string {
  const scheme = typeof url === 'string' ? schemeOf(url) : '';
  return `An address with the scheme ${scheme || '(none)'} is not offered as a link.`;
}
