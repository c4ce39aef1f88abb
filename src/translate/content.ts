/**
 * MCP content blocks ⇄ A2A parts.
 *
 * Differs: MCP tells images and audio from other files and has links and embedded resources; A2A
 * has text, bytes, URLs and data, each with a media type. MCP has one `structuredContent` beside
 * the content; A2A has data parts among the others.
 * Kept on the other side: `annotations` and `_meta` of a block in the part's metadata
 * (`isthmus/annotations`, `isthmus/meta`); metadata, file name and media type of a part in the
 * block's `_meta` (`isthmus/metadata`, `isthmus/filename`, `isthmus/mediaType`). A data part
 * becomes a text block of JSON marked `isthmus/part: "data"` and comes back as a data part.
 * An embedded resource becomes a part with its URI in `isthmus/resource`.
 * Lost: links whose scheme is not http(s) become text, in both directions. Flagged: a sentence per
 * case in the returned `loss`, which callers record under `isthmus/loss`.
 */
import { Buffer } from 'node:buffer';
import { isDeepStrictEqual } from 'node:util';
import type { Part } from '../model/a2a.ts';
import { GatewayError } from '../model/errors.ts';
import type { Json, JsonObject } from '../model/json.ts';
import { isObject } from '../model/json.ts';
import type { ContentBlock } from '../model/mcp.ts';
import { partKey, resourceKey, withKeptMembers, withKeptMetadata } from './content-meta.ts';
import { isHttpUrl, schemeOf } from './http-url.ts';
import { shortened } from './plain-text.ts';

/** URIs of embedded resources that were made from a part without an address. */
const partUriPrefix = 'urn:isthmus:part:';

/** A file that is reached by URL. */
export interface FileLink {
  url: string;
  name?: string;
  mediaType?: string;
}

/**
 * Parts from the content of a tool result or prompt message. `structuredContent` becomes a data
 * part; the text block in which MCP servers repeat it as JSON is not repeated.
 * Throws `peer-protocol` for a block that MCP does not define.
 *
 * Spec: MCP 2026-07-28 server/tools "Structured Content"; A2A 1.0 §4.1.6
 */
export function partsFromContent(
  content: readonly ContentBlock[],
  structuredContent?: Json,
): { parts: Part[]; loss: string[] } {
  const loss: string[] = [];
  const parts: Part[] = [];
  let structuredSeen = structuredContent === undefined;
  for (const block of content) {
    const part = partFromBlock(block, loss);
    if (structuredContent !== undefined && repeats(part, structuredContent)) {
      if (structuredSeen) continue;
      structuredSeen = true;
      parts.push(part.data === undefined ? dataPart(structuredContent, part.metadata) : part);
      continue;
    }
    parts.push(part);
  }
  if (!structuredSeen && structuredContent !== undefined) parts.push(dataPart(structuredContent));
  return { parts, loss };
}

/**
 * Content blocks from parts, with what goes into structured output beside them. A part that is
 * larger than `inlineBytes`, or binary and neither image nor audio, becomes a link to
 * `resourceUri`; where there is no such address it is embedded.
 * Throws `peer-protocol` for a part that is not exactly one of text, raw, url and data.
 */
export function contentFromParts(
  parts: readonly Part[],
  options: { inlineBytes: number; resourceUri?: string; resourceName?: string },
): { content: ContentBlock[]; structured: Json[]; files: FileLink[]; loss: string[] } {
  const into: Rendered = { content: [], structured: [], files: [], loss: [] };
  for (const [index, part] of parts.entries()) renderPart(part, index, options, into);
  return into;
}

/** The text of parts as one string: text as it is, the rest left out. */
export function textOfParts(parts: readonly Part[] | undefined): string {
  return (parts ?? [])
    .flatMap((part) => (part.text === undefined || part.text === '' ? [] : [part.text]))
    .join('\n');
}

/** The size of a part's content in bytes, as it would be inlined. */
export function bytesOfPart(part: Part): number {
  if (part.raw !== undefined) return Buffer.byteLength(part.raw, 'base64');
  if (part.data !== undefined) return Buffer.byteLength(JSON.stringify(part.data));
  return Buffer.byteLength(part.text ?? part.url ?? '');
}

/** Base64 in the standard alphabet with padding, from either alphabet. */
export function standardBase64(raw: string): string {
  return Buffer.from(raw, 'base64').toString('base64');
}

/** Which of its members a part has. Throws `peer-protocol` unless it is exactly one. */
export function kindOfPart(part: Part): 'text' | 'raw' | 'url' | 'data' {
  const kinds = (['text', 'raw', 'url', 'data'] as const).filter(
    (kind) => part[kind] !== undefined,
  );
  const [kind] = kinds;
  if (kind === undefined || kinds.length > 1) {
    throw new GatewayError(
      'peer-protocol',
      'A part must hold exactly one of text, raw, url and data; ' +
        (kind === undefined ? 'this one holds none.' : `this one holds ${kinds.join(', ')}.`),
    );
  }
  return kind;
}

// ── MCP → A2A ───────────────────────────────────────────────────────────────

function partFromBlock(block: ContentBlock, loss: string[]): Part {
  switch (block.type) {
    case 'text':
      return partFromText(block);
    case 'image':
    case 'audio':
      return withKeptMembers(
        { raw: text(block, 'data'), mediaType: text(block, 'mimeType') },
        block,
      );
    case 'resource':
      return partFromResource(block);
    case 'resource_link':
      return partFromLink(block, loss);
    default:
      throw new GatewayError(
        'peer-protocol',
        `The MCP server sent content of a type that MCP does not define: ${shortened(JSON.stringify(block.type) ?? 'none', 60)}.`,
        { facts: { field: 'content.type' } },
      );
  }
}

function partFromText(block: ContentBlock): Part {
  const value = text(block, 'text');
  if (block._meta?.[partKey] === 'data') {
    const data = parsed(value);
    if (data !== undefined) return withKeptMembers({ data }, block);
  }
  return withKeptMembers({ text: value }, block);
}

function partFromResource(block: ContentBlock): Part {
  const resource = block.resource;
  if (!isObject(resource) || typeof resource.uri !== 'string')
    throw malformed('resource', 'resource.uri');
  const part: Part =
    typeof resource.blob === 'string'
      ? { raw: resource.blob }
      : { text: text({ type: 'resource', ...resource }, 'text') };
  if (typeof resource.mimeType === 'string') part.mediaType = resource.mimeType;
  const done = withKeptMembers(part, block);
  if (resource.uri.startsWith(partUriPrefix)) return done;
  done.metadata = { ...done.metadata, [resourceKey]: { uri: resource.uri } };
  return done;
}

function partFromLink(block: ContentBlock, loss: string[]): Part {
  const uri = text(block, 'uri');
  const link: JsonObject = {};
  for (const member of ['title', 'description', 'size', 'icons']) {
    const value = block[member];
    if (value !== undefined) link[member] = value as Json;
  }
  const name = typeof block.name === 'string' ? block.name : undefined;
  const isLink: boolean = isHttpUrl(uri);
  if (!isLink) {
    loss.push(
      `A link with the scheme ${schemeOf(uri) || '(none)'} is not followed outside MCP; it became text. The skill read_resource reads resources of the server.`,
    );
    const shownName = name === undefined || name === uri ? '' : `${name}: `;
    const part = withKeptMembers({ text: `${shownName}${uri}` }, { ...block, name: undefined });
    const full: JsonObject = { uri, ...link };
    if (name !== undefined) full['name'] = name;
    if (typeof block.mimeType === 'string') full['mimeType'] = block.mimeType;
    part.metadata = { ...part.metadata, [resourceKey]: full };
    return part;
  }
  const part: Part = { url: uri };
  if (name !== undefined && block._meta?.[partKey] !== 'unnamed') part.filename = name;
  if (typeof block.mimeType === 'string') part.mediaType = block.mimeType;
  const done = withKeptMembers(part, block);
  if (Object.keys(link).length > 0) done.metadata = { ...done.metadata, [resourceKey]: link };
  return done;
}

function dataPart(data: Json, metadata?: JsonObject): Part {
  const part: Part = { data, mediaType: 'application/json' };
  if (metadata !== undefined) part.metadata = metadata;
  return part;
}

function repeats(part: Part, structured: Json): boolean {
  if (part.data !== undefined) return isDeepStrictEqual(part.data, structured);
  if (part.text === undefined) return false;
  return isDeepStrictEqual(parsed(part.text), structured);
}

function parsed(value: string): Json | undefined {
  try {
    return JSON.parse(value) as Json;
  } catch {
    return undefined; // prose is not JSON
  }
}

function text(block: ContentBlock, member: 'text' | 'data' | 'mimeType' | 'uri'): string {
  const value = block[member];
  if (typeof value !== 'string') throw malformed(block.type, member);
  return value;
}

function malformed(type: string, member: string): GatewayError {
  return new GatewayError(
    'peer-protocol',
    `The MCP server sent ${type} content without a valid "${member}".`,
    { facts: { field: `content.${member}` } },
  );
}

// ── A2A → MCP ───────────────────────────────────────────────────────────────

interface Rendered {
  content: ContentBlock[];
  structured: Json[];
  files: FileLink[];
  loss: string[];
}

function renderPart(
  part: Part,
  index: number,
  options: { inlineBytes: number; resourceUri?: string; resourceName?: string },
  into: Rendered,
): void {
  const kind = kindOfPart(part);
  if (kind === 'url') return renderUrl(part, into);
  const image = kind === 'raw' && /^(image|audio)\//.exec(part.mediaType ?? '')?.[1];
  const large = bytesOfPart(part) > options.inlineBytes;
  if (options.resourceUri !== undefined && (large || (kind === 'raw' && !image))) {
    return renderStored(part, { ...options, resourceUri: options.resourceUri }, into);
  }
  if (kind === 'text') {
    into.content.push(
      withKeptMetadata({ type: 'text', text: part.text ?? '' }, part, ['mediaType', 'filename']),
    );
  } else if (kind === 'data') {
    const data = part.data ?? null;
    into.structured.push(data);
    const rendered = withKeptMetadata({ type: 'text', text: JSON.stringify(data) }, part, [
      'mediaType',
      'filename',
    ]);
    into.content.push({ ...rendered, _meta: { [partKey]: 'data', ...rendered._meta } });
  } else if (image) {
    const data = standardBase64(part.raw ?? '');
    into.content.push(
      withKeptMetadata({ type: image, data, mimeType: part.mediaType ?? '' }, part, ['filename']),
    );
  } else {
    const blob = standardBase64(part.raw ?? '');
    const resource: NonNullable<ContentBlock['resource']> = {
      uri: `${partUriPrefix}${index}`,
      blob,
    };
    if (part.mediaType !== undefined) resource.mimeType = part.mediaType;
    into.content.push(withKeptMetadata({ type: 'resource', resource }, part, ['filename']));
  }
}

function renderUrl(part: Part, into: Rendered): void {
  const url = part.url ?? '';
  if (!isHttpUrl(url)) {
    into.loss.push(
      `A file URL with the scheme ${schemeOf(url) || '(none)'} is not passed on as a link; it became text.`,
    );
    into.content.push(
      withKeptMetadata({ type: 'text', text: url }, part, ['mediaType', 'filename']),
    );
    return;
  }
  const file: FileLink = { url };
  if (part.filename !== undefined) file.name = part.filename;
  if (part.mediaType !== undefined) file.mediaType = part.mediaType;
  into.files.push(file);
  const link: ContentBlock = {
    type: 'resource_link',
    uri: url,
    name: part.filename ?? nameOfUrl(url),
  };
  if (part.mediaType !== undefined) link.mimeType = part.mediaType;
  const kept = part.metadata?.[resourceKey];
  if (isObject(kept)) {
    for (const member of ['title', 'description'] as const) {
      if (typeof kept[member] === 'string') link[member] = kept[member];
    }
    if (Number.isSafeInteger(kept['size'])) link['size'] = kept['size'];
  }
  const rendered = withKeptMetadata(link, part, []);
  // A name that was made up here must not come back as a file name.
  into.content.push(
    part.filename === undefined
      ? { ...rendered, _meta: { [partKey]: 'unnamed', ...rendered._meta } }
      : rendered,
  );
}

/** A part of a stored artifact: the link to the artifact, once, however many parts need it. */
function renderStored(
  part: Part,
  options: { resourceUri: string; resourceName?: string },
  into: Rendered,
): void {
  if (into.content.some(({ uri }) => uri === options.resourceUri)) return;
  const link: ContentBlock = {
    type: 'resource_link',
    uri: options.resourceUri,
    name: part.filename ?? options.resourceName ?? 'artifact',
    size: bytesOfPart(part),
  };
  const mimeType = part.mediaType ?? (part.data === undefined ? undefined : 'application/json');
  if (mimeType !== undefined) link.mimeType = mimeType;
  into.content.push(withKeptMetadata(link, part, []));
}

function nameOfUrl(url: string): string {
  const { pathname, host } = new URL(url);
  const last = pathname.split('/').findLast((segment) => segment !== '');
  if (last === undefined) return host;
  try {
    return decodeURIComponent(last);
  } catch {
    return last; // a stray percent sign
  }
}
