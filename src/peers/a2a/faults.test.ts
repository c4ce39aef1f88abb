import { afterEach, describe, expect, it, vi } from 'vitest';
import { startA2aAgent } from '../../../test/support/a2a-agent.ts';
import { startBadPeer } from '../../../test/support/bad-peer.ts';
import type { BadPeer } from '../../../test/support/bad-peer.ts';
import { serveCard } from '../../../test/support/bad-peer-defaults.ts';
import * as bad from '../../../test/support/misbehaviours.ts';
import { anonymous } from '../../model/principal.ts';
import type { PeerContext, PeerEvent } from '../../ports/peer.ts';
import { createEgress } from '../guarded-fetch.ts';
import type { A2aPeer, A2aPeerOptions } from './a2a-peer.ts';
import { createA2aPeer } from './a2a-peer.ts';

type Misbehaviour = ReturnType<typeof bad.html>;

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  await Promise.all(closers.splice(0).map((close) => close()));
});

/** With `fetch` alone, every dialect goes through the SDK's transports. */
type Way = 'request' | 'fetch';

function connect(
  cardUrl: string,
  more: Partial<A2aPeerOptions> = {},
  way: Way = 'request',
): A2aPeer {
  const egress = createEgress({ allow: [], allowLoopback: true });
  const peer = createA2aPeer({
    id: 'travel',
    card: new URL(cardUrl),
    egress: way === 'request' ? egress : { fetch: egress.fetch },
    timeouts: { requestMs: 2_000, connectMs: 1_000, idleMs: 500, recoverMs: 600 },
    dedupesMessageId: false,
    clock: Date.now,
    mintId: () => 'minted',
    ...more,
  });
  closers.push(
    () => peer.close(),
    () => egress.close(),
  );
  return peer;
}

async function badPeer(script: Parameters<typeof startBadPeer>[0]): Promise<BadPeer> {
  const peer = await startBadPeer(script);
  closers.push(() => peer.close());
  return peer;
}

const context = (more: Partial<PeerContext> = {}): PeerContext => ({
  principal: anonymous,
  signal: AbortSignal.timeout(10_000),
  ...more,
});

async function go(peer: A2aPeer, more: Partial<PeerContext> = {}): Promise<PeerEvent[]> {
  const list: PeerEvent[] = [];
  const message = { messageId: 'm-1', role: 'ROLE_USER' as const, parts: [{ text: 'echo hi' }] };
  for await (const event of peer.start({ message }, context(more))) list.push(event);
  return list;
}

type Failure = [string, Misbehaviour, string, Record<string, unknown>?];

const failures: Failure[] = [
  ['401', bad.status(401, 'SECRET'), 'peer-refused', { status: 401 }],
  ['403 with JSON', bad.json(403, { error: 'SECRET' }), 'peer-refused', { status: 403 }],
  ['404', bad.status(404, 'SECRET'), 'peer-protocol', { status: 404 }],
  ['a web page', bad.html(), 'peer-protocol'],
  ['a web page with status 500', bad.html(500), 'peer-error'],
  ['half a document', bad.invalidJson(), 'peer-protocol'],
  ['429', bad.status(429, '', { 'retry-after': '7' }), 'peer-unavailable', { retryAfterMs: 7_000 }],
  ['503', bad.status(503, 'SECRET'), 'peer-unavailable', { status: 503 }],
  ['500', bad.status(500, 'SECRET at /srv/agent.py'), 'peer-error', { reason: 'INTERNAL_ERROR' }],
  ['413', bad.status(413), 'too-large'],
  ['a redirect', bad.redirect('https://elsewhere.example/'), 'egress-refused'],
  ['a result that is a number', bad.result(7), 'peer-protocol'],
  ['an empty result', bad.result({}), 'peer-protocol'],
  ['null', bad.result(null), 'peer-protocol'],
  ['a state that does not exist', bad.unknownState(), 'peer-protocol'],
  [
    'a role that does not exist',
    bad.result({ message: { messageId: 'x', role: 'ROLE_DOG', parts: [{ text: 'SECRET' }] } }),
    'peer-protocol',
    { problem: 'a message with an unknown role' },
  ],
  [
    'a message in the role of the user',
    bad.result({ message: { messageId: 'x', role: 'ROLE_USER', parts: [{ text: 'SECRET' }] } }),
    'peer-protocol',
  ],
  [
    'a part without content',
    bad.result({ message: { messageId: 'x', role: 'ROLE_AGENT', parts: [{ smell: 'SECRET' }] } }),
    'peer-protocol',
    { problem: 'a part without content in a message' },
  ],
  [
    'a task without status',
    bad.result({ task: { id: 't', contextId: 'c' } }),
    'peer-protocol',
    { problem: 'a task without status' },
  ],
  [
    'a task without id',
    bad.result({ task: { contextId: 'c', status: { state: 3 } } }),
    'peer-protocol',
  ],
];

/** What only JSON-RPC can put this way. */
const rpcFailures: Failure[] = [
  ['the answer to another request', bad.wrongId(), 'peer-protocol'],
  ['an internal error', bad.rpcError(-32603, 'SECRET'), 'peer-error'],
  ['an error of its own', bad.rpcError(-32099, 'SECRET'), 'peer-error'],
  ['no such method', bad.rpcError(-32601, 'SECRET'), 'unsupported'],
  ['a wrong parameter', bad.rpcError(-32602, 'SECRET'), 'invalid-params'],
  ['no such task', bad.rpcError(-32001, 'SECRET'), 'peer-error', { reason: 'TASK_NOT_FOUND' }],
  ['an unsupported operation', bad.rpcError(-32004, 'SECRET'), 'unsupported'],
  ['an unsupported type', bad.rpcError(-32005, 'SECRET'), 'content-type-unsupported'],
  ['an extension it wants', bad.rpcError(-32008, 'SECRET'), 'extension-required'],
  ['a version it does not speak', bad.rpcError(-32009, 'SECRET'), 'peer-protocol'],
];

describe.each([
  ['JSONRPC', 'request', [...failures, ...rpcFailures]],
  ['JSONRPC', 'fetch', [...failures, ...rpcFailures]],
  ['HTTP+JSON', 'fetch', failures],
] as const)('over %s and %s', (binding, way, table) => {
  const card = serveCard((one) => ({ ...one, capabilities: {} }), ['1.0'], [binding]);

  it.each(table)(
    '%s fails the call, and nothing of it leaks',
    async (_name, answer, code, facts) => {
      const peer = await badPeer({ card, on: { SendMessage: answer } });
      const failure: unknown = await go(connect(peer.cardUrl, {}, way)).catch(
        (error: unknown) => error,
      );
      expect(failure).toMatchObject({ code, facts: { peer: 'travel', ...facts } });
      const shown = JSON.stringify([String(failure), (failure as { facts: unknown }).facts]);
      expect(shown).not.toMatch(/SECRET|127\.0\.0\.1|elsewhere/);
      expect(shown).toContain('travel');
      expect(peer.requestsOf('SendMessage')).toHaveLength(1);
    },
  );

  it('a stream of nonsense fails the call, and is not printed', async () => {
    const printed = vi.spyOn(console, 'error');
    const streaming = serveCard((one) => one, ['1.0'], [binding]);
    for (const answer of [
      bad.garbageStream(),
      bad.html(),
      bad.stream([bad.anyEvent({ nothing: 'known' })], 'end'),
      bad.stream([bad.taskIn('DANCING')], 'end'),
      bad.stream([bad.taskIn('WORKING'), bad.statusIn('DANCING')], 'end'),
    ]) {
      const peer = await badPeer({ card: streaming, on: { SendStreamingMessage: answer } });
      await expect(go(connect(peer.cardUrl, {}, way))).rejects.toMatchObject({
        code: 'peer-protocol',
      });
    }
    expect(printed).not.toHaveBeenCalled();
    printed.mockRestore();
  });
});

describe('over HTTP+JSON', () => {
  const reasons = [
    ['TASK_NOT_FOUND', 404, 'peer-error'],
    ['UNSUPPORTED_OPERATION', 400, 'unsupported'],
    ['CONTENT_TYPE_NOT_SUPPORTED', 400, 'content-type-unsupported'],
    ['EXTENSION_SUPPORT_REQUIRED', 400, 'extension-required'],
    ['INVALID_AGENT_RESPONSE', 500, 'peer-protocol'],
  ] as const;

  it.each(reasons)('the reason %s decides', async (reason, status, code) => {
    const details = [{ '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason }];
    const answer = bad.json(status, { error: { code: status, message: 'SECRET', details } });
    const card = serveCard((one) => ({ ...one, capabilities: {} }), ['1.0'], ['HTTP+JSON']);
    const peer = await badPeer({ card, on: { SendMessage: answer } });
    await expect(go(connect(peer.cardUrl))).rejects.toMatchObject({ code });
  });
});

describe('cards', () => {
  const wrong: [string, Misbehaviour, RegExp][] = [
    ['without interfaces', bad.cardWithoutInterfaces(), /wrong at "supportedInterfaces"/],
    ['with an unknown binding', bad.cardWithForeignInterface(), /only: PIGEON 1\.0/],
    ['with a scheme that is not HTTP', bad.cardPointingTo('ftp://h/a'), /names no interface/],
    ['that is a web page', bad.html(), /^No agent card was found for "travel": .* a web page/],
    ['that is no JSON', bad.invalidJson(), /^No agent card was found .* not JSON/],
    [
      'that is a list',
      bad.json(200, []),
      /^No agent card was found .* JSON that is something else/,
    ],
    [
      'that is an answer of JSON-RPC',
      bad.json(200, { jsonrpc: '2.0', id: null, error: { code: -32600, message: 'no' } }),
      /^No agent card was found .* JSON that is something else/,
    ],
    [
      'that an MCP endpoint does not have',
      bad.json(405, { jsonrpc: '2.0', id: null, error: { code: -32000, message: 'POST only' } }),
      /^No agent card was found .* HTTP status 405/,
    ],
    [
      'that is refused with a JSON-RPC error and status 500',
      bad.json(500, { jsonrpc: '2.0', id: null, error: { code: -32603, message: 'no' } }),
      /^No agent card was found .* HTTP status 500/,
    ],
    ['without a name', bad.json(200, { supportedInterfaces: [{}] }), /wrong at "name"/],
  ];

  it.each(wrong)('%s are refused, and the reason is said', async (_name, card, text) => {
    const peer = await badPeer({ card });
    await expect(connect(peer.cardUrl).card()).rejects.toMatchObject({
      code: 'peer-protocol',
      message: expect.stringMatching(text),
    });
  });

  it('that point where the gateway may not go are refused by the guard', async () => {
    const peer = await badPeer({ card: bad.cardPointingTo('http://10.0.0.1/a2a') });
    await expect(go(connect(peer.cardUrl))).rejects.toMatchObject({
      code: 'egress-refused',
      facts: { peer: 'travel', reason: 'address' },
    });
  });

  it('that need credentials and get none name the refusal', async () => {
    const peer = await badPeer({ card: bad.status(401) });
    await expect(connect(peer.cardUrl).card()).rejects.toMatchObject({ code: 'peer-refused' });
  });
});

it('a closed connector refuses calls and ends those that run', async () => {
  const peer = await badPeer({ on: { SendStreamingMessage: bad.stallStream() } });
  const closing = connect(peer.cardUrl);
  setTimeout(() => void closing.close(), 100);
  await expect(go(closing)).rejects.toMatchObject({ code: 'shutting-down' });
  await expect(go(closing)).rejects.toMatchObject({ code: 'shutting-down' });
});

it('credentials, trace and extensions travel as headers; what the card lacks is not activated', async () => {
  for (const [version, header] of [
    ['1.0', 'a2a-extensions'],
    ['0.3', 'x-a2a-extensions'],
  ] as const) {
    const agent = await startA2aAgent({ versions: [version], bearer: 'hush' });
    closers.push(() => agent.close());
    const peer = connect(agent.cardUrl, {
      credentials: () => Promise.resolve({ authorization: 'Bearer hush' }),
    });
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    await go(peer, { trace: { traceparent, tracestate: 'a=b' }, extensions: ['urn:foreign'] });
    expect(agent.received.at(-1)?.headers).toMatchObject({
      authorization: 'Bearer hush',
      traceparent,
      tracestate: 'a=b',
      [header]: 'urn:isthmus:ext:tool-call:v1',
      'a2a-version': version,
    });
  }
});
