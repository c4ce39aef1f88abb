import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import {
  answer,
  call,
  contextOf,
  mcpPeer as guardedPeer,
  Turn,
} from '../../../test/support/mcp-peer-driver.ts';
import { createMintId } from '../../model/ids.ts';
import type { JsonObject } from '../../model/json.ts';
import type { McpPeerOptions } from './peer.ts';
const mintId = createMintId();

/** A connector over a plain `fetch`, for both ways out are to be the same. */
const mcpPeer = (url: string, options: Partial<McpPeerOptions> = {}) =>
  guardedPeer(url, { egress: { fetch }, ...options });

interface Rpc {
  id?: string;
  method: string;
  params: JsonObject;
  result?: JsonObject;
  error?: JsonObject;
}
type Handler = (rpc: Rpc, req: IncomingMessage, res: ServerResponse) => unknown;

const open: Server[] = [];
afterEach(async () => {
  for (const server of open.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

/** A server that answers with whatever the handler returns as the result; `undefined`: by itself. */
async function serve(handler: Handler): Promise<string> {
  const server = createServer(async (req, res) => {
    let text = '';
    for await (const chunk of req) text += String(chunk);
    const rpc = (text === '' ? { method: req.method ?? '', params: {} } : JSON.parse(text)) as Rpc;
    const result = await handler(rpc, req, res);
    if (result === undefined) return;
    reply(res, rpc, result);
  });
  open.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`;
}

function reply(res: ServerResponse, rpc: Rpc, result: unknown): void {
  const failure = result instanceof Failure;
  res.writeHead(failure ? 400 : 200, { 'content-type': 'application/json' });
  const body = failure ? { error: result.error } : { result };
  res.end(JSON.stringify({ jsonrpc: '2.0', id: rpc.id, ...body }));
}

class Failure {
  readonly error: JsonObject;
  constructor(code: number) {
    this.error = { code, message: 'no' };
  }
}

const discovered = {
  resultType: 'complete',
  supportedVersions: ['2026-07-28'],
  capabilities: { tools: {} },
  ttlMs: 0,
};
const said = (text: string): JsonObject => ({ content: [{ type: 'text', text }] });

/** A modern server with these methods. */
function modern(methods: Record<string, Handler>): Promise<string> {
  return serve((rpc, req, res) => {
    const own = methods[rpc.method];
    if (own !== undefined) return own(rpc, req, res);
    if (rpc.method === 'server/discover') return discovered;
    if (rpc.method === 'tools/list') return { tools: [], ttlMs: 0 };
    return new Failure(-32601);
  });
}

/** A legacy server with a session and these methods; replies of the client go to `onReply`. */
function legacy(
  methods: Record<string, Handler>,
  onReply: (rpc: Rpc) => void = () => undefined,
): Promise<string> {
  return serve((rpc, req, res) => {
    const own = methods[rpc.method];
    if (own !== undefined) return own(rpc, req, res);
    switch (rpc.method) {
      case 'server/discover':
        res.writeHead(400).end();
        return undefined;
      case 'initialize':
        res.setHeader('mcp-session-id', mintId());
        return {
          protocolVersion: '2025-11-25',
          capabilities: { tools: { listChanged: true } },
          serverInfo: { name: 'odd', version: '1' },
        };
      case 'tools/list':
        return { tools: [] };
      case 'GET':
        res.writeHead(405).end();
        return undefined;
      default:
        if (rpc.method === undefined) onReply(rpc);
        res.writeHead(202).end();
        return undefined;
    }
  });
}

const event = (message: JsonObject, id?: string): string =>
  `${id === undefined ? '' : `id: ${id}\n`}data: ${JSON.stringify({ jsonrpc: '2.0', ...message })}\n\n`;

describe('an odd modern server', () => {
  it('whose tool has a header name that could inject another loses that tool, and says so', async () => {
    const dropped: unknown[] = [];
    const schema = (header: string) => ({
      type: 'object',
      properties: { a: { type: 'string', 'x-mcp-header': header } },
    });
    const url = await modern({
      'tools/list': () => ({
        tools: [
          { name: 'bad', inputSchema: schema('A\r\nX-Admin: 1') },
          { name: 'good', inputSchema: schema('A') },
        ],
      }),
    });
    const peer = mcpPeer(url, { log: (name, facts) => dropped.push([name, facts['tool']]) });
    const { tools } = await peer.catalogue(contextOf());
    expect(tools.map(({ name }) => name)).toEqual(['good']);
    expect(dropped).toEqual([['tool-dropped', 'bad']]);
  });

  it('that changed the headers of a tool is listed again, and the call repeated once', async () => {
    let header = 'Old';
    const calls: unknown[] = [];
    const url = await modern({
      'tools/list': () => ({
        tools: [
          {
            name: 't',
            inputSchema: {
              type: 'object',
              properties: { a: { type: 'string', 'x-mcp-header': header } },
            },
          },
        ],
        ttlMs: 300_000,
      }),
      'tools/call': (_rpc, req) => {
        calls.push(req.headers['mcp-param-new'] ?? null);
        return req.headers['mcp-param-new'] === 'x' ? said('ok') : new Failure(-32020);
      },
    });
    const peer = mcpPeer(url);
    await peer.catalogue(contextOf());
    header = 'New';
    expect((await call(peer, 't', { a: 'x' })).output).toBe('ok');
    expect(calls).toEqual([null, 'x']);
  });

  it.each([
    ['a result type that does not exist', { resultType: 'maybe', content: [] }],
    ['a result without content', { resultType: 'complete' }],
    ['no input requests and no state', { resultType: 'input_required' }],
    ['a task without an id', { resultType: 'task', status: 'working' }],
    ['a task status that does not exist', { resultType: 'task', taskId: 't', status: 'asleep' }],
  ])('that answers with %s breaks the protocol', async (_what, result) => {
    const url = await modern({ 'tools/call': () => result });
    await expect(call(mcpPeer(url), 't')).rejects.toMatchObject({ code: 'peer-protocol' });
  });

  it('whose list never ends breaks the protocol, and one whose reply is huge too', async () => {
    const endless = await modern({ 'tools/list': () => ({ tools: [], nextCursor: 'again' }) });
    await expect(mcpPeer(endless).catalogue(contextOf())).rejects.toMatchObject({
      code: 'peer-protocol',
      facts: { stage: 'list' },
    });
    const huge = await modern({ 'tools/call': () => said('x'.repeat(100_000)) });
    await expect(call(mcpPeer(huge, { maxBytes: 50_000 }), 't')).rejects.toMatchObject({
      code: 'peer-protocol',
    });
  });

  it('hears who calls, what can be answered and which trace it belongs to', async () => {
    let seen: [JsonObject, IncomingMessage] | undefined;
    const url = await modern({
      'tools/call': (rpc, req) => {
        seen = [rpc.params['_meta'] as JsonObject, req];
        return said('ok');
      },
    });
    const trace = { traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`, tracestate: 'k=v' };
    const meta = { progressToken: 'theirs', 'example.org/kept': 1 };
    await call(
      mcpPeer(url, { credentials: async () => ({ authorization: 'Bearer t' }) }),
      't',
      {},
      {
        ...contextOf(),
        trace,
        meta,
      },
    );
    expect(seen?.[0]).toMatchObject({
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientCapabilities': {
        elicitation: { form: {}, url: {} },
        extensions: { 'io.modelcontextprotocol/tasks': {} },
      },
      traceparent: trace.traceparent,
      tracestate: 'k=v',
      'example.org/kept': 1,
    });
    expect(seen?.[0]['progressToken']).not.toBe('theirs');
    expect(seen?.[1].headers).toMatchObject({
      authorization: 'Bearer t',
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': 'tools/call',
      'mcp-name': 't',
      traceparent: trace.traceparent,
    });
  });

  it('that wants a link opened is asked again until the link is done, under any address', async () => {
    let attempts = 0;
    const url = await modern({
      'tools/call': () => {
        attempts += 1;
        if (attempts > 3) return said('done');
        return {
          resultType: 'input_required',
          inputRequests: {
            [`k${attempts}`]: {
              method: 'elicitation/create',
              params: { mode: 'url', message: 'Log in', url: `https://as.example/${attempts}` },
            },
          },
        };
      },
    });
    const peer = mcpPeer(url);
    const asked = await call(peer, 't');
    expect(asked.states).toEqual(['TASK_STATE_AUTH_REQUIRED']);
    const done = await answer(peer, asked, { '*': { action: 'accept' } });
    expect(done.states).toEqual(['TASK_STATE_WORKING', 'TASK_STATE_COMPLETED']);
    expect(attempts).toBe(4);
  });

  it('keeps waiting for an answer that cannot be read as one', async () => {
    const form = { type: 'object', properties: { n: { type: 'integer' } }, required: ['n'] };
    const url = await modern({
      'tools/call': () => ({
        resultType: 'input_required',
        inputRequests: {
          k: { method: 'elicitation/create', params: { message: 'N?', requestedSchema: form } },
        },
      }),
    });
    const peer = mcpPeer(url);
    const asked = await call(peer, 't');
    const again = await answer(peer, asked, { k: { action: 'perhaps' } });
    expect(again.states).toEqual(['TASK_STATE_INPUT_REQUIRED']);
    expect(again.text).toContain('action');
  });
});

describe('a send whose outcome is not known', () => {
  const message = { messageId: 'm1', role: 'ROLE_USER' as const, parts: [] };
  const sending = (name: string) => ({
    kind: 'start' as const,
    turn: { message, call: { name, arguments: {} } },
  });

  it('is repeated only where that is safe', async () => {
    const url = await modern({ 'tools/call': (rpc) => said(rpc.params['name'] as string) });
    const peer = mcpPeer(url, { idempotentTools: ['safe'] });
    const safe = await new Turn().read(peer.resume(undefined, contextOf(), sending('safe')));
    expect(safe.output).toBe('safe');
    await expect(
      new Turn().read(peer.resume(undefined, contextOf(), sending('pay'))),
    ).rejects.toMatchObject({ code: 'outcome-unknown' });
    await expect(new Turn().read(peer.resume({ x: 1 }, contextOf()))).rejects.toMatchObject({
      code: 'outcome-unknown',
    });
  });
});

describe('an odd legacy server', () => {
  it('whose stream breaks is resumed after the last event', async () => {
    const resumedFrom: unknown[] = [];
    let callId = '';
    const url = await legacy({
      'tools/call': (rpc, _req, res) => {
        callId = rpc.id ?? '';
        res.writeHead(200, { 'content-type': 'text/event-stream' });
        res.write('retry: 20\n\n');
        const progress = { method: 'notifications/progress', params: { progress: 1 } };
        res.write(event(progress, 'e1'), () => res.destroy());
        return undefined;
      },
      GET: (_rpc, req, res) => {
        const from = req.headers['last-event-id'];
        if (from === undefined) {
          res.writeHead(405).end();
          return undefined;
        }
        resumedFrom.push(from);
        res.writeHead(200, { 'content-type': 'text/event-stream' });
        res.end(event({ id: callId, result: said('after all') }, 'e2'));
        return undefined;
      },
    });
    const peer = mcpPeer(url);
    expect((await call(peer, 't')).output).toBe('after all');
    expect(resumedFrom).toEqual(['e1']);
    await peer.close();
  });

  it('that asks on its own stream is answered, also when several calls are open', async () => {
    const streams: ServerResponse[] = [];
    const waiting = new Map<string, { rpc: Rpc; res: ServerResponse }>();
    let asks = 0;
    const url = await legacy(
      {
        GET: (_rpc, req, res) => {
          res.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
          Object.assign(res, { session: req.headers['mcp-session-id'] });
          streams.push(res);
          return undefined;
        },
        'tools/call': (rpc, req, res) => {
          asks += 1;
          waiting.set(`ask-${asks}`, { rpc, res });
          const stream = streams.find(
            (one) => (one as unknown as JsonObject)['session'] === req.headers['mcp-session-id'],
          );
          const params = { message: 'Name?', requestedSchema: { type: 'object', properties: {} } };
          stream?.write(event({ id: `ask-${asks}`, method: 'elicitation/create', params }));
          return undefined;
        },
      },
      (answered) => {
        const call = waiting.get(answered.id ?? '');
        if (call === undefined || answered.error !== undefined) return;
        const { name } = call.rpc.params['arguments'] as JsonObject;
        reply(call.res, call.rpc, said(`for ${name as string}`));
      },
    );
    const peer = mcpPeer(url);
    const first = await call(peer, 't', { name: 'zero' });
    expect(first.states.at(-1)).toBe('TASK_STATE_INPUT_REQUIRED');
    const asked = await Promise.all(['one', 'two'].map((name) => call(peer, 't', { name })));
    const done = [];
    for (const turn of [first, ...asked]) {
      done.push(await answer(peer, turn, { '*': { action: 'accept', content: {} } }));
    }
    expect(done.map(({ output }) => output)).toEqual(['for zero', 'for one', 'for two']);
    await peer.close();
  });

  it('goes on when its caller goes away, and can still be told to stop', async () => {
    const heard: string[] = [];
    let closed = false;
    const url = await legacy({
      'tools/call': (rpc, _req, res) => {
        res.writeHead(200, { 'content-type': 'text/event-stream' });
        const { progressToken } = rpc.params['_meta'] as JsonObject;
        const params = { progressToken: progressToken ?? null, progress: 1 };
        res.write(event({ method: 'notifications/progress', params }));
        res.on('close', () => {
          closed = true;
        });
        heard.push(rpc.method);
        return undefined;
      },
      'notifications/cancelled': (_rpc, _req, res) => {
        heard.push('cancelled');
        res.writeHead(202).end();
        return undefined;
      },
    });
    const peer = mcpPeer(url);
    const abort = new AbortController();
    const turn = new Turn();
    const message = { messageId: 'm1', role: 'ROLE_USER' as const, parts: [] };
    const running = turn.read(
      peer.start({ message, call: { name: 't', arguments: {} } }, contextOf(abort)),
    );
    await expect.poll(() => turn.events.some(({ kind }) => kind === 'progress')).toBe(true);
    abort.abort(new Error('gone'));
    await expect(running).rejects.toThrow('gone');
    await expect.poll(() => closed).toBe(true);
    expect(heard).toEqual(['tools/call']);
    await peer.cancel(turn.position, contextOf());
    expect(heard).toEqual(['tools/call', 'cancelled']);
    await peer.close();
  });

  it('is left when nobody uses its session', async () => {
    let left = 0;
    const url = await legacy({
      'tools/call': () => said('ok'),
      DELETE: (_rpc, _req, res) => {
        left += 1;
        res.writeHead(200).end();
        return undefined;
      },
    });
    const peer = mcpPeer(url, { sessionUnusedMs: 100 });
    await call(peer, 't');
    await expect.poll(() => left).toBe(1);
    expect((await call(peer, 't')).output).toBe('ok');
    await sleep(10);
    await peer.close();
    expect(left).toBe(2);
  });

  it('that speaks a revision nobody knows breaks the protocol', async () => {
    const url = await legacy({
      initialize: () => ({ protocolVersion: '1999-01-01', capabilities: {} }),
    });
    await expect(call(mcpPeer(url), 't')).rejects.toMatchObject({
      code: 'peer-protocol',
      facts: { stage: 'connect' },
    });
  });

  it('that was replaced by a modern one is found out after a fault', async () => {
    let now = 1_000_000;
    let replaced = false;
    const url = await legacy({
      'server/discover': (_rpc, _req, res) => {
        if (replaced) return discovered;
        res.writeHead(400).end();
        return undefined;
      },
      'tools/call': (rpc, req, res) => {
        if (!replaced) return said('legacy');
        const meta = rpc.params['_meta'] as JsonObject;
        if (meta['io.modelcontextprotocol/protocolVersion'] !== undefined) {
          return said(`modern ${req.headers['mcp-protocol-version']?.toString() ?? ''}`);
        }
        res.writeHead(400).end();
        return undefined;
      },
    });
    const peer = mcpPeer(url, { clock: () => now });
    expect((await call(peer, 't')).output).toBe('legacy');
    replaced = true;
    now += 11 * 60_000;
    await expect(call(peer, 't')).rejects.toMatchObject({ code: 'peer-protocol' });
    await expect
      .poll(() => call(peer, 't').then(({ output }) => output, String))
      .toBe('modern 2026-07-28');
    await peer.close();
  });
});
