import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { checkUrl } from './check-url.ts';
import type { CheckUrlOptions } from './check-url.ts';
import { createEgress } from './peers/guarded-fetch.ts';

const closers: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** A site with an agent's card, and a catalog with a server. */
async function site(documents: (origin: string) => Record<string, unknown>): Promise<string> {
  const server = createServer(({ url = '' }, response) => {
    const found = documents(origin)[url];
    response.writeHead(found === undefined ? 404 : 200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(found ?? {}));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return origin;
}

const both = (origin: string) => ({
  '/.well-known/agent-card.json': {
    name: 'Travel: "agent"',
    version: '2.0',
    description: 'Plans trips',
    supportedInterfaces: [
      { url: `${origin}/grpc`, protocolBinding: 'GRPC', protocolVersion: '1.0' },
      { url: `${origin}/rpc`, protocolBinding: 'JSONRPC', protocolVersion: '1.0' },
    ],
    skills: [{ id: 'plan', name: 'Plan', description: '', tags: [] }],
  },
  '/.well-known/mcp.json': { mcp_endpoint: `${origin}/mcp`, name: 'notes' },
});

async function run(options: Partial<CheckUrlOptions> & { url: string }) {
  const egress = createEgress({ allow: [], allowLoopback: true });
  closers.push(() => egress.close());
  const out: string[] = [];
  const err: string[] = [];
  const code = await checkUrl({
    json: false,
    fetch: egress.fetch,
    clock: () => 0,
    out: (line) => out.push(line),
    err: (line) => err.push(line),
    ...options,
  });
  return { code, out: out.join('\n'), err: err.join('\n') };
}

describe('isthmus check URL', () => {
  it('says what it asked, what it would use and why, and what to write down', async () => {
    const origin = await site(both);
    const { code, out, err } = await run({ url: origin });
    expect(err).toBe('');
    expect(code).toBe(0);
    expect(out).toBe(`${origin}/

Asked
  1. ${origin}/.well-known/agent-card.json
     the place of an agent's card
     -> an A2A 1.0 card: "Travel: "agent"", 1 skill
  2. ${origin}/.well-known/ai-catalog.json
     the place of an AI catalog
     -- nothing (404)
  3. ${origin}/.well-known/mcp.json
     where some sites name their MCP endpoints
     -> an mcp.json with 1 endpoint
  4. ${origin}/
     links in the headers of the site
     -- nothing (404)

Found: Travel: "agent" 2.0 (A2A agent)
  says       Plans trips
  card       ${origin}/.well-known/agent-card.json
  offers     1 skill
  speaks     A2A 1.0 over JSONRPC at ${origin}/rpc
  because    it is the only one on the card that the gateway speaks
  not used   GRPC 1.0 at ${origin}/grpc: the gateway speaks JSONRPC and HTTP+JSON only
  chosen     it was found first; give the URL of another one to use that

Also found: notes (MCP server)
  endpoint   ${origin}/mcp
  speaks     MCP over streamable-http at ${origin}/mcp
  because    it names no protocol versions: the connection will tell

To use it, add this to the configuration:

  peers:
    - id: travel-agent
      a2a:
        card: ${origin}/.well-known/agent-card.json`);
    const yaml = out.slice(out.indexOf('  peers:'));
    expect(parse(yaml)).toEqual({
      peers: [{ id: 'travel-agent', a2a: { card: `${origin}/.well-known/agent-card.json` } }],
    });
  });

  it('takes a bare host', async () => {
    const origin = await site(both);
    expect((await run({ url: origin.replace('http://', '') })).code).toBe(0);
    const refused = await run({
      url: 'agents.example:1',
      fetch: () => Promise.reject(new Error()),
    });
    expect(refused.out).toContain('1. https://agents.example:1/.well-known/agent-card.json');
  });

  it('says what was wrong, with exit code 1', async () => {
    const origin = await site(() => ({ '/card.json': { name: 'A', skills: [] } }));
    const { code, out, err } = await run({ url: `${origin}/card.json` });
    expect(code).toBe(1);
    expect(out).toContain('     !! an agent card that is wrong at "supportedInterfaces"');
    expect(err).toMatch(/^isthmus: No peer was found\. .* wrong at "supportedInterfaces"/);
  });

  it('speaks to programs as well', async () => {
    const origin = await site(both);
    const { code, out } = await run({ url: origin, json: true });
    expect(code).toBe(0);
    const said = JSON.parse(out) as Record<string, unknown>;
    expect(said).toMatchObject({
      target: `${origin}/`,
      best: { kind: 'a2a', speaks: { version: '1.0' } },
      peer: { id: 'travel-agent', a2a: { card: `${origin}/.well-known/agent-card.json` } },
    });
    expect(out).not.toContain('"raw"');
    const { code: none, out: nothing } = await run({ url: `${origin}/x.json`, json: true });
    expect(none).toBe(1);
    expect(JSON.parse(nothing)).toMatchObject({ candidates: [], problem: expect.any(String) });
  });

  it('adds what it found to a running gateway', async () => {
    const origin = await site(both);
    const added: unknown[] = [];
    const addPeer = async (entry: unknown): Promise<void> => void added.push(entry);
    const { code, out } = await run({
      url: `${origin}/.well-known/mcp.json`,
      add: 'notes',
      addPeer,
    });
    expect(code).toBe(0);
    expect(added).toEqual([{ id: 'notes', mcp: { url: `${origin}/mcp` } }]);
    expect(out).toMatch(/Added to the running gateway as "notes"\.$/);
  });

  it('says why it could not add it', async () => {
    const url = await site(both);
    const addPeer = () => Promise.reject(new Error('there is a peer of this id'));
    expect(await run({ url, add: 'notes', addPeer })).toMatchObject({
      code: 1,
      err: 'isthmus: the peer "notes" was not added: there is a peer of this id',
    });
    expect((await run({ url, add: 'notes' })).err).toContain('needs a gateway that runs');
    expect((await run({ url, add: 'No Good' })).err).toContain('a-z, 0-9 and "-"');
    const reservedIds = ['tasks'];
    expect((await run({ url, add: 'tasks', reservedIds })).err).toContain('reserved');
  });
});
