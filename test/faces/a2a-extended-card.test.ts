/** The card that an agent shows to those it knows, through the gateway. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { AgentCard } from '@a2a-js/sdk';
import { DefaultRequestHandler, InMemoryTaskStore } from '@a2a-js/sdk/server';
import { jsonRpcHandler, UserBuilder } from '@a2a-js/sdk/server/express';
import express from 'express';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startA2aAgent, type A2aAgent } from '../support/a2a-agent.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';

let server: Server;
let plain: A2aAgent;
let gateway: TestGateway;

const skill = { id: 's', name: 'S', description: 'A skill', tags: ['t'] };
const secret = { id: 'secret', name: 'Secret', description: 'For friends', tags: ['t'] };

beforeAll(async () => {
  const app = express();
  server = createServer(app).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const card = {
    name: 'Keeper',
    description: 'Shows more to friends',
    version: '1.0.0',
    supportedInterfaces: [{ url, protocolBinding: 'JSONRPC', protocolVersion: '1.0' }],
    capabilities: { streaming: false, extendedAgentCard: true },
    defaultInputModes: ['text/plain'],
    defaultOutputModes: ['text/plain'],
    skills: [skill],
  };
  const executor = { execute: async () => {}, cancelTask: async () => {} };
  const requestHandler = new DefaultRequestHandler(
    AgentCard.fromJSON(card),
    new InMemoryTaskStore(),
    executor,
    undefined,
    undefined,
    undefined,
    async () => AgentCard.fromJSON({ ...card, skills: [skill, secret] }),
  );
  app.get('/.well-known/agent-card.json', (_req, res) => void res.json(card));
  app.use(jsonRpcHandler({ requestHandler, userBuilder: UserBuilder.noAuthentication }));
  plain = await startA2aAgent();
  gateway = await startGateway({
    peers: [
      { id: 'keeper', a2a: `${url}/.well-known/agent-card.json` },
      { id: 'plain', a2a: plain.cardUrl },
    ],
  });
});

afterAll(async () => {
  await gateway.close();
  await plain.close();
  server.closeAllConnections();
  server.close();
});

interface Card {
  skills: { id: string }[];
  supportedInterfaces: { url: string }[];
}

async function extended(peer: string): Promise<Card> {
  const { result } = (await (await post(peer)).json()) as { result: Card };
  return result;
}

async function extendedOverRest(peer: string): Promise<Card> {
  const response = await fetch(`${gateway.a2a(peer)}/extendedAgentCard`, {
    headers: { 'a2a-version': '1.0' },
  });
  return (await response.json()) as Card;
}

const post = (peer: string) =>
  fetch(gateway.a2a(peer), {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'a2a-version': '1.0' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'GetExtendedAgentCard' }),
  });

const cardUrl = (peer: string) => `${gateway.a2a(peer)}/.well-known/agent-card.json`;

describe('an extended card', () => {
  it('is declared where the agent has one, and comes with our interfaces', async () => {
    const published = (await (await fetch(cardUrl('keeper'))).json()) as {
      capabilities: object;
      supportsAuthenticatedExtendedCard: boolean;
    };
    expect(published.capabilities).toMatchObject({ extendedAgentCard: true });
    expect(published.supportsAuthenticatedExtendedCard).toBe(true);
    const answers = [await extended('keeper'), await extendedOverRest('keeper')];
    for (const { skills, supportedInterfaces } of answers) {
      expect(skills.map(({ id }) => id)).toEqual(['s', 'secret']);
      expect(new Set(supportedInterfaces.map(({ url }) => url))).toEqual(
        new Set([gateway.a2a('keeper')]),
      );
    }
  });

  it('is an unsupported operation where the agent has none', async () => {
    const response = await post('plain');
    expect(await response.json()).toMatchObject({ id: 1, error: { code: -32004 } });
  });
});
