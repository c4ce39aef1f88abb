/** The notes as an MCP server: tools, resources and prompts over one notebook. */
import { setTimeout as sleep } from 'node:timers/promises';
import {
  acceptedContent,
  inputRequired,
  McpServer,
  ResourceNotFoundError,
  ResourceTemplate,
} from '@modelcontextprotocol/server';
import type { CallToolResult, InputRequiredResult } from '@modelcontextprotocol/server';
import { z } from 'zod';
import type { Notebook } from './notes.ts';

const noteShape = z.object({
  id: z.string(),
  title: z.string(),
  text: z.string(),
  tags: z.array(z.string()),
});

/** A server over `notebook`; one is made per request or session, the notebook is shared. */
export function notesServer(notebook: Notebook): McpServer {
  const server = new McpServer({ name: 'notes', title: 'Notes', version: '1.0.0' });
  addWriting(server, notebook);
  addReading(server, notebook);
  addResources(server, notebook);
  addPrompts(server, notebook);
  return server;
}

function addWriting(server: McpServer, notebook: Notebook): void {
  server.registerTool(
    'add_note',
    {
      title: 'Add a note',
      description: 'Stores a note and returns it with its id',
      inputSchema: z.object({
        title: z.string().min(1).describe('A short title'),
        text: z.string().describe('What to remember'),
        tags: z.array(z.string()).default([]),
      }),
      outputSchema: z.object({ note: noteShape }),
    },
    (fields) => result({ note: notebook.add(fields) }),
  );

  // Asks before it deletes. On 2026-07-28 the client gets the question as a result and calls again
  // with the answer; on older revisions the SDK sends `elicitation/create` for us.
  server.registerTool(
    'delete_note',
    {
      title: 'Delete a note',
      description: 'Deletes a note after you have confirmed it',
      inputSchema: z.object({ id: z.string() }),
      annotations: { destructiveHint: true },
    },
    ({ id }, context): CallToolResult | InputRequiredResult => {
      const note = notebook.get(id);
      if (!note) return failure(`There is no note ${id}. Use search_notes to find its id.`);
      const { inputResponses } = context.mcpReq;
      if (!inputResponses?.['confirm']) {
        const message = `Delete the note "${note.title}"?`;
        return inputRequired({
          inputRequests: {
            confirm: inputRequired.elicit({ message, requestedSchema: confirmation }),
          },
        });
      }
      const answer = acceptedContent(inputResponses, 'confirm', confirmation);
      if (!answer?.confirm) return { content: [{ type: 'text', text: 'Nothing was deleted.' }] };
      notebook.remove(id);
      return { content: [{ type: 'text', text: `Deleted "${note.title}".` }] };
    },
  );
}

const confirmation = z.object({
  confirm: z.boolean().meta({ title: 'Yes, delete it' }),
  reason: z.string().optional().meta({ title: 'Why?' }),
});

function addReading(server: McpServer, notebook: Notebook): void {
  server.registerTool(
    'search_notes',
    {
      title: 'Search notes',
      description: 'Finds notes by a word in their title, text or tags',
      inputSchema: z.object({ query: z.string() }),
      outputSchema: z.object({ notes: z.array(noteShape) }),
      annotations: { readOnlyHint: true },
    },
    ({ query }) => result({ notes: notebook.search(query) }),
  );

  server.registerTool(
    'export_notes',
    {
      title: 'Export all notes',
      description: 'Writes all notes as Markdown, slowly, and reports progress',
      inputSchema: z.object({ pauseMs: z.number().int().min(0).max(5000).default(200) }),
      annotations: { readOnlyHint: true },
    },
    async ({ pauseMs }, context) => {
      const notes = notebook.all();
      const { progressToken } = context.mcpReq._meta ?? {};
      const pages: string[] = [];
      for (const note of notes) {
        await sleep(pauseMs, undefined, { signal: context.mcpReq.signal });
        pages.push(`# ${note.title}\n\n${note.text}\n`);
        if (progressToken === undefined) continue;
        await context.mcpReq.notify({
          method: 'notifications/progress',
          params: {
            progressToken,
            progress: pages.length,
            total: notes.length,
            message: note.title,
          },
        });
      }
      return { content: [{ type: 'text', text: pages.join('\n') }] };
    },
  );
}

function addResources(server: McpServer, notebook: Notebook): void {
  const template = new ResourceTemplate('note://{id}', {
    list: () => ({
      resources: notebook.all().map(({ id, title }) => ({
        uri: `note://${id}`,
        name: id,
        title,
        mimeType: 'text/plain',
      })),
    }),
    complete: {
      id: (start) => notebook.all().flatMap(({ id }) => (id.startsWith(start) ? id : [])),
    },
  });
  server.registerResource(
    'note',
    template,
    { title: 'A note', description: 'The text of one note', mimeType: 'text/plain' },
    (uri, { id }) => {
      const note = notebook.get(String(id));
      if (!note) throw new ResourceNotFoundError(uri.href);
      return { contents: [{ uri: uri.href, mimeType: 'text/plain', text: note.text }] };
    },
  );
}

function addPrompts(server: McpServer, notebook: Notebook): void {
  server.registerPrompt(
    'summarize_notes',
    {
      title: 'Summarize the notes',
      description: 'Asks for a summary of all notes',
      argsSchema: z.object({ style: z.string().optional().describe('For instance: one haiku') }),
    },
    ({ style }) => {
      const text = notebook.all().map((note) => `- ${note.title}: ${note.text}`);
      const ask = `Summarize these notes${style ? ` as ${style}` : ''}:\n${text.join('\n')}`;
      return { messages: [{ role: 'user', content: { type: 'text', text: ask } }] };
    },
  );
}

function result(value: Record<string, unknown>): CallToolResult {
  return { content: [{ type: 'text', text: JSON.stringify(value) }], structuredContent: value };
}

function failure(text: string): CallToolResult {
  return { content: [{ type: 'text', text }], isError: true };
}
