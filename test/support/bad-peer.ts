/**
 * A peer that misbehaves on purpose, on plain `node:http`: an A2A agent (1.0 and 0.3, JSON-RPC and
 * HTTP+JSON) and an MCP server (both eras) on one port. Whatever the script does not mention is
 * answered properly, so that a connector can get as far as the misbehaviour.
 */
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { goodA2aAnswer, goodMcpAnswer, serveCard } from './bad-peer-defaults.ts';
import type {
  BadPeerRequest,
  BadPeerScript,
  Exchange,
  Misbehaviour,
  Sequence,
} from './bad-peer-script.ts';

/** A running peer. */
export interface BadPeer {
  /** The origin, without a trailing slash. */
  readonly url: string;
  readonly cardUrl: string;
  readonly mcpUrl: string;
  readonly port: number;
  readonly requests: readonly BadPeerRequest[];
  /** Requests of one method. */
  requestsOf(method: string): BadPeerRequest[];
  /** Cuts all connections and stops listening. */
  close(): Promise<void>;
}

const LEGACY_A2A_METHODS: Readonly<Record<string, string>> = {
  'message/send': 'SendMessage',
  'message/stream': 'SendStreamingMessage',
  'tasks/get': 'GetTask',
  'tasks/cancel': 'CancelTask',
  'tasks/resubscribe': 'SubscribeToTask',
};

/** Starts the peer on 127.0.0.1; `port` 0 lets the system choose. */
export async function startBadPeer(script: BadPeerScript = {}, port = 0): Promise<BadPeer> {
  const requests: BadPeerRequest[] = [];
  const counts = new Map<string, number>();
  const server = createServer((request, response) => {
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    void answer(request, response, origin);
  });

  const answer = async (request: IncomingMessage, response: ServerResponse, origin: string) => {
    const exchange = await readExchange(request, response, origin);
    const { record } = exchange;
    requests.push(record);
    response.once('close', () => {
      record.aborted = !response.writableFinished;
    });
    try {
      await pick(script, counts, exchange)(exchange);
    } catch {
      response.destroy();
    }
  };

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  const bound = (server.address() as AddressInfo).port;
  const url = `http://127.0.0.1:${bound}`;
  return {
    url,
    cardUrl: `${url}/.well-known/agent-card.json`,
    mcpUrl: `${url}/mcp`,
    port: bound,
    requests,
    requestsOf: (method) => requests.filter((one) => one.method === method),
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}

function pick(
  script: BadPeerScript,
  counts: Map<string, number>,
  exchange: Exchange,
): Misbehaviour {
  const { method, protocol } = exchange;
  if (method === 'card') return nth(script.card ?? serveCard(), 'card', counts);
  const on = script.on ?? {};
  const names =
    protocol === 'a2a-0.3' ? [method, LEGACY_A2A_METHODS[method] ?? method, '*'] : [method, '*'];
  const name = names.find((one) => Object.hasOwn(on, one));
  const sequence = name === undefined ? undefined : on[name];
  if (name !== undefined && sequence !== undefined) return nth(sequence, name, counts);
  if (protocol === 'mcp') return goodMcpAnswer;
  if (protocol === 'none') return ({ response }) => void response.writeHead(404).end();
  return goodA2aAnswer;
}

function nth(sequence: Sequence, name: string, counts: Map<string, number>): Misbehaviour {
  if (typeof sequence === 'function') return sequence;
  const count = counts.get(name) ?? 0;
  counts.set(name, count + 1);
  const found = sequence[Math.min(count, sequence.length - 1)];
  if (!found) throw new Error(`an empty sequence for ${name}`);
  return found;
}

async function readExchange(
  request: IncomingMessage,
  response: ServerResponse,
  origin: string,
): Promise<Exchange> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const body = parse(Buffer.concat(chunks).toString('utf8'));
  const path = request.url ?? '/';
  const verb = request.method ?? 'GET';
  const { headers } = request;
  const route = routeOf(verb, new URL(path, origin).pathname, body);
  const id = isRecord(body) ? body['id'] : undefined;
  const record: BadPeerRequest = {
    verb,
    path,
    headers,
    body,
    method: route.method,
    aborted: false,
    bytesSent: 0,
  };
  return {
    request,
    response,
    origin,
    ...route,
    id: typeof id === 'string' || typeof id === 'number' ? id : null,
    body,
    record,
  };
}

type Route = Pick<Exchange, 'protocol' | 'binding' | 'method'>;

function routeOf(verb: string, path: string, body: unknown): Route {
  if (path.startsWith('/.well-known/agent')) {
    return { protocol: 'none', binding: 'none', method: 'card' };
  }
  const rpc = isRecord(body) && typeof body['method'] === 'string' ? body['method'] : undefined;
  if (path === '/mcp') return { protocol: 'mcp', binding: 'jsonrpc', method: rpc ?? verb };
  if (path.startsWith('/a2a/jsonrpc')) {
    const protocol = rpc?.includes('/') ? 'a2a-0.3' : 'a2a-1.0';
    return { protocol, binding: 'jsonrpc', method: rpc ?? verb };
  }
  const rest = /^\/a2a\/rest(\/v1)?\/(.*)$/.exec(path);
  if (!rest) return { protocol: 'none', binding: 'none', method: 'other' };
  const protocol = rest[1] ? 'a2a-0.3' : 'a2a-1.0';
  return { protocol, binding: 'rest', method: restMethod(rest[2] ?? '') };
}

function restMethod(path: string): string {
  if (path === 'message:send') return 'SendMessage';
  if (path === 'message:stream') return 'SendStreamingMessage';
  if (path === 'tasks') return 'ListTasks';
  if (path.endsWith(':cancel')) return 'CancelTask';
  if (path.endsWith(':subscribe')) return 'SubscribeToTask';
  return path.startsWith('tasks/') ? 'GetTask' : 'other';
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
