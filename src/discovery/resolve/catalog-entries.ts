/**
 * The entries of an AI catalog that can lead to peers. The MCP discovery draft calls `type` what the
 * catalog calls `mediaType`; either is read.
 *
 * Spec: AI Catalog 1.0 "Catalog Entry", "Multi-Version Entries", "Version Handling"; MCP discovery
 * draft "Server Card Entries"
 */
import { isObject } from '../../model/json.ts';
import { textMember } from '../../translate/json-document.ts';
import { shown } from './candidate.ts';
import { essence, kindOfType } from './document-kind.ts';
import type { DocumentKind } from './document-kind.ts';

/** An entry that leads on. */
export interface CatalogEntry {
  /** A JSON pointer into the catalog. */
  readonly pointer: string;
  readonly name: string;
  readonly identifier: string;
  readonly version: string;
  readonly updatedAt: string;
  /** What the entry says that it holds; undefined for plain JSON, which its shape will tell. */
  readonly kind: DocumentKind | undefined;
  readonly content: { readonly url: string } | { readonly data: unknown };
  readonly warnings: readonly string[];
}

/** An entry that is not followed. */
export interface SkippedEntry {
  readonly pointer: string;
  readonly whyNot: string;
}

/** The entries of a catalog, or why it cannot be read. */
export function catalogEntries(
  catalog: unknown,
): { entries: CatalogEntry[]; skipped: SkippedEntry[] } | { problem: string } {
  if (!isObject(catalog) || !Array.isArray(catalog['entries'])) {
    return { problem: 'an AI catalog without a list of entries' };
  }
  const version = textMember(catalog, 'specVersion');
  if (version === undefined) return { problem: 'an AI catalog that names no specVersion' };
  // Spec: AI Catalog "Consumer Behavior": a higher major version is rejected
  if (!/^1\.\d+$/.test(version)) {
    return { problem: `an AI catalog of version ${shown(version, 20)}; only 1.x can be read` };
  }
  const all: unknown[] = catalog['entries'];
  const read = all.map((entry, index) => entryFrom(entry, `/entries/${index}`));
  const skipped = read.flatMap((one) => ('whyNot' in one ? [one] : []));
  const good = read.flatMap((one) => ('whyNot' in one ? [] : [one]));
  const newest = newestOf(good);
  for (const one of good) {
    if (newest.has(one)) continue;
    skipped.push({ pointer: one.pointer, whyNot: 'another entry has a newer version of the same' });
  }
  return { entries: good.filter((one) => newest.has(one)), skipped };
}

function entryFrom(entry: unknown, pointer: string): CatalogEntry | SkippedEntry {
  const skip = (whyNot: string): SkippedEntry => ({ pointer, whyNot });
  if (!isObject(entry)) return skip('it is no object');
  const identifier = textMember(entry, 'identifier');
  if (identifier === undefined) return skip('it has no identifier');
  const mediaType = textMember(entry, 'mediaType');
  const type = textMember(entry, 'type') ?? mediaType;
  if (type === undefined) return skip('it names no media type');
  if (mediaType !== undefined && essence(mediaType) !== essence(type)) {
    return skip('its "mediaType" and its "type" contradict each other');
  }
  const kind = kindOfType(type);
  if (kind === undefined && essence(type) !== 'application/json') {
    return skip(`it is of another kind (${shown(essence(type), 60)})`);
  }
  const hasData = entry['data'] !== undefined;
  // Spec: AI Catalog "Catalog Entry": exactly one of url and data
  if (hasData === (entry['url'] !== undefined)) {
    return skip(hasData ? 'it has both "url" and "data"' : 'it has neither "url" nor "data"');
  }
  const url = textMember(entry, 'url');
  if (!hasData && url === undefined) return skip('its "url" is not a text');
  return {
    pointer,
    name: shown(textMember(entry, 'displayName') ?? identifier),
    identifier,
    version: textMember(entry, 'version') ?? '',
    updatedAt: textMember(entry, 'updatedAt') ?? '',
    kind,
    content: url === undefined ? { data: entry['data'] } : { url },
    warnings: trustWarning(entry, identifier),
  };
}

/** Spec: AI Catalog "Identity": a Trust Manifest for somebody else MUST be rejected. */
function trustWarning(entry: Record<string, unknown>, identifier: string): string[] {
  const manifest = entry['trustManifest'];
  if (!isObject(manifest) || manifest['identity'] === identifier) return [];
  return ["its trust manifest is for another identity than the entry's, and counts for nothing"];
}

/** Of entries that differ in their version alone, the newest. */
function newestOf(entries: readonly CatalogEntry[]): Set<CatalogEntry> {
  const newest = new Map<string, CatalogEntry>();
  for (const entry of entries) {
    const key = JSON.stringify([entry.identifier, entry.kind ?? '']);
    const known = newest.get(key);
    if (known === undefined || isNewer(entry, known)) newest.set(key, entry);
    // Without versions they are no versions of each other, only carelessly named.
    if (known !== undefined && entry.version === known.version) newest.set(entry.pointer, entry);
  }
  return new Set(newest.values());
}

function isNewer(one: CatalogEntry, other: CatalogEntry): boolean {
  const byVersion = compareVersions(one.version, other.version);
  return byVersion === 0 ? one.updatedAt > other.updatedAt : byVersion > 0;
}

/** Semantic versions: a pre-release comes before its release. */
function compareVersions(one: string, other: string): number {
  const [mine, theirs] = [one, other].map((text) => {
    const [core = '', pre] = (text.split('+', 1)[0] ?? '').replace(/^v/i, '').split(/-(.*)/s);
    return { numbers: core.split('.').map((part) => Number(part) || 0), pre };
  });
  if (mine === undefined || theirs === undefined) return 0;
  for (let at = 0; at < 4; at += 1) {
    const difference = (mine.numbers[at] ?? 0) - (theirs.numbers[at] ?? 0);
    if (difference !== 0) return difference;
  }
  if (mine.pre === theirs.pre) return 0;
  if (mine.pre === undefined) return 1;
  if (theirs.pre === undefined) return -1;
  return mine.pre.localeCompare(theirs.pre, 'en', { numeric: true });
}
