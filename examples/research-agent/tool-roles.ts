/**
 * Which of the tools that were lent can do what: told by their definitions, as a reader would. Whose
 * tools they are, and what they are called exactly, is not known beforehand.
 */
import type { Tool } from '@modelcontextprotocol/client';

/** What the agent needs tools for. */
export type Role = 'search' | 'read' | 'remember' | 'sign';

interface Signs {
  /** Words of a tool's name and description that speak for it. */
  readonly words: ReadonlySet<string>;
  /** Words that speak against it: what a memory finds is what we have put there. */
  readonly not: ReadonlySet<string>;
  /** The argument that it takes, by its usual names. */
  readonly argument: readonly string[];
  /** Whether it changes something. */
  readonly writes: boolean;
}

const signs: Readonly<Record<Role, Signs>> = {
  search: {
    words: new Set(['search', 'searches', 'find', 'finds', 'lookup', 'query']),
    not: new Set(['recall', 'recalls', 'remember', 'remembered', 'memory']),
    argument: ['query', 'q', 'question', 'search', 'text'],
    writes: false,
  },
  read: {
    words: new Set(['read', 'reads', 'open', 'opens', 'fetch', 'fetches', 'get']),
    not: new Set(),
    argument: ['uri', 'url', 'id', 'path'],
    writes: false,
  },
  remember: {
    words: new Set(['remember', 'remembers', 'store', 'stores', 'save', 'saves', 'memorize']),
    not: new Set(),
    argument: ['text', 'content', 'note', 'memory', 'body'],
    writes: true,
  },
  sign: {
    words: new Set(['sign', 'signs']),
    not: new Set(),
    argument: ['text', 'message', 'payload', 'data'],
    writes: false,
  },
};

/** A description alone is not enough: it may speak of what others do. */
const enough = 3;

/** The best tool for a role; undefined when none will do. */
export function toolFor(role: Role, tools: readonly Tool[]): Tool | undefined {
  const usable = tools.filter((tool) => isUsable(role, tool));
  const scored = usable.map((tool) => ({ tool, score: scoreOf(role, tool) }));
  const [best] = scored.filter(({ score }) => score >= enough).sort((a, b) => b.score - a.score);
  return best?.tool;
}

/** The arguments of a call: the value in its place, and a title where one is wanted. */
export function argumentsFor(role: Role, tool: Tool, { value, title }: Said) {
  const { properties = {}, required = [] } = tool.inputSchema;
  const name = signs[role].argument.find((one) => Object.hasOwn(properties, one));
  if (name === undefined) return undefined;
  const known: Record<string, string> = { title, [name]: value };
  if (!required.every((one) => Object.hasOwn(known, one))) return undefined;
  return required.includes('title') ? known : { [name]: value };
}

/** What a call says. */
export interface Said {
  value: string;
  title: string;
}

function isUsable(role: Role, tool: Tool): boolean {
  const { destructiveHint, readOnlyHint } = tool.annotations ?? {};
  if (signs[role].writes && readOnlyHint === true) return false;
  // By default a tool that writes may destroy: only one that says so is left alone.
  if (destructiveHint === true) return false;
  return argumentsFor(role, tool, { value: '', title: '' }) !== undefined;
}

/** What stands first counts most: names and descriptions begin with the verb. */
function scoreOf(role: Role, { name, title = '', description = '' }: Tool): number {
  const { words, not } = signs[role];
  // Before "__" is whose tool it is, which says nothing about what it does.
  const own = wordsOf(name.split('__').at(-1) ?? name);
  const described = wordsOf(`${description} ${title}`);
  if ([...own, ...described].some((word) => not.has(word))) return 0;
  const first = (list: readonly string[]): boolean => words.has(list[0] ?? '');
  const any = (list: readonly string[]): boolean => list.some((word) => words.has(word));
  return (
    (first(own) ? 4 : any(own) ? 2 : 0) + (first(described) ? 2 : 0) + (any(described) ? 1 : 0)
  );
}

function wordsOf(text: string): string[] {
  return text
    .replace(/([a-z])([A-Z])/g, '$1 $2')
    .toLowerCase()
    .split(/[^a-z]+/)
    .filter((word) => word !== '');
}
