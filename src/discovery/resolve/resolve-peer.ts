/**
 * From any URL to a peer: an origin, a card, a catalog, a registry entry or an endpoint. What is
 * found is only what others say about themselves: nothing is connected to, and nothing is trusted.
 *
 * Spec: A2A 1.0 §8.2 (discovery); MCP discovery draft "Client Discovery Flow"; AI Catalog 1.0
 * "Discovery"
 */
import { placeWarnings, shown, urlProblem } from './candidate.ts';
import type { Candidate, Resolution } from './candidate.ts';
import { Inquiry } from './inquiry.ts';
import type { Answer, ResolveDeps } from './inquiry.ts';
import { PeerSearch } from './peer-search.ts';

/** Where peers are looked for at an origin, in this order. */
export const wellKnownPlaces = [
  { path: '/.well-known/agent-card.json', why: "the place of an agent's card" },
  { path: '/.well-known/agent.json', why: "the place of an agent's card before A2A 0.3" },
  { path: '/.well-known/ai-catalog.json', why: 'the place of an AI catalog' },
  { path: '/.well-known/mcp.json', why: 'where some sites name their MCP endpoints' },
] as const;

/** How far to look. */
export interface ResolveOptions {
  /** Look at everything, also after the first peer that can be used. */
  readonly all?: boolean;
}

/**
 * Finds the peers behind a URL. Whatever goes wrong is told in the resolution; only an abort of
 * `deps.signal` rejects.
 */
export async function resolvePeer(
  target: string | URL,
  deps: ResolveDeps,
  { all = false }: ResolveOptions = {},
): Promise<Resolution> {
  const url = URL.parse(String(target));
  const text = shown(String(target), 300);
  const problem = url === null ? 'is not an absolute URL' : urlProblem(url);
  if (url === null || problem !== undefined) {
    const advice = 'Give one such as https://agents.example.org.';
    return failure(text, `The URL ${problem ?? 'cannot be read'}. ${advice}`);
  }
  url.hash = '';
  const inquiry = new Inquiry(deps);
  const search = new PeerSearch(inquiry, all);
  if (url.pathname === '/' && url.search === '') await searchOrigin(url, search, inquiry);
  else await searchUrl(url, search, inquiry);
  return conclude(url, inquiry, search.candidates);
}

async function searchOrigin(origin: URL, search: PeerSearch, inquiry: Inquiry): Promise<void> {
  let hasCard = false;
  let hasCatalog = false;
  for (const { path, why } of wellKnownPlaces) {
    if (search.isOver) return;
    // The older place of a document that is there already.
    if (path === '/.well-known/agent.json' && hasCard) continue;
    const answer = await search.askAndRead(new URL(path, origin), why);
    if (answer?.unreachable === true) return;
    const wasRead = answer?.step.outcome === 'read';
    hasCard ||= wasRead && path === '/.well-known/agent-card.json';
    hasCatalog ||= wasRead && path === '/.well-known/ai-catalog.json';
  }
  if (hasCatalog || search.isOver) return;
  const root = await inquiry.ask(origin, 'links in the headers of the site');
  if (root === undefined) return;
  if (root.document !== undefined) await search.read(root);
  await followLinks(root, search);
}

async function searchUrl(url: URL, search: PeerSearch, inquiry: Inquiry): Promise<void> {
  const answer = await inquiry.ask(url, 'the URL that was given');
  if (answer === undefined) return;
  await search.read(answer);
  if (search.candidates.length > 0 || answer.unreachable) return;
  if (answer.document !== undefined && answer.step.outcome === 'read') return;
  await followLinks(answer, search);
  if (search.candidates.length > 0 || url.pathname.endsWith('.json')) return;
  await searchBelow(answer, search);
  if (search.candidates.length === 0 && answer.looksLikeEndpoint) search.add(endpointAt(answer));
}

/** Places that belong to an endpoint. Spec: MCP discovery draft "Hosted Server Card Location" */
async function searchBelow({ url, looksLikeEndpoint }: Answer, search: PeerSearch): Promise<void> {
  const base = new URL(url);
  base.search = '';
  if (!base.pathname.endsWith('/')) base.pathname += '/';
  const agent = ['.well-known/agent-card.json', '.well-known/agent.json'];
  const server = ['server-card'];
  for (const path of looksLikeEndpoint ? [...server, ...agent] : [...agent, ...server]) {
    const why = path === 'server-card' ? 'the place of its server card' : 'the place of its card';
    await search.askAndRead(new URL(path, base), why);
    if (search.candidates.length > 0) return;
  }
}

/** Spec: AI Catalog "Link Relation Discovery"; RFC 8631 (service-desc) */
async function followLinks({ url, links }: Answer, search: PeerSearch): Promise<void> {
  for (const rel of ['ai-catalog', 'service-desc']) {
    for (const { href } of links.filter(({ rels }) => rels.includes(rel)).slice(0, 3)) {
      if (search.isOver) return;
      const target = URL.parse(href, url.href);
      const kind = rel === 'ai-catalog' ? ('ai-catalog' as const) : undefined;
      const named = { foundAt: [url.href], depth: 0, kind };
      if (target !== null) await search.askAndRead(target, `linked as ${rel}`, named);
    }
  }
}

/** An address that answers as endpoints do. What it speaks, only a connection can tell. */
function endpointAt({ url, step }: Answer): Candidate {
  return {
    kind: 'mcp',
    url: url.href,
    name: url.host,
    description: '',
    version: '',
    speaks: {
      url: url.href,
      binding: 'streamable-http',
      version: '',
      why: 'it answers as MCP endpoints do, and names no card: the connection will tell',
    },
    alternatives: [],
    warnings: [
      `no card describes it; it only answered with ${step.found}`,
      ...placeWarnings(url, url),
    ],
    foundAt: [url.href],
  };
}

function conclude(url: URL, inquiry: Inquiry, candidates: readonly Candidate[]): Resolution {
  const { steps } = inquiry;
  const usable = candidates.filter(({ problem }) => problem === undefined);
  const own = usable.filter((one) => URL.parse(one.url)?.origin === url.origin);
  const [best] = own.length > 0 ? own : usable;
  const found = { target: url.href, steps, candidates };
  if (best === undefined) return { ...found, problem: conclusion(inquiry, candidates) };
  return { ...found, best, bestWhy: reasonFor(best, usable, own) };
}

function reasonFor(
  best: Candidate,
  usable: readonly Candidate[],
  own: readonly Candidate[],
): string {
  if (usable.length === 1) return 'it is the only peer found that can be used';
  return own.includes(best) && best !== usable[0]
    ? 'it is the first that was found at the origin that was asked'
    : 'it was found first; give the URL of another one to use that';
}

function conclusion({ steps }: Inquiry, candidates: readonly Candidate[]): string {
  const [first] = candidates;
  if (first !== undefined) {
    const count = candidates.length === 1 ? 'A peer was' : `${candidates.length} peers were`;
    return `${count} found, but none can be used. "${first.name}": ${sentence(first.problem ?? '')}`;
  }
  const refused = steps.find(({ outcome }) => outcome === 'refused');
  if (refused !== undefined) {
    return `No peer was found. ${refused.asked} gave: ${sentence(refused.found)}`;
  }
  return 'No peer was found there. Give the URL of its card, of its MCP endpoint, or of a catalog that lists it.';
}

function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

function failure(target: string, problem: string): Resolution {
  return { target, steps: [], candidates: [], problem };
}
