import { describe, expect, it } from 'vitest';
import type { AgentCard } from '../model/a2a.ts';
import type { Catalogue } from '../ports/peer.ts';
import { cardOfAgent, cardOfServer } from './agent-card.ts';

const place = {
  peerId: 'big',
  publicUrl: 'https://gw.example.org/',
  organization: { id: 'example', name: 'Example Org' },
};

const mebibyte = 1024 * 1024;

function catalogueOf(count: number, length: number): Catalogue {
  const tools = Array.from({ length: count }, (_, n) => ({
    name: `t${n}`,
    description: 'd'.repeat(length),
    inputSchema: { type: 'object', description: 's'.repeat(length) },
  }));
  return {
    serverInfo: { name: 'n'.repeat(mebibyte), description: 'd'.repeat(mebibyte) },
    capabilities: {},
    revision: '2026-07-28',
    tools,
    prompts: [],
    resources: [],
    resourceTemplates: [],
    version: 'v1',
  };
}

const agentCard = (more: Partial<AgentCard>): AgentCard => ({
  name: 'Big',
  description: 'Much',
  supportedInterfaces: [],
  version: '1',
  capabilities: {},
  defaultInputModes: ['text/plain'],
  defaultOutputModes: ['text/plain'],
  skills: [],
  ...more,
});

const markOf = (card: AgentCard) =>
  card.capabilities.extensions?.find(({ uri }) => uri === 'urn:isthmus:ext:truncated:v1')?.params;

describe('the card of a peer', () => {
  it('shows 200 tools of a server, and says where the others are', () => {
    const card = cardOfServer(catalogueOf(5000, 10), place);
    expect(card.skills).toHaveLength(200);
    expect(markOf(card)).toEqual({
      truncated: true,
      leftOut: { skills: 4800, schemas: 4800 },
      'isthmus/loss': [
        'Not on this card: 4800 skills, 4800 schemas. What is left out can be called by name. The whole is in tools/list at https://gw.example.org/mcp/big.',
      ],
    });
  });

  it.each([
    ['a server', cardOfServer(catalogueOf(5000, 3000), place)],
    [
      'an agent',
      cardOfAgent(
        agentCard({
          name: 'n'.repeat(mebibyte),
          description: 'd'.repeat(mebibyte),
          version: 'v'.repeat(mebibyte),
          defaultInputModes: Array.from({ length: 50_000 }, (_, n) => `text/x-${n}`),
          capabilities: {
            extensions: Array.from({ length: 1000 }, (_, n) => ({
              uri: `urn:x:${n}`,
              params: { text: 'x'.repeat(20_000) },
            })),
          },
          skills: Array.from({ length: 1000 }, (_, n) => ({
            id: `s${n}`,
            name: 's',
            description: 'd'.repeat(20_000),
            tags: [],
          })),
        }),
        place,
      ),
    ],
  ])('is never above 1 MiB: %s', (_what, card) => {
    const size = JSON.stringify(card).length;
    expect(size).toBeLessThan(mebibyte);
    expect(size).toBeGreaterThan(mebibyte / 2);
    expect(markOf(card)).toMatchObject({ truncated: true });
  });

  it('says nothing of room where all fits', () => {
    const extension = { uri: 'urn:x', required: true, params: { a: 1 } };
    const skills = [{ id: 's', name: 's', description: 's', tags: ['t'] }];
    const card = agentCard({ skills, capabilities: { extensions: [extension] } });
    expect(cardOfAgent(card, place)).toMatchObject({
      skills,
      capabilities: { extensions: [extension] },
    });
    expect(cardOfAgent(card, place).capabilities.extensions).toHaveLength(1);
  });
});
