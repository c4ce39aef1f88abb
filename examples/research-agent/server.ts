/** The agent on HTTP: its card, its A2A endpoint, and the document that its client id leads to. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { InMemoryTaskStore } from '@a2a-js/sdk/server';
import { agentCardHandler, jsonRpcHandler, UserBuilder } from '@a2a-js/sdk/server/express';
import express from 'express';
import { Grantee, type GranteeOptions } from '../hosting/grantee.ts';
import { listen, stop } from '../hosting/mcp-host.ts';
import type { Place, Running } from '../hosting/program.ts';
import { ResearchAgent } from './agent.ts';
import { researchCard } from './card.ts';
import { OfferTakingHandler, type Offers } from '../hosting/offers.ts';

/** Starts it. */
export async function startResearchAgent({
  port,
  origin: known,
  ...options
}: Place & GranteeOptions): Promise<Running & { origin: string; cardUrl: string }> {
  const grantee = new Grantee('Research agent', options);
  const app = express();
  const server = createServer((request, response) => void app(request, response));
  await listen(server, port);
  const origin = known ?? `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const card = researchCard(origin, grantee.clientId(origin));
  const offers: Offers = new WeakMap();
  const agent = new ResearchAgent({ grantee, origin, offers });
  const requestHandler = new OfferTakingHandler(offers, card, new InMemoryTaskStore(), agent);
  const cardPath = '/.well-known/agent-card.json';
  for (const [path, document] of Object.entries(grantee.documents(origin))) {
    app.get(path, (_request, response) => void response.json(document));
  }
  app.use(cardPath, agentCardHandler({ agentCardProvider: requestHandler }));
  app.use('/a2a', jsonRpcHandler({ requestHandler, userBuilder: UserBuilder.noAuthentication }));
  const cardUrl = `${origin}${cardPath}`;
  return { url: cardUrl, cardUrl, origin, close: () => stop(server) };
}
