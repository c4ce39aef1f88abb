import { expect, it } from 'vitest';
import { agentResource, serverResource } from './resource.ts';

it.each([
  ['https://travel.example/.well-known/agent-card.json', 'https://travel.example'],
  ['https://gw.example/a2a/travel/.well-known/agent-card.json', 'https://gw.example/a2a/travel'],
  ['https://gw.example/a2a/travel/', 'https://gw.example/a2a/travel'],
  ['https://gw.example:8443/card.json?x=1', 'https://gw.example:8443/card.json'],
])('the resource of an agent with the card %s is %s', (card, resource) => {
  expect(agentResource(card)).toBe(resource);
});

it('the resource of an MCP server is its endpoint as it is configured, without a fragment', () => {
  expect(serverResource('https://x.example/mcp?tenant=a#top')).toBe(
    'https://x.example/mcp?tenant=a',
  );
});
