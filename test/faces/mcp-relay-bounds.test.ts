/** What the gateway takes over from an MCP server as it is, and what it does not. */
import { afterEach, describe, expect, it } from 'vitest';
import { startBadPeer } from '../support/bad-peer.ts';
import { startGateway } from '../support/gateway.ts';
import { callTool, RawA2a } from './a2a-raw.ts';
import {
  answer,
  discovering,
  listing,
  metaOf,
  Opened,
  paramsOf,
  saying,
  scripted,
  sendEvents,
  tool,
} from './scripted-server.ts';

const opened = new Opened();
afterEach(() => opened.close());

const work = { name: 'work', arguments: { text: 'x' } };

describe('progress', () => {
  it('counts only under the token of the call', async () => {
    const { mcp } = await scripted(
      {
        'tools/call': (exchange) => {
          const { progressToken } = metaOf(exchange);
          const report = (params: object) => ({ method: 'notifications/progress', params });
          sendEvents(exchange, [
            report({ progressToken: 'of somebody else', progress: 90 }),
            report({ progress: 91 }),
            report({ progressToken, progress: 1 }),
            { id: exchange.id, result: { resultType: 'complete', ...saying('done') } },
          ]);
        },
      },
      opened,
    );
    const { messages } = await mcp.request('tools/call', work, { meta: { progressToken: 'own' } });
    const heard = messages.filter(({ method }) => method === 'notifications/progress');
    expect(heard.map(({ params }) => params)).toEqual([{ progressToken: 'own', progress: 1 }]);
  });

  it('of a prompt counts only under its token too', async () => {
    const { mcp } = await scripted(
      {
        'server/discover': discovering({ prompts: {} }),
        'prompts/get': (exchange) => {
          const report = (progressToken: unknown, progress: number) => ({
            method: 'notifications/progress',
            params: { progressToken, progress },
          });
          sendEvents(exchange, [
            report('of somebody else', 90),
            report(metaOf(exchange)['progressToken'], 1),
            { id: exchange.id, result: { resultType: 'complete', messages: [] } },
          ]);
        },
      },
      opened,
    );
    const params = { name: 'p' };
    const { messages } = await mcp.request('prompts/get', params, { meta: { progressToken: 7 } });
    const heard = messages.filter(({ method }) => method === 'notifications/progress');
    expect(heard.map((one) => one.params)).toEqual([{ progressToken: 7, progress: 1 }]);
  });
});

describe('a list', () => {
  const lists = [
    ['tools/list', 'tools'],
    ['prompts/list', 'prompts'],
    ['resources/list', 'resources'],
    ['resources/templates/list', 'resourceTemplates'],
  ] as const;

  it.each(lists)(
    'by %s keeps what the server said beside it, but for who it is',
    async (method, list) => {
      const serverInfo = { name: 'its-own', version: '3' };
      const _meta = { 'io.modelcontextprotocol/serverInfo': serverInfo, 'example.org/a': 1 };
      for (const [given, relayed] of [
        [0, 0],
        [1200, method === 'resources/list' ? 0 : 1200],
      ]) {
        const { mcp } = await scripted(
          {
            'server/discover': discovering({ tools: {}, prompts: {}, resources: {} }),
            ...Object.fromEntries(
              lists.map(([name, member]) => [
                name,
                answer(() => ({ [member]: [], ttlMs: 60_000 })),
              ]),
            ),
            [method]: answer(() => ({ [list]: [], ttlMs: given, cacheScope: 'private', _meta })),
          },
          opened,
        );
        const { result } = await mcp.request(method);
        expect(result).toEqual({
          resultType: 'complete',
          [list]: [],
          ttlMs: relayed,
          cacheScope: 'private',
          _meta: {
            'io.modelcontextprotocol/serverInfo': expect.objectContaining({
              name: 'ip4-127-0-0-1/server',
            }) as object,
            'example.org/a': 1,
          },
        });
      }
    },
  );
});

describe('a reply that is nested 20,000 deep', () => {
  const deep = `${'['.repeat(20_000)}${']'.repeat(20_000)}`;
  const fault = expect.stringContaining('its answer is nested too deeply');

  it.each(['application/json', 'text/event-stream'])('breaks the protocol as %s', async (type) => {
    const { mcp } = await scripted(
      {
        'server/discover': discovering({ tools: {}, prompts: {} }),
        'tools/list': listing(tool('work', { text: { type: 'string' } })),
        'prompts/list': answer(() => ({ prompts: [] })),
        '*': ({ response, id }) => {
          const text = `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":{"resultType":"complete","content":[],"structuredContent":{"a":${deep}}}}`;
          response.writeHead(200, { 'content-type': type });
          response.end(type === 'application/json' ? text : `data: ${text}\n\n`);
        },
      },
      opened,
    );
    const called = await mcp.call('work', work.arguments);
    expect(called).toMatchObject({ isError: true, content: [{ text: fault }] });
    const { error } = await mcp.request('prompts/get', { name: 'p' });
    expect(error).toMatchObject({ code: -32603, message: fault });
  });
});

describe('a question of a legacy server that nobody answers in time', () => {
  it('frees the call that was held for it', async () => {
    let closed = false;
    const peer = await startBadPeer({
      on: {
        'server/discover': ({ response }) => void response.writeHead(400).end(),
        'tools/call': ({ response }) => {
          const params = { message: 'Go on?', requestedSchema: { type: 'object', properties: {} } };
          const question = { jsonrpc: '2.0', id: 'q', method: 'elicitation/create', params };
          response.writeHead(200, { 'content-type': 'text/event-stream' });
          response.write(`data: ${JSON.stringify(question)}\n\n`);
          response.once('close', () => {
            closed = true;
          });
        },
      },
    });
    opened.add(peer);
    const gateway = opened.add(
      await startGateway({
        peers: [{ id: 'server', mcp: peer.mcpUrl }],
        limits: { interruptTtl: '1s' },
      }),
    );
    const a2a = new RawA2a(gateway.a2a('server'));
    const asked = await a2a.task(callTool('work', { text: 'x' }));
    expect(asked.status.state).toBe('TASK_STATE_INPUT_REQUIRED');
    expect(closed).toBe(false);
    const ended = await a2a.until(asked.id, ({ status }) => status.state === 'TASK_STATE_FAILED');
    expect(ended.status.message?.parts).toEqual([
      { text: 'The question was not answered in time.' },
    ]);
    await expect.poll(() => closed).toBe(true);
    const requestId = peer.requestsOf('tools/call').map(({ body }) => (body as { id: string }).id);
    const cancelled = peer.requestsOf('notifications/cancelled').map((one) => paramsOf(one));
    expect(cancelled.map((params) => params['requestId'])).toEqual(requestId);
  });
});
