/**
 * Reads files that the server itself cannot reach, through the tools that its caller lends: by the
 * URI of a resource, or by the path of a file. What is read stays in the program.
 */
import type { CallToolResult, Client, Tool } from '@modelcontextprotocol/client';
import { callLent } from '../hosting/lent-call.ts';

/** Nothing that was lent can read it. */
export class UnreadableError extends Error {}

/** The largest file, in characters. */
const mostCharacters = 8 * 1024 * 1024;

interface LentCall {
  name: string;
  arguments: Record<string, string>;
}

/** See the file comment. */
export class LentReader {
  readonly #client: Client;
  readonly #tools: readonly Tool[];
  readonly #signal: AbortSignal;

  constructor(client: Client, tools: readonly Tool[], signal: AbortSignal) {
    this.#client = client;
    this.#tools = tools;
    this.#signal = signal;
  }

  /** The text of a file. Where several tools could read it, the first that does. */
  async read(uri: string): Promise<string> {
    let last: Error = new UnreadableError('no tool that reads such files was lent');
    for (const call of callsFor(uri, this.#tools)) {
      try {
        const text = textIn(await callLent(this.#client, call, this.#signal));
        if (text.length > mostCharacters) throw new UnreadableError('it is too large');
        return text;
      } catch (error) {
        this.#signal.throwIfAborted();
        last = error instanceof Error ? error : new Error('it could not be read');
      }
    }
    throw last;
  }
}

function callsFor(uri: string, tools: readonly Tool[]): LentCall[] {
  const path = uri.startsWith('file://') ? decodeURIComponent(new URL(uri).pathname) : uri;
  return tools.flatMap(({ name, inputSchema, annotations }): LentCall[] => {
    const own = name.split('__').at(-1) ?? name;
    const { properties = {}, required = [] } = inputSchema;
    const takes = (argument: string): boolean =>
      Object.hasOwn(properties, argument) && required.every((one) => one === argument);
    if (annotations?.readOnlyHint === false || !/^(read|get|fetch|open)/.test(own)) return [];
    if (takes('uri')) return [{ name, arguments: { uri } }];
    const isPath = uri.startsWith('file://') || uri.startsWith('/');
    return takes('path') && isPath ? [{ name, arguments: { path } }] : [];
  });
}

/** Text as it is, and what came as bytes. */
function textIn({ content }: CallToolResult): string {
  const texts = content.flatMap((block) => {
    if (block.type === 'text') return [block.text];
    if (block.type !== 'resource') return [];
    const { resource } = block;
    if ('text' in resource) return [resource.text];
    return [Buffer.from(resource.blob, 'base64').toString('utf8')];
  });
  if (texts.length === 0) throw new UnreadableError('it has no text');
  return texts.join('\n');
}
