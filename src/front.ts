/**
 * The one request listener: who may talk to us, and which part answers which URL. Plain node:http,
 * because every call passes here.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Caller } from './model/expiry.ts';
import { anonymous, type Principal } from './model/principal.ts';
import { gatewayPeerId } from './ports/peer.ts';

/** The parts behind the front. */
export interface FrontParts {
  /** Why a request is refused with 403 because of its Host or Origin; undefined lets it in. */
  refuse(req: IncomingMessage): string | undefined;
  /** The same for documents, which pages of any site may read. */
  refuseReader(req: IncomingMessage): string | undefined;
  /** Adds what pages of other sites may see; true when it has answered a preflight request. */
  cors(req: IncomingMessage, res: ServerResponse): boolean;
  /**
   * Who is calling a resource of ours; `resource` is its path. Undefined when the request was
   * refused, and answered.
   */
  identify(
    req: IncomingMessage,
    res: ServerResponse,
    resource: string,
  ): Caller | undefined | Promise<Caller | undefined>;
  mcp(req: IncomingMessage, res: ServerResponse, peerId: string, who: Caller): Promise<void>;
  a2a(
    req: IncomingMessage,
    res: ServerResponse,
    route: { peerId: string; rest: string },
    who: Caller,
  ): Promise<void>;
  /** Serves what is lent by a lease. */
  callback(req: IncomingMessage, res: ServerResponse, lease: string): Promise<void>;
  /** Answers a request for a page that people see; false when the path is none. */
  pages(req: IncomingMessage, res: ServerResponse, path: string): Promise<boolean>;
  /** Answers a request to an authorization server of ours; false when the path is none. */
  authorization(req: IncomingMessage, res: ServerResponse, path: string): Promise<boolean>;
  /** Whether anybody may read the card of a peer. */
  isPublic(peerId: string): boolean;
  /** Answers a request for a discovery document; false when the path is none. */
  documents(req: IncomingMessage, res: ServerResponse, path: string): Promise<boolean>;
  /** Answers a request for `/lend` that wants no WebSocket. */
  lend(res: ServerResponse): void;
  admin(req: IncomingMessage, res: ServerResponse, who: Principal): Promise<void>;
  ready(): boolean;
  /** The metrics, where the caller may have them. */
  metrics(
    req: IncomingMessage,
    who: Principal,
  ): Promise<{ contentType: string; text: string } | undefined>;
  /** Hears of what nobody foresaw. */
  fault(error: unknown, facts: { method: string; path: string }): void;
}

/** Servers of tokens, which programs call from anywhere. */
const isAuthorization = /^\/(?:sts|as|\.well-known|oauth-client\.json)(?:\/|$)/;

/** What programs call, and pages of configured origins. */
const isFace = /^\/(?:mcp|a2a|callback)(?:\/|$)/;

const peerPath = /^\/(mcp|a2a)\/([a-z0-9-]{1,63})(\/.*)?$/;

/** The endpoint of a lease. */
const callbackPath = /^\/callback\/([A-Za-z0-9_-]{22})\/mcp$/;

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
      // Nobody is left to answer, and nothing is wrong with us.
      if (isCutOff(req, error)) return;
      parts.fault(error, { method: req.method ?? '', path });
      if (res.headersSent) res.destroy();
      else sendJson(res, 500, { error: 'internal error' });
    });
  };
}

/** Whether an error says that the request broke off before its end, and nothing else. */
function isCutOff(req: IncomingMessage, error: unknown): boolean {
  if (req.complete || !req.destroyed) return false;
  if (error === req.errored) return true;
  return error instanceof Error && 'code' in error && error.code === 'ERR_STREAM_PREMATURE_CLOSE';
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
    const who = await parts.identify(req, res, '/admin');
    if (who === undefined) return;
    // Whoever has this machine's own token is held to stricter rules behind this.
    const refused = who.principal === anonymous ? undefined : parts.refuse(req);
    if (refused !== undefined) return sendJson(res, 403, { error: refused });
    return parts.admin(req, res, who.principal);
  }
  if (req.method !== 'POST' && (await document(parts, req, res, path))) return;
  if (isAuthorization.test(path) && parts.refuseReader(req) === undefined) {
    if (await parts.authorization(req, res, path)) return;
  }
  const refused = parts.refuse(req);
  if (refused !== undefined) return sendJson(res, 403, { error: refused });
  if (isFace.test(path) && parts.cors(req, res)) return;
  const [, face, peerId, rest = ''] = peerPath.exec(path) ?? [];
  if (peerId !== undefined && !(face === 'a2a' && ownIds.has(peerId))) {
    if (face === 'a2a' || rest === '' || rest === '/') {
      const asked = parts.identify(req, res, `/${face}/${peerId}`);
      // Nearly every call is known at once: no turn is lost on it.
      const who = asked instanceof Promise ? await asked : asked;
      if (who === undefined) return;
      if (face === 'a2a') return parts.a2a(req, res, { peerId, rest }, who);
      return parts.mcp(req, res, peerId, who);
    }
  }
  if (path === '/mcp' || path === '/mcp/') {
    const who = await parts.identify(req, res, '/mcp');
    return who === undefined ? undefined : parts.mcp(req, res, gatewayPeerId, who);
  }
  const [, lease] = callbackPath.exec(path) ?? [];
  if (lease !== undefined) return parts.callback(req, res, lease);
  const [own, below = ''] = ownAgentPath.exec(path) ?? [];
  if (own !== undefined) {
    const who = await parts.identify(req, res, '/a2a');
    if (who === undefined) return;
    return parts.a2a(req, res, { peerId: gatewayPeerId, rest: below }, who);
  }
  if (path === '/lend') return parts.lend(res);
  if (await parts.pages(req, res, path)) return;
  if (path === '/metrics') {
    const isKnown = req.headers.authorization !== undefined;
    const who = isKnown ? await parts.identify(req, res, '/admin') : { principal: anonymous };
    if (who === undefined) return;
    const metrics = await parts.metrics(req, who.principal);
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
    await parts.a2a(req, res, { peerId, rest }, { principal: anonymous });
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
