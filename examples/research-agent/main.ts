/** A research agent in one process: `node examples/research-agent/main.ts --port 41304`. */
import { granteeFlags } from '../hosting/grantee.ts';
import { runProgram } from '../hosting/program.ts';
import { startResearchAgent } from './server.ts';

await runProgram('research-agent', { port: 41304, options: granteeFlags }, async (given) => {
  const keyFile = given.one('key-file');
  return {
    ...(await startResearchAgent({
      ...given.place,
      issuers: given.all('issuer'),
      ...(keyFile !== undefined && { keyFile }),
    })),
    next: `It borrows from ${given.all('issuer').join(', ')}: see examples/README.md. Ctrl-C stops it.`,
  };
});
