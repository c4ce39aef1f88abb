/** The corpus as an MCP server: a search that ranks, and a tool that reads what was found. */
import { McpServer } from '@modelcontextprotocol/server';
import MiniSearch from 'minisearch';
import { z } from 'zod';
import { serveMcp, type HostOptions } from '../hosting/mcp-host.ts';
import { failure, result } from '../hosting/tool-result.ts';
import { corpus, type Article } from './corpus.ts';

/** Starts it. */
export async function startSearchServer(options: HostOptions) {
  const index = new MiniSearch<Article>({ idField: 'uri', fields: ['title', 'text'] });
  index.addAll([...corpus]);
  return serveMcp(() => searchServer(index), options);
}

function searchServer(index: MiniSearch<Article>): McpServer {
  const server = new McpServer({ name: 'search', title: 'Handbook search', version: '1.0.0' });
  server.registerTool(
    'search_articles',
    {
      title: 'Search the handbook',
      description: 'Searches the handbook of bridges and crossings; the best articles come first',
      inputSchema: z.object({
        query: z.string().min(1).max(500).describe('What to look for, in plain words'),
        limit: z.number().int().min(1).max(10).default(3),
      }),
      annotations: { readOnlyHint: true },
    },
    ({ query, limit }) => {
      const found = index.search(query, { boost: { title: 2 }, fuzzy: 0.2, prefix: true });
      const results = found.slice(0, limit).flatMap(({ id, score }) => {
        const article = corpus.find(({ uri }) => uri === id);
        if (article === undefined) return [];
        const { uri, title, text } = article;
        return [{ uri, title, snippet: text.slice(0, 100), score: Math.round(score * 100) / 100 }];
      });
      return result({ results });
    },
  );
  server.registerTool(
    'read_article',
    {
      title: 'Read an article',
      description: 'Reads an article of the handbook by its URI',
      inputSchema: z.object({ uri: z.string().max(200) }),
      annotations: { readOnlyHint: true },
    },
    ({ uri }) => {
      const article = corpus.find((one) => one.uri === uri);
      if (article === undefined) return failure('There is no such article. Search first.');
      return result({ ...article });
    },
  );
  return server;
}
