/** A search tool in one process: `node examples/search-server/main.ts --port 41301`. */
import { runProgram } from '../hosting/program.ts';
import { startSearchServer } from './server.ts';

await runProgram('search-server', { port: 41301 }, async ({ place }) => ({
  ...(await startSearchServer(place)),
  next: 'An MCP server with search_articles and read_article. Ctrl-C stops it.',
}));
