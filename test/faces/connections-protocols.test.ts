/** The wish for a person's consent in each protocol's own words, through a whole gateway. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Client as LegacyClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { UrlElicitationRequiredError } from '@modelcontextprotocol/sdk/types.js';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  resource,
  scope,
  startGuardedServer,
  type GuardedServer,
} from '../security/connect-world.ts';
import { CookieClient } from '../support/cookie-client.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { startIdentityProvider, type IdentityProvider } from '../support/identity-provider.ts';
import { WireClient } from '../support/wire-client.ts';
import { LegacyWire } from '../support/legacy-wire.ts';
import { connectLegacyClient } from '../support/mcp-clients.ts';
import { RawA2a, callTool } from './a2a-raw.ts';

let third: IdentityProvider;
let guarded: GuardedServer;
let gateway: TestGateway;
let keeper: Server;
beforeAll(async () => {
  keeper = await serveCard();
  third = await startIdentityProvider({ scopes: [scope], resources: [resource] });
  guarded = await startGuardedServer();
  gateway = await startGateway({
    peers: [
      { id: 'files', mcp: guarded.url, credentials: { type: 'user_oauth', connection: 'files' } },
      {
        id: 'keeper',
        a2a: `${originOf(keeper)}/.well-known/agent-card.json`,
        credentials: { type: 'user_oauth', connection: 'files' },
      },
    ],
    connections: [
      {
        id: 'files',
        name: 'Files Inc',
        issuer: third.issuer,
        clientId: 'isthmus',
        clientSecret: 'a secret of the third party',
        scopes: [scope],
        resource,
      },
    ],
  });
  // Its address was not known before.
  const clients = third.provider.Client as unknown as {
    adapter: { upsert(id: string, client: object): Promise<void> };
  };
  await clients.adapter.upsert('isthmus', {
    client_id: 'isthmus',
    client_secret: 'a secret of the third party',
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    redirect_uris: [`${gateway.url}/connect/callback/files`],
  });
});
afterAll(async () => {
  await gateway.close();
  await guarded.close();
  await third.close();
  keeper.closeAllConnections();
  keeper.close();
});
afterEach(async () => {
  const browser = new CookieClient();
  const list = await browser.get(`${gateway.url}/connect`);
  if (list.forms.length > 0) await browser.submit(list);
});

/** The card of an agent that shows more to those it knows; nothing more of it is there. */
async function serveCard(): Promise<Server> {
  const server = createServer((_req, res) => {
    const url = originOf(server);
    res.writeHead(200, { 'content-type': 'application/json' }).end(
      JSON.stringify({
        name: 'Keeper',
        description: 'Shows more to friends',
        version: '1.0.0',
        supportedInterfaces: [{ url, protocolBinding: 'JSONRPC', protocolVersion: '1.0' }],
        capabilities: { streaming: false, extendedAgentCard: true },
        defaultInputModes: ['text/plain'],
        defaultOutputModes: ['text/plain'],
        skills: [{ id: 's', name: 'S', description: 'A skill', tags: ['t'] }],
      }),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

function originOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** The person consents; on this loopback nobody has to log in at the gateway. */
async function consent(link: string): Promise<void> {
  const browser = new CookieClient();
  const page = await browser.get(link);
  expect(page.text).toContain('Files Inc');
  const host = new URL(third.issuer).host;
  const leaving = await browser.submit(page, {}, { button: `Continue to ${host}` });
  const to = (leaving.headers.get('refresh') ?? '').slice('0;url='.length);
  expect((await browser.logIn(to, 'somebody')).text).toContain('Connected');
}

const urlOnly = { elicitation: { form: {}, url: {} } };

interface Asked {
  inputRequests: Record<string, { method: string; params: { mode: string; url: string } }>;
  requestState: string;
}

describe('MCP 2026-07-28', () => {
  it('asks in an input-required result, and the same call goes on after the consent', async () => {
    const wire = new WireClient(gateway.mcp('files'));
    const listed = await wire.request('tools/list', {}, { capabilities: urlOnly });
    const tools = listed.result?.['tools'] as { name: string }[];
    const name = tools.some((tool) => tool.name === 'echo') ? 'echo' : 'connect';
    const args = name === 'echo' ? { text: 'hello' } : {};
    const asked = (await wire.call(name, args, {
      capabilities: urlOnly,
    })) as unknown as Asked;
    const [first] = Object.entries(asked.inputRequests);
    if (first === undefined) throw new Error('Nothing was asked.');
    const [key, request] = first;
    expect(request).toMatchObject({ method: 'elicitation/create', params: { mode: 'url' } });
    const retry = wire.call(name, args, {
      capabilities: urlOnly,
      more: {
        inputResponses: { [key]: { action: 'accept' } },
        requestState: asked.requestState,
      },
    });
    await consent(request.params.url);
    const result = await retry;
    expect(result['isError']).toBeUndefined();
    const again = await wire.request('tools/list', {}, { capabilities: urlOnly });
    expect(JSON.stringify(again.result)).toContain('"echo"');
    const echoed = await wire.call('echo', { text: 'hello' }, { capabilities: urlOnly });
    expect(echoed['content']).toEqual([{ type: 'text', text: 'hello' }]);
  });
});

describe('MCP 2025-11-25', () => {
  it('asks with elicitation/create of a session, and the call goes on after the consent', async () => {
    const links: string[] = [];
    const client = await connectLegacyClient(gateway.mcp('files'), {
      user: {
        asked: [],
        answer: (params) => {
          if (!('url' in params)) throw new Error('This is no link.');
          expect(params).toMatchObject({ mode: 'url', elicitationId: expect.any(String) });
          links.push(params.url);
          setTimeout(() => void consent(params.url), 50);
          return { action: 'accept' };
        },
      },
    });
    const result = await client.callTool({ name: 'echo', arguments: { text: 'legacy' } });
    expect(result.content).toEqual([{ type: 'text', text: 'legacy' }]);
    expect(links).toHaveLength(1);
    await client.close();
  });
});

/** The v1 client. Without streams nothing can be asked of it on the way. */
async function clientWithoutStreams(): Promise<LegacyClient> {
  const client = new LegacyClient({ name: 'no-streams', version: '1' }, { capabilities: urlOnly });
  const transport = new StreamableHTTPClientTransport(new URL(gateway.mcp('files')), {
    fetch: (url, init) => {
      const headers = new Headers(init?.headers);
      if (init?.method === 'POST') headers.set('accept', 'application/json');
      return fetch(url, { ...init, headers });
    },
  });
  await client.connect(transport);
  return client;
}

async function linksIn(failing: Promise<unknown>) {
  const error = await failing.then(
    () => new Error('It went well.'),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof UrlElicitationRequiredError)) throw error;
  return error.elicitations;
}

const calls = () => guarded.seen.filter(({ method }) => method === 'tools/call').length;
const notes = { uri: 'test://notes/first' };

describe('a 2025-11-25 request that cannot wait for the answer to a link', () => {
  it('fails with -32042 and the link, and goes well after the consent', async () => {
    const client = await connectLegacyClient(gateway.mcp('files'));
    const links = await linksIn(client.readResource(notes));
    expect(links).toEqual([
      {
        mode: 'url',
        elicitationId: expect.stringMatching(/^[\w-]{43}$/),
        url: expect.stringContaining(`${gateway.url}/connect/`),
        message: expect.stringContaining('Files Inc'),
      },
    ]);
    // The same link under the same id for whoever tries again.
    expect(await linksIn(client.getPrompt({ name: 'greet' }))).toEqual(links);
    await consent(links[0]?.url ?? '');
    expect((await client.readResource(notes)).contents[0]).toMatchObject(notes);
    await client.close();
  });

  it('is also a tool call of a client without streams: nothing was sent, and nothing runs by itself', async () => {
    const client = await clientWithoutStreams();
    const before = calls();
    const call = { name: 'echo', arguments: { text: 'once' } };
    const [link] = await linksIn(client.callTool(call));
    await consent(link?.url ?? '');
    expect((await client.callTool(call)).content).toEqual([{ type: 'text', text: 'once' }]);
    expect(calls() - before).toBe(1);
    await client.close();
  });

  it.each([
    ['2025-11-25', {}],
    ['2025-11-25', { elicitation: { form: {} } }],
    ['2025-06-18', urlOnly],
  ])('says the link in words to a client of %s that declares %j', async (revision, declared) => {
    const wire = await LegacyWire.open(gateway.mcp('files'), {
      protocolVersion: revision,
      capabilities: declared,
    });
    const { error } = await wire.request('resources/read', notes);
    expect(error).toMatchObject({
      code: -32603,
      message: expect.stringContaining(`${gateway.url}/connect/`),
    });
  });

  it('says the link in words in 2026-07-28, which knows no -32042', async () => {
    const wire = new WireClient(gateway.mcp('files'));
    const { error } = await wire.request('resources/read', notes, { capabilities: urlOnly });
    expect(error).toMatchObject({
      code: -32603,
      message: expect.stringContaining(`${gateway.url}/connect/`),
      data: { connection: 'files', url: expect.stringContaining(`${gateway.url}/connect/`) },
    });
  });
});

describe('A2A 1.0', () => {
  it('fails what is no task with the link in its text and its details', async () => {
    const a2a = new RawA2a(gateway.a2a('keeper'));
    const link = expect.stringContaining(`${gateway.url}/connect/`);
    const { body } = await a2a.rpc('GetExtendedAgentCard', {});
    const info = { reason: 'AUTHORIZATION_NEEDED', metadata: { connection: 'files', url: link } };
    expect(body.error).toMatchObject({ code: -32603, message: link, data: [info] });
    const rest = await a2a.rest('GET', '/extendedAgentCard');
    expect(rest.status).toBe(424);
    expect(rest.body).toMatchObject({
      error: { status: 'FAILED_PRECONDITION', message: link, details: [info] },
    });
  });

  it('says AUTH_REQUIRED with the link in text and data, and completes after the consent', async () => {
    const a2a = new RawA2a(gateway.a2a('files'));
    const asked = await a2a.task(callTool('echo', { text: 'from A2A' }));
    expect(asked.status.state).toBe('TASK_STATE_AUTH_REQUIRED');
    const parts = asked.status.message?.parts ?? [];
    const link = String((parts[1]?.data as { url?: string } | undefined)?.url);
    expect(parts[0]?.text).toContain(link);
    await consent(link);
    await expect
      .poll(async () => JSON.stringify((await a2a.rpc('GetTask', { id: asked.id })).body), {
        timeout: 3000,
      })
      .toContain('TASK_STATE_COMPLETED');
  });
});
