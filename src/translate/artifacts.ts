/**
 * A2A artifacts ⇄ MCP resources and tool results.
 *
 * Differs: an artifact is a named list of parts inside a task, possibly streamed in chunks; an MCP
 * resource is a URI with contents, and a tool result is one list of content without names.
 * Kept: each part is one entry of the resource's contents; name, description and metadata travel
 * in `_meta` (`isthmus/…`), and a result's own `_meta` in the artifact's metadata (`isthmus/meta`).
 * Lost: chunk boundaries. Text that arrives in chunks is one text part afterwards; events keep
 * the chunks, so this is not flagged. Losses of single parts are flagged under `isthmus/loss` in
 * the artifact's metadata.
 */
import { Buffer } from 'node:buffer';
import type { Artifact, Part, Task } from '../model/a2a.ts';
import type { JsonObject } from '../model/json.ts';
import type { CallToolResult } from '../model/mcp.ts';
import { bytesOfPart, kindOfPart, partsFromContent, standardBase64 } from './content.ts';
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

/** The artifacts of a task as entries of `resources/list`. */
export function resourcesFromTask(peerId: string, task: Task): ArtifactResource[] {
  return (task.artifacts ?? []).map((artifact) => {
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
  const metadata = withLoss(
    result._meta === undefined ? undefined : { 'isthmus/meta': result._meta },
    loss,
  );
  if (metadata !== undefined) artifact.metadata = metadata;
  return { artifact, loss };
}

/**
 * Applies an artifact update. `append` continues the artifact of that id, or starts it where the
 * first chunk was missed; otherwise the artifact is replaced. Text continues a bare text part, so
 * that a text streamed in chunks reads as one. The given list is not changed.
 *
 * Spec: A2A 1.0 §4.2.2 (TaskArtifactUpdateEvent)
 */
export function mergeArtifact(
  artifacts: readonly Artifact[],
  update: { artifact: Artifact; append: boolean; lastChunk: boolean },
): Artifact[] {
  const { artifact, append } = update;
  const index = artifacts.findIndex(({ artifactId }) => artifactId === artifact.artifactId);
  const known = artifacts[index];
  if (known === undefined) return [...artifacts, artifact];
  return artifacts.with(index, append ? continued(known, artifact) : artifact);
}

function continued(known: Artifact, chunk: Artifact): Artifact {
  const merged: Artifact = { ...known, parts: joined(known.parts, chunk.parts) };
  if (chunk.name) merged.name = chunk.name;
  if (chunk.description) merged.description = chunk.description;
  if (chunk.metadata !== undefined) merged.metadata = { ...known.metadata, ...chunk.metadata };
  if (chunk.extensions !== undefined) {
    merged.extensions = [...new Set([...(known.extensions ?? []), ...chunk.extensions])];
  }
  return merged;
}

function joined(before: readonly Part[], after: readonly Part[]): Part[] {
  const last = before.at(-1);
  const first = after[0];
  if (last === undefined || first === undefined || !isBareText(last) || !isBareText(first)) {
    return [...before, ...after];
  }
  if (last.mediaType !== first.mediaType) return [...before, ...after];
  return [
    ...before.slice(0, -1),
    { ...last, text: `${last.text}${first.text}` },
    ...after.slice(1),
  ];
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
