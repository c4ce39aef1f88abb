/** Servers that are lent over the reverse channel, at both faces, with the official clients. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ToolListChangedNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import { exportPKCS8, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { heard, startChild, type Child } from '../faults/child.ts';
import { asTask, connectA2a } from '../support/a2a-client.ts';
import { dataPart, userRequest } from '../support/a2a-parts.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { startIssuer, testKey, type TestIssuer, type TestKey } from '../support/issuer.ts';
import {
  legacyLent,
  lendServer,
  modernLent,
  startProxy,
  waitUntil,
  type Ledger,
  type TestLender,
} from '../support/lender.ts';
import { connectLegacyClient, connectModernClient, userWho } from '../support/mcp-clients.ts';

const filesystem = fileURLToPath(
  import.meta.resolve('@modelcontextprotocol/server-filesystem/dist/index.js'),
);

let gateway: TestGateway;
let dir: string;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'isthmus-lent-'));
  writeFileSync(join(dir, 'note.txt'), 'what was lent');
  gateway = await startGateway({ peers: [] });
});
afterAll(async () => {
  await gateway.close();
  rmSync(dir, { recursive: true, force: true });
});

const textOf = (result: unknown): unknown =>
  (result as { content: { text?: string }[] }).content[0]?.text;
const newLedger = (): Ledger => ({ ran: [], cancelled: [] });

/** Environment of a lender that no proxy of this machine leads astray. */
const plain = { HTTP_PROXY: '', HTTPS_PROXY: '', ALL_PROXY: '', http_proxy: '', https_proxy: '' };

function lendFiles(args: readonly string[], env: Record<string, string> = {}): Child {
  const command = ['--', process.execPath, filesystem, dir];
  const child = startChild('bin/isthmus.js', ['lend', ...args, ...command], { ...plain, ...env });
  onTestFinished(async () => void (await child.end('SIGTERM')));
  return child;
}

async function peerOf(child: Child): Promise<string> {
  const [, peer = ''] = await heard(child, /lent to \S+ as "([a-z0-9-]+)"/);
  return peer;
}

describe('the command "isthmus lend"', () => {
  it('lends a stdio server to MCP clients of both SDKs and to A2A clients', async () => {
    const child = lendFiles(['--gateway', gateway.url, '--as', 'files']);
    const peer = await peerOf(child);
    expect(peer).toMatch(/^files-[a-z2-7]{8}$/);
    await heard(child, new RegExp(`yours alone at ${gateway.mcp(peer)}\n`));
    const read = { name: 'read_text_file', arguments: { path: join(dir, 'note.txt') } };
    for (const connect of [connectModernClient, connectLegacyClient]) {
      const client = await connect(gateway.mcp(peer));
      const { tools } = await client.listTools();
      expect(tools.map(({ name }) => name)).toContain('list_directory');
      expect(textOf(await client.callTool(read))).toBe('what was lent');
      await client.close();
    }
    const agent = await connectA2a(`${gateway.a2a(peer)}/.well-known/agent-card.json`, {
      version: '1.0',
      binding: 'JSONRPC',
    });
    const asked = dataPart({ tool: read.name, arguments: read.arguments });
    const task = asTask(await agent.sendMessage(userRequest([asked])));
    expect(JSON.stringify(task.artifacts)).toContain('what was lent');
  });

  it('ends its server and itself when it is asked to', async () => {
    const child = lendFiles(['--gateway', gateway.url]);
    await peerOf(child);
    expect(await child.end('SIGTERM')).toBe(0);
  });

  it('says that its server has ended, and ends with 1', async () => {
    const quits = ['--', process.execPath, '-e', 'process.exit(3)'];
    const child = startChild('bin/isthmus.js', ['lend', '--gateway', gateway.url, ...quits], plain);
    expect(await child.ended).toBe(1);
    expect(child.output()).toContain('isthmus: the server has ended: exit 3\n');
  });

  it('says that its server cannot be started, and ends with 1', async () => {
    const absent = ['--', '/nowhere/at-all'];
    const args = ['lend', '--gateway', gateway.url, ...absent];
    const child = startChild('bin/isthmus.js', args, plain);
    expect(await child.ended).toBe(1);
    expect(child.output()).toContain('"/nowhere/at-all" cannot be started');
  });

  it('passes nothing on that is no message, and says so', async () => {
    const talks = "console.log('Server ready!'); setInterval(() => {}, 1000)";
    const args = ['lend', '--gateway', gateway.url, '--as', 'talks'];
    const more = ['--', process.execPath, '-e', talks];
    const child = startChild('bin/isthmus.js', [...args, ...more], plain);
    await heard(child, /no JSON-RPC message/);
    await heard(child, /lent to/);
    expect(child.isAlive()).toBe(true);
    expect(child.output()).not.toContain('Server ready!');
    expect(await child.end('SIGINT')).toBe(0);
  });

  it('gives its place to another lender of the same name, and does not fight for it', async () => {
    const first = lendFiles(['--gateway', gateway.url, '--as', 'one']);
    const peer = await peerOf(first);
    const second = lendFiles(['--gateway', gateway.url, '--as', 'one']);
    expect(await peerOf(second)).toBe(peer);
    expect(await first.ended).toBe(1);
    expect(first.output()).toContain('Another lender of the same client and name');
    const client = await connectModernClient(gateway.mcp(peer));
    expect((await client.listTools()).tools.length).toBeGreaterThan(5);
    await client.close();
  });

  it('that is killed in the middle of a call fails it at once; another one serves under the same id', async () => {
    // Answers everything but the tool `hang`, and ends with its input.
    const program = `
      const results = {
        initialize: { protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo: { name: 'h', version: '1' } },
        'tools/list': { tools: ['hang', 'quick'].map((name) => ({ name, inputSchema: { type: 'object' } })) },
      };
      const say = (m) => console.log(JSON.stringify({ jsonrpc: '2.0', ...m }));
      require('readline').createInterface({ input: process.stdin }).on('line', (line) => {
        const { id, method, params } = JSON.parse(line);
        if (method === 'tools/call' && params.name === 'hang') return void console.error('hanging');
        if (method === 'tools/call') return say({ id, result: { content: [{ type: 'text', text: 'quick' }] } });
        if (results[method]) return say({ id, result: results[method] });
        if (id !== undefined) say({ id, error: { code: -32601, message: 'no' } });
      }).on('close', () => process.exit(0));`;
    const lend = (): Child => {
      const args = ['lend', '--gateway', gateway.url, '--as', 'killed'];
      const child = startChild(
        'bin/isthmus.js',
        [...args, '--', process.execPath, '-e', program],
        plain,
      );
      onTestFinished(async () => void (await child.end('SIGTERM')));
      return child;
    };
    const first = lend();
    const peer = await peerOf(first);
    const client = await connectModernClient(gateway.mcp(peer));
    const call = client.callTool({ name: 'hang' });
    const failed = call.then(JSON.stringify, (error: Error) => error.message);
    await heard(first, /hanging/);
    const began = performance.now();
    await first.end('SIGKILL');
    expect(await failed).toContain(
      'went away before it answered. It may come back: try again later.',
    );
    expect(performance.now() - began).toBeLessThan(2000);
    const second = lend();
    expect(await peerOf(second)).toBe(peer);
    expect(textOf(await client.callTool({ name: 'quick' }))).toBe('quick');
    expect(second.output()).not.toContain('hanging');
    await client.close();
  });

  it('refuses a command line that it does not understand', async () => {
    const said = async (...args: string[]): Promise<string> => {
      const child = startChild('bin/isthmus.js', ['lend', ...args], plain);
      expect(await child.ended).toBe(2);
      return child.output().split('\n')[0] ?? '';
    };
    expect(await said('--', 'x')).toBe('isthmus: lend needs --gateway URL');
    expect(await said('--gateway', gateway.url)).toBe('isthmus: lend needs a command behind "--"');
    expect(await said('--gateway', gateway.url, '--key', 'k', '--', 'x')).toBe(
      'isthmus: --client-id and --key go together',
    );
  });
});

describe.each([
  ['2026-07-28', modernLent],
  ['2025-11-25', legacyLent],
])('a lent server of %s', (_revision, lent) => {
  const lendOne = async (ledger = newLedger(), name = 'tools'): Promise<TestLender> => {
    const lender = await lendServer(lent(ledger), { gateway: gateway.url, name });
    onTestFinished(() => lender.close());
    return lender;
  };

  it('is called', async () => {
    const lender = await lendOne();
    const client = await connectModernClient(gateway.mcp(lender.peer));
    const { tools } = await client.listTools();
    expect(tools.map(({ name }) => name)).toEqual(expect.arrayContaining(['add', 'ask', 'slow']));
    const added = await client.callTool({ name: 'add', arguments: { a: 2, b: 3 } });
    expect(textOf(added)).toBe('5');
    await client.close();
  });

  it.each([
    ['current', connectModernClient],
    ['v1', connectLegacyClient],
  ])('asks the person at a client of the %s SDK in the middle of a call', async (_, connect) => {
    const lender = await lendOne();
    const user = userWho({ action: 'accept', content: { name: 'Ada' } });
    const client = await connect(gateway.mcp(lender.peer), { user });
    expect(textOf(await client.callTool({ name: 'ask' }))).toBe('Hello Ada');
    expect(user.asked.map(({ message }) => message)).toEqual(['Who?']);
    await client.close();
  });

  it('tells of its progress', async () => {
    const lender = await lendOne();
    const client = await connectModernClient(gateway.mcp(lender.peer));
    const seen: number[] = [];
    const onprogress = ({ progress }: { progress: number }): void => void seen.push(progress);
    const done = await client.callTool({ name: 'count' }, { onprogress });
    expect(textOf(done)).toBe('done');
    expect(seen).toEqual([1, 2, 3]);
    await client.close();
  });

  it('serves calls at the same time, and mixes up no answers', async () => {
    const lender = await lendOne();
    const client = await connectModernClient(gateway.mcp(lender.peer));
    const sums = await Promise.all(
      Array.from({ length: 40 }, async (_each, a) =>
        textOf(await client.callTool({ name: 'add', arguments: { a, b: 1000 } })),
      ),
    );
    expect(sums).toEqual(Array.from({ length: 40 }, (_each, a) => `${a + 1000}`));
    await client.close();
  });

  it('hears that its caller has cancelled', async () => {
    const ledger = newLedger();
    const lender = await lendOne(ledger);
    const client = await connectLegacyClient(gateway.mcp(lender.peer));
    const stop = new AbortController();
    const call = client.callTool({ name: 'slow' }, undefined, { signal: stop.signal });
    call.catch(() => undefined);
    await waitUntil(() => ledger.ran.includes('slow'));
    stop.abort();
    await expect(call).rejects.toThrow('aborted');
    await waitUntil(() => ledger.cancelled.includes('slow'));
    await client.close();
  });

  it('that goes away in the middle of a call fails it at once, and serves again when it is back', async () => {
    const proxy = await startProxy();
    onTestFinished(() => proxy.close());
    const ledger = newLedger();
    const lender = await lendServer(lent(ledger), {
      gateway: gateway.url,
      name: 'away',
      environment: { HTTP_PROXY: proxy.url },
    });
    onTestFinished(() => lender.close());
    const { peer } = lender;
    const client = await connectModernClient(gateway.mcp(peer));
    const call = client.callTool({ name: 'slow' });
    await waitUntil(() => ledger.ran.includes('slow'));
    const began = performance.now();
    proxy.cut();
    const failed = await call.then(JSON.stringify, (error: Error) => error.message);
    expect(failed).toContain('went away before it answered. It may come back: try again later.');
    expect(performance.now() - began).toBeLessThan(2000);
    await lender.opened(2);
    expect(lender.peer).toBe(peer);
    // The work that nobody waits for any more was stopped, and was not begun again.
    await waitUntil(() => ledger.cancelled.includes('slow'));
    const added = await client.callTool({ name: 'add', arguments: { a: 1, b: 1 } });
    expect(textOf(added)).toBe('2');
    expect(ledger.ran).toEqual(['slow', 'add']);
    expect(proxy.asked.length).toBe(2);
    await client.close();
  });
});

it('a model is asked through the caller by a lent server of 2025-11-25', async () => {
  const lender = await lendServer(legacyLent(newLedger()), { gateway: gateway.url });
  onTestFinished(() => lender.close());
  const client = await connectModernClient(gateway.mcp(lender.peer));
  expect(textOf(await client.callTool({ name: 'model' }))).toContain('The model says hello');
  await client.close();
});

it('a lent server that offers other tools tells those who want to hear', async () => {
  const lent = modernLent(newLedger());
  const lender = await lendServer(lent, { gateway: gateway.url });
  onTestFinished(() => lender.close());
  const client = await connectLegacyClient(gateway.mcp(lender.peer));
  let told = 0;
  client.setNotificationHandler(ToolListChangedNotificationSchema, () => void (told += 1));
  await client.listTools();
  for (let tries = 0; told === 0 && tries < 100; tries += 1) {
    lent.changed();
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  expect(told).toBeGreaterThan(0);
  await client.close();
});

it('a peer whose lender has gone says so, and nobody finds it in a document', async () => {
  const lender = await lendServer(modernLent(newLedger()), { gateway: gateway.url, name: 'gone' });
  const { peer } = lender;
  const documents = ['ai-catalog.json', 'mcp.json', 'agent-card.json'];
  for (const document of documents) {
    const text = await (await fetch(`${gateway.url}/.well-known/${document}`)).text();
    expect(text).not.toContain(peer);
  }
  const client = await connectModernClient(gateway.mcp(peer));
  await client.listTools();
  await lender.close();
  await waitUntil(() =>
    gateway.log.some((line) => line['event'] === 'channel.closed' && line['peer'] === peer),
  );
  const failed = await client
    .callTool({ name: 'add', arguments: { a: 1, b: 1 } })
    .then(JSON.stringify, (error: Error) => error.message);
  expect(failed).toContain('It may come back: try again later.');
  await client.close();
});

it('a gateway that restarts is found again, and the peer has the same id', async () => {
  const own = await startGateway({ peers: [] });
  onTestFinished(() => own.close());
  const lender = await lendServer(modernLent(newLedger()), { gateway: own.url });
  onTestFinished(() => lender.close());
  const { peer } = lender;
  await own.restart();
  await lender.opened(2);
  expect(lender.peer).toBe(peer);
  const client = await connectModernClient(own.mcp(peer));
  const added = await client.callTool({ name: 'add', arguments: { a: 20, b: 22 } });
  expect(textOf(added)).toBe('42');
  await client.close();
});

describe('where callers have tokens', () => {
  let oauth: TestGateway;
  let issuer: TestIssuer;
  let robot: TestKey;
  const stsToken = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

  beforeAll(async () => {
    issuer = await startIssuer();
    robot = await testKey();
    oauth = await startGateway({
      peers: [],
      auth: {
        issuers: [{ issuer: issuer.issuer, organization: 'test' }],
        clients: [
          {
            clientId: 'robot',
            organization: 'test',
            jwks: { keys: [robot.publicJwk] },
            scopes: ['lend'],
          },
          {
            clientId: 'rival',
            organization: 'test',
            jwks: { keys: [robot.publicJwk] },
            scopes: ['lend', 'peer:*:call'],
          },
        ],
      },
    });
  });
  afterAll(async () => {
    await oauth.close();
    await issuer.close();
  });

  /** A bearer token of the STS for a resource, as one of the clients. */
  async function token(client: string, resource: string): Promise<Record<string, string>> {
    const assertion = await new SignJWT({ jti: crypto.randomUUID() })
      .setProtectedHeader({ alg: 'ES256', kid: robot.kid })
      .setIssuer(client)
      .setSubject(client)
      .setAudience(`${oauth.url}/sts`)
      .setIssuedAt()
      .setExpirationTime('1m')
      .sign(robot.privateKey);
    const body = new URLSearchParams({
      grant_type: 'client_credentials',
      resource: `${oauth.url}${resource}`,
      client_assertion_type: stsToken,
      client_assertion: assertion,
    });
    const answer = await fetch(`${oauth.url}/sts/token`, { method: 'POST', body });
    const { access_token: given } = (await answer.json()) as { access_token: string };
    return { authorization: `Bearer ${given}` };
  }

  it('the command proves itself with a key, through a proxy, and its owner uses the peer with no scope for it', async () => {
    const proxy = await startProxy();
    onTestFinished(() => proxy.close());
    const key = join(dir, 'robot.pem');
    writeFileSync(key, await exportPKCS8(robot.privateKey));
    const args = ['--gateway', oauth.url, '--client-id', 'robot', '--key', key];
    const child = lendFiles(args, { HTTP_PROXY: proxy.url });
    const peer = await peerOf(child);
    const { host } = new URL(oauth.url);
    // The metadata of the resource and of the server, the token, and the channel.
    expect(proxy.asked.length).toBeGreaterThanOrEqual(4);
    expect(new Set(proxy.asked)).toEqual(new Set([host]));
    const headers = await token('robot', `/mcp/${peer}`);
    const client = await connectModernClient(oauth.mcp(peer), { headers });
    const read = { name: 'read_text_file', arguments: { path: join(dir, 'note.txt') } };
    expect(textOf(await client.callTool(read))).toBe('what was lent');
    await client.close();
  });

  it('the library does the same, and comes back with another token when callers are trusted anew', async () => {
    const lender = await lendServer(modernLent(newLedger()), {
      gateway: oauth.url,
      auth: { clientId: 'robot', key: JSON.stringify({ ...robot.privateJwk, alg: 'ES256' }) },
    });
    onTestFinished(() => lender.close());
    const { peer } = lender;
    oauth.reconfigure({ organizations: [{ id: 'partner', domains: ['partner.example'] }] });
    await lender.opened(2);
    expect(lender.peer).toBe(peer);
    const headers = await token('robot', `/a2a/${peer}`);
    const card = await fetch(`${oauth.a2a(peer)}/.well-known/agent-card.json`, { headers });
    expect(card.status).toBe(200);
    expect(((await card.json()) as { name: string }).name).toBe('lent-modern');
  });

  it('somebody else gets at both faces what it gets for a peer that is not there', async () => {
    const lender = await lendServer(modernLent(newLedger()), {
      gateway: oauth.url,
      auth: { clientId: 'robot', key: JSON.stringify({ ...robot.privateJwk, alg: 'ES256' }) },
    });
    onTestFinished(() => lender.close());
    const there = lender.peer;
    const absent = `${there.slice(0, -1)}${there.endsWith('a') ? 'b' : 'a'}`;
    const answers = async (id: string, client: string): Promise<unknown[]> => {
      const asked = [
        [`/mcp/${id}`, '', 'POST'],
        [`/mcp/${id}`, '', 'GET'],
        [`/a2a/${id}`, '', 'POST'],
        [`/a2a/${id}`, '/.well-known/agent-card.json', 'GET'],
        [`/a2a/${id}`, '/v1/card', 'GET'],
      ] as const;
      return Promise.all(
        asked.map(async ([resource, below, method]) => {
          const answer = await fetch(`${oauth.url}${resource}${below}`, {
            method,
            headers: {
              ...(await token(client, resource)),
              'content-type': 'application/json',
              accept: 'application/json, text/event-stream',
            },
            ...(method === 'POST' && {
              body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list', params: {} }),
            }),
          });
          const headers = Object.fromEntries(answer.headers);
          delete headers['date'];
          const seen = JSON.stringify([answer.status, headers, await answer.text()]);
          return seen.replaceAll(id, 'ID');
        }),
      );
    };
    const foreign = await answers(there, 'rival');
    expect(foreign).toEqual(await answers(absent, 'rival'));
    expect(foreign.map((one) => (JSON.parse(String(one)) as [number])[0])).toEqual([
      404, 404, 404, 404, 404,
    ]);
    // The owner is let in at the same paths.
    const own = (await answers(there, 'robot')).map(
      (one) => (JSON.parse(String(one)) as [number])[0],
    );
    expect(own).not.toContain(404);
  });

  it('somebody else does not reach it through the endpoint of all peers', async () => {
    const lender = await lendServer(modernLent(newLedger()), {
      gateway: oauth.url,
      auth: { clientId: 'robot', key: JSON.stringify({ ...robot.privateJwk, alg: 'ES256' }) },
    });
    onTestFinished(() => lender.close());
    const headers = await token('rival', '/mcp');
    const client = await connectModernClient(oauth.mcp('').replace(/\/$/, ''), { headers });
    expect((await client.listTools()).tools.map(({ name }) => name).join()).not.toContain('add');
    const call = client.callTool({ name: `${lender.peer}__add`, arguments: { a: 1, b: 1 } });
    await expect(call).rejects.toThrow(/nknown tool|no tool/);
    await client.close();
  });

  it('a client that may not lend is told so once', async () => {
    const key = JSON.stringify({ ...(await testKey()).privateJwk, alg: 'ES256' });
    const lending = lendServer(modernLent(newLedger()), {
      gateway: oauth.url,
      auth: { clientId: 'robot', key },
    });
    await expect(lending).rejects.toThrow('The gateway gives no token for lending');
    const bare = lendServer(modernLent(newLedger()), { gateway: oauth.url });
    await expect(bare).rejects.toThrow('The gateway wants to know who lends');
  });
});
