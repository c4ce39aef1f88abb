import { describe, expect, it } from 'vitest';
import { agentExtension, serverExtension } from './extension.ts';
import { offerIn } from './offer.ts';

const offer = {
  iss: 'https://gw.example.org/sts',
  resource: 'https://gw.example.org/callback/0PKMG-1mQ3yOqvJvJ2oV7w/mcp',
  lease_ref: 'xJ8aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',
  exp: 1_790_000_000,
  tools: ['files__read_file', 'calendar__list_events'],
  max_calls: 20,
  depth: 0,
  via: [],
};
const urn = 'urn:isthmus:ext:tool-lease:v1';
const meta = 'dev.isthmus/tool-lease';

describe('an offer is found', () => {
  it.each([
    ['an A2A message', { kind: 'message', parts: [], metadata: { [urn]: offer } }],
    ['A2A params', { message: { metadata: { [urn]: offer } } }],
    ["the request context of A2A's SDK", { userMessage: { metadata: { [urn]: offer } } }],
    ['MCP params', { name: 'run', arguments: {}, _meta: { [meta]: offer } }],
    ['an MCP request', { method: 'tools/call', params: { _meta: { [meta]: offer } } }],
    ['_meta', { [meta]: offer }],
    ['the context of a handler', { mcpReq: { id: 1, _meta: { [meta]: offer } } }],
    ['the extra of a handler of the v1 SDK', { sessionId: 'a', _meta: { [meta]: offer } }],
  ])('in %s', (_name, source) => {
    expect(offerIn(source)).toEqual(offer);
  });

  it('behind a getter of a class', () => {
    const context = new (class {
      readonly #message = { metadata: { [urn]: offer } };
      get userMessage() {
        return this.#message;
      }
    })();
    expect(offerIn(context)).toEqual(offer);
  });

  it('without members that it does not have', () => {
    const { max_calls: _calls, depth: _depth, via: _via, ...bare } = offer;
    expect(offerIn({ [meta]: { ...bare, later: true } })).toEqual(bare);
  });
});

describe('there is no offer', () => {
  it.each([
    ['nothing', undefined],
    ['text', 'dev.isthmus/tool-lease'],
    ['a message without metadata', { parts: [{ text: 'hello' }] }],
    ['other metadata', { metadata: { other: offer } }],
    ["the other protocol's metadata", { metadata: { [meta]: offer }, _meta: { [urn]: offer } }],
    ['the arguments of a tool', { name: 'run', arguments: { [meta]: offer } }],
    ['the parts of a message', { parts: [{ data: { [urn]: offer } }] }],
    ['a request to lend', { _meta: { [meta]: { lend: { tools: ['own/*'] } } } }],
  ])('in %s', (_name, source) => {
    expect(offerIn(source)).toBeUndefined();
  });
});

describe('a malformed offer', () => {
  it.each([
    ['text', 'offer', ''],
    ['null', null, ''],
    ['a list', [offer], ''],
    ['no issuer', { ...offer, iss: undefined }, ' ("iss")'],
    ['tools as text', { ...offer, tools: 'all' }, ' ("tools")'],
    ['a nameless tool', { ...offer, tools: ['a', ''] }, ' ("tools.1")'],
    ['a plain resource', { ...offer, resource: 'http://gw.example.org/mcp' }, ' ("resource")'],
  ])('(%s) is an error that names the member and shows nothing', (_name, value, where) => {
    expect(() => offerIn({ _meta: { [meta]: value } })).toThrow(
      expect.objectContaining({
        code: 'invalid-offer',
        message: `The offer of tools is not in the form of urn:isthmus:ext:tool-lease:v1${where}. Go on without the tools; whoever sent it has to look into this.`,
      }),
    );
  });
});

describe('what a grantee declares', () => {
  const client = 'https://partner.example/agent.json';

  it('is an extension of an agent card', () => {
    expect(agentExtension(client)).toEqual({
      uri: 'urn:isthmus:ext:tool-lease:v1',
      description: 'Calls tools that it is lent for as long as a task lasts.',
      required: false,
      params: { client_id: 'https://partner.example/agent.json' },
    });
  });

  it('is a member of the extensions of an MCP server', () => {
    expect(serverExtension(client)).toEqual({
      'dev.isthmus/tool-lease': { client_id: 'https://partner.example/agent.json' },
    });
  });
});
