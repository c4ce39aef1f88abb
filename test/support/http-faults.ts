import type { JsonExchange } from './http-host.ts';

/**
 * A way for a peer to misbehave at the HTTP level.
 * `hang`: never answers. `disconnect`: drops the connection before answering. `cut`: opens an SSE
 * stream, sends one comment and drops it. `html`: 502 with an HTML page. `unavailable`: 503 with
 * `Retry-After`. `not-json`: 200 with a body that is no JSON. `not-rpc`: 200 with JSON that is no
 * JSON-RPC. `wrong-id`: a result for another request. `unauthorized`: 401 with a challenge.
 */
export type HttpFault =
  | 'hang'
  | 'disconnect'
  | 'cut'
  | 'html'
  | 'unavailable'
  | 'not-json'
  | 'not-rpc'
  | 'wrong-id'
  | 'unauthorized';

/** Faults to come. A fault meets the next request whose method matches, then it is used up. */
export class FaultQueue {
  readonly #queue: { fault: HttpFault; method: string | undefined }[] = [];

  /** Queues a fault for the next request, or for the next request with this JSON-RPC method. */
  failNext(fault: HttpFault, method?: string): void {
    this.#queue.push({ fault, method });
  }

  /** Answers the exchange badly when a fault is due for it. */
  apply({ req, res, body }: JsonExchange): boolean {
    const method = (body as { method?: unknown } | undefined)?.method;
    const at = this.#queue.findIndex((due) => due.method === undefined || due.method === method);
    const [due] = at === -1 ? [] : this.#queue.splice(at, 1);
    if (due === undefined) return false;
    switch (due.fault) {
      case 'hang':
        break;
      case 'disconnect':
        req.socket.destroy();
        break;
      case 'cut':
        res.writeHead(200, { 'content-type': 'text/event-stream' });
        res.write(': about to break\n\n', () => res.destroy());
        break;
      case 'html':
        res
          .writeHead(502, { 'content-type': 'text/html' })
          .end('<html><h1>Bad Gateway</h1></html>');
        break;
      case 'unavailable':
        res.writeHead(503, { 'retry-after': '1' }).end();
        break;
      case 'not-json':
        res.writeHead(200, { 'content-type': 'application/json' }).end('{"jsonrpc": "2.0", ');
        break;
      case 'not-rpc':
        res.writeHead(200, { 'content-type': 'application/json' }).end('{"hello":"world"}');
        break;
      case 'wrong-id':
        res.writeHead(200, { 'content-type': 'application/json' });
        res.end('{"jsonrpc":"2.0","id":"someone-else","result":{"resultType":"complete"}}');
        break;
      case 'unauthorized':
        res.writeHead(401, { 'www-authenticate': 'Bearer error="invalid_token"' }).end();
        break;
      default:
        due.fault satisfies never;
    }
    return true;
  }
}
