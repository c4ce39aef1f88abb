/**
 * An identity provider in one process:
 * `node examples/identity-provider/main.ts --port 41243 --gateway http://127.0.0.1:8080`.
 */
import { createServer } from 'node:http';
import { parseArgs } from 'node:util';
import { createProvider, loginPage } from './provider.ts';

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '41243' },
    gateway: { type: 'string', default: 'http://127.0.0.1:8080' },
  },
});
const issuer = `http://127.0.0.1:${values.port}`;
const provider = createProvider(issuer, values.gateway);
const answer = provider.callback();

const server = createServer((req, res) => {
  if (!loginPage(provider, req, res)) void answer(req, res);
});
server.on('error', (error) => {
  console.error(`identity-provider: cannot listen on ${issuer}: ${error.message}`);
  process.exit(1);
});
server.listen(Number(values.port), '127.0.0.1', () => {
  console.log(`identity-provider: ${issuer}/.well-known/openid-configuration`);
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    server.close();
    server.closeAllConnections();
  });
}
