/**
 * Endpoints in a site's `mcp.json`. The document was never standardised: people write one endpoint
 * at the top, or a list or map of them, under a handful of names.
 */
import { isObject } from '../../model/json.ts';
import { listMember, textMember } from '../../translate/json-document.ts';
import { placeWarnings, shown, urlProblem } from './candidate.ts';
import type { Candidate } from './candidate.ts';
import { revisionOf } from './server-candidate.ts';

/** The servers of the document, and server cards that it names without an endpoint. */
export function mcpEndpoints(
  value: unknown,
  at: URL,
  foundAt: readonly string[],
): { candidates: Candidate[]; cards: URL[] } {
  const found = entriesOf(value).slice(0, 1000);
  const candidates: Candidate[] = [];
  const cards: URL[] = [];
  for (const [name, entry] of found) {
    const endpoint = firstText(entry, ['mcp_endpoint', 'endpoint', 'url', 'mcpEndpoint']);
    const card = firstText(entry, ['server_card', 'serverCard', 'card']);
    if (endpoint !== undefined) {
      candidates.push(endpointCandidate({ name, entry, endpoint, at, foundAt }));
    } else if (card !== undefined && URL.canParse(card, at.href)) {
      cards.push(new URL(card, at));
    }
  }
  return { candidates, cards };
}

/** The document itself where it names an endpoint, then whatever it lists. */
function entriesOf(value: unknown): [string, unknown][] {
  if (!isObject(value)) return [];
  const all: [string, unknown][] = [];
  if (textMember(value, 'mcp_endpoint') ?? textMember(value, 'endpoint')) all.push(['', value]);
  for (const member of ['endpoints', 'servers', 'mcpServers']) {
    const listed = value[member];
    if (isObject(listed)) all.push(...Object.entries(listed));
    for (const entry of listMember(value, member)) {
      all.push(['', typeof entry === 'string' ? { url: entry } : entry]);
    }
  }
  return all;
}

interface Endpoint {
  name: string;
  entry: unknown;
  endpoint: string;
  at: URL;
  foundAt: readonly string[];
}

function endpointCandidate({ name, entry, endpoint, at, foundAt }: Endpoint): Candidate {
  const url = URL.parse(endpoint, at.href);
  const problem = url === null ? 'is not a URL' : urlProblem(url);
  const versions = revisionOf(
    ['protocolVersions', 'supportedProtocolVersions', 'protocol_versions'].flatMap((member) =>
      listMember(entry, member),
    ),
  );
  const whyNot = problem === undefined ? undefined : `its URL ${problem}`;
  const refusal = whyNot ?? ('whyNot' in versions ? versions.whyNot : transportProblem(entry));
  const href = url === null || problem !== undefined ? shown(endpoint, 300) : url.href;
  const title = firstText(entry, ['title', 'name', 'id']) ?? (name === '' ? at.host : name);
  return {
    kind: 'mcp',
    url: href,
    ...(refusal !== undefined && { problem: refusal }),
    name: shown(title),
    description: shown(textMember(entry, 'description') ?? '', 300),
    version: shown(textMember(entry, 'version') ?? '', 40),
    ...(refusal === undefined &&
      'why' in versions && {
        speaks: {
          url: href,
          binding: 'streamable-http',
          version: versions.revision,
          why: versions.why,
        },
      }),
    alternatives: [],
    warnings: [
      ...(url === null || refusal !== undefined ? [] : placeWarnings(url, at)),
      ...authWarning(entry),
    ],
    foundAt,
  };
}

/** An entry without a transport means the one that everybody speaks; another one is not guessed at. */
function transportProblem(entry: unknown): string | undefined {
  const transport = firstText(entry, ['transport', 'type']);
  if (transport === undefined || /^(streamable[-_]?)?https?$/i.test(transport)) return undefined;
  return `the gateway speaks streamable-http only, not ${shown(transport, 40)}`;
}

function authWarning(entry: unknown): string[] {
  const auth = isObject(entry) ? entry['auth'] : undefined;
  const type = textMember(auth, 'type');
  if (type === undefined || type === 'none') return [];
  return [`it asks for credentials (${shown(type, 40)}): add "credentials" to the peer`];
}

function firstText(value: unknown, members: readonly string[]): string | undefined {
  for (const member of members) {
    const text = textMember(value, member);
    if (text !== undefined) return text;
  }
  return undefined;
}
