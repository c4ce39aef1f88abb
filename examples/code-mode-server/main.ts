/** Code mode in one process: `node examples/code-mode-server/main.ts --port 41305`. */
import { granteeFlags } from '../hosting/grantee.ts';
import { runProgram } from '../hosting/program.ts';
import { startCodeModeServer } from './server.ts';

await runProgram('code-mode-server', { port: 41305, options: granteeFlags }, async (given) => {
  const keyFile = given.one('key-file');
  return {
    ...(await startCodeModeServer({
      ...given.place,
      issuers: given.all('issuer'),
      ...(keyFile !== undefined && { keyFile }),
    })),
    next: `It borrows from ${given.all('issuer').join(', ')}: see examples/README.md. Ctrl-C stops it.`,
  };
});
