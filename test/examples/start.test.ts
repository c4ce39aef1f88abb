/** Every example starts by its one command, says where it is, and ends when it is told to. */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';
import { freePort, heard, startChild } from '../faults/child.ts';
import { connectModernClient } from '../support/mcp-clients.ts';

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
const dir = mkdtempSync(join(tmpdir(), 'isthmus-examples-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

async function start(name: string, ...options: string[]) {
  const port = await freePort();
  const child = startChild('examples/start.ts', [name, '--port', `${port}`, ...options]);
  const [, url = ''] = await heard(child, new RegExp(`^${name}: (http\\S+)`, 'm'));
  return { child, url, origin: `http://127.0.0.1:${port}` };
}

async function toolsAt(url: string, headers?: Record<string, string>): Promise<string[]> {
  const client = await connectModernClient(url, { ...(headers && { headers }) });
  const { tools } = await client.listTools();
  await client.close();
  return tools.map(({ name }) => name);
}

describe('an example', () => {
  it.each([
    ['search-server', ['search_articles', 'read_article']],
    ['memory-server', ['remember', 'recall']],
    ['signing-vault', ['sign', 'public_key']],
    ['code-mode-server', ['run_code']],
    ['attachment-processor', ['process_attachments']],
    ['tool-search-server', ['search_tools', 'call_found_tool']],
  ])('is an MCP server: %s', async (name, tools) => {
    const { child, url } = await start(name);
    expect(await toolsAt(url)).toEqual(tools);
    expect(await child.end('SIGTERM')).toBe(0);
  });

  it('is an agent that declares as which client it borrows: research-agent', async () => {
    const { child, url, origin } = await start('research-agent');
    const clientId = `${origin}/client.json`;
    const card: unknown = await (await fetch(url)).json();
    expect(card).toMatchObject({
      capabilities: {
        streaming: true,
        extensions: [{ uri: 'urn:isthmus:ext:tool-lease:v1', params: { client_id: clientId } }],
      },
    });
    const client = (await (await fetch(clientId)).json()) as { jwks: { keys: object[] } };
    expect(client).toMatchObject({
      client_id: clientId,
      grant_types: ['urn:ietf:params:oauth:grant-type:token-exchange'],
      token_endpoint_auth_method: 'private_key_jwt',
    });
    expect(client.jwks.keys.map((key) => Object.keys(key).sort())).toEqual([
      ['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y'],
    ]);
    expect(await child.end('SIGTERM')).toBe(0);
  });

  it('says which there are when it is called by another name', async () => {
    const child = startChild('examples/start.ts', ['searchserver']);
    expect(await child.ended).toBe(2);
    expect(child.output()).toContain('research-agent, search-server, signing-vault');
  });

  it('says that its port is taken', async () => {
    const first = await start('search-server');
    const again = startChild('examples/start.ts', [
      'search-server',
      '--port',
      new URL(first.url).port,
    ]);
    expect(await again.ended).toBe(1);
    expect(again.output()).toMatch(/^search-server: cannot listen on port \d+ /);
    await first.child.end('SIGTERM');
  });
});

describe('the signing vault', () => {
  it('keeps its key in a file for its owner alone, and signs with it after a restart', async () => {
    const file = join(dir, 'vault.pem');
    const keys: unknown[] = [];
    for (let round = 0; round < 2; round += 1) {
      const { child, url } = await start('signing-vault', '--key-file', file);
      const client = await connectModernClient(url);
      keys.push((await client.callTool({ name: 'public_key', arguments: {} })).structuredContent);
      await client.close();
      await child.end('SIGTERM');
    }
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(keys[0]).toMatchObject({ algorithm: 'Ed25519' });
    expect(keys[1]).toEqual(keys[0]);
  });

  it('does not start with a key that others can read', async () => {
    const file = join(dir, 'open.pem');
    writeFileSync(file, 'anything', { mode: 0o644 });
    const child = startChild('examples/start.ts', ['signing-vault', '--key-file', file]);
    expect(await child.ended).toBe(1);
    expect(child.output()).toBe(
      `signing-vault: others can read the key in ${file}: make a new one, and chmod 600 it\n`,
    );
  });

  it('answers nobody without the token that it was given', async () => {
    const file = join(dir, 'token');
    writeFileSync(file, 'a-token-of-the-vault\n');
    const { child, url } = await start('signing-vault', '--token-file', file);
    for (const authorization of [undefined, 'Bearer a-token-of-the-vaulT', 'Bearer ']) {
      const headers = authorization === undefined ? {} : { authorization };
      expect((await fetch(url, { method: 'POST', headers })).status).toBe(401);
    }
    const headers = { authorization: 'Bearer a-token-of-the-vault' };
    expect(await toolsAt(url, headers)).toEqual(['sign', 'public_key']);
    await child.end('SIGTERM');
  });
});

describe('the configuration beside the examples', () => {
  it('is one, and has the ports that the table names', () => {
    const parsed = parseConfig(read('examples/lending.yaml'), { env: {}, readFile: () => '' });
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.mistakes));
    const { peers, lending, organizations } = parsed.config;
    const ports = peers.map((peer) => ('url' in peer ? peer.url : peer.card).split(/[:/]/)[4]);
    const table = read('examples/README.md').matchAll(/\| (413\d\d) \|/g);
    expect(ports).toEqual([...table].map(([, port]) => port));
    expect(ports).toEqual(['41301', '41302', '41303', '41304', '41305', '41306', '41307']);
    expect(lending.map(({ to }) => to)).toEqual(['research', 'code', 'attachments', 'toolbox']);
    expect(organizations[0]?.clientIds).toHaveLength(4);
  });
});
