/**
 * `isthmus check URL`: looks for a peer behind any URL and says what it asked, what came back, which
 * interface and version it would use and why, and what to write into the configuration.
 */
import { stringify } from 'yaml';
import type { CardVerdict } from './discovery/card-trust.ts';
import type { Candidate, ResolveLimits, Resolution } from './discovery/resolve/candidate.ts';
import { resolvePeer } from './discovery/resolve/resolve-peer.ts';
import type { Clock } from './model/ids.ts';

/** A peer as the configuration and the admin API name it. */
export type PeerEntry =
  | { readonly id: string; readonly a2a: { readonly card: string } }
  | { readonly id: string; readonly mcp: { readonly url: string } };

/** What the command needs. */
export interface CheckUrlOptions {
  /** As it was typed. A bare host means its https origin. */
  readonly url: string;
  readonly json: boolean;
  /** The id under which what was found is added to a running gateway. */
  readonly add?: string;
  /** Adds the peer; rejects with an error whose message says why not. Needed for `add`. */
  readonly addPeer?: (entry: PeerEntry) => Promise<void>;
  /** Judges the text of an agent's card by the policy of the organization at its URL. */
  readonly judge?: (raw: string, card: string) => Promise<CardVerdict>;
  /** The guarded way out. */
  readonly fetch: typeof fetch;
  readonly clock: Clock;
  readonly limits?: Partial<ResolveLimits>;
  readonly signal?: AbortSignal;
  /** Ids that a peer must not have. */
  readonly reservedIds?: readonly string[];
  /** Take a line each. */
  readonly out: (line: string) => void;
  readonly err: (line: string) => void;
}

/** Runs the command; its exit code. 0: something that can be used was found (and added). */
export async function checkUrl(options: CheckUrlOptions): Promise<number> {
  const { json, out, err, add, reservedIds = [] } = options;
  const wrongId = add === undefined ? undefined : idProblem(add, reservedIds);
  if (wrongId !== undefined) {
    err(`isthmus: --add "${add}": ${wrongId}`);
    return 1;
  }
  const resolution = await resolvePeer(withScheme(options.url), options, { all: true });
  const { best } = resolution;
  const verdict = best?.raw === undefined ? undefined : await options.judge?.(best.raw, best.url);
  const refused = verdict?.kind === 'refused' ? verdict.reason : undefined;
  const entry =
    best && refused === undefined ? entryFor(best, add ?? idFor(best, reservedIds)) : undefined;
  const signature = verdict && signatureOf(verdict);
  if (json) out(JSON.stringify({ ...withoutRaw(resolution), signature, peer: entry }, null, 2));
  else for (const line of report(resolution, { entry, signature })) out(line);
  if (entry === undefined) {
    if (!json) err(`isthmus: ${refused ?? resolution.problem ?? 'nothing was found'}`);
    return 1;
  }
  return add === undefined ? 0 : await added(entry, options);
}

async function added(entry: PeerEntry, { addPeer, json, out, err }: CheckUrlOptions) {
  if (addPeer === undefined) {
    err('isthmus: --add needs a gateway that runs, and none is known here');
    return 1;
  }
  try {
    await addPeer(entry);
  } catch (error) {
    const reason = error instanceof Error ? error.message : 'for a reason that is not known';
    err(`isthmus: the peer "${entry.id}" was not added: ${reason}`);
    return 1;
  }
  if (!json) out(`\nAdded to the running gateway as "${entry.id}".`);
  return 0;
}

/** `example.org` is what people type; loopback is where they try things out without TLS. */
function withScheme(typed: string): string {
  const text = typed.trim();
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) return text;
  if (/^(localhost|127\.\d+\.\d+\.\d+|\[::1\])([:/]|$)/i.test(text)) return `http://${text}`;
  return /^[\w-]+(\.[\w-]+)+(:\d+)?([/?]|$)/.test(text) ? `https://${text}` : text;
}

function idProblem(id: string, reserved: readonly string[]): string | undefined {
  if (!/^[a-z0-9-]{1,63}$/.test(id)) {
    return 'an id has a-z, 0-9 and "-", and at most 63 characters';
  }
  return reserved.includes(id) ? 'this id is reserved' : undefined;
}

/** An id made of the peer's name; of its host where the name has no letters of ours. */
function idFor(peer: Candidate, reserved: readonly string[]): string {
  const slug = (text: string): string =>
    text
      .normalize('NFKD')
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, '-')
      .replace(/^-+/, '')
      .slice(0, 40)
      .replace(/-+$/, '');
  const id = slug(peer.name) || slug(URL.parse(peer.url)?.hostname ?? '') || 'peer';
  return reserved.includes(id) ? `${id}-peer` : id;
}

function entryFor({ kind, url }: Candidate, id: string): PeerEntry {
  return kind === 'a2a' ? { id, a2a: { card: url } } : { id, mcp: { url } };
}

/** What a program reads: the texts of cards are as large as their hosts like. */
function withoutRaw(resolution: Resolution): Resolution {
  const bare = ({ raw: _raw, ...rest }: Candidate): Candidate => rest;
  const { best, candidates } = resolution;
  return { ...resolution, candidates: candidates.map(bare), ...(best && { best: bare(best) }) };
}

/** What the signatures of a card are worth, and why. */
interface SignatureReport {
  readonly verdict: CardVerdict['kind'];
  /** The rule that refuses it. */
  readonly rule?: string;
  readonly reason: string;
}

function signatureOf(verdict: CardVerdict): SignatureReport {
  if (verdict.kind === 'trusted') {
    const { organization, kid } = verdict;
    const reason = `The card is signed by the organization "${organization}", with its key ${kid}.`;
    return { verdict: 'trusted', reason };
  }
  const { kind, reason } = verdict;
  return { verdict: kind, ...(kind === 'refused' && { rule: verdict.rule }), reason };
}

function report(
  resolution: Resolution,
  { entry, signature }: { entry?: PeerEntry; signature?: SignatureReport },
): string[] {
  const { target, steps, best, bestWhy, candidates } = resolution;
  const lines = [target, '', 'Asked'];
  if (steps.length === 0) lines.push('  nothing');
  for (const [index, { asked, why, outcome, found }] of steps.entries()) {
    lines.push(`  ${index + 1}. ${asked}`, `     ${why}`, `     ${mark[outcome]} ${found}`);
  }
  if (best !== undefined) {
    lines.push('', ...described('Found', best));
    if (signature !== undefined) lines.push(`  signature  ${signature.reason}`);
    if (bestWhy !== undefined && candidates.length > 1) lines.push(`  chosen     ${bestWhy}`);
  }
  const others = candidates.filter((one) => one !== best);
  for (const one of others.slice(0, mostShown)) {
    const usable = one.problem === undefined ? 'Also found' : 'Not usable';
    lines.push('', ...described(usable, one));
  }
  if (others.length > mostShown) lines.push('', `and ${others.length - mostShown} more (--json)`);
  if (entry !== undefined) {
    lines.push('', 'To use it, add this to the configuration:', '');
    const yaml = stringify({ peers: [entry] }, { lineWidth: 0 }).trimEnd();
    lines.push(...yaml.split('\n').map((line) => `  ${line}`));
  }
  return lines;
}

const mostShown = 20;

const mark = { read: '->', nothing: '--', refused: '!!' } as const;

const protocolNames = { a2a: 'A2A agent', mcp: 'MCP server' } as const;

const passedOverShown = 10;

function described(title: string, peer: Candidate): string[] {
  const { name, version, kind, url, description, speaks, alternatives, warnings, problem } = peer;
  const label = [name, version].filter((text) => text !== '').join(' ');
  const lines = [`${title}: ${label} (${protocolNames[kind]})`];
  const say = (word: string, text: string): void => void lines.push(`  ${word.padEnd(10)} ${text}`);
  if (description !== '') say('says', description);
  say(kind === 'a2a' ? 'card' : 'endpoint', url);
  if (peer.skills !== undefined) say('offers', count(peer.skills, 'skill'));
  if (problem !== undefined) say('problem', problem);
  if (speaks !== undefined && problem === undefined) {
    const protocol = kind === 'a2a' ? 'A2A' : 'MCP';
    const what = [protocol, speaks.version, `over ${speaks.binding}`].filter((text) => text !== '');
    say('speaks', `${what.join(' ')} at ${speaks.url}`);
    say('because', speaks.why);
  }
  for (const other of alternatives.slice(0, passedOverShown)) {
    const what = [other.binding, other.version].filter((text) => text !== '').join(' ');
    say('not used', `${what} at ${other.url}: ${other.whyNot}`);
  }
  const rest = alternatives.length - passedOverShown;
  if (rest > 0) say('not used', `${rest} more`);
  for (const warning of warnings) say('warning', warning);
  return lines;
}

function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? '' : 's'}`;
}
