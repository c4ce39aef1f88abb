/**
 * SECURITY row 21: what a server that knows the callers offers to one of them is shown to no other,
 * on no face and in no document, whoever asked first.
 */
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import type { JSONWebKeySet } from 'jose';
import { afterEach, describe, expect, it } from 'vitest';
import { RawA2a, callTool, say } from '../faces/a2a-raw.ts';
import { startGateway, type TestGateway, type TestPeer } from '../support/gateway.ts';
import { startIssuer, type TestIssuer } from '../support/issuer.ts';
import { startTokenServer } from '../support/token-server.ts';
import { WireClient } from '../support/wire-client.ts';

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});
function closing<T extends { close(): Promise<void> }>(one: T): T {
  open.push(one);
  return one;
}

/** The word that stands in everything that the server offers to a person. */
const words: Record<string, string> = { alice: 'heron', bob: 'otter' };

interface Rpc {
  id?: unknown;
  method: string;
}

/** A server that describes itself, and lists, for each person something else. */
async function startPersonalServer(
  era: 'modern' | 'legacy',
  personOf: (req: IncomingMessage) => string | undefined,
): Promise<{ url: string; close(): Promise<void> }> {
  const server = createServer(async (req, res) => {
    if (req.method !== 'POST') return void res.writeHead(405).end();
    const { id, method } = (await json(req)) as Rpc;
    const word = words[personOf(req) ?? ''] ?? 'nobody';
    const tool = (name: string, description: string) => ({
      name,
      description,
      inputSchema: { type: 'object', properties: { text: { type: 'string' } } },
    });
    const about = {
      capabilities: { tools: {}, prompts: {}, resources: {} },
      instructions: `Notes of ${word}`,
      serverInfo: { name: `notes-${word}`, title: `Notes of ${word}`, version: '1' },
    };
    const results: Record<string, object> = {
      'tools/list': {
        tools: [
          tool('common', 'The same for everybody'),
          tool(`${word}_tool`, `Only for ${word}`),
          tool('shared', `Says something else to ${word}`),
        ],
      },
      'prompts/list': {
        prompts: [{ name: `${word}_prompt`, description: `Only for ${word}` }],
      },
      'resources/list': { resources: [{ uri: `file:///${word}`, name: word }] },
      'resources/templates/list': {
        resourceTemplates: [{ uriTemplate: `file:///${word}/{x}`, name: word }],
      },
      'tools/call': { content: [{ type: 'text', text: `called by ${word}` }] },
    };
    if (era === 'modern') {
      results['server/discover'] = { supportedVersions: ['2026-07-28'], ...about };
    } else results['initialize'] = { protocolVersion: '2025-11-25', ...about };
    const result = results[method];
    if (id === undefined) return void res.writeHead(202).end();
    const session = method === 'initialize' ? { 'mcp-session-id': crypto.randomUUID() } : {};
    res.writeHead(result === undefined ? 400 : 200, {
      'content-type': 'application/json',
      ...session,
    });
    const complete = { resultType: 'complete', ttlMs: 60_000, cacheScope: 'private', ...result };
    const answer =
      result === undefined
        ? { error: { code: -32601, message: 'no' } }
        : { result: era === 'modern' ? complete : result };
    res.end(JSON.stringify({ jsonrpc: '2.0', id, ...answer }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function worldWith(
  era: 'modern' | 'legacy',
  definitions: NonNullable<TestPeer['definitions']>,
): Promise<{ gateway: TestGateway; issuer: TestIssuer }> {
  let trusted: JSONWebKeySet = { keys: [] };
  const tokens = closing(await startTokenServer({ trusted: () => trusted, expiresIn: 600 }));
  const issuer = closing(await startIssuer());
  const server = closing(
    await startPersonalServer(era, ({ headers }) => {
      const [, token = ''] = headers.authorization?.split(' ') ?? [];
      const subject = tokens.tokenOf(token)?.subject;
      return Object.keys(words).find((name) => subject?.includes(name));
    }),
  );
  const gateway = closing(
    await startGateway({
      peers: [
        {
          id: 'notes',
          mcp: server.url,
          definitions,
          credentials: { type: 'token_exchange', issuer: tokens.issuer },
        },
      ],
      auth: { issuers: [{ issuer: issuer.issuer, organization: 'test' }] },
    }),
  );
  const jwks = await fetch(`${gateway.url}/.well-known/jwks.json`);
  trusted = (await jwks.json()) as JSONWebKeySet;
  return { gateway, issuer };
}

/** Everything of the gateway that a person can read, as one text. */
async function readBy(
  sub: string,
  { gateway, issuer }: { gateway: TestGateway; issuer: TestIssuer },
): Promise<{ texts: Record<string, string>; tools: string[] }> {
  const headersAt = async (resource: string) => {
    const aud = `${gateway.url}${resource}`;
    const token = await issuer.token({ sub, aud, scope: 'peer:*:call' });
    return { authorization: `Bearer ${token}` };
  };
  const texts: Record<string, string> = {};
  const note = (of: string, value: unknown): void => void (texts[of] = JSON.stringify(value));
  let tools: string[] = [];
  for (const resource of ['/mcp/notes', '/mcp']) {
    const wire = new WireClient(`${gateway.url}${resource}`);
    const headers = await headersAt(resource);
    for (const method of [
      'server/discover',
      'tools/list',
      'prompts/list',
      'resources/list',
      'resources/templates/list',
    ]) {
      const { result } = await wire.request(method, {}, { headers });
      note(`${resource} ${method}`, result);
      if (resource === '/mcp/notes' && method === 'tools/list') {
        const listed = (result?.['tools'] ?? []) as { name: string }[];
        tools = listed.map(({ name }) => name);
      }
    }
    const query = { query: 'notes tool only for shared', limit: 20 };
    if (resource === '/mcp') note('find', await wire.call('find_tools', query, { headers }));
    // A name that is not there, near to names that are there for somebody.
    const name = resource === '/mcp' ? 'notes__x_tool' : 'x_tool';
    note(
      `${resource} unknown`,
      await wire.request('tools/call', { name, arguments: {} }, { headers }),
    );
  }
  for (const resource of ['/a2a/notes', '/a2a']) {
    const headers = await headersAt(resource);
    const a2a = new RawA2a(`${gateway.url}${resource}`);
    const card = await fetch(`${gateway.url}${resource}/.well-known/agent-card.json`, { headers });
    note(`${resource} card`, await card.json());
    note(`${resource} extended`, (await a2a.rpc('GetExtendedAgentCard', {}, { headers })).body);
    // The answer lists what can be asked for.
    note(`${resource} ask`, (await a2a.rpc('SendMessage', say('what?'), { headers })).body);
  }
  for (const path of [
    '/.well-known/agent-card.json',
    '/.well-known/ai-catalog.json',
    '/.well-known/mcp.json',
    '/mcp/notes/server-card',
    '/v0.1/servers',
  ]) {
    note(path, await (await fetch(`${gateway.url}${path}`)).text());
  }
  return { texts, tools };
}

const withWord = (texts: Record<string, string>, word: string) =>
  Object.entries(texts).flatMap(([of, text]) => (text.includes(word) ? [of] : []));

describe.each(['modern', 'legacy'] as const)('a %s server that knows the callers', (era) => {
  it.each(['accept', 'review', 'block'] as const)(
    'shows one what it offers to that one alone, with definitions: %s',
    async (definitions) => {
      const world = await worldWith(era, definitions);
      const alice = await readBy('alice', world);
      const bob = await readBy('bob', world);
      const again = await readBy('alice', world);
      expect(withWord(alice.texts, 'otter')).toEqual([]);
      expect(withWord(bob.texts, 'heron')).toEqual([]);
      expect(withWord(again.texts, 'otter')).toEqual([]);
      expect(again.tools).toEqual(alice.tools);
      for (const [{ tools, texts }, word] of [
        [alice, 'heron'],
        [bob, 'otter'],
      ] as const) {
        expect(tools).toContain('common');
        // Under block a name that is new at a server that was seen before waits for approval.
        expect(tools.includes(`${word}_tool`)).toBe(definitions !== 'block');
        // What is another's definition by the same name cannot stand for one's own.
        expect(tools.includes('shared')).toBe(definitions === 'accept');
        const said = texts['/mcp/notes server/discover'] ?? '';
        expect(said.includes(`Notes of ${word}`)).toBe(definitions === 'accept');
        expect(texts['/mcp/notes resources/list']).toContain(`file:///${word}`);
      }
    },
  );
});

it('what is withheld from one is refused to that one alone, and another’s name is no name', async () => {
  const world = await worldWith('modern', 'block');
  const { gateway, issuer } = world;
  await readBy('alice', world);
  await readBy('bob', world);
  const call = async (sub: string, name: string) => {
    const aud = gateway.mcp('notes');
    const headers = {
      authorization: `Bearer ${await issuer.token({ sub, aud, scope: 'peer:*:call' })}`,
    };
    const wire = new WireClient(aud);
    const { result, error } = await wire.request(
      'tools/call',
      { name, arguments: {} },
      { headers },
    );
    return JSON.stringify(result ?? error).replaceAll(name, 'NAME');
  };
  const send = async (sub: string, name: string) => {
    const aud = gateway.a2a('notes');
    const headers = {
      authorization: `Bearer ${await issuer.token({ sub, aud, scope: 'peer:*:call' })}`,
    };
    const { body } = await new RawA2a(aud).rpc('SendMessage', callTool(name, {}), { headers });
    return JSON.stringify(body.result ?? body.error).replaceAll(name, 'NAME');
  };
  expect(await call('alice', 'heron_tool')).toContain('waits for approval');
  expect(await call('bob', 'heron_tool')).toBe(await call('bob', 'never_tool'));
  expect(await call('bob', 'common')).toContain('called by otter');
  expect(await call('alice', 'common')).toContain('called by heron');
  expect(await send('alice', 'heron_tool')).toContain('waits for approval');
  expect(await send('bob', 'heron_tool')).not.toContain('waits for approval');
});
