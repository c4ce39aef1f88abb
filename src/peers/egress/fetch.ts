import type { Readable } from 'node:stream';
import { GatewayError } from '../../model/errors.ts';
import { isEventStream, type EgressReply, type EgressRequest } from './exchange.ts';

type SendRequest = (target: string | URL, request?: EgressRequest) => Promise<EgressReply>;
type FetchInput = Parameters<typeof fetch>[0];
type FetchInit = Parameters<typeof fetch>[1];

const nullBodyStatuses = new Set([204, 205, 304]);

/**
 * WHATWG `fetch` on top of the guarded request, for libraries that take a `fetch`. Requests of any
 * shape are accepted; replies are real `Response` objects. A JSON reply is read whole before it is
 * handed over, which spares a web stream; everything else arrives as it is sent.
 */
export function fetchOver(send: SendRequest): typeof fetch {
  return async (input, init) => {
    const { url, request } = await requestOf(input, init);
    return responseOf(await send(url, request), url);
  };
}

async function requestOf(
  input: FetchInput,
  init: FetchInit,
): Promise<{ url: string; request: EgressRequest }> {
  const body = init?.body ?? undefined;
  if (!isRequest(input) && (body === undefined || typeof body === 'string')) {
    const headers = new Headers(init?.headers);
    if (body !== undefined && !headers.has('content-type')) {
      headers.set('content-type', 'text/plain;charset=UTF-8');
    }
    const request = {
      method: init?.method?.toUpperCase() ?? 'GET',
      headers: Object.fromEntries(headers),
      signal: init?.signal ?? undefined,
      body,
    };
    return { url: String(input), request };
  }
  const streamed: RequestInit & { duplex: 'half' } = { ...init, duplex: 'half' };
  const full = new Request(input, streamed);
  const request = {
    method: full.method,
    headers: Object.fromEntries(full.headers),
    signal: full.signal,
    body: full.body === null ? undefined : new Uint8Array(await full.arrayBuffer()),
  };
  return { url: full.url, request };
}

async function responseOf(reply: EgressReply, url: string): Promise<Response> {
  if (reply.status < 200 || reply.status > 599) {
    reply.discard();
    throw new GatewayError('peer-protocol', `The peer answered with status ${reply.status}.`, {
      facts: { stage: 'headers' },
    });
  }
  const body = await responseBody(reply);
  const response = new Response(body, { status: reply.status, headers: headersOf(reply) });
  Object.defineProperty(response, 'url', { value: url });
  return response;
}

type ResponseBody = ConstructorParameters<typeof Response>[0];

async function responseBody(reply: EgressReply): Promise<ResponseBody> {
  if (nullBodyStatuses.has(reply.status) || reply.header('content-length') === '0') {
    reply.discard();
    return null;
  }
  if (isEventStream(reply.headers)) return streamOf(reply.stream());
  if (isJson(reply)) return new Uint8Array(await reply.bytes());
  if (reply.status !== 202) return streamOf(reply.stream());
  // The usual answer to a notification: empty, though sent in chunks. Libraries cancel it unread,
  // which would cost the connection.
  const bytes = await reply.bytes();
  return bytes.length === 0 ? null : new Uint8Array(bytes);
}

function streamOf(body: Readable): ReadableStream<Uint8Array> {
  const source = body[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const next = await source.next();
        if (next.done === true) controller.close();
        else controller.enqueue(new Uint8Array(next.value));
      },
      cancel: () => void body.destroy(),
    },
    { highWaterMark: 0 },
  );
}

function headersOf(reply: EgressReply): Headers {
  const headers = new Headers();
  for (const [name, value] of Object.entries(reply.headers)) {
    if (Array.isArray(value)) for (const one of value) headers.append(name, one);
    else if (value !== undefined) headers.append(name, value);
  }
  return headers;
}

function isJson(reply: EgressReply): boolean {
  return /^application\/(?:[\w.-]+\+)?json\b/i.test(reply.header('content-type') ?? '');
}

function isRequest(input: FetchInput): input is Request {
  return typeof input === 'object' && 'headers' in input;
}
