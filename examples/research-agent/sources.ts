/** What tools answer, read without knowing who wrote them: the places found, and their texts. */
import type { CallToolResult } from '@modelcontextprotocol/client';

/** Something that was found. */
export interface Source {
  title: string;
  /** Where it can be read; missing when the search said nothing about that. */
  uri?: string;
  text: string;
}

/** The results of a search: a list of objects in its structure, links, or else the text as a whole. */
export function sourcesIn({ structuredContent, content }: CallToolResult): Source[] {
  const list = Object.values(structureIn({ structuredContent })).find((value) =>
    Array.isArray(value),
  );
  if (Array.isArray(list)) return list.flatMap((item: unknown) => sourceFrom(item));
  const links = content.flatMap((block) =>
    block.type === 'resource_link'
      ? [{ title: block.title ?? block.name, uri: block.uri, text: block.description ?? '' }]
      : [],
  );
  if (links.length > 0) return links;
  const text = textIn({ content });
  return text === '' ? [] : [{ title: 'What the search said', text }];
}

/** The text of an answer. */
export function textIn({ structuredContent, content }: CallToolResult): string {
  const { text } = structureIn({ structuredContent });
  if (typeof text === 'string') return text;
  const texts = content.flatMap((block) => {
    if (block.type === 'text') return [block.text];
    return block.type === 'resource' && 'text' in block.resource ? [block.resource.text] : [];
  });
  return texts.join('\n');
}

/** The structure of an answer; nothing where it has none. */
export function structureIn({
  structuredContent,
}: Pick<CallToolResult, 'structuredContent'>): Record<string, unknown> {
  return typeof structuredContent === 'object' && structuredContent !== null
    ? { ...structuredContent }
    : {};
}

function sourceFrom(item: unknown): Source[] {
  if (typeof item !== 'object' || item === null) return [];
  const members = new Map(Object.entries(item));
  const first = (...names: string[]): string | undefined =>
    names
      .map((name): unknown => members.get(name))
      .find((value): value is string => typeof value === 'string' && value !== '');
  const uri = first('uri', 'url', 'id', 'path');
  const text = first('text', 'snippet', 'summary', 'description') ?? '';
  const title = first('title', 'name') ?? uri;
  if (title === undefined) return text === '' ? [] : [{ title: 'untitled', text }];
  return [{ title, text, ...(uri !== undefined && { uri }) }];
}
