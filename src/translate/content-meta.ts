/**
 * What has no place of its own on the other side of content.ts: members of a block in the
 * metadata of its part, members of a part in the `_meta` of its block. Both directions read what
 * the other one wrote, so that nothing is lost on the way back.
 */
import type { Part } from '../model/a2a.ts';
import type { JsonObject } from '../model/json.ts';
import { isObject } from '../model/json.ts';
import type { ContentBlock } from '../model/mcp.ts';
import { travellingMembers } from './hop-meta.ts';
import { withoutKeys } from './loss.ts';

/** In a part's metadata: what is known of the resource or link that it was. */
export const resourceKey = 'isthmus/resource';

/** In a block's `_meta`: that its text is JSON of a data part (`data`), or its name made up (`unnamed`). */
export const partKey = 'isthmus/part';

const annotationsKey = 'isthmus/annotations';
const metaKey = 'isthmus/meta';
const filenameKey = 'isthmus/filename';
const mediaTypeKey = 'isthmus/mediaType';
const metadataKey = 'isthmus/metadata';

/** A part with what its block's `_meta` kept of an earlier translation; the rest goes into metadata. */
export function withKeptMembers(part: Part, block: ContentBlock): Part {
  const meta = isObject(block._meta) ? block._meta : {};
  const kept = meta[metadataKey];
  const metadata: JsonObject = isObject(kept) ? { ...kept } : {};
  if (isObject(block.annotations)) metadata[annotationsKey] = block.annotations;
  const rest = withoutKeys(travellingMembers(meta), [
    partKey,
    filenameKey,
    mediaTypeKey,
    metadataKey,
  ]);
  if (rest !== undefined) metadata[metaKey] = rest;
  const filename = meta[filenameKey];
  const mediaType = meta[mediaTypeKey];
  if (typeof filename === 'string') part.filename = filename;
  if (typeof mediaType === 'string') part.mediaType = mediaType;
  if (Object.keys(metadata).length > 0) part.metadata = metadata;
  return part;
}

/** A block with annotations and `_meta` that stand for the part's other members. */
export function withKeptMetadata(
  base: ContentBlock,
  part: Part,
  members: ('filename' | 'mediaType')[],
): ContentBlock {
  const metadata = part.metadata ?? {};
  const kept = metadata[metaKey];
  const restored = isObject(kept) && !Object.keys(kept).some(isReserved);
  const meta: JsonObject = restored ? { ...kept } : {};
  if (members.includes('filename') && part.filename !== undefined)
    meta[filenameKey] = part.filename;
  if (members.includes('mediaType') && part.mediaType !== undefined) {
    meta[mediaTypeKey] = part.mediaType;
  }
  const annotations = metadata[annotationsKey];
  const valid = areAnnotations(annotations);
  const rest = withoutKeys(metadata, [
    ...(restored ? [metaKey] : []),
    ...(valid ? [annotationsKey] : []),
  ]);
  if (rest !== undefined) meta[metadataKey] = rest;
  const result = { ...base };
  if (valid) result.annotations = annotations;
  if (Object.keys(meta).length > 0) result._meta = meta;
  return result;
}

/** Whether a value is an MCP `Annotations` object; a client would refuse the whole result otherwise. */
function areAnnotations(value: unknown): value is JsonObject {
  if (!isObject(value)) return false;
  const { audience, priority, lastModified } = value;
  return (
    (audience === undefined ||
      (Array.isArray(audience) &&
        audience.every((who) => who === 'user' || who === 'assistant'))) &&
    (priority === undefined || (typeof priority === 'number' && priority >= 0 && priority <= 1)) &&
    (lastModified === undefined || typeof lastModified === 'string')
  );
}

/**
 * Whether a key of `_meta` has a meaning in MCP: an agent may not speak in the protocol's name.
 *
 * Spec: MCP 2026-07-28 basic "_meta" (prefixes reserved for MCP)
 */
function isReserved(key: string): boolean {
  const prefix = key.slice(0, Math.max(key.indexOf('/'), 0)).toLowerCase();
  return prefix.split('.').some((label) => label === 'modelcontextprotocol' || label === 'mcp');
}
