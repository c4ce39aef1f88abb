/** Small MCP servers whose tools and files are lent to the second-order servers of examples/. */
import { McpServer } from '@modelcontextprotocol/server';
import { z } from 'zod';
import { serveMcp } from '../../examples/hosting/mcp-host.ts';
import { result } from '../../examples/hosting/tool-result.ts';

/** A library that finds books and never opens one: the request is over before. */
export async function startSlowLibrary() {
  const abandoned = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  const host = await serveMcp(
    () => {
      const server = new McpServer({ name: 'library', version: '1.0.0' });
      const readOnlyHint = true;
      server.registerTool(
        'find_books',
        {
          description: 'Finds books',
          inputSchema: z.object({ query: z.string() }),
          annotations: { readOnlyHint },
        },
        () => result({ books: [{ id: 'b1', title: 'Bridges', summary: 'A bridge is long.' }] }),
      );
      server.registerTool(
        'open_book',
        {
          description: 'Opens a book',
          inputSchema: z.object({ id: z.string() }),
          annotations: { readOnlyHint },
        },
        async (_args, { mcpReq }) => {
          asked.resolve();
          const { signal } = mcpReq;
          await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
          abandoned.resolve();
          return result({ text: 'Nobody reads this.' });
        },
      );
      return server;
    },
    { port: 0 },
  );
  return { ...host, asked: asked.promise, abandoned: abandoned.promise };
}

/** Two tables, one of them as bytes; a text that is none; and a tool that reads by path. */
export async function startFileServer() {
  const files = {
    'file:///reports/north.csv': 'month,sales,note\r\n1,10,"a, b"\r\n2,30,secret-of-the-north\r\n',
    'file:///reports/south.csv': 'month,sales\n1,5.5\n2,none\n',
  };
  return serveMcp(
    () => {
      const server = new McpServer({ name: 'files', version: '1.0.0' });
      for (const [uri, text] of Object.entries(files)) {
        const mimeType = 'text/csv';
        server.registerResource(uri, uri, { mimeType }, () => ({
          contents: [
            uri.includes('south')
              ? { uri, mimeType, blob: Buffer.from(text).toString('base64') }
              : { uri, mimeType, text },
          ],
        }));
      }
      server.registerTool(
        'read_text_file',
        {
          description: 'Reads a file',
          inputSchema: z.object({ path: z.string() }),
          annotations: { readOnlyHint: true },
        },
        ({ path }) => {
          const text = path === '/reports/west.csv' ? 'sales\n100\n' : undefined;
          return text === undefined
            ? { content: [{ type: 'text', text: `no file ${path}` }], isError: true }
            : { content: [{ type: 'text', text }] };
        },
      );
      return server;
    },
    { port: 0 },
  );
}

/** Two hundred tools that convert one unit into another. */
export async function startUnitServer() {
  const units = ['metre', 'foot', 'mile', 'litre', 'gallon', 'gram', 'ounce', 'kelvin', 'joule'];
  const pairs = Array.from({ length: 200 }, (_, at) => ({
    name: at === 137 ? 'parsec_to_lightyear' : `${units[at % 9]}_to_unit${at}`,
    description:
      at === 137 ? 'Converts astronomical distances' : `Converts ${units[at % 9]} to unit ${at}`,
    factor: at === 137 ? 3.26 : at,
  }));
  return serveMcp(
    () => {
      const server = new McpServer({ name: 'units', version: '1.0.0' });
      for (const { name, description, factor } of pairs) {
        server.registerTool(
          name,
          {
            description,
            inputSchema: z.object({ amount: z.number() }),
            annotations: { readOnlyHint: true },
          },
          ({ amount }) => result({ converted: amount * factor }),
        );
      }
      return server;
    },
    { port: 0 },
  );
}
