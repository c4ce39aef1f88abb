import { describe, expect, it } from 'vitest';
import { parseConfig } from './load.ts';

const issuer = 'https://as.example';

/** What is wrong with one peer, given the origins of its connection. */
function mistakes(peer: object, origins?: string[]): string[] {
  const config = {
    gateway: { organization: { id: 'acme', name: 'Acme' } },
    peers: [{ id: 'a', ...peer, credentials: { type: 'user_oauth', connection: 'files' } }],
    connections: [{ id: 'files', issuer, clientId: 'gw', ...(origins && { origins }) }],
  };
  const result = parseConfig(JSON.stringify(config), { env: {}, readFile: () => '' });
  return result.ok ? [] : result.mistakes.map(({ path, message }) => `${path}: ${message}`);
}

const server = { mcp: { url: 'https://files.example:8443/mcp' } };
const agent = {
  a2a: { card: 'https://files.example/card.json', origins: ['https://api.files.example'] },
};

describe('the origins of a connection', () => {
  it('absent: every peer of the configuration may have its tokens', () => {
    expect(mistakes(server)).toEqual([]);
    expect(mistakes(agent)).toEqual([]);
  });

  it('bound the peers of the configuration too', () => {
    expect(mistakes(server, ['https://files.example:8443/'])).toEqual([]);
    expect(mistakes(server, ['https://files.example'])).toEqual([
      'peers[0].credentials.connection: expected a peer at one of the origins that "files" lists: https://files.example',
    ]);
  });

  it('bound every origin of an agent', () => {
    expect(mistakes(agent, ['https://files.example', 'https://api.files.example'])).toEqual([]);
    expect(mistakes(agent, ['https://files.example'])).toHaveLength(1);
    expect(mistakes(agent, [])).toHaveLength(1);
  });

  it('are origins', () => {
    expect(mistakes(server, ['https://files.example/mcp'])).toEqual([
      'connections[0].origins[0]: expected an origin such as https://gw.example.org, without a path',
    ]);
  });

  it('are looked at later where a peer is still to be found', () => {
    expect(mistakes({ discover: 'https://elsewhere.example' }, ['https://files.example'])).toEqual(
      [],
    );
  });
});
