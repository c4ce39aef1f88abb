/** Peers and requests for the tests of the MCP face that look at every byte. */
import { request as httpRequest } from 'node:http';
import type { Agent } from 'node:http';
import type { AgentSkill } from '@a2a-js/sdk';
import { startA2aAgent } from '../support/a2a-agent.ts';
import type { A2aAgent } from '../support/a2a-agent.ts';
import type { Behaviour } from '../support/a2a-agent-behaviours.ts';
import { scriptedSkills } from '../support/a2a-agent-card.ts';
import { startBadPeer } from '../support/bad-peer.ts';
import type { BadPeer } from '../support/bad-peer.ts';
import { sendResult } from '../support/bad-peer-defaults.ts';
import type { BadPeerScript, Exchange, Misbehaviour } from '../support/bad-peer-script.ts';
import { isRecord } from '../support/call-ledger.ts';
import type { WireMessage } from '../support/wire-client.ts';

type Json = Record<string, unknown>;

/** One answer with everything that HTTP says about it. */
interface RawReply {
  status: number;
  type: string | undefined;
  text: string;
  /** The body, where it is one JSON document. */
  body: WireMessage;
  /** Whether the connection had been used before. */
  reused: boolean;
}

/** The scripted agent with more skills. */
export function startSkilledAgent(behaviours: Record<string, Behaviour>): Promise<A2aAgent> {
  const skills = [...scriptedSkills(), ...Object.keys(behaviours).map(skill)];
  return startA2aAgent({ behaviours, card: { skills } });
}

function skill(id: string): AgentSkill {
  return {
    id,
    name: id,
    description: `Does ${id}`,
    tags: ['test'],
    examples: [],
    inputModes: [],
    outputModes: [],
    securityRequirements: [],
  };
}

/** What a hand-written MCP server offers and does; all that it hears is in `requests`. */
interface ToolServerScript {
  tools?: Json[];
  capabilities?: Json;
  on?: BadPeerScript['on'];
}

/** A modern MCP server that says exactly what it is told to. */
export function startToolServer(script: ToolServerScript): Promise<BadPeer> {
  const { tools = [], capabilities = { tools: {} }, on } = script;
  const discovery = {
    ...cacheable,
    supportedVersions: ['2026-07-28'],
    capabilities,
    _meta: { 'io.modelcontextprotocol/serverInfo': { name: 'tool-server', version: '1.0.0' } },
  };
  return startBadPeer({
    on: {
      'server/discover': answer(() => discovery),
      'tools/list': answer(() => ({ ...cacheable, tools })),
      ...on,
    },
  });
}

const cacheable = { resultType: 'complete', ttlMs: 0, cacheScope: 'private' };

/** A tool without arguments, or with the given ones. */
export function tool(name: string, properties: Json = {}, more: Json = {}): Json {
  return { name, inputSchema: { type: 'object', properties }, ...more };
}

/** A complete tool result with one text. */
export function said(text: string): Json {
  return { resultType: 'complete', content: [{ type: 'text', text }] };
}

/** Answers with what `make` makes of the parameters. */
export function answer(make: (params: Json, exchange: Exchange) => unknown): Misbehaviour {
  return (exchange) => sendResult(exchange, make(paramsOf(exchange.body), exchange));
}

/** Answers with a stream of notifications and the result, and then whatever comes `after` it. */
export function streamed(
  make: (params: Json) => { before: WireMessage[]; result: Json; after?: WireMessage[] },
): Misbehaviour {
  return ({ body, response, id }) => {
    const { before, result, after = [] } = make(paramsOf(body));
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    for (const message of [...before, { id, result }, ...after]) {
      response.write(`data: ${JSON.stringify({ jsonrpc: '2.0', ...message })}\n\n`);
    }
    response.end();
  };
}

/** The `params` of a JSON-RPC body. */
export function paramsOf(body: unknown): Json {
  return isRecord(body) && isRecord(body['params']) ? body['params'] : {};
}

/** The envelope of a modern client that declared nothing. */
export const bareMeta: Json = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': {},
};

/** The same for a client of the Tasks extension. */
export const taskMeta: Json = {
  ...bareMeta,
  'io.modelcontextprotocol/clientCapabilities': {
    extensions: { 'io.modelcontextprotocol/tasks': {} },
  },
};

/** The envelope of a client with these capabilities. */
export function metaWith(capabilities: Json, more: Json = {}): Json {
  return { ...bareMeta, 'io.modelcontextprotocol/clientCapabilities': capabilities, ...more };
}

/** A modern request as a body; `id` is `q-1` unless given. */
export function modernBody(method: string, params: Json = {}, more: Json = {}): Json {
  return { jsonrpc: '2.0', id: 'q-1', method, params: { _meta: bareMeta, ...params }, ...more };
}

/** The headers that belong to a modern request. */
export function modernHeaders(method: string, name?: string): Record<string, string> {
  return {
    'mcp-protocol-version': '2026-07-28',
    'mcp-method': method,
    ...(name === undefined ? {} : { 'mcp-name': name }),
  };
}

/** Posts bytes, a text or JSON; a list of values is a header that is sent several times. */
export function post(
  url: string,
  body: unknown,
  headers: Record<string, string | string[]> = {},
  agent?: Agent,
): Promise<RawReply> {
  const raw = typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);
  const all = {
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
    ...headers,
  };
  return new Promise((resolve, reject) => {
    const req = httpRequest(url, { method: 'POST', headers: all, agent }, (res) => {
      const chunks: Buffer[] = [];
      res.on('data', (chunk: Buffer) => chunks.push(chunk));
      res.on('error', reject);
      res.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        const type = res.headers['content-type'];
        resolve({
          status: res.statusCode ?? 0,
          type,
          text,
          body: parsed(text),
          reused: req.reusedSocket,
        });
      });
    });
    req.on('error', reject);
    req.end(raw);
  });
}

function parsed(text: string): WireMessage {
  try {
    return JSON.parse(text) as WireMessage;
  } catch {
    return {};
  }
}

/** Posts a modern request under any id, and yields the messages of the answer as they come. */
async function* streamOf(
  url: string,
  request: Json,
  signal?: AbortSignal,
): AsyncGenerator<WireMessage, void, void> {
  const { name, uri } = paramsOf(request);
  const named = name ?? uri;
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      ...modernHeaders(String(request['method']), typeof named === 'string' ? named : undefined),
    },
    body: JSON.stringify(request),
    ...(signal === undefined ? {} : { signal }),
  });
  let buffer = '';
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    buffer += Buffer.from(chunk).toString('utf8');
    const blocks = buffer.split('\n\n');
    buffer = blocks.pop() ?? '';
    for (const block of blocks) {
      const data = /^data: (.+)$/m.exec(block)?.[1];
      if (data !== undefined) yield JSON.parse(data) as WireMessage;
    }
  }
  if (buffer.startsWith('{')) yield JSON.parse(buffer) as WireMessage;
}

/** Reads a stream in the background; `messages` are those so far. */
export class Reader {
  readonly messages: WireMessage[] = [];
  readonly #controller = new AbortController();
  readonly #reading: Promise<void>;

  constructor(url: string, request: Json) {
    this.#reading = this.#read(streamOf(url, request, this.#controller.signal));
  }

  /** The methods of the notifications so far. */
  get methods(): string[] {
    return this.messages.flatMap(({ method }) => (method === undefined ? [] : [method]));
  }

  /** Resolves when the stream has ended, however it did. */
  get ended(): Promise<void> {
    return this.#reading;
  }

  async close(): Promise<void> {
    this.#controller.abort();
    await this.#reading;
  }

  async #read(stream: AsyncIterable<WireMessage>): Promise<void> {
    try {
      for await (const message of stream) this.messages.push(message);
    } catch {
      // Closed by us, or cut: what was read is what there is.
    }
  }
}

/** What a result says besides that it is complete and who answers: `{}` for an acknowledgement. */
export function saidBy(result: Json | undefined): Json {
  const { _meta, resultType, ...rest } = result ?? {};
  const { 'io.modelcontextprotocol/serverInfo': _who, ...meta } = (_meta ?? {}) as Json;
  return {
    ...rest,
    ...(resultType === 'complete' ? {} : { resultType }),
    ...(Object.keys(meta).length === 0 ? {} : { _meta: meta }),
  };
}

/** Closes what a test opened, the last first. */
export class Opened {
  readonly #all: { close(): Promise<void> }[] = [];

  add<T extends { close(): Promise<void> }>(one: T): T {
    this.#all.push(one);
    return one;
  }

  async close(): Promise<void> {
    for (const one of this.#all.splice(0).reverse()) await one.close();
  }
}
