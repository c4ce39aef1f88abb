/**
 * The one request listener: who may talk to us, and which part answers which URL. Plain node:http,
 * because every call passes here.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Principal } from './model/principal.ts';
import { gatewayPeerId } from './ports/peer.ts';

/** The parts behind the front. */
export interface FrontParts {
  /** Why a request is refused with 403 because of its Host or Origin; undefined lets it in. */
  refuse(req: IncomingMessage): string | undefined;
  /** The same for documents, which pages of any site may read. */
  refuseReader(req: IncomingMessage): string | undefined;
  /** Who is calling. */
  principalOf(req: IncomingMessage): Principal;
  mcp(req: IncomingMessage, res: ServerResponse, peerId: string, who: Principal): Promise<void>;
  a2a(
    req: IncomingMessage,
    res: ServerResponse,
    route: { peerId: string; rest: string },
    who: Principal,
  ): Promise<void>;
  connect(
    req: IncomingMessage,
    res: ServerResponse,
    request: { id: string; principal: Principal },
  ): Promise<void>;
  /** Whether anybody may read the card of a peer. */
  isPublic(peerId: string): boolean;
  /** Answers a request for a discovery document; false when the path is none. */
  documents(req: IncomingMessage, res: ServerResponse, path: string): Promise<boolean>;
  admin(req: IncomingMessage, res: ServerResponse, who: Principal): Promise<void>;
  ready(): boolean;
  metrics(): Promise<{ contentType: string; text: string }> | undefined;
  /** Hears of what nobody foresaw. */
  fault(error: unknown, facts: { method: string; path: string }): void;
}

const peerPath = /^\/(mcp|a2a)\/([a-z0-9-]{1,63})(\/.*)?$/;

/** Paths of the gateway's own agent that look like those of a peer. */
const ownIds: ReadonlySet<string> = new Set(['tasks', 'v1']);
/** The gateway's own agent: what is no path of a peer below `/a2a`. */
const ownAgentPath = /^\/a2a(\/.*)?$/;
/** The cards of the gateway, and of a peer. */
const cardPath = /^(?:\/a2a(?:\/([a-z0-9-]{1,63}))?)?(\/\.well-known\/agent(?:-card)?\.json)$/;

/** Builds the listener. */
export function createFront(
  parts: FrontParts,
): (req: IncomingMessage, res: ServerResponse) => void {
  return (req, res) => {
    const path = pathOf(req.url ?? '/');
    route(parts, req, res, path).catch((error: unknown) => {
      parts.fault(error, { method: req.method ?? '', path });
      if (res.headersSent) res.destroy();
      else sendJson(res, 500, { error: 'internal error' });
    });
  };
}

async function route(
  parts: FrontParts,
  req: IncomingMessage,
  res: ServerResponse,
  path: string,
): Promise<void> {
  if (path === '/healthz') return sendJson(res, 200, { status: 'ok' });
  if (path === '/readyz') {
    return parts.ready()
      ? sendJson(res, 200, { status: 'ready' })
      : sendJson(res, 503, { status: 'starting or stopping' });
  }
  if (!parts.ready() && path !== '/metrics') {
    res.setHeader('retry-after', '1');
    res.setHeader('connection', 'close');
    return sendJson(res, 503, { error: 'The gateway is stopping. Try again in a moment.' });
  }
  if (path === '/admin' || path.startsWith('/admin/')) {
    return parts.admin(req, res, parts.principalOf(req));
  }
  if (req.method !== 'POST' && (await document(parts, req, res, path))) return;
  const refused = parts.refuse(req);
  if (refused !== undefined) return sendJson(res, 403, { error: refused });
  const [, face, peerId, rest = ''] = peerPath.exec(path) ?? [];
  if (peerId !== undefined && !(face === 'a2a' && ownIds.has(peerId))) {
    const who = parts.principalOf(req);
    if (face === 'a2a') return parts.a2a(req, res, { peerId, rest }, who);
    if (rest === '' || rest === '/') return parts.mcp(req, res, peerId, who);
  }
  if (path === '/mcp' || path === '/mcp/') return parts.mcp(req, res, '', parts.principalOf(req));
  const [own, below = ''] = ownAgentPath.exec(path) ?? [];
  if (own !== undefined) {
    return parts.a2a(req, res, { peerId: gatewayPeerId, rest: below }, parts.principalOf(req));
  }
  if (path.startsWith('/connect/')) {
    const id = path.slice('/connect/'.length);
    return parts.connect(req, res, { id, principal: parts.principalOf(req) });
  }
  if (path === '/metrics') {
    const metrics = await parts.metrics();
    if (metrics !== undefined) {
      res.writeHead(200, { 'content-type': metrics.contentType, 'cache-control': 'no-store' });
      res.end(metrics.text);
      return;
    }
  }
  if (await document(parts, req, res, path)) return;
  sendJson(res, 404, {
    error: 'There is nothing here. Peers are served at /mcp/{peer} and /a2a/{peer}.',
  });
}

/** Answers a request for what anybody may read; false when the path is no document's. */
async function document(
  parts: FrontParts,
  req: IncomingMessage,
  res: ServerResponse,
  path: string,
): Promise<boolean> {
  const [, peerId = gatewayPeerId, rest] = cardPath.exec(path) ?? [];
  const refused = parts.refuseReader(req);
  if (rest !== undefined && refused === undefined && parts.isPublic(peerId)) {
    await parts.a2a(req, res, { peerId, rest }, parts.principalOf(req));
    return true;
  }
  return refused === undefined && parts.documents(req, res, path);
}

/** The path of a request target, without its query; targets in absolute form too. */
function pathOf(target: string): string {
  const path = target.startsWith('/') ? target : (URL.parse(target)?.pathname ?? '/');
  const end = path.search(/[?#]/);
  return end === -1 ? path : path.slice(0, end);
}

function sendJson(res: ServerResponse, status: number, body: unknown): void {
  res.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
  res.end(JSON.stringify(body));
}
