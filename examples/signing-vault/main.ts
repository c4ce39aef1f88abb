/** A signing vault in one process: `node examples/signing-vault/main.ts --port 41303`. */
import { readFileSync } from 'node:fs';
import { runProgram } from '../hosting/program.ts';
import { startSigningVault } from './server.ts';

const options = { 'key-file': {}, 'token-file': {} };
await runProgram('signing-vault', { port: 41303, options }, async ({ place, one }) => {
  const keyFile = one('key-file');
  const tokenFile = one('token-file');
  // In a file: the command line of a program can be read by everybody on the machine.
  const token = tokenFile === undefined ? undefined : readFileSync(tokenFile, 'utf8').trim();
  if (token === '') throw new Error(`there is no token in ${tokenFile}`);
  return {
    ...(await startSigningVault({
      ...place,
      ...(keyFile !== undefined && { keyFile }),
      ...(token !== undefined && { token }),
    })),
    next: 'An MCP server with sign and public_key. Ctrl-C stops it; --key-file keeps its key.',
  };
});
