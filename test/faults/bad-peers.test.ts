/**
 * Peers that misbehave, in every dialect, as callers of both protocols see them: an answer in the
 * caller's own protocol, soon, that names the peer and shows nothing of its insides or ours, while
 * another peer is served as if nothing had happened.
 */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { startBadPeer } from '../support/bad-peer.ts';
import { sendResult, serveCard, versionOf } from '../support/bad-peer-defaults.ts';
import type { BadPeerScript, Misbehaviour } from '../support/bad-peer-script.ts';
import {
  anyEvent,
  cutStream,
  disconnect,
  drip,
  endStreamEarly,
  garbageStream,
  hang,
  hangAfterHeaders,
  html,
  invalidJson,
  json,
  LEGACY_MCP,
  oversize,
  redirect,
  result,
  rpcError,
  stallStream,
  status,
  statusIn,
  stream,
  taskIn,
  unknownState,
  wrongId,
} from '../support/misbehaviours.ts';
import {
  BadPeerWorld,
  expectOthersServed,
  failure,
  secret,
  taskFailure,
} from './bad-peer-world.ts';
import type { Planned, Protocol } from './bad-peer-world.ts';

vi.setConfig({ maxConcurrency: 8, testTimeout: 30_000 });

const trap = await startBadPeer();

/** What goes wrong on the way, whatever is spoken. */
const transport: Record<string, Misbehaviour> = {
  'answers with a page': html(),
  'answers with half a document': invalidJson(),
  'answers with an empty body': status(200, '', { 'content-type': 'application/json' }),
  'answers with a list': json(200, []),
  'answers somebody else': wrongId(),
  'answers with a text for a result': result(secret),
  'answers with an empty result': result({}),
  'answers with no result': ({ id, ...exchange }) =>
    json(200, { jsonrpc: '2.0', id })({ id, ...exchange }),
  hangs: hang(),
  'hangs after the headers': hangAfterHeaders(),
  'hangs after the headers of a stream': hangAfterHeaders('text/event-stream'),
  'ends a stream without a word': stream([], 'end'),
  'cuts the connection': disconnect(),
  'cuts a stream in its first event': cutStream([]),
  'sends redirects': redirect(`${trap.url}/mcp`),
  'answers too much': oversize(400_000),
  drips: drip(100),
  'answers 401': status(401, secret, { 'www-authenticate': `Bearer realm="${secret}"` }),
  'answers 403': status(403, secret),
  'answers 404': status(404, secret),
  'answers 429': status(429, secret, { 'retry-after': '1' }),
  'answers 500': status(500, secret),
  'answers 503': status(503, secret, { 'retry-after': '120' }),
};

type Script = Omit<BadPeerScript, 'on'> & { on: NonNullable<BadPeerScript['on']> };
const sending = (behaviour: Misbehaviour) => ({
  SendMessage: behaviour,
  SendStreamingMessage: behaviour,
});

/** What an agent can get wrong beside that. */
const agents: Record<string, Script['on']> = {
  'answers with a task without a state': sending(result({ task: { id: 't', contextId: 'c' } })),
  'answers with a state that does not exist': sending(unknownState()),
  'goes on to a state that does not exist': {
    ...sending(stream([taskIn('WORKING'), statusIn('DANCING')], 'end')),
    GetTask: unknownState(),
  },
  'sends an event of no kind': sending(stream([taskIn('WORKING'), anyEvent({ a: 1 })], 'end')),
  'sends garbage in a stream': sending(garbageStream()),
  'cuts a stream and forgets its task': sending(cutStream()),
  'ends a stream early and forgets its task': sending(endStreamEarly()),
  'falls silent in a stream and forgets its task': sending(stallStream()),
  'ends a stream early and hangs': { ...sending(endStreamEarly()), '*': hang() },
  'cuts every stream and shows a page': { ...sending(cutStream()), '*': html() },
  'shows another task than it was asked for': {
    ...sending(endStreamEarly()),
    GetTask: (exchange) => {
      const [kind, state] =
        versionOf(exchange) === '1.0'
          ? [{}, 'TASK_STATE_COMPLETED']
          : [{ kind: 'task' }, 'completed'];
      sendResult(exchange, { ...kind, id: 'other', contextId: 'c', status: { state } });
    },
  },
};

const now = '2026-11-01T00:00:00Z';
const task = { taskId: 't', createdAt: now, lastUpdatedAt: now, ttlMs: null, pollIntervalMs: 10 };
const created = (state: string) => result({ resultType: 'task', ...task, status: state });
const calling = (behaviour: Misbehaviour, more: Script['on'] = {}) => ({
  'tools/call': behaviour,
  ...more,
});

/** What an MCP server can get wrong beside that. */
const servers: Record<string, Script['on']> = {
  'answers with content that is none': calling(result({ content: 'fine' })),
  'answers with blocks without a type': calling(result({ content: [{ text: secret }] })),
  'cuts a stream in the middle': calling(notifying('cut')),
  'ends a stream early': calling(notifying('end')),
  'falls silent in a stream': calling(notifying('stall')),
  'sends garbage in a stream': calling(notifying('garbage')),
};
const modernServers: Record<string, Script['on']> = {
  ...servers,
  'answers with a type that does not exist': calling(result({ resultType: 'banana', content: [] })),
  'wants input and does not say which': calling(result({ resultType: 'input_required' })),
  'asks for what nobody offered': calling(
    result({ resultType: 'input_required', inputRequests: { q: { method: 'roots/dance' } } }),
  ),
};
/** Only an A2A caller lets a server make tasks here. */
const taskServers: Record<string, Script['on']> = {
  'makes a task with a status that does not exist': calling(created('napping')),
  'goes on to a status that does not exist': calling(created('working'), {
    'tasks/get': result({ resultType: 'complete', ...task, status: 'napping' }),
  }),
  'completes a task without a result': calling(created('working'), {
    'tasks/get': result({ resultType: 'complete', ...task, status: 'completed' }),
  }),
  'makes a task of a look at its task': calling(created('working'), {
    'tasks/get': created('completed'),
  }),
  'forgets its task': calling(created('working'), { 'tasks/get': rpcError(-32602, secret) }),
  'shows a page for its task': calling(created('working'), { 'tasks/get': html() }),
};

function notifying(ending: 'cut' | 'end' | 'stall' | 'garbage'): Misbehaviour {
  const progress = { jsonrpc: '2.0', method: 'notifications/progress', params: { progress: 1 } };
  return ({ response }) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(`data: ${JSON.stringify(progress)}\n\n`);
    if (ending === 'end') response.end();
    if (ending === 'garbage') response.end('data: {"oops\n\n');
    if (ending === 'cut') response.write('data: {"half', () => response.socket?.destroy());
  };
}

/** Every kind of peer and what it does wrong. */
const kinds: [kind: string, protocol: Protocol, scripts: Record<string, Script>][] = [
  ['an agent of 1.0', 'a2a', agentScripts(serveCard(undefined, ['1.0'], ['JSONRPC']))],
  ['an agent over HTTP+JSON', 'a2a', agentScripts(serveCard(undefined, ['1.0'], ['HTTP+JSON']))],
  ['an agent of 0.3', 'a2a', agentScripts(serveCard(undefined, ['0.3'], ['JSONRPC']))],
  ['an MCP server', 'mcp', serverScripts(modernServers, {})],
  ['a legacy MCP server', 'mcp', serverScripts(servers, LEGACY_MCP)],
];

function agentScripts(card: Misbehaviour): Record<string, Script> {
  const plain = Object.entries(transport).map(([what, one]) => [what, sending(one)] as const);
  const all = [...plain, ...Object.entries(agents)];
  return Object.fromEntries(all.map(([what, on]) => [what, { card, on }]));
}

function serverScripts(own: Record<string, Script['on']>, era: Script['on']) {
  const plain = Object.entries(transport).map(([what, one]) => [what, calling(one)] as const);
  const all = [...plain, ...Object.entries(own)];
  return Object.fromEntries(all.map(([what, on]) => [what, { on: { ...era, ...on } }]));
}

const plan: Planned[] = [
  ...kinds.flatMap(([kind, protocol, scripts]) =>
    Object.entries(scripts).map(([what, script]) => [`${kind} ${what}`, protocol, script] as const),
  ),
  ...Object.entries(taskServers).map(
    ([what, on]) => [`a task server ${what}`, 'mcp', { on }] as const,
  ),
];

let world: BadPeerWorld;

beforeAll(async () => {
  world = await BadPeerWorld.start(plan);
});

afterAll(async () => {
  await world.close();
  await trap.close();
});

const sends = new Set(
  ['tools/call', 'SendMessage', 'SendStreamingMessage'].concat('message/send', 'message/stream'),
);

/** Calls a bad peer from its faces and the good one meanwhile: what its callers hear, and when. */
async function callBadly(name: string, protocol: Protocol, faces: Protocol[]) {
  const { id, peer } = world.named(name);
  const bad = { id, protocol, port: peer.port };
  const started = Date.now();
  const failing = Promise.all(faces.map((face) => failure(world.gateway, bad, face)));
  await expectOthersServed(world);
  const texts = await failing;
  const sent = peer.requests.filter(({ method }) => sends.has(method)).length;
  return { id, texts, ms: Date.now() - started, sent };
}

describe.concurrent.each(kinds)('%s that', (kind, protocol, scripts) => {
  it.each(Object.keys(scripts))('%s', async (what) => {
    const got = await callBadly(`${kind} ${what}`, protocol, ['a2a', 'mcp']);
    const named = expect.stringContaining(`"${got.id}"`);
    expect(got.texts).toEqual([named, named]);
    expect(got.ms).toBeLessThan(12_000);
    // Once for each caller: nothing is sent twice.
    expect(got.sent).toBe(2);
  });
});

describe.concurrent('a task server that', () => {
  it.each(Object.keys(taskServers))('%s', async (what) => {
    const got = await callBadly(`a task server ${what}`, 'mcp', ['a2a']);
    expect(got.texts).toEqual([expect.stringContaining(`"${got.id}"`)]);
    expect(got.ms).toBeLessThan(12_000);
    expect(got.sent).toBe(1);
    const { port } = world.named(`a task server ${what}`).peer;
    const told = await taskFailure(world.gateway, got.id, port);
    expect(told).toContain(`"${got.id}"`);
  });
});

describe('after all that', () => {
  it('no redirect was followed, and nothing was unforeseen', () => {
    expect(trap.requests).toEqual([]);
    const unforeseen = world.gateway.log.filter(({ event }) => event === 'internal.error');
    expect(unforeseen).toEqual([]);
    expect(JSON.stringify(world.gateway.log)).not.toContain('SECRET');
  });
});
