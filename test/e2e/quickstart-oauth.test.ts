/**
 * What the README tells a newcomer to do about tokens: start the quickstart with them, see the 401,
 * get a token, call; and what an MCP client does by itself.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  Client,
  StreamableHTTPClientTransport,
  UnauthorizedError,
} from '@modelcontextprotocol/client';
import { freePort, heard, startChild, type Child } from '../faults/child.ts';
import { CookieClient } from '../support/cookie-client.ts';
import { callback, Wallet } from '../support/wallet.ts';

let dir: string;
let child: Child;
let origin: string;
let provider: string;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'isthmus-quickstart-'));
  const names = ['--port', '--travel-port', '--notes-port', '--identity-port'];
  const ports: string[] = [];
  for (const name of names) ports.push(name, `${await freePort()}`);
  child = startChild('deploy/quickstart.ts', ['--oauth', ...ports], {}, dir);
  await heard(child, /Ctrl-C stops them all/);
  origin = `http://127.0.0.1:${ports[1]}`;
  provider = `http://127.0.0.1:${ports[7]}`;
});

afterAll(async () => {
  await child.end('SIGTERM');
  rmSync(dir, { recursive: true, force: true });
});

/** Runs the printed command that holds these words, as curl would. */
async function printed(words: string, token = ''): Promise<Response> {
  const command = child
    .output()
    .split(/\n\n/)
    .find((block) => /^\s*(?:TOKEN=\$\()?curl/.test(block) && block.includes(words));
  if (command === undefined) throw new Error(`no command for ${words}:\n${child.output()}`);
  const headers = new Headers();
  for (const [, , name = '', value = ''] of command.matchAll(/-H (['"])([^:]+): (.*?)\1/g)) {
    headers.set(name, value.replace('$TOKEN', token));
  }
  const user = /-u (\S+)/.exec(command)?.[1];
  if (user !== undefined) headers.set('authorization', `Basic ${btoa(user)}`);
  const json = /-d '([^']*)'/.exec(command)?.[1];
  const form = [...command.matchAll(/-d (\w+=\S+)/g)].map(([, field]) => field).join('&');
  const body = json ?? new URLSearchParams(form);
  return fetch(/https?:\/\/[^\s'\\]+/.exec(command)?.[0] ?? '', { method: 'POST', headers, body });
}

it('without a token the caller is told where to get one, and with it the call goes through', async () => {
  const refused = await printed('/mcp/travel -i');
  expect(refused.status).toBe(401);
  const metadata = `${origin}/.well-known/oauth-protected-resource/mcp/travel`;
  expect(refused.headers.get('www-authenticate')).toContain(`resource_metadata="${metadata}"`);
  expect(await (await fetch(metadata)).json()).toMatchObject({
    resource: `${origin}/mcp/travel`,
    authorization_servers: [`${origin}/as`, provider, `${origin}/sts`],
  });

  const { access_token: token } = (await (await printed('/token')).json()) as {
    access_token: string;
  };
  const answer = await printed('$TOKEN', token);
  expect(await answer.json()).toMatchObject({
    result: { content: [{ type: 'text', text: 'Oslo: time zone Europe/Oslo, currency NOK.' }] },
  });
});

it('an MCP client that speaks OAuth gets in for a person who logs in at the provider', async () => {
  const wallet = new Wallet();
  const url = new URL(`${origin}/mcp/notes`);
  const transport = new StreamableHTTPClientTransport(url, { authProvider: wallet });
  const client = () =>
    new Client({ name: 'stock', version: '1.0.0' }, { versionNegotiation: { mode: 'auto' } });
  await expect(client().connect(transport)).rejects.toThrow(UnauthorizedError);

  const browser = new CookieClient();
  const login = await browser.get(wallet.wanted ?? url);
  expect(login.url.origin).toBe(provider);
  expect(login.text).toContain('value="alice"');
  const question = await browser.submit(login, { login: 'alice' });
  expect(question.text).toContain('Alice Example');
  const back = await browser.submit(
    question,
    { decision: 'allow' },
    { button: 'Allow', follow: (next) => !next.href.startsWith(callback) },
  );
  await transport.finishAuth(back.location?.searchParams ?? new URLSearchParams());

  const connected = client();
  await connected.connect(new StreamableHTTPClientTransport(url, { authProvider: wallet }));
  const { tools } = await connected.listTools();
  expect(tools.map(({ name }) => name)).toContain('search_notes');
  await connected.close();
});

it('cards lead to the endpoints that the authorization server names', async () => {
  const json = async (path: string) =>
    (await (await fetch(`${origin}${path}`)).json()) as Record<string, unknown>;
  const metadata = await json('/.well-known/oauth-authorization-server/as');
  expect(await json('/a2a/notes/.well-known/agent-card.json')).toMatchObject({
    securitySchemes: {
      person: {
        oauth2SecurityScheme: {
          flows: {
            authorizationCode: {
              authorizationUrl: metadata['authorization_endpoint'],
              tokenUrl: metadata['token_endpoint'],
            },
          },
        },
      },
    },
  });
});

it('what the machine gets is for one endpoint, and for this gateway alone', async () => {
  const ask = (resource: string) =>
    fetch(`${provider}/token`, {
      method: 'POST',
      headers: { authorization: `Basic ${btoa('robot:not-secret-at-all')}` },
      body: new URLSearchParams({ grant_type: 'client_credentials', resource }),
    });
  expect((await ask('http://other.example/mcp/travel')).status).toBe(400);
  expect((await ask(`${origin}/mcp/notes`)).status).toBe(200);
});
