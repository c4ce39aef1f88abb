/** The proper answers of the bad peer, for all that its script leaves alone. */
import { AgentCard } from '@a2a-js/sdk';
import { legacyCardJson, scriptedCard } from './a2a-agent-card.ts';
import type { A2aBinding, A2aVersion } from './a2a-agent-card.ts';
import type { Exchange, Misbehaviour } from './bad-peer-script.ts';

/** Something that looks different in the two versions of A2A. */
export type Wire = (version: A2aVersion) => unknown;

/** Ids of the one task that the bad peer knows. */
export const BAD_TASK = { id: 'bad-task', contextId: 'bad-context' } as const;

/** A card in the shape of 1.0, or of 0.3 when that is the only version. */
export function badPeerCard(
  origin: string,
  versions: readonly A2aVersion[] = ['1.0', '0.3'],
  bindings: readonly A2aBinding[] = ['JSONRPC', 'HTTP+JSON'],
): Record<string, unknown> {
  const card = scriptedCard({ origin, versions, bindings }, { name: 'Bad peer' });
  if (!versions.includes('1.0')) return legacyCardJson(card);
  return AgentCard.toJSON(card) as Record<string, unknown>;
}

/** Serves a card; `build` may make any JSON of the good one. */
export function serveCard(
  build: (card: Record<string, unknown>, origin: string) => unknown = (card) => card,
  versions?: readonly A2aVersion[],
  bindings?: readonly A2aBinding[],
): Misbehaviour {
  return ({ response, origin }) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(build(badPeerCard(origin, versions, bindings), origin)));
  };
}

/** Sends `value` as the result in the binding of the request. */
export function sendResult(exchange: Exchange, value: unknown): void {
  const { response, binding, id, record } = exchange;
  const body = binding === 'jsonrpc' ? { jsonrpc: '2.0', id, result: value } : value;
  const text = JSON.stringify(body);
  record.bytesSent += text.length;
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(text);
}

/** The shape of A2A that the answer needs: tasks look the same over 0.3 HTTP+JSON and in 1.0. */
export function versionOf(exchange: Exchange): A2aVersion {
  return exchange.protocol === 'a2a-0.3' && exchange.binding === 'jsonrpc' ? '0.3' : '1.0';
}

/** A direct message. 0.3 REST speaks the proto shape, so it has its own. */
export function messageOf(exchange: Exchange, text: string): unknown {
  const ids = { messageId: 'bad-message', contextId: BAD_TASK.contextId };
  if (exchange.protocol !== 'a2a-0.3') {
    return { message: { ...ids, role: 'ROLE_AGENT', parts: [{ text }] } };
  }
  if (exchange.binding === 'rest') {
    return { message: { ...ids, role: 'ROLE_AGENT', content: [{ text }] } };
  }
  return { kind: 'message', ...ids, role: 'agent', parts: [{ kind: 'text', text }] };
}

/** Answers every A2A method as an agent would that knows no task. */
export const goodA2aAnswer: Misbehaviour = (exchange) => {
  const { method, response, id, binding } = exchange;
  if (method === 'SendMessage' || method === 'message/send') {
    return sendResult(exchange, messageOf(exchange, 'fine'));
  }
  if (method === 'SendStreamingMessage' || method === 'message/stream') {
    const value = messageOf(exchange, 'fine');
    const event = binding === 'jsonrpc' ? { jsonrpc: '2.0', id, result: value } : value;
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.end(`data: ${JSON.stringify(event)}\n\n`);
    return;
  }
  const error = { code: -32001, message: 'Task not found' };
  response.writeHead(binding === 'rest' ? 404 : 200, { 'content-type': 'application/json' });
  const problem = { error: { code: 404, status: 'NOT_FOUND', message: error.message } };
  response.end(JSON.stringify(binding === 'rest' ? problem : { jsonrpc: '2.0', id, error }));
};

const TOOL = {
  name: 'work',
  description: 'Does some work',
  inputSchema: {
    type: 'object',
    properties: { text: { type: 'string' } },
    required: ['text'],
  },
};

const CACHEABLE = { resultType: 'complete', ttlMs: 0, cacheScope: 'private' };
const SERVER_INFO = { name: 'bad-peer', version: '1.0.0' };

const MCP_RESULTS: Readonly<Record<string, unknown>> = {
  'server/discover': {
    ...CACHEABLE,
    supportedVersions: ['2026-07-28'],
    capabilities: { tools: {} },
    _meta: { 'io.modelcontextprotocol/serverInfo': SERVER_INFO },
  },
  initialize: {
    protocolVersion: '2025-11-25',
    capabilities: { tools: {} },
    serverInfo: SERVER_INFO,
  },
  ping: {},
  'tools/list': { ...CACHEABLE, tools: [TOOL] },
  'tools/call': { resultType: 'complete', content: [{ type: 'text', text: 'fine' }] },
};

/** Answers as an MCP server with the one tool `work` would. */
export const goodMcpAnswer: Misbehaviour = (exchange) => {
  const { method, response, id, request } = exchange;
  if (request.method !== 'POST') return void response.writeHead(405).end();
  if (id === null) return void response.writeHead(202).end();
  const result = MCP_RESULTS[method];
  if (result !== undefined) return sendResult(exchange, result);
  response.writeHead(404, { 'content-type': 'application/json' });
  const error = { code: -32601, message: 'Method not found' };
  response.end(JSON.stringify({ jsonrpc: '2.0', id, error }));
};
