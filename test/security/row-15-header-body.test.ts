/** SECURITY row 15: headers and body, and all readers of the body, agree on what is asked. */
import { expect, it } from 'vitest';
import { WireClient } from '../support/wire-client.ts';
import {
  agentWith,
  gatewayWith,
  hostile,
  modernHeaders,
  modernMeta,
  rawHttp,
  rawResult,
  serverOf,
} from './world.ts';

async function start() {
  const [server, agent] = await Promise.all([serverOf(), agentWith()]);
  const gateway = await gatewayWith({
    peers: [
      { id: 'tools', mcp: server.url },
      { id: 'agent', a2a: agent.cardUrl },
    ],
  });
  const send = async (body: string | Uint8Array, headers: Record<string, string> = {}) => {
    const response = await fetch(gateway.mcp('tools'), {
      method: 'POST',
      headers: { ...modernHeaders('tools/call', 'echo'), ...headers },
      body,
    });
    const answer = (await response.json()) as {
      error?: { code: number; message: string };
      result?: unknown;
    };
    return { status: response.status, code: answer.error?.code, answer };
  };
  return { gateway, server, agent, send };
}

const call = (args: string, more = ''): string =>
  `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":${args},"_meta":${JSON.stringify(modernMeta)}}${more}}`;

const good = call('{"text":"hi"}');

it('a header that says something else than the body is 400 (-32020)', async () => {
  const { send, server } = await start();
  expect(await send(good)).toMatchObject({ status: 200 });
  const before = server.ledger.entries.length;
  const lies: Record<string, string>[] = [
    { 'mcp-method': 'tools/list' },
    { 'mcp-method': 'TOOLS/CALL' },
    { 'mcp-method': 'tools/call, tools/call' },
    { 'mcp-name': 'add' },
    { 'mcp-name': 'Echo' },
    { 'mcp-name': 'echo, echo' },
    { 'mcp-name': '=?base64?YWRk?=' },
    { 'mcp-name': '=?base64?!!!?=' },
  ];
  for (const headers of lies) {
    expect(await send(good, headers)).toMatchObject({ status: 400, code: -32020 });
  }
  expect(server.ledger.entries.length).toBe(before);
  expect(await send(good, { 'mcp-name': '=?base64?ZWNobw==?=' })).toMatchObject({ status: 200 });
});

it('two headers of one name are not one header', async () => {
  const { gateway } = await start();
  const { host } = new URL(gateway.url);
  const lines = Object.entries({ ...modernHeaders('tools/call'), host })
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('');
  const answer = await rawHttp(
    gateway.url,
    `POST /mcp/tools HTTP/1.1\r\n${lines}mcp-name: echo\r\nmcp-name: add\r\nconnection: close\r\n` +
      `content-length: ${good.length}\r\n\r\n${good}`,
  );
  expect(answer).toMatch(/^HTTP\/1\.1 400 /);
  expect(answer).toContain('-32020');
});

it('a member that stands twice, however spelled and however deep, is 400 (-32020)', async () => {
  const { send, gateway, agent } = await start();
  for (const body of [
    good.replace('"method":', '"method":"tools/list","method":'),
    good.replace('"name":"echo"', '"name":"add","name":"echo"'),
    good.replace('"name":"echo"', '"n\\u0061me":"add","name":"echo"'),
    call('{"text":"a","text":"b"}'),
    call('{"text":"a","deep":[{"k":1,"l":{"m":1,"m":2}}]}'),
    call('{"text":"a","__proto__":{},"__proto__":{}}'),
    call(`{${Array.from({ length: 50 }, (_, n) => `"k${n}":${n}`).join(',')},"k7":0,"text":"a"}`),
    good.replace('"id":1', '"id":1,"id":2'),
  ]) {
    expect(await send(body)).toMatchObject({ status: 400, code: -32020 });
  }
  // The same text in strings, and the same names in different objects, are fine.
  expect(await send(call(String.raw`{"text":"{\"a\":1,\"a\":2}\\"}`))).toMatchObject({
    status: 200,
  });
  const message = '{"messageId":"1","messageId":"2","role":"ROLE_USER","parts":[{"text":"x"}]}';
  const response = await fetch(gateway.a2a('agent'), {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'a2a-version': '1.0' },
    body: `{"jsonrpc":"2.0","id":1,"method":"SendMessage","params":{"message":${message}}}`,
  });
  expect(await response.json()).toMatchObject({ error: { code: -32602 } });
  expect(agent.ledger).toHaveLength(0);
});

it('member names are taken exactly as the specification writes them', async () => {
  const { send } = await start();
  for (const [from, to] of [
    ['"jsonrpc"', '"JsonRpc"'],
    ['"method"', '"Method"'],
    ['"name"', '"Name"'],
    ['"_meta"', '"_META"'],
  ] as const) {
    const { status, code } = await send(good.replace(from, to));
    expect(`${to} ${code === undefined ? `status ${status}` : 'refused'}`).toBe(`${to} refused`);
  }
});

it('a byte order mark, another encoding and broken UTF-8 are 400', async () => {
  const { send } = await start();
  const bytes = Buffer.from(good);
  const at = bytes.indexOf('hi');
  const broken = Buffer.from(bytes);
  broken[at] = 0xff;
  for (const body of [
    Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), bytes]),
    Buffer.from(good, 'utf16le'),
    broken,
    Buffer.from(`${good}\0`),
    Buffer.from(good.replace('hi', 'h\u0000i')),
  ]) {
    expect(await send(body)).toMatchObject({ status: 400, code: -32700 });
  }
});

it('NUL and lone surrogates in strings arrive as they were sent, or are refused clearly', async () => {
  const { send } = await start();
  const { answer } = await send(call('{"text":"a\\u0000b"}'));
  expect(JSON.stringify(answer.result)).toContain('a\\u0000b');
  const lone = await send(call('{"text":"a\\ud800b"}'));
  expect(lone.status).toBe(200);
  expect(JSON.stringify(lone.answer)).not.toContain('Internal error');
});

it('__proto__ and constructor in arguments and metadata are data, and change nobody', async () => {
  const { gateway, send } = await start();
  const poison = '"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}';
  await send(call(`{"text":"x",${poison}}`));
  await send(good.replace('"_meta":{', `"_meta":{${poison},`));
  const body = `{"jsonrpc":"2.0","id":1,"method":"SendMessage","params":{"message":{"messageId":"1","role":"ROLE_USER","parts":[{"text":"context"},{"data":{${poison}}}],"metadata":{${poison}}},"metadata":{${poison}}}}`;
  const response = await fetch(gateway.a2a('agent'), {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'a2a-version': '1.0' },
    body,
  });
  expect(response.status).toBe(200);
  expect(Object.prototype).not.toHaveProperty('polluted');
  for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
    const called = await send(good.replace('"name":"echo"', `"name":"${name}"`), {
      'mcp-name': name,
    });
    expect(JSON.stringify(called.answer)).toMatch(/not found|Unknown tool|isError|-32602/i);
    const method = await send(good.replace('"tools/call"', `"${name}"`), { 'mcp-method': name });
    expect(method).toMatchObject({ status: 404, code: -32601 });
    expect((await fetch(`${gateway.url}/mcp/${name}`, { method: 'POST' })).status).toBe(404);
  }
});

it.each(['constructor', '__proto__', 'toString', 'x"\r\n'])(
  'a server that names its question %j is answered under that name, or refused',
  async (key) => {
    const request = {
      method: 'elicitation/create',
      params: {
        mode: 'form',
        message: 'Which?',
        requestedSchema: { type: 'object', properties: { answer: { type: 'string' } } },
      },
    };
    const named = `{${JSON.stringify(key)}:${JSON.stringify(request)}}`;
    const asking = rawResult(
      `{"resultType":"input_required","requestState":"s","inputRequests":${named}}`,
    );
    const heard = rawResult('{"resultType":"complete","content":[{"type":"text","text":"heard"}]}');
    const peer = await hostile({ on: { 'tools/call': [asking, heard] } });
    const gateway = await gatewayWith({ peers: [{ id: 'p', mcp: peer.mcpUrl }] });
    const client = new WireClient(gateway.mcp('p'));
    const capabilities = { elicitation: { form: {} } };
    const asked = await client.call('work', { text: 'x' }, { capabilities });
    const requestState = asked['requestState'];
    const unanswered = await client.call(
      'work',
      { text: 'x' },
      { capabilities, more: requestState === undefined ? {} : { requestState } },
    );
    const answers = JSON.parse(
      `{${JSON.stringify(key)}:{"action":"accept","content":{"answer":"a"}}}`,
    ) as object;
    const more = { requestState: unanswered['requestState'], inputResponses: answers };
    const answered = await client.call(
      'work',
      { text: 'x' },
      { capabilities, more: more.requestState === undefined ? {} : more },
    );
    const texts = [asked, unanswered, answered].map((result) => JSON.stringify(result));
    expect(texts[0]).toMatch(/"resultType":"input_required"|no usable key/);
    expect(texts[1]).toMatch(/"resultType":"input_required"|heard/);
    expect(texts[2]).toContain('heard');
  },
);
