/** A memory tool in one process: `node examples/memory-server/main.ts --port 41302`. */
import { runProgram } from '../hosting/program.ts';
import { startMemoryServer } from './server.ts';

const options = { file: {} };
await runProgram('memory-server', { port: 41302, options }, async ({ place, one }) => {
  const file = one('file');
  return {
    ...(await startMemoryServer({ ...place, ...(file !== undefined && { file }) })),
    next: 'An MCP server with remember and recall. Ctrl-C stops it; --file keeps what it knows.',
  };
});
