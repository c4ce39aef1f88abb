/** Lenders for tests: MCP servers of both eras behind a reverse channel, and a channel by hand. */
import { createServer, request, type IncomingMessage } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { McpServer as LegacyMcpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { acceptedContent, inputRequired, McpServer } from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { WebSocket } from 'ws';
import { z } from 'zod';
import type { LendEvent, LendOptions } from '../../src/lender/lend-channel.ts';
import { serveChannel, type ServeChannelOptions } from '../../src/lender/serve-channel.ts';

/** What a lent server has done. */
export interface Ledger {
  readonly ran: string[];
  readonly cancelled: string[];
}

type Lent = ServeChannelOptions['server'];

const askedName = { type: 'object' as const, properties: { name: { type: 'string' as const } } };

/** A server of 2026-07-28 on the current SDK: `add`, `ask`, `slow` and `count`. */
export function modernLent(ledger: Ledger): Lent & { changed(): void } {
  const servers: McpServer[] = [];
  const make = (): McpServer => {
    const server = new McpServer(
      { name: 'lent-modern', version: '1.0.0' },
      { capabilities: { tools: { listChanged: true } } },
    );
    const numbers = z.object({ a: z.number(), b: z.number() });
    server.registerTool('add', { description: 'Adds', inputSchema: numbers }, ({ a, b }) => {
      ledger.ran.push('add');
      return { content: [{ type: 'text', text: `${a + b}` }] };
    });
    server.registerTool('ask', { description: 'Asks for a name' }, (ctx) => {
      const given = acceptedContent<{ name: string }>(ctx.mcpReq.inputResponses, 'who');
      if (given === undefined) {
        const who = inputRequired.elicit({ message: 'Who?', requestedSchema: askedName });
        return inputRequired({ inputRequests: { who } });
      }
      return { content: [{ type: 'text', text: `Hello ${given.name}` }] };
    });
    server.registerTool('slow', { description: 'Takes for ever' }, async (ctx) => {
      ledger.ran.push('slow');
      await aborted(ctx.mcpReq.signal);
      ledger.cancelled.push('slow');
      return { content: [] };
    });
    server.registerTool('count', { description: 'Counts to three' }, async (ctx) => {
      const token = ctx.mcpReq._meta?.progressToken;
      for (let progress = 1; token !== undefined && progress <= 3; progress += 1) {
        const params = { progressToken: token, progress, total: 3 };
        await ctx.mcpReq.notify({ method: 'notifications/progress', params });
      }
      return { content: [{ type: 'text', text: 'done' }] };
    });
    servers.push(server);
    return server;
  };
  return {
    connect: (transport) => serveStdio(make, { transport }),
    changed: () => servers.forEach((server) => server.sendToolListChanged()),
  };
}

/** The same of 2025-11-25 on the v1 SDK; it asks in the middle of a call. */
export function legacyLent(ledger: Ledger): Lent {
  const server = new LegacyMcpServer({ name: 'lent-legacy', version: '1.0.0' });
  const numbers = { a: z.number(), b: z.number() };
  server.registerTool('add', { description: 'Adds', inputSchema: numbers }, ({ a, b }) => {
    ledger.ran.push('add');
    return { content: [{ type: 'text', text: `${a + b}` }] };
  });
  server.registerTool('ask', { description: 'Asks for a name' }, async () => {
    const { action, content } = await server.server.elicitInput({
      message: 'Who?',
      requestedSchema: askedName,
    });
    const name = content?.['name'];
    const text = action === 'accept' && typeof name === 'string' ? `Hello ${name}` : action;
    return { content: [{ type: 'text', text }] };
  });
  server.registerTool('model', { description: 'Asks a model' }, async () => {
    const messages = [{ role: 'user' as const, content: { type: 'text' as const, text: 'Hi' } }];
    const { content } = await server.server.createMessage({ messages, maxTokens: 5 });
    return { content: [{ type: 'text', text: JSON.stringify(content) }] };
  });
  server.registerTool('slow', { description: 'Takes for ever' }, async ({ signal }) => {
    ledger.ran.push('slow');
    await aborted(signal);
    ledger.cancelled.push('slow');
    return { content: [] };
  });
  server.registerTool('count', { description: 'Counts to three' }, async (extra) => {
    const progressToken = extra._meta?.progressToken;
    for (let progress = 1; progressToken !== undefined && progress <= 3; progress += 1) {
      const params = { progressToken, progress, total: 3 };
      await extra.sendNotification({ method: 'notifications/progress', params });
    }
    return { content: [{ type: 'text', text: 'done' }] };
  });
  return { connect: (transport) => server.connect(transport) };
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve()));
}

/** A channel that serves, and what it has told. */
export interface TestLender {
  /** The id of the peer, when it is open. */
  readonly peer: string;
  readonly events: LendEvent[];
  readonly ended: Promise<void>;
  /** Waits until it has been opened so often. */
  opened(times: number): Promise<void>;
  close(): Promise<void>;
}

/** Lends a server of this process, and waits until it is open. */
export async function lendServer(
  server: Lent,
  options: LendOptions & { onEvent?: never },
): Promise<TestLender> {
  const events: LendEvent[] = [];
  const pauses = { first: 100, longest: 400 };
  const environment = {};
  const channel = await serveChannel({
    pauses,
    environment,
    ...options,
    server,
    onEvent: (event) => void events.push(event),
  });
  const opened = async (times: number): Promise<void> => {
    const isOpen = (): boolean => events.filter(({ kind }) => kind === 'open').length >= times;
    await Promise.race([waitUntil(isOpen), channel.ended]);
  };
  await opened(1);
  return {
    get peer() {
      const last = events.findLast((event) => event.kind === 'open');
      return last?.kind === 'open' ? last.peer : '';
    },
    events,
    ended: channel.ended,
    opened,
    close: () => channel.close(),
  };
}

/** Waits until something holds; throws after ten seconds. */
export async function waitUntil(holds: () => boolean): Promise<void> {
  for (let waited = 0; !holds(); waited += 10) {
    if (waited > 10_000) throw new Error('It did not come about.');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** A WebSocket at `/lend` that says exactly what it is told to. */
export interface RawChannel {
  readonly socket: WebSocket;
  readonly peer: string;
  /** The messages of the gateway so far. */
  readonly heard: { id?: string; method?: string; params?: Record<string, unknown> }[];
  /** The close code. */
  readonly closed: Promise<number>;
}

/** Opens one. Rejects with the status where it is refused. */
export async function openRaw(
  gateway: string,
  { name = 'raw', headers = {} }: { name?: string; headers?: Record<string, string> } = {},
): Promise<RawChannel> {
  const url = `${gateway.replace(/^http/, 'ws')}/lend?name=${name}`;
  const socket = new WebSocket(url, 'mcp.isthmus.v1', { headers, perMessageDeflate: false });
  let peer = '';
  const heard: RawChannel['heard'] = [];
  socket.on('upgrade', ({ headers: answer }) => {
    peer = String(answer['isthmus-peer']);
  });
  socket.on('message', (data) => {
    heard.push(JSON.parse((data as Buffer).toString()) as RawChannel['heard'][number]);
  });
  const closed = new Promise<number>((resolve) => void socket.once('close', resolve));
  await new Promise<void>((resolve, reject) => {
    socket.once('open', resolve);
    socket.once('unexpected-response', (_, { statusCode }) => reject(new Error(`${statusCode}`)));
    socket.once('error', reject);
  });
  return { socket, peer, heard, closed };
}

/** Answers what a legacy gateway asks first, with one tool `echo` whose calls go to `onCall`. */
export function answerAsLegacy(raw: RawChannel, onCall: (id: string) => void = () => {}): void {
  raw.socket.on('message', (data) => {
    const { id, method } = JSON.parse((data as Buffer).toString()) as {
      id: string;
      method: string;
    };
    const tools = [{ name: 'echo', inputSchema: { type: 'object' } }];
    const result = {
      initialize: {
        protocolVersion: '2025-11-25',
        capabilities: { tools: {} },
        serverInfo: { name: 'raw', version: '1' },
      },
      'tools/list': { tools },
    }[method];
    if (method === 'tools/call') onCall(id);
    else if (result !== undefined) sendRaw(raw, { id, result });
    else if (id !== undefined) sendRaw(raw, { id, error: { code: -32601, message: 'no' } });
  });
}

/** Sends a message of the lender. */
export function sendRaw({ socket }: RawChannel, message: object): void {
  socket.send(JSON.stringify({ jsonrpc: '2.0', ...message }));
}

/** The answer to an upgrade, read as plain HTTP. */
export interface UpgradeAnswer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

/** Asks for a WebSocket with these headers, and reads what is answered in its place. */
export function askUpgrade(
  url: string,
  headers: Record<string, string> = {},
): Promise<UpgradeAnswer> {
  return new Promise((resolve, reject) => {
    const sent = request(url, {
      headers: {
        connection: 'Upgrade',
        upgrade: 'websocket',
        'sec-websocket-version': '13',
        'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
        'sec-websocket-protocol': 'mcp.isthmus.v1',
        ...headers,
      },
    });
    sent.once('error', reject);
    sent.once('upgrade', ({ headers: answer }, socket) => {
      socket.destroy();
      resolve({ status: 101, headers: answer, body: '' });
    });
    sent.once('response', (answer) => {
      let body = '';
      answer.on('data', (chunk: Buffer) => (body += chunk.toString()));
      answer.on('end', () =>
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body }),
      );
    });
    sent.end();
  });
}

/** An HTTP proxy that knows CONNECT and nothing else. */
export interface TestProxy {
  readonly url: string;
  /** Hosts and ports that were asked for. */
  readonly asked: string[];
  /** Cuts every connection. */
  cut(): void;
  close(): Promise<void>;
}

/** Starts one on loopback. */
export async function startProxy(): Promise<TestProxy> {
  const asked: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((_req, res) => res.writeHead(405).end());
  server.on('connect', (req, socket, head) => {
    asked.push(req.url ?? '');
    const [host = '', port = ''] = (req.url ?? '').split(':');
    const upstream = connect(Number(port), host, () => {
      socket.write('HTTP/1.1 200 Connection Established\r\n\r\n');
      upstream.write(head);
      upstream.pipe(socket).pipe(upstream);
    });
    for (const one of [upstream, socket as Socket]) {
      sockets.add(one);
      one.on('error', () => one.destroy());
      one.on('close', () => {
        sockets.delete(one);
        upstream.destroy();
        socket.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const cut = (): void => sockets.forEach((socket) => socket.destroy());
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    cut,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
        cut();
      }),
  };
}
