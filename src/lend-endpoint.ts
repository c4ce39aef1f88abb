/**
 * `/lend`: takes the WebSockets of those who lend an MCP server of theirs. Whoever may not is
 * answered in plain HTTP.
 *
 * Spec: RFC 6455 §4.2; MCP 2026-07-28 basic/transports ("Custom Transports")
 */
import { ServerResponse, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import { LendSocket, type LendSocketOptions } from './lend-socket.ts';
import { atExpiry, type Caller } from './model/expiry.ts';
import type { Clock } from './model/ids.ts';
import { ownerKey, type OwnerKey } from './model/principal.ts';
import { lendScope } from './policy/permissions.ts';
import { channelClose } from './ports/channel.ts';
import {
  lentId,
  lentName,
  type NoRoom,
  type ReverseChannels,
} from './switchboard/reverse-channels.ts';
import { sendWait } from './wait-answer.ts';

/** What the endpoint is made of. */
export interface LendEndpointOptions {
  readonly channels: ReverseChannels;
  /** Why a request is refused with 403 because of its Host or Origin; undefined lets it in. */
  refuse(req: IncomingMessage): string | undefined;
  /** Who is calling; undefined when the request was refused, and answered. */
  identify(
    req: IncomingMessage,
    res: ServerResponse,
    resource: string,
  ): Caller | undefined | Promise<Caller | undefined>;
  /** The headers of a 403 for want of scopes. */
  challenge(scopes: readonly string[]): Record<string, string>;
  ready(): boolean;
  /** The largest frame that is read, in bytes. */
  readonly maxFrameBytes: number;
  readonly clock: Clock;
  readonly socket?: LendSocketOptions;
  /** Hears why somebody who is known was turned away. */
  onRefused(owner: OwnerKey, reason: string): void;
  /** Hears of what nobody foresaw. */
  fault(error: unknown): void;
}

/** See the file comment. */
export interface LendEndpoint {
  /** Whether a request to upgrade is for us. */
  takes(req: IncomingMessage): boolean;
  /** Answers one. */
  upgrade(req: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Cuts off whoever is still waiting for an answer. */
  close(): void;
}

/** Where it is, and the path of the protected resource. */
const lendPath = '/lend';
/** What is spoken there. */
const subprotocol = 'mcp.isthmus.v1';
/** Names the peer to its lender, in the answer to the upgrade. */
const peerHeader = 'isthmus-peer';

/** Builds it. */
export function createLendEndpoint(options: LendEndpointOptions): LendEndpoint {
  const ids = new WeakMap<IncomingMessage, string>();
  const waiting = new Set<Duplex>();
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: options.maxFrameBytes,
    perMessageDeflate: false,
    handleProtocols: () => subprotocol,
  });
  sockets.on('headers', (headers, req) => {
    const id = ids.get(req);
    if (id !== undefined) headers.push(`${peerHeader}: ${id}`);
  });
  const take = async (req: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> => {
    const res = answerOn(req, socket);
    const lender = await admitted(req, res, options);
    if (lender === undefined || socket.destroyed) return;
    const { who, name } = lender;
    const owner = ownerKey(who.principal);
    const reason = options.channels.refusal(owner, name);
    if (reason !== undefined) {
      options.onRefused(owner, roomTexts[reason]);
      return refuseRoom(res, reason);
    }
    res.detachSocket(socket as Socket);
    ids.set(req, lentId(owner, name));
    sockets.handleUpgrade(req, socket, head, (webSocket) => {
      const bytesRead = (): number => (socket as Socket).bytesRead;
      const channel = new LendSocket(webSocket, { ...options.socket, bytesRead });
      options.channels.accept(channel, owner, name);
      // A stolen token serves in its owner's name until it ends, and no longer.
      const end = (): void => channel.close(channelClose.expired, 'Connect with a new token');
      webSocket.once('close', atExpiry(who.until, options.clock, end));
    });
  };
  return {
    takes: (req) => pathOf(req) === lendPath,
    upgrade(req, socket, head) {
      socket.on('error', () => socket.destroy());
      waiting.add(socket);
      const done = (): void => void waiting.delete(socket);
      socket.once('close', done);
      take(req, socket, head).then(done, (error: unknown) => {
        options.fault(error);
        socket.destroy();
      });
    },
    close() {
      for (const socket of waiting) socket.destroy();
    },
  };
}

/** Who lends, and under which name; undefined when the request was refused, and answered. */
async function admitted(
  req: IncomingMessage,
  res: ServerResponse,
  options: LendEndpointOptions,
): Promise<{ who: Caller; name: string } | undefined> {
  if (!options.ready()) {
    const message = 'The gateway is stopping. Try again in a moment.';
    return refuse(res, 503, message, { 'retry-after': '1' });
  }
  const strange = options.refuse(req);
  if (strange !== undefined) return refuse(res, 403, strange);
  if (!isWebSocket(req)) return upgradeRequired(res);
  const who = await options.identify(req, res, lendPath);
  if (who === undefined) return undefined;
  if (!who.principal.scopes.includes(lendScope)) {
    const message = `This needs the scope "${lendScope}". Ask for a token with it.`;
    options.onRefused(ownerKey(who.principal), message);
    return refuse(res, 403, message, options.challenge([lendScope]));
  }
  const name = nameOf(req);
  if (name === undefined) {
    return refuse(res, 400, 'A name is 1 to 40 characters of a-z, 0-9 and "-".');
  }
  return { who, name };
}

/** Answers a request for `/lend` that wants no WebSocket. Spec: RFC 9110 §15.5.22 */
export function upgradeRequired(res: ServerResponse): undefined {
  const message = `This is a WebSocket of the subprotocol ${subprotocol}. Use "isthmus lend".`;
  return refuse(res, 426, message, { upgrade: 'websocket' });
}

function refuse(
  res: ServerResponse,
  status: number,
  error: string,
  headers: Record<string, string> = {},
): undefined {
  if (res.headersSent || res.destroyed) return;
  const connection = status === 426 ? { connection: 'upgrade, close' } : {};
  res.writeHead(status, {
    'content-type': 'application/json',
    'cache-control': 'no-store',
    ...connection,
    ...headers,
  });
  res.end(JSON.stringify({ error }));
}

const roomTexts = {
  'owner-full': 'You have too many channels open. Close one of them first.',
  'all-full': 'Too many channels are open here. Try again later.',
  'id-taken': 'This name cannot be had now. Choose another one.',
} as const satisfies Record<NoRoom, string>;

function refuseRoom(res: ServerResponse, reason: NoRoom): void {
  const status = reason === 'all-full' ? 503 : 429;
  sendWait(res, lendPath, { status, retryAfterMs: 10_000, message: roomTexts[reason] });
}

/** A way to answer on a socket that Node.js has handed over; with the answer it ends. */
function answerOn(req: IncomingMessage, socket: Duplex): ServerResponse {
  const res = new ServerResponse(req);
  res.shouldKeepAlive = false;
  res.assignSocket(socket as Socket);
  res.once('finish', () => {
    socket.end();
    setTimeout(() => socket.destroy(), 1000).unref();
  });
  return res;
}

function isWebSocket({ method, headers }: IncomingMessage): boolean {
  const offered = headers['sec-websocket-protocol']?.split(',').map((one) => one.trim()) ?? [];
  return (
    method === 'GET' &&
    headers.upgrade?.toLowerCase() === 'websocket' &&
    offered.includes(subprotocol)
  );
}

function nameOf({ url = '' }: IncomingMessage): string | undefined {
  const at = url.indexOf('?');
  const names = new URLSearchParams(at === -1 ? '' : url.slice(at + 1)).getAll('name');
  const [name = 'tools'] = names;
  return names.length < 2 && lentName.test(name) ? name : undefined;
}

function pathOf({ url = '/' }: IncomingMessage): string {
  const path = url.startsWith('/') ? url : (URL.parse(url)?.pathname ?? '/');
  const end = path.search(/[?#]/);
  return end === -1 ? path : path.slice(0, end);
}
