/** Requests to every face of a whole gateway: each is a good one but for what it proves. */
import type { TestGateway } from '../support/gateway.ts';
import { modernHeaders, modernMeta, rawHttp } from './world.ts';

/** What is asked for at each face: nothing that costs a peer anything. */
interface Asking {
  readonly method: 'GET' | 'POST';
  /** Below the resource, where the request is not for the resource itself. */
  readonly below?: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

const rpc = (method: string, params: object): string =>
  JSON.stringify({ jsonrpc: '2.0', id: 1, method, params });

const listTools: Asking = {
  method: 'POST',
  headers: modernHeaders('tools/list'),
  body: rpc('tools/list', { _meta: modernMeta }),
};

const listTasks: Asking = {
  method: 'POST',
  headers: { 'content-type': 'application/json', 'a2a-version': '1.0' },
  body: rpc('ListTasks', {}),
};

/** The resources of a gateway with the peers `tools` and `bot`. */
export const faces = {
  '/mcp': listTools,
  '/mcp/tools': listTools,
  '/a2a': listTasks,
  '/a2a/bot': listTasks,
  '/admin': { method: 'GET', below: '/peers', headers: {} },
} as const satisfies Record<string, Asking>;

/** One of them. */
export type Face = keyof typeof faces;

/** Their paths. */
export const facePaths = Object.keys(faces) as Face[];

/** An answer, read. */
export interface Answer {
  readonly status: number;
  readonly challenge: string;
  readonly text: string;
}

/** Asks at a face with these headers and this query. */
export async function ask(
  url: string,
  face: Face,
  { headers = {}, query = '' }: { headers?: Record<string, string>; query?: string } = {},
): Promise<Answer> {
  const asking: Asking = faces[face];
  const response = await fetch(`${url}${face}${asking.below ?? ''}${query}`, {
    method: asking.method,
    headers: { ...asking.headers, ...headers },
    ...(asking.body !== undefined && { body: asking.body }),
  });
  const challenge = response.headers.get('www-authenticate') ?? '';
  return { status: response.status, challenge, text: await response.text() };
}

/** The same over a bare socket, so that headers that `fetch` owns can be anything. */
export async function askRaw(
  url: string,
  face: Face,
  headers: readonly (readonly [name: string, value: string])[],
): Promise<Answer> {
  const { method, below = '', headers: usual, body = '' }: Asking = faces[face];
  const own = headers.some(([name]) => name.toLowerCase() === 'host');
  const lines = [
    `${method} ${face}${below} HTTP/1.1`,
    ...(own ? [] : [`Host: ${new URL(url).host}`]),
    ...Object.entries(usual).map(([name, value]) => `${name}: ${value}`),
    ...headers.map(([name, value]) => `${name}: ${value}`),
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
  ];
  const text = await rawHttp(url, `${lines.join('\r\n')}\r\n\r\n${body}`);
  const challenge = /^www-authenticate: (.*)\r$/im.exec(text)?.[1] ?? '';
  return { status: Number(/^HTTP\/1\.1 (\d+) /.exec(text)?.[1]), challenge, text };
}

/** Where a client that the operator has entered sends people. */
export function authorizeAt(one: TestGateway): URL {
  const url = new URL(`${one.url}/as/authorize`);
  url.search = new URLSearchParams({
    client_id: 'notes-app',
    response_type: 'code',
    redirect_uri: 'https://notes.example/callback',
    resource: one.mcp('tools'),
    scope: 'peer:tools:call',
    state: 's',
    code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
    code_challenge_method: 'S256',
  }).toString();
  return url;
}
