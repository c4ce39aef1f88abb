/** A real peer behind a check of tokens, on an origin of its own. It keeps every byte it hears. */
import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { heardBytes } from './heard-bytes.ts';

/** Why a request is turned away. */
export interface Refusal {
  readonly status: number;
  readonly headers?: Record<string, string>;
}

/** How the peer is guarded. */
export interface GuardedPeerOptions {
  /** The peer behind: its card or its endpoint. */
  readonly target: string;
  /** Looks at a request; undefined lets it pass. */
  readonly check: (req: IncomingMessage) => Refusal | undefined | Promise<Refusal | undefined>;
  /** Protected resource metadata, served without a check. */
  readonly metadata?: () => object;
}

/** A running guard. */
export interface GuardedPeer {
  readonly origin: string;
  /** The same path as `target` on this origin. */
  readonly url: string;
  /** Requests that reached it, with what became of them. */
  readonly requests: { method: string; path: string; authorization?: string; status: number }[];
  readonly bytes: () => string;
  close(): Promise<void>;
}

const metadataPath = '/.well-known/oauth-protected-resource';

/** Starts the guard on a free port of 127.0.0.1. */
export async function startGuardedPeer(options: GuardedPeerOptions): Promise<GuardedPeer> {
  const target = new URL(options.target);
  const requests: GuardedPeer['requests'] = [];

  const pass = (req: IncomingMessage, res: ServerResponse): void => {
    const { method, headers } = req;
    const host = target.host;
    const sent = { method, headers: { ...headers, host } };
    const onward = request(new URL(req.url ?? '/', target), sent, (reply) => {
      const isCard = req.url?.includes('/.well-known/') === true;
      if (!isCard) {
        res.writeHead(reply.statusCode ?? 502, reply.headers);
        reply.pipe(res);
        return;
      }
      // The card of the peer behind names the peer behind.
      void text(reply).then((card) => {
        res.writeHead(reply.statusCode ?? 502, { 'content-type': 'application/json' });
        res.end(card.replaceAll(target.origin, origin));
      });
    });
    onward.on('error', () => res.destroy());
    res.on('close', () => onward.destroy());
    req.pipe(onward);
  };

  const serve = async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    if (req.url?.startsWith(metadataPath) === true) {
      res.writeHead(200, { 'content-type': 'application/json' });
      res.end(JSON.stringify(options.metadata?.() ?? {}));
      return;
    }
    const refusal = await options.check(req);
    const { authorization } = req.headers;
    const seen = { method: req.method ?? '', path: req.url ?? '', status: refusal?.status ?? 200 };
    requests.push({ ...seen, ...(authorization !== undefined && { authorization }) });
    if (refusal === undefined) return pass(req, res);
    req.resume();
    res.writeHead(refusal.status, refusal.headers).end();
  };

  const server = createServer((req, res) => void serve(req, res));
  const bytes = heardBytes(server);
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    origin,
    url: `${origin}${target.pathname}`,
    requests,
    bytes,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** The token of a request. */
export function tokenIn({ headers }: IncomingMessage): string | undefined {
  return /^(?:Bearer|DPoP) (.+)$/.exec(headers.authorization ?? '')?.[1];
}
