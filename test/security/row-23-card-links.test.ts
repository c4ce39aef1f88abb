/** SECURITY row 23: cards that the gateway signs link to the public web, or to nothing. */
import { expect, it } from 'vitest';
import { agentWith, closing, gatewayWith } from './world.ts';

it.each([
  ['a script', 'javascript:alert(1)'],
  ['data', 'data:text/html,<script>alert(1)</script>'],
  ['a private address', 'http://10.0.0.7/wiki'],
  ['a name of the inside', 'https://wiki.internal/page'],
  ['a user name', 'https://user:secret@example.org/'],
])('%s in the links of a card is left out', async (_what, url) => {
  const agent = await agentWith({
    card: { provider: { organization: 'Evil', url }, iconUrl: url, documentationUrl: url },
  });
  const gateway = closing(await gatewayWith({ peers: [{ id: 'evil', a2a: agent.cardUrl }] }));
  const paths = ['/a2a/evil/.well-known/agent-card.json', '/.well-known/agent-card.json'];
  for (const path of paths) {
    const response = await fetch(gateway.url + path, { headers: { 'a2a-version': '1.0' } });
    expect(response.status).toBe(200);
    expect(await response.text()).not.toContain(url);
  }
});

it('links to the public web stay', async () => {
  const url = 'https://docs.example.org/agent';
  const agent = await agentWith({
    card: { provider: { organization: 'Good', url }, iconUrl: url, documentationUrl: url },
  });
  const gateway = closing(await gatewayWith({ peers: [{ id: 'good', a2a: agent.cardUrl }] }));
  const response = await fetch(`${gateway.a2a('good')}/.well-known/agent-card.json`);
  expect(await response.json()).toMatchObject({
    provider: { organization: 'Good', url },
    iconUrl: url,
    documentationUrl: url,
  });
});
