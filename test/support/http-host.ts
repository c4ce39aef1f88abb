import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { localhostHostValidation, localhostOriginValidation } from '@modelcontextprotocol/node';

const MAX_BODY = 4 * 1024 * 1024;

/** A request with its JSON body already read; `body` is `undefined` when there was none. */
export interface JsonExchange {
  req: IncomingMessage;
  res: ServerResponse;
  body: unknown;
}

/** A listening loopback HTTP server. */
export interface HttpHost {
  /** The MCP endpoint. */
  url: string;
  port: number;
  close(): Promise<void>;
}

/**
 * Serves one MCP endpoint at `/mcp` on 127.0.0.1 (port 0 picks a free one). Requests whose Host or
 * Origin is not a loopback name get 403.
 * Spec: MCP 2025-11-25 basic/transports, "Security Warning" (DNS rebinding).
 */
export async function listenMcp(
  handle: (exchange: JsonExchange) => Promise<void>,
  port = 0,
): Promise<HttpHost> {
  const validHost = localhostHostValidation();
  const validOrigin = localhostOriginValidation();
  const server = createServer((req, res) => {
    if (!validHost(req, res) || !validOrigin(req, res)) return;
    if (new URL(req.url ?? '/', 'http://localhost').pathname !== '/mcp') {
      res.writeHead(404).end();
      return;
    }
    serve(req, res, handle).catch((error: unknown) => {
      if (!res.headersSent) sendError(res, 500, -32603, 'Internal error');
      process.stderr.write(`test peer: ${String(error)}\n`);
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  const bound = (server.address() as AddressInfo).port;
  return { url: `http://127.0.0.1:${bound}/mcp`, port: bound, close: () => closeServer(server) };
}

async function serve(
  req: IncomingMessage,
  res: ServerResponse,
  handle: (exchange: JsonExchange) => Promise<void>,
): Promise<void> {
  const text = await readText(req);
  if (text === undefined) return sendError(res, 413, -32600, 'Request body too large');
  let body: unknown;
  if (text !== '') {
    try {
      body = JSON.parse(text);
    } catch {
      return sendError(res, 400, -32700, 'Parse error');
    }
  }
  await handle({ req, res, body });
}

async function readText(req: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of req as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Answers with a JSON-RPC error. */
export function sendError(
  res: ServerResponse,
  status: number,
  code: number,
  message: string,
  extra: { id?: unknown; data?: unknown } = {},
): void {
  const error = { code, message, ...(extra.data === undefined ? {} : { data: extra.data }) };
  res.writeHead(status, { 'content-type': 'application/json' });
  res.end(JSON.stringify({ jsonrpc: '2.0', id: extra.id ?? null, error }));
}

/** The first value of a request header. */
export function header(req: IncomingMessage, name: string): string | undefined {
  const value = req.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

/** The value of `--name` on the command line. */
export function commandLineOption(name: string): string | undefined {
  const at = process.argv.indexOf(`--${name}`);
  return at === -1 ? undefined : process.argv[at + 1];
}

/**
 * Runs `start` when `moduleUrl` is the program itself, prints the URL, and stops on SIGTERM/SIGINT.
 * Options: `--port N`, `--ledger FILE`.
 */
export async function runAsProgram(
  moduleUrl: string,
  start: (options: { port: number; ledgerFile?: string }) => Promise<{
    url: string;
    close(): Promise<void>;
  }>,
): Promise<void> {
  if (process.argv[1] === undefined || new URL(moduleUrl).pathname !== process.argv[1]) return;
  const running = await start({
    port: Number(commandLineOption('port') ?? 0),
    ledgerFile: commandLineOption('ledger'),
  });
  process.stdout.write(`${running.url}\n`);
  const stop = (): void => void running.close().then(() => process.exit(0));
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
}
