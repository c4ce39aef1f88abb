/**
 * A2A artifacts ⇄ MCP resources and tool results.
 *
 * Differs: an artifact is a named list of parts inside a task, possibly streamed in chunks; an MCP
 * resource is a URI with contents, and a tool result is one list of content without names.
 * Kept: each part is one entry of the resource's contents; name, description and metadata travel
 * in `_meta` (`isthmus/…`), and a result's own `_meta` in the artifact's metadata (`isthmus/meta`).
 * Lost towards MCP: chunk boundaries. An artifact keeps its parts as the agent sent them; one that
 * came in chunks is shown as one text (`withoutChunks`). A2A clients see all parts, so this is not
 * flagged. Losses of single parts are flagged under `isthmus/loss` in the artifact's metadata.
 */
import { Buffer } from 'node:buffer';
import { isDeepStrictEqual } from 'node:util';
import type { Artifact, Part, Task } from '../model/a2a.ts';
import type { JsonObject } from '../model/json.ts';
import type { CallToolResult } from '../model/mcp.ts';
import { bytesOfPart, kindOfPart, partsFromContent, standardBase64 } from './content.ts';
import { travellingMembers } from './hop-meta.ts';
import { withLoss } from './loss.ts';

/** One entry of a `resources/read` result. */
export interface ResourceContents {
  uri: string;
  mimeType?: string;
  text?: string;
  blob?: string;
  _meta?: JsonObject;
}

/** An entry of a `resources/list` result. */
export interface ArtifactResource {
  uri: string;
  name: string;
  mimeType?: string;
  description?: string;
  size?: number;
}

/** The resource URI of an artifact: `a2a://{peer}/tasks/{task}/artifacts/{artifact}`, segments percent-encoded. */
export function artifactUri(peerId: string, taskId: string, artifactId: string): string {
  return `a2a://${encoded(peerId)}/tasks/${encoded(taskId)}/artifacts/${encoded(artifactId)}`;
}

/** The ids in an artifact's resource URI; `undefined` for any other URI. */
export function parseArtifactUri(
  uri: string,
): { peerId: string; taskId: string; artifactId: string } | undefined {
  const match = /^a2a:\/\/([^/?#]+)\/tasks\/([^/?#]+)\/artifacts\/([^/?#]+)$/.exec(uri);
  if (match === null) return undefined;
  try {
    const [peerId = '', taskId = '', artifactId = ''] = match.slice(1).map(decodeURIComponent);
    return { peerId, taskId, artifactId };
  } catch {
    return undefined; // not valid percent-encoding
  }
}

/**
 * An artifact as the contents of a resource, one entry per part. A part that is a URL becomes a
 * `text/uri-list`.
 *
 * Spec: MCP 2026-07-28 server/resources "Reading Resources"
 */
export function resourceContentsFromArtifact(uri: string, artifact: Artifact): ResourceContents[] {
  return artifact.parts.map((part) => contentsOfPart(uri, part));
}

/** The artifacts of a task as entries of `resources/list`; `chunked` as in `TaskView`. */
export function resourcesFromTask(
  peerId: string,
  task: Task,
  chunked?: readonly string[],
): ArtifactResource[] {
  return (task.artifacts ?? []).map((stored) => {
    const artifact = withoutChunks(stored, chunked);
    const resource: ArtifactResource = {
      uri: artifactUri(peerId, task.id, artifact.artifactId),
      name: artifact.name || artifact.artifactId,
    };
    const description = artifact.description;
    if (description !== undefined && description !== '') resource.description = description;
    const [part, ...more] = artifact.parts;
    if (part !== undefined && more.length === 0) {
      resource.mimeType = mimeTypeOfPart(part);
      resource.size = bytesOfPart(part);
    }
    return resource;
  });
}

/**
 * A tool result as the artifact of a task. A result without any content becomes one empty text
 * part, because an artifact has at least one part.
 *
 * Spec: A2A 1.0 §3.7 (outputs are artifacts), §4.1.7
 */
export function artifactFromResult(
  result: CallToolResult,
  artifactId: string,
  name: string,
): { artifact: Artifact; loss: string[] } {
  const { parts, loss } = partsFromContent(result.content, result.structuredContent);
  const artifact: Artifact = {
    artifactId,
    name,
    parts: parts.length === 0 ? [{ text: '' }] : parts,
  };
  const meta = travellingMembers(result._meta);
  const metadata = withLoss(meta && { 'isthmus/meta': meta }, loss);
  if (metadata !== undefined) artifact.metadata = metadata;
  return { artifact, loss };
}

/** Artifacts that nobody else holds: only these may grow in place. */
export type GrowingArtifacts = Set<Artifact>;

/**
 * Applies an artifact update. `append` adds parts to the artifact of that id, or starts it where
 * the first chunk was missed; otherwise the artifact is replaced. The given list is not changed.
 * An artifact that grows is copied once and joins `growing`; those in there take further parts in
 * place, so that thousands of chunks are not copied with each one.
 *
 * Spec: A2A 1.0 §4.2.2 (TaskArtifactUpdateEvent)
 */
export function mergeArtifact(
  artifacts: readonly Artifact[],
  update: { artifact: Artifact; append: boolean; lastChunk: boolean },
  growing: GrowingArtifacts = new Set(),
): Artifact[] {
  const { artifact, append } = update;
  const index = artifacts.findIndex(({ artifactId }) => artifactId === artifact.artifactId);
  const known = artifacts[index];
  if (known === undefined) return [...artifacts, artifact];
  if (!append) {
    growing.delete(known);
    return artifacts.with(index, artifact);
  }
  const own = growing.has(known) ? known : { ...known, parts: [...known.parts] };
  growing.add(own);
  extend(own, artifact);
  return artifacts.with(index, own);
}

function extend(own: Artifact, chunk: Artifact): void {
  for (const part of chunk.parts) own.parts.push(part);
  if (chunk.name) own.name = chunk.name;
  if (chunk.description) own.description = chunk.description;
  if (chunk.metadata !== undefined) own.metadata = { ...own.metadata, ...chunk.metadata };
  if (chunk.extensions !== undefined) {
    own.extensions = [...new Set([...(own.extensions ?? []), ...chunk.extensions])];
  }
}

/** An artifact as MCP shows it: one whose id is in `chunked` grew by chunks, and reads as one text. */
export function withoutChunks(artifact: Artifact, chunked: readonly string[] = []): Artifact {
  if (!chunked.includes(artifact.artifactId)) return artifact;
  return { ...artifact, parts: joinedText(artifact.parts) };
}

/** Parts with each run of bare texts of one media type joined into one. */
export function joinedText(parts: readonly Part[]): Part[] {
  const joined: Part[] = [];
  let run: string[] = [];
  for (const part of parts) {
    const last = joined.at(-1);
    if (last !== undefined && continues(last, part)) {
      run.push(part.text ?? '');
      continue;
    }
    endRun(joined, run);
    joined.push(part);
    run = [];
  }
  endRun(joined, run);
  return joined;
}

function endRun(joined: Part[], run: readonly string[]): void {
  const first = joined.at(-1);
  if (first === undefined || run.length === 0) return;
  joined[joined.length - 1] = { ...first, text: [first.text ?? '', ...run].join('') };
}

/**
 * Whether an artifact tells a known one again, perhaps with more at its end: what is told as a
 * whole need not be cut where the chunks were.
 */
export function tellsAgain(artifact: Artifact, known: Artifact): boolean {
  const told = joinedText(artifact.parts);
  return joinedText(known.parts).every((part, index, all) => {
    const again = told[index];
    if (again === undefined) return false;
    const grows = index === all.length - 1 && continues(part, again);
    return grows ? (again.text ?? '').startsWith(part.text ?? '') : isDeepStrictEqual(part, again);
  });
}

function continues(last: Part, part: Part): boolean {
  return isBareText(last) && isBareText(part) && last.mediaType === part.mediaType;
}

function isBareText(part: Part): boolean {
  return part.text !== undefined && part.metadata === undefined && part.filename === undefined;
}

function contentsOfPart(uri: string, part: Part): ResourceContents {
  const contents: ResourceContents = { uri, mimeType: mimeTypeOfPart(part) };
  switch (kindOfPart(part)) {
    case 'text':
      contents.text = part.text ?? '';
      break;
    case 'raw':
      contents.blob = standardBase64(part.raw ?? '');
      break;
    case 'data':
      contents.text = JSON.stringify(part.data ?? null);
      break;
    case 'url':
      contents.text = part.url ?? '';
      break;
  }
  const meta: JsonObject = {};
  if (part.filename !== undefined) meta['isthmus/filename'] = part.filename;
  if (part.url !== undefined && part.mediaType !== undefined) {
    meta['isthmus/mediaType'] = part.mediaType;
  }
  if (part.metadata !== undefined) meta['isthmus/metadata'] = part.metadata;
  if (Object.keys(meta).length > 0) contents._meta = meta;
  return contents;
}

function mimeTypeOfPart(part: Part): string {
  if (part.url !== undefined) return 'text/uri-list';
  if (part.mediaType !== undefined && part.mediaType !== '') return part.mediaType;
  if (part.data !== undefined) return 'application/json';
  return part.raw === undefined ? 'text/plain' : 'application/octet-stream';
}

/** One path segment. A lone "." or ".." would be taken for a relative path. */
function encoded(segment: string): string {
  const escaped = encodeURIComponent(Buffer.from(segment).toString());
  return /^\.{1,2}$/.test(escaped) ? escaped.replaceAll('.', '%2E') : escaped;
}
