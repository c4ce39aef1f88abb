/**
 * The way out of a lender's machine: directly, or through the HTTP proxy of its environment. This
 * runs where the lender runs, never in a gateway.
 */
import { request as requestHttp, type Agent, type IncomingMessage } from 'node:http';
import { request as requestHttps } from 'node:https';
import { HttpsProxyAgent } from 'https-proxy-agent';
import { proxyFor, type Environment } from './proxy.ts';

/** See the file comment. */
export interface Outbound {
  /** Sends a request, as the global one does; redirects are not followed. */
  readonly fetch: typeof fetch;
  /** The agent that leads to a URL; undefined where it is reached directly. */
  agentFor(url: URL): Agent | undefined;
}

/** The largest answer that is read, in bytes: metadata and tokens are small. */
const mostBytes = 1024 * 1024;

/** The way out under these variables. */
export function createOutbound(environment: Environment): Outbound {
  const agents = new Map<string, Agent>();
  const agentFor = (url: URL): Agent | undefined => {
    const proxy = proxyFor(url, environment);
    if (proxy === undefined) return undefined;
    let agent = agents.get(proxy.href);
    if (agent === undefined) agents.set(proxy.href, (agent = new HttpsProxyAgent(proxy)));
    return agent;
  };
  const send: typeof fetch = async (input, init = {}) => {
    const request = new Request(input, { ...init, redirect: 'manual' });
    const body = request.body === null ? undefined : Buffer.from(await request.arrayBuffer());
    return exchange(request, body, agentFor(new URL(request.url)));
  };
  return { fetch: send, agentFor };
}

async function exchange(
  { url, method, headers, signal }: Request,
  body: Buffer | undefined,
  agent: Agent | undefined,
): Promise<Response> {
  const send = url.startsWith('https:') ? requestHttps : requestHttp;
  const reply = await new Promise<IncomingMessage>((resolve, reject) => {
    const sent = send(
      url,
      { method, headers: Object.fromEntries(headers), agent, signal },
      resolve,
    );
    sent.once('error', reject);
    sent.end(body);
  });
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of reply as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > mostBytes) throw new Error('The answer is too large.');
    chunks.push(chunk);
  }
  const received = new Headers();
  for (const [name, values = []] of Object.entries(reply.headersDistinct)) {
    for (const value of values) received.append(name, value);
  }
  const status = reply.statusCode ?? 502;
  const isEmpty = status === 204 || status === 304;
  return new Response(isEmpty ? null : Buffer.concat(chunks), { status, headers: received });
}
