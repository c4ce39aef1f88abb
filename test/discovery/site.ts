/**
 * A gateway as a stranger meets it: an agent, an MCP server, peers that are not there and one that
 * is not shown, each with credentials that nobody may ever read in a document.
 */
import { expect } from 'vitest';
import { freePort, until } from '../faults/child.ts';
import { startA2aAgent } from '../support/a2a-agent.ts';
import type { A2aAgent } from '../support/a2a-agent.ts';
import { startGateway } from '../support/gateway.ts';
import type { TestGateway, TestPeer } from '../support/gateway.ts';
import { startModernServer } from '../support/modern-server.ts';
import type { ModernServer } from '../support/modern-server.ts';

/** A JSON object whose members nobody has looked at yet. */
export type Json = Record<string, unknown>;

/** A document as it came. */
export interface Fetched {
  readonly status: number;
  readonly headers: Headers;
  /** The bytes, which signatures and strong ETags are about. */
  readonly text: string;
  /** The media type without its parameters. */
  readonly type: string;
  readonly json: Json;
}

/** Ids of the peers. */
export const peerIds = {
  agent: 'travel-agent',
  server: 'toolbox',
  deadAgent: 'dead-agent',
  deadServer: 'dead-server',
  hidden: 'hidden-agent',
} as const;

/** The two that answer and are shown. */
export const livePeers = [peerIds.agent, peerIds.server] as const;

/** The two that are shown although nobody has ever reached them. */
export const deadPeers = [peerIds.deadAgent, peerIds.deadServer] as const;

/** What the peers are sent and nobody else may see. */
export const canaries = ['agent-token-canary', 'server-header-canary', 'hidden-token-canary'];

const [agentToken = '', serverHeader = '', hiddenToken = ''] = canaries;

/** The running site. */
export interface Site {
  readonly gateway: TestGateway;
  readonly agent: A2aAgent;
  readonly server: ModernServer;
  /** Ports of all peers, also of those that are away. */
  readonly upstreamPorts: readonly number[];
  /** Fetches a document of the gateway. */
  get(path: string, headers?: Record<string, string>): Promise<Fetched>;
  close(): Promise<void>;
}

/** Starts it, and waits until both live peers are in the gateway's own card. */
export async function startSite(): Promise<Site> {
  const agent = await startA2aAgent({ bearer: agentToken });
  const hidden = await startA2aAgent({
    bearer: hiddenToken,
    card: { name: 'Hidden agent', description: 'Nobody should read this' },
  });
  const server = await startModernServer();
  const [deadAgent, deadServer] = [await freePort(), await freePort()];
  const gateway = await startGateway({
    peers: sitePeers(agent, hidden, server, { deadAgent, deadServer }),
  });
  const site: Site = {
    gateway,
    agent,
    server,
    upstreamPorts: [
      agent.port,
      hidden.port,
      Number(new URL(server.url).port),
      deadAgent,
      deadServer,
    ],
    get: (path, headers) => fetchDocument(new URL(path, gateway.url), headers),
    close: async () => {
      await gateway.close();
      for (const one of [agent, hidden, server]) await one.close();
    },
  };
  try {
    await settled(site);
  } catch (error) {
    await site.close();
    throw error;
  }
  return site;
}

function sitePeers(
  agent: A2aAgent,
  hidden: A2aAgent,
  server: ModernServer,
  dead: { deadAgent: number; deadServer: number },
): TestPeer[] {
  return [
    {
      id: peerIds.agent,
      a2a: agent.cardUrl,
      credentials: { type: 'bearer', token: agentToken },
    },
    { id: peerIds.server, mcp: server.url, headers: { 'X-Api-Key': serverHeader } },
    {
      id: peerIds.deadAgent,
      a2a: `http://127.0.0.1:${dead.deadAgent}/.well-known/agent-card.json`,
    },
    { id: peerIds.deadServer, mcp: `http://127.0.0.1:${dead.deadServer}/mcp` },
    {
      id: peerIds.hidden,
      a2a: hidden.cardUrl,
      credentials: { type: 'bearer', token: hiddenToken },
      public: false,
    },
  ];
}

async function settled({ get }: Site): Promise<void> {
  await until('both live peers are in the root card', 10_000, async () => {
    const { status, text } = await get('/.well-known/agent-card.json');
    if (status !== 200) throw new Error(`the root card answers ${status}: ${text}`);
    return livePeers.every((id) => text.includes(`"${id}/echo"`)) ? true : undefined;
  });
}

/** Fetches any URL as a document. `json` throws when it is none. */
export async function fetchDocument(
  url: string | URL,
  headers: Record<string, string> = {},
  method: 'GET' | 'HEAD' = 'GET',
): Promise<Fetched> {
  const response = await fetch(url, { method, headers, redirect: 'manual' });
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    text,
    type: mediaTypeOf(response.headers),
    get json() {
      return JSON.parse(text) as Json;
    },
  };
}

/** The media type of a message, without its parameters. */
export function mediaTypeOf(headers: Headers): string {
  return (headers.get('content-type') ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
}

/** Media types under which a document may come; the first is the one that it is meant to have. */
export interface PublishedDocument {
  readonly path: string;
  readonly types: readonly string[];
  /** It is about all public peers. */
  readonly aggregate: boolean;
}

const card = ['application/a2a-agent-card+json', 'application/json', 'application/a2a+json'];
const serverCard = ['application/mcp-server-card+json'];
const plain = ['application/json'];

/** Every document of a site, with its media types. */
export const documents: readonly PublishedDocument[] = [
  { path: '/.well-known/agent-card.json', types: card, aggregate: true },
  { path: '/.well-known/agent.json', types: card, aggregate: true },
  { path: '/.well-known/mcp.json', types: plain, aggregate: true },
  {
    path: '/.well-known/ai-catalog.json',
    types: ['application/ai-catalog+json'],
    aggregate: true,
  },
  {
    path: '/.well-known/jwks.json',
    types: ['application/jwk-set+json', 'application/json'],
    aggregate: true,
  },
  { path: '/mcp/server-card', types: serverCard, aggregate: true },
  { path: '/v0.1/servers', types: plain, aggregate: true },
  ...livePeers.flatMap((id) => [
    { path: `/a2a/${id}/.well-known/agent-card.json`, types: card, aggregate: false },
    { path: `/a2a/${id}/.well-known/agent.json`, types: card, aggregate: false },
    { path: `/mcp/${id}/server-card`, types: serverCard, aggregate: false },
  ]),
];

/** The cards among them, at the newer of their two addresses. */
export const cardPaths = [
  '/.well-known/agent-card.json',
  ...livePeers.map((id) => `/a2a/${id}/.well-known/agent-card.json`),
] as const;

/** The Server Cards among them. */
export const serverCardPaths = [
  '/mcp/server-card',
  ...livePeers.map((id) => `/mcp/${id}/server-card`),
] as const;

/** The versions of A2A that a reader of a card may ask for, and the one who asks for none. */
export const cardReaders: readonly (readonly [name: string, headers: Record<string, string>])[] = [
  ['a reader who names no version', {}],
  ['a reader of 1.0', { 'A2A-Version': '1.0' }],
];

/** A member that has to be a list of objects. */
export function objectsIn(value: unknown): Json[] {
  expect(value).toBeInstanceOf(Array);
  for (const one of value as unknown[]) expect(one).toBeTypeOf('object');
  return value as Json[];
}

/** A member that has to be an object. */
export function objectIn(value: unknown): Json {
  expect(value).toBeTypeOf('object');
  expect(value).not.toBeNull();
  expect(value).not.toBeInstanceOf(Array);
  return value as Json;
}

/** A member that has to be a text. */
export function textIn(value: unknown): string {
  expect(value).toBeTypeOf('string');
  return value as string;
}

/** Every text anywhere in a value, names of members not among them. */
export function textsIn(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  if (typeof value !== 'object' || value === null) return [];
  return Object.values(value).flatMap(textsIn);
}

/** Words that tell a reader that a peer is not there at the moment. */
export const awayWords = /unavailable|unreachable|away|offline|partial|not been reached/i;

/** The entry of `/.well-known/mcp.json` that is about one peer. */
export function mcpEntry(document: Json, origin: string, id: string): Json {
  const lists = Object.values(document).filter((member) => Array.isArray(member));
  const entry = lists.flat().find((one) => textsIn(one).includes(`${origin}/mcp/${id}`)) as unknown;
  return objectIn(entry);
}
