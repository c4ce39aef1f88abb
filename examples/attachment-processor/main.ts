/** The processor in one process: `node examples/attachment-processor/main.ts --port 41306`. */
import { granteeFlags } from '../hosting/grantee.ts';
import { runProgram } from '../hosting/program.ts';
import { startAttachmentProcessor } from './server.ts';

await runProgram('attachment-processor', { port: 41306, options: granteeFlags }, async (given) => {
  const keyFile = given.one('key-file');
  return {
    ...(await startAttachmentProcessor({
      ...given.place,
      issuers: given.all('issuer'),
      ...(keyFile !== undefined && { keyFile }),
    })),
    next: `It borrows from ${given.all('issuer').join(', ')}: see examples/README.md. Ctrl-C stops it.`,
  };
});
