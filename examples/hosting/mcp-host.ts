/**
 * Puts an MCP server on HTTP, on loopback: at `/mcp`, in protocol 2026-07-28 and, without sessions,
 * in the revisions before it. A fresh server answers each request; what lasts is passed to it.
 */
import { timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  localhostHostValidation,
  localhostOriginValidation,
  toNodeHandler,
} from '@modelcontextprotocol/node';
import { createMcpHandler } from '@modelcontextprotocol/server';
import type { McpServer } from '@modelcontextprotocol/server';
import type { Place, Running } from './program.ts';

/** What is served beside MCP. */
export interface HostOptions extends Place {
  /** Without this bearer token nothing is answered at `/mcp`. */
  token?: string;
  /** JSON documents by path; known once the origin is. */
  documents?: (origin: string) => Record<string, unknown>;
}

/** Serves it; `make` builds a server for one request. */
export async function serveMcp(
  make: (origin: string) => McpServer,
  { port, origin: known, token, documents }: HostOptions,
): Promise<Running & { origin: string }> {
  const validHost = localhostHostValidation();
  const validOrigin = localhostOriginValidation();
  const handler = createMcpHandler(() => make(origin));
  const mcp = toNodeHandler(handler);
  const server = createServer((request, response) => {
    if (!validHost(request, response) || !validOrigin(request, response)) return;
    const document = documents?.(origin)[request.url ?? ''];
    if (document !== undefined && request.method === 'GET') {
      return sendJson(response, 200, document);
    }
    if (request.url !== '/mcp') return void response.writeHead(404).end();
    if (token !== undefined && !bears(request, token)) {
      response.setHeader('www-authenticate', 'Bearer');
      return sendJson(response, 401, { error: 'invalid_token' });
    }
    void mcp(request, response);
  });
  await listen(server, port);
  const origin = known ?? `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url: `${origin}/mcp`,
    origin,
    async close() {
      await handler.close();
      await stop(server);
    },
  };
}

/** Listens on loopback; rejects with words for whoever started the program. */
export async function listen(server: Server, port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      reject(new Error(`cannot listen on port ${port} (${error.message}); choose one with --port`));
    });
    server.listen(port, '127.0.0.1', resolve);
  });
}

/** Stops listening, and ends what is open. */
export async function stop(server: Server): Promise<void> {
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

/** Answers with JSON. */
export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

function bears({ headers }: IncomingMessage, token: string): boolean {
  const given = Buffer.from(headers.authorization ?? '');
  const wanted = Buffer.from(`Bearer ${token}`);
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}
