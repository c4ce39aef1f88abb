/** An A2A agent in one process: `node examples/travel-agent/main.ts --port 41241`. */
import { parseArgs } from 'node:util';
import { DefaultRequestHandler, InMemoryTaskStore } from '@a2a-js/sdk/server';
import {
  agentCardHandler,
  jsonRpcHandler,
  restHandler,
  UserBuilder,
} from '@a2a-js/sdk/server/express';
import express from 'express';
import { TravelAgent } from './agent.ts';
import { travelCard } from './card.ts';

const { values } = parseArgs({
  options: {
    host: { type: 'string', default: '127.0.0.1' },
    port: { type: 'string', default: '41241' },
  },
});
const origin = `http://${values.host}:${values.port}`;
const agent = new TravelAgent(origin);
const card = travelCard(origin);
const common = {
  requestHandler: new DefaultRequestHandler(card, new InMemoryTaskStore(), agent),
  userBuilder: UserBuilder.noAuthentication,
  legacyCompat: { enabled: true },
};

const app = express();
app.use(
  '/.well-known/agent-card.json',
  agentCardHandler({ agentCardProvider: common.requestHandler, legacyCompat: { enabled: true } }),
);
app.use('/a2a', jsonRpcHandler(common));
app.use('/rest', restHandler(common));

// The page that `book` sends people to.
app.get('/authorize/:task', (_request, response) => {
  response.type('html').send(`<!doctype html><title>Travel agent</title>
<h1>Book this trip?</h1><form method="post"><button>Yes, book it</button></form>`);
});
app.post('/authorize/:task', (request, response) => {
  const found = agent.authorize(request.params.task);
  response.status(found ? 200 : 404).send(found ? 'Booked. You can close this page.' : 'Not found');
});

const server = app.listen(Number(values.port), values.host, (error) => {
  if (error) {
    console.error(`travel-agent: cannot listen on ${origin}: ${error.message}`);
    process.exit(1);
  }
  console.log(`travel-agent: ${origin}/.well-known/agent-card.json`);
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    server.close();
    server.closeAllConnections();
  });
}
