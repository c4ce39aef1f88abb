import { describe, expect, it } from 'vitest';
import { files, maps, travel, unseen, versions } from '../../test/support/listings.ts';
import type { PeerListing } from './listing.ts';
import { mcpJsonOf } from './mcp-json.ts';

const place = {
  publicUrl: 'https://gw.example.org',
  organization: { id: 'example', name: 'Example Org' },
};

const revisions = ['2026-07-28', '2025-11-25', '2025-06-18'];

/** The gateway's own tools: that they are there is the matter here, not their words. */
const ownTools = ['find_tools', 'call_tool', 'get_task', 'answer_task', 'cancel_task'].map(
  (name) => ({ name, description: expect.any(String) as string }),
);

describe('mcp.json', () => {
  it('holds the endpoint over all peers, what it asks for and what it offers, and every endpoint', () => {
    expect(mcpJsonOf([files, travel], place)).toEqual({
      name: 'org.example.gw/isthmus.gateway',
      title: 'Example Org',
      description: 'The agents and tools of Example Org, on one MCP endpoint.',
      version: '1.0.0+b8d28a99a059679c',
      mcp_endpoint: 'https://gw.example.org/mcp',
      server_card: 'https://gw.example.org/mcp/server-card',
      protocol_versions: revisions,
      auth: { type: 'none' },
      tools: [
        { name: 'files__read', description: 'Reads one' },
        { name: 'files__list', description: 'List' },
        {
          name: 'ask_travel',
          description:
            'Travel agent: Books trains and hotels in all of Europe, compares their prices and tells you what is…',
        },
        ...ownTools,
      ],
      servers: [
        {
          name: 'org.example.gw/files',
          title: 'Files',
          description: 'Reads and writes files.',
          version: versions.files,
          mcp_endpoint: 'https://gw.example.org/mcp/files',
          server_card: 'https://gw.example.org/mcp/files/server-card',
          protocol_versions: revisions,
        },
        {
          name: 'org.example.gw/travel',
          title: 'Travel agent',
          description:
            'Books trains and hotels in all of Europe, compares their prices and tells you what is left to be…',
          version: versions.travel,
          mcp_endpoint: 'https://gw.example.org/mcp/travel',
          server_card: 'https://gw.example.org/mcp/travel/server-card',
          protocol_versions: revisions,
        },
      ],
    });
  });

  it('says where tokens come from when callers need one', () => {
    const auth = { type: 'oauth2', token_url: 'https://gw.example.org/sts/token' } as const;
    expect(mcpJsonOf([], { ...place, auth }).auth).toEqual({
      type: 'oauth2',
      token_url: 'https://gw.example.org/sts/token',
    });
  });

  it('marks what is away and lists no tool of a peer that nobody has reached', () => {
    const { servers, tools } = mcpJsonOf([maps, unseen], place);
    expect(servers.map(({ _meta }) => _meta)).toEqual([
      { 'dev.isthmus/unavailable': true },
      { 'dev.isthmus/unavailable': true },
    ]);
    expect(tools.map(({ name }) => name)).toEqual([
      'maps__read',
      'maps__list',
      'find_tools',
      'call_tool',
      'get_task',
      'answer_task',
      'cancel_task',
    ]);
  });

  it('names only the search when the tools would be too many', () => {
    const many = Array.from({ length: 51 }, (_, n): PeerListing => ({
      ...files,
      id: `files-${n}`,
    }));
    expect(mcpJsonOf(many, place).tools.map(({ name }) => name)).toEqual([
      'find_tools',
      'call_tool',
    ]);
    expect(mcpJsonOf(many.slice(0, 50), place).tools).toHaveLength(105);
  });

  it('shows tools under the names that they are called by, their descriptions cleaned', () => {
    const description = `Does\u202e ${'much '.repeat(50)}`;
    const odd = {
      ...files,
      catalogue: { ...files.catalogue, tools: [{ name: 'a b', description }] },
    };
    const [tool] = mcpJsonOf([odd as PeerListing], place).tools;
    expect(tool?.name).toMatch(/^files__a_b_[0-9a-f]{8}$/);
    expect(tool?.description).toMatch(/^Does much .*much…$/);
  });
});
