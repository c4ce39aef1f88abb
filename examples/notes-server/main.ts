/** An MCP server in one process: `node examples/notes-server/main.ts --port 41242`. */
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { parseArgs } from 'node:util';
import {
  localhostHostValidation,
  localhostOriginValidation,
  NodeStreamableHTTPServerTransport,
  toNodeHandler,
  toWebRequest,
} from '@modelcontextprotocol/node';
import {
  createMcpHandler,
  isInitializeRequest,
  isLegacyRequest,
} from '@modelcontextprotocol/server';
import { Notebook } from './notes.ts';
import { notesServer } from './server.ts';

const { values } = parseArgs({
  options: {
    host: { type: 'string', default: '127.0.0.1' },
    port: { type: 'string', default: '41242' },
  },
});
const origin = `http://${values.host}:${values.port}`;
const notebook = new Notebook();

// Protocol 2026-07-28: stateless, a fresh server for each request.
const modern = toNodeHandler(createMcpHandler(() => notesServer(notebook), { legacy: 'reject' }));

// Older revisions: `initialize` opens a session, which is what lets the server ask questions.
const sessions = new Map<string, NodeStreamableHTTPServerTransport>();

async function legacy(request: IncomingMessage, response: ServerResponse, body: unknown) {
  const id = request.headers['mcp-session-id'];
  const session = typeof id === 'string' ? sessions.get(id) : undefined;
  if (session) return session.handleRequest(request, response, body);
  if (id !== undefined) return refuse(response, 404, 'Session not found');
  if (!isInitializeRequest(body)) return refuse(response, 400, 'Send initialize first');
  const transport = new NodeStreamableHTTPServerTransport({
    sessionIdGenerator: () => randomUUID(),
    onsessioninitialized: (sessionId) => void sessions.set(sessionId, transport),
    onsessionclosed: (sessionId) => void sessions.delete(sessionId),
  });
  await notesServer(notebook).connect(transport);
  return transport.handleRequest(request, response, body);
}

const allowedHost = localhostHostValidation();
const allowedOrigin = localhostOriginValidation();

const server = createServer((request, response) => {
  if (!allowedHost(request, response) || !allowedOrigin(request, response)) return;
  if (request.url !== '/mcp') return void response.writeHead(404).end();
  serve(request, response).catch((error: unknown) => {
    console.error('notes-server:', error);
    if (!response.headersSent) refuse(response, 500, 'Internal error');
  });
});

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.method !== 'POST') return legacy(request, response, undefined);
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  let body: unknown;
  try {
    body = JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch {
    return refuse(response, 400, 'Parse error', -32700);
  }
  const old = await isLegacyRequest(await toWebRequest(request, body));
  return old ? legacy(request, response, body) : modern(request, response, body);
}

function refuse(response: ServerResponse, status: number, message: string, code = -32000): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ jsonrpc: '2.0', id: null, error: { code, message } }));
}

server.once('error', (error) => {
  console.error(`notes-server: cannot listen on ${origin}: ${error.message}`);
  process.exit(1);
});
server.listen(Number(values.port), values.host, () => {
  console.log(`notes-server: ${origin}/mcp`);
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    server.close();
    server.closeAllConnections();
  });
}
