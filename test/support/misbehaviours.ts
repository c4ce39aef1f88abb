/** Ways to misbehave, for the scripts of the bad peer. */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { BAD_TASK, messageOf, sendResult, serveCard, versionOf } from './bad-peer-defaults.ts';
import type { Wire } from './bad-peer-defaults.ts';
import type { BadPeerScript, Exchange, Misbehaviour } from './bad-peer-script.ts';

/** Any status with any body and headers. */
export function status(
  code: number,
  body = '',
  headers: Readonly<Record<string, string>> = {},
): Misbehaviour {
  return ({ response, record }) => {
    record.bytesSent += body.length;
    response.writeHead(code, headers).end(body);
  };
}

/** A status with a JSON body. */
export function json(
  code: number,
  value: unknown,
  headers: Readonly<Record<string, string>> = {},
): Misbehaviour {
  return status(code, JSON.stringify(value), { 'content-type': 'application/json', ...headers });
}

/** A page for people where an answer for machines was due. */
export function html(code = 200): Misbehaviour {
  return status(code, '<!doctype html><title>Welcome</title><h1>It works!</h1>', {
    'content-type': 'text/html',
  });
}

/** Half a JSON document, declared as JSON. */
export function invalidJson(): Misbehaviour {
  return status(200, '{"jsonrpc":"2.0","id":1,"result":{"task":{', {
    'content-type': 'application/json',
  });
}

/** A proper envelope, or the plain body over REST, around any result. */
export function result(value: unknown): Misbehaviour {
  return (exchange) => sendResult(exchange, value);
}

/** A JSON-RPC error; over REST the HTTP status 500 with the same text. */
export function rpcError(code: number, message: string, data?: unknown): Misbehaviour {
  return ({ response, binding, id }) => {
    const rest = { error: { code: 500, status: 'INTERNAL', message } };
    const rpc = { jsonrpc: '2.0', id, error: { code, message, data } };
    response.writeHead(binding === 'rest' ? 500 : 200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(binding === 'rest' ? rest : rpc));
  };
}

/** The right answer under the id of somebody else's request. */
export function wrongId(): Misbehaviour {
  return ({ response, ...exchange }) => {
    const value = messageOf({ response, ...exchange }, 'for somebody else');
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ jsonrpc: '2.0', id: 'not-your-id', result: value }));
  };
}

/** Reads the request and never says a word. */
export function hang(): Misbehaviour {
  return () => undefined;
}

/** Sends the headers of a good answer, and then nothing. */
export function hangAfterHeaders(contentType = 'application/json'): Misbehaviour {
  return ({ response }) => {
    response.writeHead(200, { 'content-type': contentType });
    response.flushHeaders();
  };
}

/** Answers only after `milliseconds`, with `then`. */
export function late(milliseconds: number, then: Misbehaviour): Misbehaviour {
  return async (exchange) => {
    await sleep(milliseconds, undefined, { ref: false });
    await then(exchange);
  };
}

/** Closes the connection without an answer. */
export function disconnect(): Misbehaviour {
  return ({ response }) => void response.socket?.destroy();
}

/** Sends the caller elsewhere; 307 keeps method and body. */
export function redirect(to: string, code = 307): Misbehaviour {
  return status(code, '', { location: to });
}

/** A well-formed answer with a text of `bytes` bytes; stops when the caller has had enough. */
export function oversize(bytes: number): Misbehaviour {
  return async (exchange) => {
    const marker = '@@';
    const value = messageOf(exchange, marker);
    const { binding, id, response } = exchange;
    const body = binding === 'jsonrpc' ? { jsonrpc: '2.0', id, result: value } : value;
    const [head = '', tail = ''] = JSON.stringify(body).split(marker);
    response.writeHead(200, { 'content-type': 'application/json' });
    await push(exchange, head);
    const chunk = 'x'.repeat(64 * 1024);
    for (let left = bytes; left > 0 && !response.destroyed; left -= chunk.length) {
      await push(exchange, chunk.slice(0, left));
    }
    response.end(tail);
  };
}

/** A good answer, byte by byte. */
export function drip(everyMs: number, text = 'fine'): Misbehaviour {
  return async (exchange) => {
    const { binding, id, response } = exchange;
    const value = messageOf(exchange, text);
    const body = JSON.stringify(
      binding === 'jsonrpc' ? { jsonrpc: '2.0', id, result: value } : value,
    );
    response.writeHead(200, { 'content-type': 'application/json' });
    for (const byte of body) {
      if (response.destroyed) return;
      await push(exchange, byte);
      await sleep(everyMs, undefined, { ref: false });
    }
    response.end();
  };
}

/** How a stream ends after its last event. */
export type StreamEnd = 'end' | 'cut' | 'stall';

/** Server-sent events, one per value, in the envelope of the binding, and then the end. */
export function stream(events: readonly Wire[], ending: StreamEnd): Misbehaviour {
  return async (exchange) => {
    const { response, binding, id } = exchange;
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.flushHeaders();
    for (const event of events) {
      const value = event(versionOf(exchange));
      const data = binding === 'jsonrpc' ? { jsonrpc: '2.0', id, result: value } : value;
      await push(exchange, `data: ${JSON.stringify(data)}\n\n`);
    }
    if (ending === 'end') response.end();
    if (ending !== 'cut') return;
    await push(exchange, 'data: {"half an ev');
    await sleep(20);
    response.socket?.destroy();
  };
}

/** Breaks the connection in the middle of an event. */
export function cutStream(events: readonly Wire[] = [taskIn('WORKING')]): Misbehaviour {
  return stream(events, 'cut');
}

/** Ends the stream properly, but without a terminal event. */
export function endStreamEarly(events: readonly Wire[] = [taskIn('WORKING')]): Misbehaviour {
  return stream(events, 'end');
}

/** Leaves the stream open for ever. */
export function stallStream(events: readonly Wire[] = [taskIn('WORKING')]): Misbehaviour {
  return stream(events, 'stall');
}

/** A stream whose second event is no JSON. */
export function garbageStream(): Misbehaviour {
  return async (exchange) => {
    const { response, id, binding } = exchange;
    const value = taskIn('WORKING')(versionOf(exchange));
    const data = binding === 'jsonrpc' ? { jsonrpc: '2.0', id, result: value } : value;
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    await push(exchange, `data: ${JSON.stringify(data)}\n\ndata: {"oops\n\n`);
    response.end();
  };
}

/** The answer to SendMessage or GetTask: the task in any state, also one that does not exist. */
export function taskInState(state: string, text?: string): Misbehaviour {
  return (exchange) => {
    const value = taskIn(state, text)(versionOf(exchange));
    const bare = exchange.method === 'GetTask' || exchange.method === 'CancelTask';
    const task = bare && isRecord(value) ? value['task'] : value;
    sendResult(exchange, task);
  };
}

/** A task in a state that no version of A2A has. */
export function unknownState(): Misbehaviour {
  return taskInState('DANCING');
}

/** A task as an event or result; `state` is the bare name, such as `WORKING`. */
export function taskIn(state: string, text?: string): Wire {
  return (version) => {
    const artifact = { artifactId: 'result', parts: partsIn(version, text) };
    const artifacts = text === undefined ? [] : [artifact];
    const task = { ...BAD_TASK, status: { state: stateIn(version, state) }, artifacts };
    return version === '1.0' ? { task } : { kind: 'task', ...task };
  };
}

/** A status update as an event. */
export function statusIn(state: string): Wire {
  return (version) => {
    const { id: taskId, contextId } = BAD_TASK;
    const update = { taskId, contextId, status: { state: stateIn(version, state) } };
    if (version === '1.0') return { statusUpdate: update };
    return { kind: 'status-update', ...update, final: state === 'COMPLETED' };
  };
}

/** A chunk of the artifact `result` as an event. */
export function chunkIn(text: string, append = true, lastChunk = false): Wire {
  return (version) => {
    const { id: taskId, contextId } = BAD_TASK;
    const artifact = { artifactId: 'result', parts: partsIn(version, text) };
    const update = { taskId, contextId, artifact, append, lastChunk };
    return version === '1.0' ? { artifactUpdate: update } : { kind: 'artifact-update', ...update };
  };
}

/** Any JSON as an event, the same in both versions. */
export function anyEvent(value: unknown): Wire {
  return () => value;
}

/** A card that names no way to reach the agent. */
export function cardWithoutInterfaces(): Misbehaviour {
  return serveCard((card) => ({ ...card, supportedInterfaces: [] }));
}

/** A card whose only interface is one that nobody speaks. */
export function cardWithForeignInterface(): Misbehaviour {
  return serveCard((card, origin) => ({
    ...card,
    supportedInterfaces: [
      { url: `${origin}/carrier-pigeon`, protocolBinding: 'PIGEON', protocolVersion: '1.0' },
    ],
  }));
}

/** A card that points at another address. */
export function cardPointingTo(url: string): Misbehaviour {
  return serveCard((card) => ({
    ...card,
    supportedInterfaces: [{ url, protocolBinding: 'JSONRPC', protocolVersion: '1.0' }],
  }));
}

/** Makes the MCP side of the peer legacy: `server/discover` is refused as v1 servers do. */
export const LEGACY_MCP: NonNullable<BadPeerScript['on']> = {
  'server/discover': json(400, {
    jsonrpc: '2.0',
    error: { code: -32000, message: 'Bad Request: Server not initialized' },
    id: null,
  }),
};

function stateIn(version: '1.0' | '0.3', state: string): string {
  if (version === '1.0') return `TASK_STATE_${state}`;
  return state.toLowerCase().replaceAll('_', '-');
}

function partsIn(version: '1.0' | '0.3', text = ''): unknown[] {
  return [version === '1.0' ? { text } : { kind: 'text', text }];
}

async function push({ response, record }: Exchange, text: string): Promise<void> {
  record.bytesSent += text.length;
  if (response.write(text) || response.destroyed) return;
  await drained(response);
}

async function drained(response: ServerResponse): Promise<void> {
  const gone = new AbortController();
  const stop = () => gone.abort();
  response.once('close', stop);
  try {
    await once(response, 'drain', { signal: gone.signal });
  } catch {
    // The caller left; whoever writes sees `destroyed`.
  } finally {
    response.off('close', stop);
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
