/**
 * An MCP server from its server card or its entry in a registry: both describe remotes alike. What
 * a card claims is advisory; the connection decides.
 *
 * Spec: MCP server card draft (discovery, "Consistency with Runtime Behavior"); MCP Registry
 * server.json
 */
import { isObject } from '../../model/json.ts';
import { legacyRevisions, modernRevision } from '../../model/mcp.ts';
import { listMember, textMember } from '../../translate/json-document.ts';
import { placeWarnings, shown, urlProblem } from './candidate.ts';
import type { Candidate, Way } from './candidate.ts';
import { filledTemplate } from './url-template.ts';

/** The protocol revisions that the gateway speaks to a server, newest first. */
const spokenRevisions: readonly string[] = [
  modernRevision,
  ...legacyRevisions,
  '2025-03-26',
  '2024-11-05',
];

/** Where a card was read, and what was asked on the way there. */
export interface ServerPlace {
  readonly at: URL;
  readonly foundAt: readonly string[];
  /** Why the server must not be used although its card is good. */
  readonly withdrawn?: string;
  readonly warnings?: readonly string[];
}

type Remote = Way & { why: string; headers: unknown[] };
type Refused = Way & { whyNot: string };

/** The server of a card, or why the document is no card. */
export function serverCandidate(
  value: unknown,
  { at, foundAt, withdrawn, warnings = [] }: ServerPlace,
): { candidate: Candidate; summary: string } | { problem: string } {
  const name = textMember(value, 'name');
  if (name === undefined) return { problem: 'a server card without a name' };
  const read = listMember(value, 'remotes').slice(0, 100).map(remoteFrom);
  const usable = read.flatMap((one) => ('whyNot' in one ? [] : [one]));
  const refused = read.flatMap((one) => ('whyNot' in one ? [one] : []));
  const chosen = usable.find(({ url }) => new URL(url).origin === at.origin) ?? usable[0];
  const others = usable.filter((one) => one !== chosen);
  const title = shown(textMember(value, 'title') ?? name);
  const problem = withdrawn ?? (chosen === undefined ? noRemote(value, refused) : undefined);
  const candidate: Candidate = {
    kind: 'mcp',
    url: chosen?.url ?? at.href,
    ...(problem !== undefined && { problem }),
    name: title,
    description: shown(textMember(value, 'description') ?? '', 300),
    version: shown(textMember(value, 'version') ?? '', 40),
    ...(chosen !== undefined && { speaks: { ...wayOf(chosen), why: chosen.why } }),
    alternatives: [
      ...others.map((one) => ({
        ...wayOf(one),
        whyNot: 'the card names the chosen one first, or at its own origin',
      })),
      ...refused,
    ],
    warnings: [
      ...warnings,
      ...(chosen === undefined ? [] : placeWarnings(new URL(chosen.url), at)),
      ...(chosen?.headers ?? []).flatMap(headerWarning),
    ],
    foundAt,
  };
  return {
    candidate,
    summary: `"${title}"${usable.length === 0 ? ', without a usable remote' : ''}`,
  };
}

function wayOf({ url, binding, version }: Way): Way {
  return { url, binding, version };
}

function remoteFrom(remote: unknown): Remote | Refused {
  const binding = shown(textMember(remote, 'type') ?? '?', 60);
  const written = textMember(remote, 'url') ?? '';
  const refuse = (whyNot: string, version = ''): Refused => ({
    url: shown(written, 300),
    binding,
    version,
    whyNot,
  });
  if (binding === 'sse') {
    return refuse(
      'the gateway does not speak the HTTP+SSE transport that streamable-http replaced',
    );
  }
  if (binding !== 'streamable-http') return refuse('the gateway speaks streamable-http only');
  const filled = filledTemplate(written, isObject(remote) ? remote['variables'] : undefined);
  if (!filled.ok) return refuse(filled.problem);
  const url = URL.parse(filled.text);
  if (url === null) return refuse('its URL is not absolute');
  const problem = urlProblem(url);
  if (problem !== undefined) return refuse(`its URL ${problem}`);
  const versions = revisionOf(listMember(remote, 'supportedProtocolVersions'));
  if ('whyNot' in versions) return refuse(versions.whyNot, versions.named);
  return {
    url: url.href,
    binding,
    version: versions.revision,
    why: versions.why,
    headers: listMember(remote, 'headers').slice(0, 50),
  };
}

/** The newest revision that both sides speak. */
export function revisionOf(
  named: readonly unknown[],
): { revision: string; why: string } | { whyNot: string; named: string } {
  if (named.length === 0) {
    return { revision: '', why: 'it names no protocol versions: the connection will tell' };
  }
  const revision = spokenRevisions.find((one) => named.includes(one));
  if (revision !== undefined) {
    return { revision, why: 'it is the newest protocol version that both sides speak' };
  }
  const texts = named.filter((one) => typeof one === 'string').map((one) => shown(one, 20));
  return {
    named: texts.slice(0, 5).join(', '),
    whyNot: `the gateway speaks none of its protocol versions, only ${spokenRevisions.join(', ')}`,
  };
}

function noRemote(value: unknown, refused: readonly Refused[]): string {
  if (refused.length > 0) {
    const reasons = [...new Set(refused.map(({ whyNot }) => whyNot))];
    return `none of its remotes can be used: ${reasons.slice(0, 5).join('; ')}`;
  }
  if (listMember(value, 'packages').length > 0) {
    return 'it is only there as a package to run on your own machine; the gateway starts no programs: run it behind "isthmus lend"';
  }
  return 'it names no remote, so there is nothing to connect to';
}

function headerWarning(header: unknown): string[] {
  if (!isObject(header) || header['isRequired'] !== true) return [];
  const name = textMember(header, 'name');
  if (name === undefined) return [];
  return [
    /^authorization$/i.test(name)
      ? 'it wants an Authorization header: add "credentials" to the peer'
      : `it wants the header "${shown(name, 60)}": add it under "headers" of the peer`,
  ];
}
