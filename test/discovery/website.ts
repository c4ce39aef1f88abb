/** Somebody's site with a few documents on it, and nothing else. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A running site. */
export interface Website {
  readonly url: string;
  readonly port: number;
  readonly documents: Readonly<Record<string, unknown>>;
  /** Paths that were asked for. */
  readonly requests: readonly string[];
  close(): Promise<void>;
}

/** Serves each document as JSON at its path, and 404 everywhere else, on 127.0.0.1. */
export async function startWebsite(documents: Readonly<Record<string, unknown>>): Promise<Website> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    const path = request.url ?? '/';
    requests.push(path);
    const document = Object.hasOwn(documents, path) ? documents[path] : undefined;
    response.writeHead(document === undefined ? 404 : 200, { 'content-type': 'application/json' });
    response.end(document === undefined ? '{"error":"not found"}' : JSON.stringify(document));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    documents,
    requests,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
