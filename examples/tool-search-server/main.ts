/** Tool search in one process: `node examples/tool-search-server/main.ts --port 41307`. */
import { granteeFlags } from '../hosting/grantee.ts';
import { runProgram } from '../hosting/program.ts';
import { startToolSearchServer } from './server.ts';

await runProgram('tool-search-server', { port: 41307, options: granteeFlags }, async (given) => {
  const keyFile = given.one('key-file');
  return {
    ...(await startToolSearchServer({
      ...given.place,
      issuers: given.all('issuer'),
      ...(keyFile !== undefined && { keyFile }),
    })),
    next: `It borrows from ${given.all('issuer').join(', ')}: see examples/README.md. Ctrl-C stops it.`,
  };
});
