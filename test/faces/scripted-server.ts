/** A gateway in front of a scripted MCP server that records what it is asked. */
import { startBadPeer } from '../support/bad-peer.ts';
import type { BadPeer } from '../support/bad-peer.ts';
import { sendResult } from '../support/bad-peer-defaults.ts';
import type {
  BadPeerRequest,
  BadPeerScript,
  Exchange,
  Misbehaviour,
} from '../support/bad-peer-script.ts';
import { startGateway } from '../support/gateway.ts';
import type { TestGateway, TestPeer } from '../support/gateway.ts';
import { WireClient } from '../support/wire-client.ts';
import { RawA2a } from './a2a-raw.ts';

type Json = Record<string, unknown>;

/** One peer with the id `server`, and a client of each of its faces. */
export interface ServerFaces {
  gateway: TestGateway;
  a2a: RawA2a;
  mcp: WireClient;
}

/** Closes what a test has opened, last first. */
export class Opened {
  readonly #open: { close(): Promise<void> }[] = [];

  add<T extends { close(): Promise<void> }>(one: T): T {
    this.#open.push(one);
    return one;
  }

  async close(): Promise<void> {
    for (const one of this.#open.splice(0).toReversed()) await one.close();
  }
}

/** A gateway in front of the server at `url`. */
export async function facesOf(
  url: string,
  opened: Opened,
  more: Partial<TestPeer> = {},
): Promise<ServerFaces> {
  const gateway = opened.add(await startGateway({ peers: [{ id: 'server', mcp: url, ...more }] }));
  return {
    gateway,
    a2a: new RawA2a(gateway.a2a('server')),
    mcp: new WireClient(gateway.mcp('server')),
  };
}

/** A gateway in front of a server that answers as `on` says. */
export async function scripted(
  on: NonNullable<BadPeerScript['on']>,
  opened: Opened,
  more: Partial<TestPeer> = {},
): Promise<ServerFaces & { peer: BadPeer }> {
  const peer = opened.add(await startBadPeer({ on }));
  return { peer, ...(await facesOf(peer.mcpUrl, opened, more)) };
}

/** The params of a request. */
export function paramsOf({ body }: Pick<BadPeerRequest, 'body'>): Json {
  return (body as { params?: Json }).params ?? {};
}

/** The `_meta` of a request. */
export function metaOf(request: Pick<BadPeerRequest, 'body'>): Json {
  return (paramsOf(request)['_meta'] ?? {}) as Json;
}

/** The arguments of a tool call. */
export function argumentsOf(request: Pick<BadPeerRequest, 'body'>): Json {
  return (paramsOf(request)['arguments'] ?? {}) as Json;
}

/** Answers with a result made from the request; `resultType` is complete unless it says else. */
export function answer(make: (exchange: Exchange) => Json | Promise<Json>): Misbehaviour {
  return async (exchange) => {
    sendResult(exchange, { resultType: 'complete', ...(await make(exchange)) });
  };
}

/** A tool result with one text. */
export function saying(text: string): Json {
  return { content: [{ type: 'text', text }] };
}

/** A `server/discover` result with these capabilities. */
export function discovering(capabilities: Json): Misbehaviour {
  return answer(() => ({ supportedVersions: ['2026-07-28'], capabilities, ...fresh }));
}

/** A `tools/list` result with one page. */
export function listing(...tools: Json[]): Misbehaviour {
  return answer(() => ({ tools, ...fresh }));
}

/** A tool with these properties. */
export function tool(name: string, properties: Json = {}, more: Json = {}): Json {
  return { name, inputSchema: { type: 'object', properties }, ...more };
}

/** Sends messages as server-sent events and ends the stream. */
export function sendEvents({ response }: Exchange, messages: readonly Json[]): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  const events = messages.map((one) => `data: ${JSON.stringify({ jsonrpc: '2.0', ...one })}\n\n`);
  response.end(events.join(''));
}

/** Resolves for everybody once `count` have come. */
export function barrier(count: number): () => Promise<void> {
  const all = Promise.withResolvers<void>();
  let come = 0;
  return () => {
    come += 1;
    if (come === count) all.resolve();
    return all.promise;
  };
}

const fresh = { ttlMs: 60_000, cacheScope: 'private' };
