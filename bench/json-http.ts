import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';

/** Answers one request; a rejection becomes a bare 500. */
export type JsonListener = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

/** A listening server: its origin, and how to stop it. */
export interface Listening {
  origin: string;
  close: () => Promise<void>;
}

/** Reads a whole request body as text; one chunk, the usual case, is not copied. */
export function readText(request: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const only = chunks.length === 1 ? chunks[0] : undefined;
      resolve((only ?? Buffer.concat(chunks)).toString());
    });
    request.on('error', reject);
  });
}

/** Writes a JSON answer with its length, so that the connection stays open and unchunked. */
export function sendJson(response: ServerResponse, status: number, value: unknown): void {
  const body = Buffer.from(JSON.stringify(value));
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': body.length,
  });
  response.end(body);
}

/** Serves `listener` on 127.0.0.1; port 0 takes a free one. */
export function listenJson(listener: JsonListener, port = 0): Promise<Listening> {
  const server = createServer((request, response) => {
    listener(request, response).catch((error: unknown) => {
      process.stderr.write(`${String(error)}\n`);
      if (!response.headersSent) response.writeHead(500);
      response.end();
    });
  });
  server.keepAliveTimeout = 60_000;
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => {
      const address = server.address();
      const bound = typeof address === 'object' && address !== null ? address.port : port;
      resolve({
        origin: `http://127.0.0.1:${bound}`,
        close: () =>
          new Promise((done) => {
            server.close(() => done());
            server.closeAllConnections();
          }),
      });
    });
  });
}
