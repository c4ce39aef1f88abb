/**
 * The lender's end of the reverse channel: one WebSocket to the gateway at a time, opened again
 * with growing pauses when it is lost, and at once when its token has ended. Behind it is an MCP
 * server, which may be anything that takes and gives messages; it lives on while the connection is
 * away.
 *
 * Spec: RFC 6455; RFC 9449 §7.1 (the proof goes with the upgrade)
 */
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket, type RawData } from 'ws';
import { isObject, type JsonObject } from '../model/json.ts';
import { gatewayUrl, type GatewayUrl } from './gateway-url.ts';
import { LendError } from './lend-error.ts';
import { machineHeaders, type ChannelHeaders, type MachineCredentials } from './machine-client.ts';
import { isId, nobody, OpenRequests } from './open-requests.ts';
import { createOutbound, type Outbound } from './outbound.ts';
import type { Environment } from './proxy.ts';

/** What a channel is opened with. */
export interface LendOptions {
  /** The gateway's origin. */
  readonly gateway: string;
  /** What the gateway calls what is lent: a-z, 0-9 and "-"; `tools` when absent. */
  readonly name?: string;
  /**
   * Who lends: a machine with its key, or whoever makes the headers of each connection
   * (`Authorization`, and `DPoP` for a bound token). Nobody in particular when absent, which a
   * gateway on this machine may allow.
   */
  readonly auth?: MachineCredentials | ChannelHeaders;
  /** Where the proxy is read from; the environment of this process when absent. */
  readonly environment?: Environment;
  /** Hears what happens, in words for people. */
  readonly onEvent?: (event: LendEvent) => void;
  /** Ends the channel. */
  readonly signal?: AbortSignal;
  /** Between 0 and 1; spreads the attempts of many lenders. */
  readonly random?: () => number;
  /** The first and the longest pause between two attempts (ms). */
  readonly pauses?: { readonly first: number; readonly longest: number };
}

/** What happens to a channel. */
export type LendEvent =
  /** It is open: the peer is at `/mcp/{peer}` and `/a2a/{peer}` of the gateway. */
  | { readonly kind: 'open'; readonly peer: string }
  /** It is lost, or could not be opened; another attempt follows. */
  | { readonly kind: 'away'; readonly reason: string; readonly retryMs: number };

/** The server behind a channel. */
export interface LentEnd {
  /** Takes a message of the gateway. While it takes its time, nothing more is read. */
  receive(message: JsonObject): void | Promise<void>;
}

const subprotocol = 'mcp.isthmus.v1';
const usualPauses = { first: 500, longest: 30_000 };
/** A connection that held for so long was a good one: the next pause is the first again. */
const goodMs = 30_000;
const handshakeMs = 15_000;
/** The gateway pings every 15 seconds; one that is silent for so long is gone. */
const silentMs = 45_000;
/** The largest message that is read, in bytes. */
const mostBytes = 64 * 1024 * 1024;
/** The code with which a gateway ends a channel for good. */
const replaced = 4001;
/** The code with which it ends one because its token has ended: with another it is taken at once. */
const expired = 4002;
/** Statuses that another attempt would not change. */
const finalStatuses: ReadonlySet<number> = new Set([400, 401, 403, 426]);

/** See the file comment. */
export class LendChannel {
  readonly #options: LendOptions;
  readonly #gateway: GatewayUrl;
  readonly #headers: ChannelHeaders;
  readonly #outbound: Outbound;
  readonly #stop = new AbortController();
  #requests = new OpenRequests();
  #socket: WebSocket | undefined;
  #wasOpen = false;

  /** Throws LendError when the options contradict themselves. Nothing is opened yet. */
  constructor(options: LendOptions) {
    this.#options = options;
    this.#gateway = gatewayUrl(options.gateway);
    const { name = 'tools', auth, environment = process.env } = options;
    if (!/^[a-z0-9-]{1,40}$/.test(name)) {
      throw new LendError('A name is 1 to 40 characters of a-z, 0-9 and "-".', { isFinal: true });
    }
    this.#outbound = createOutbound(environment);
    this.#headers =
      auth === undefined
        ? async () => ({})
        : typeof auth === 'function'
          ? auth
          : machineHeaders(this.#gateway, auth, this.#outbound.fetch);
    const { signal } = options;
    if (signal?.aborted === true) this.close();
    else signal?.addEventListener('abort', () => this.close(), { once: true });
  }

  /**
   * Keeps the channel open until it is closed. Throws LendError when the gateway does not want it:
   * then another attempt would change nothing.
   */
  async serve(end: LentEnd): Promise<void> {
    const { signal } = this.#stop;
    const { first, longest } = this.#options.pauses ?? usualPauses;
    const random = this.#options.random ?? Math.random;
    for (let pause = first; !signal.aborted; pause = Math.min(pause * 2, longest)) {
      const began = performance.now();
      let ended: { reason: string; code?: number };
      try {
        ended = await this.#connection(end);
      } catch (error) {
        if (signal.aborted) break;
        if (!(error instanceof LendError) || error.isFinal) throw error;
        ended = { reason: error.message };
      }
      if (signal.aborted) break;
      const { reason, code } = ended;
      const heldMs = performance.now() - began;
      // A gateway that takes a channel only to end it is not dialled without a pause.
      const isDue = code === expired && heldMs >= first;
      if (isDue || heldMs >= goodMs) pause = first;
      const retryMs = isDue ? 0 : Math.round(pause * (0.5 + random() / 2));
      this.#options.onEvent?.({ kind: 'away', reason, retryMs });
      await sleep(retryMs, undefined, { signal }).catch(() => undefined);
    }
  }

  /**
   * Sends a message of the server. Resolves when it is on its way; a request is refused, and
   * anything else dropped, while there is no connection.
   */
  async send(message: JsonObject, end: LentEnd): Promise<void> {
    const socket = this.#socket;
    if (socket?.readyState !== WebSocket.OPEN) {
      const { id, method } = message;
      if (isId(id) && typeof method === 'string') await end.receive(nobody(id));
      return;
    }
    if (!this.#requests.sent(message)) return;
    const text = JSON.stringify(message);
    // A failure is the end of the socket, which is heard there.
    await new Promise<void>((resolve) => socket.send(text, () => resolve()));
  }

  close(): void {
    this.#stop.abort();
    this.#socket?.close(1000, 'The lender has ended');
    const socket = this.#socket;
    setTimeout(() => socket?.terminate(), 1000).unref();
  }

  /** One connection from its beginning to its end. Resolves to why it ended. */
  async #connection(end: LentEnd): Promise<{ reason: string; code: number }> {
    const headers = await this.#headers(this.#stop.signal);
    this.#stop.signal.throwIfAborted();
    const socket = await this.#open(headers);
    if (this.#stop.signal.aborted) socket.terminate();
    this.#wasOpen = true;
    this.#requests = new OpenRequests();
    this.#socket = socket;
    const closed = Promise.withResolvers<{ reason: string; code: number }>();
    let taken = Promise.resolve();
    const take = async (text: string): Promise<void> => {
      const message = messageOf(text);
      if (message === undefined) return;
      this.#requests.received(message);
      await end.receive(message);
    };
    socket.on('message', (data: RawData, isBinary: boolean) => {
      if (isBinary) return;
      // One after the other; the socket waits for a server that takes its time.
      socket.pause();
      taken = taken.then(() => take(textOf(data))).finally(() => socket.resume());
      taken.catch((error: unknown) => closed.reject(error));
    });
    socket.on('close', (code, reason) => {
      if (code !== replaced) closed.resolve({ reason: reasonOf(code, reason.toString()), code });
      else closed.reject(new LendError(replacedText, { isFinal: true }));
    });
    try {
      socket.resume();
      return await closed.promise;
    } finally {
      socket.terminate();
      this.#socket = undefined;
      for (const message of this.#requests.lost()) await end.receive(message);
    }
  }

  /** Opens a socket. Nothing is read from it before `resume`. */
  async #open(headers: Record<string, string>): Promise<WebSocket> {
    const url = new URL(`${this.#gateway.resource.replace(/^http/, 'ws')}`);
    url.searchParams.set('name', this.#options.name ?? 'tools');
    const agent = this.#outbound.agentFor(url);
    const socket = new WebSocket(url, subprotocol, {
      headers,
      handshakeTimeout: handshakeMs,
      perMessageDeflate: false,
      maxPayload: mostBytes,
      followRedirects: false,
      ...(agent !== undefined && { agent }),
    });
    const opened = Promise.withResolvers<void>();
    const { signal } = this.#stop;
    const abort = (): void => socket.terminate();
    signal.addEventListener('abort', abort, { once: true });
    let peer = '';
    socket.once('upgrade', ({ headers: answer, socket: stream }) => {
      watch(socket, stream);
      const named = answer['isthmus-peer'];
      if (typeof named === 'string') peer = named;
    });
    socket.once('open', () => {
      socket.pause();
      opened.resolve();
    });
    socket.once('unexpected-response', (_request, response) => {
      response.resume();
      opened.reject(this.#refusal(response.statusCode ?? 0));
      socket.terminate();
    });
    socket.on('error', (cause) => {
      const message = 'The gateway cannot be reached.';
      opened.reject(new LendError(message, { isFinal: false, cause }));
    });
    try {
      await opened.promise;
    } finally {
      signal.removeEventListener('abort', abort);
    }
    this.#options.onEvent?.({ kind: 'open', peer });
    return socket;
  }

  #refusal(status: number): LendError {
    // What served once is only away, whatever stands in its place for now.
    const isFinal = finalStatuses.has(status) || (status === 404 && !this.#wasOpen);
    const text = refusalTexts[status] ?? `The gateway does not take the channel (HTTP ${status}).`;
    return new LendError(text, { isFinal });
  }
}

const replacedText =
  'Another lender of the same client and name has taken the place of this one. Use --as to lend both.';

const refusalTexts: Readonly<Record<number, string>> = {
  401: 'The gateway wants to know who lends: use --client-id and --key, as its operator has registered them.',
  403: 'The gateway does not let this client lend. Its operator has to give it the scope "lend".',
  404: 'There is no reverse channel at this URL. Check that it is the URL of a gateway.',
  429: 'The gateway has too many channels of this client open, or too many requests of it.',
};

/** Ends a socket from which no byte has come for too long. */
function watch(socket: WebSocket, stream: Socket): void {
  let read = 0;
  let since = performance.now();
  const timer = setInterval(() => {
    if (stream.bytesRead > read) since = performance.now();
    else if (performance.now() - since >= silentMs) socket.terminate();
    read = stream.bytesRead;
  }, silentMs / 9).unref();
  socket.on('close', () => clearInterval(timer));
}

function reasonOf(code: number, reason: string): string {
  // The other side's words are not ours: a few plain characters of them are shown.
  const shown = reason.replace(/[^\x20-\x7e]/g, '').slice(0, 123);
  return `The channel was closed (${code}${shown === '' ? '' : `: ${shown}`}).`;
}

/** A message of the gateway; what is none means nothing. */
function messageOf(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? (value as JsonObject) : undefined;
  } catch {
    return undefined;
  }
}

function textOf(data: RawData): string {
  if (Array.isArray(data)) return Buffer.concat(data).toString('utf8');
  return Buffer.isBuffer(data) ? data.toString('utf8') : Buffer.from(data).toString('utf8');
}
