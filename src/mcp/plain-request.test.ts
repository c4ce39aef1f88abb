import { classifyInboundRequest } from '@modelcontextprotocol/server';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isPlainRequest } from './plain-request.ts';

const protocolVersion = 'io.modelcontextprotocol/protocolVersion';
const clientInfo = 'io.modelcontextprotocol/clientInfo';
const clientCapabilities = 'io.modelcontextprotocol/clientCapabilities';
const revision = '2026-07-28';
const headers = { version: revision, method: 'tools/call' };

const meta = {
  [protocolVersion]: revision,
  [clientInfo]: { name: 'client', version: '1.0.0' },
  [clientCapabilities]: {},
};
const call = {
  jsonrpc: '2.0',
  id: 1,
  method: 'tools/call',
  params: { name: 'echo', arguments: { message: 'hello' }, _meta: meta },
};
const withMeta = (changes: object): object => ({
  ...call,
  params: { ...call.params, _meta: { ...meta, ...changes } },
});

describe('a plain request', () => {
  it('is what official clients send', () => {
    const capabilities = {
      elicitation: { form: {}, url: {} },
      sampling: {},
      roots: {},
      extensions: { 'io.modelcontextprotocol/tasks': {} },
    };
    for (const body of [
      call,
      { ...call, id: 'a' },
      withMeta({ [clientCapabilities]: capabilities, progressToken: 7 }),
      withMeta({ [clientCapabilities]: { elicitation: {} }, traceparent: '00-1-2-03' }),
    ]) {
      expect(isPlainRequest(body, headers)).toBe(true);
    }
  });

  it('has headers that agree with it', () => {
    expect(isPlainRequest(call, { ...headers, version: undefined })).toBe(false);
    expect(isPlainRequest(call, { ...headers, version: '2025-11-25' })).toBe(false);
    expect(isPlainRequest(call, { ...headers, method: 'tools/list' })).toBe(false);
    expect(isPlainRequest(call, { ...headers, method: undefined })).toBe(false);
  });

  it('has an envelope, an id and no member that is not known', () => {
    const { _meta, ...bare } = call.params;
    for (const body of [
      undefined,
      [call],
      { ...call, id: undefined },
      { ...call, id: 1.5 },
      { ...call, extra: true },
      { ...call, params: bare },
      withMeta({ [protocolVersion]: '2099-01-01' }),
      withMeta({ [clientCapabilities]: undefined }),
      withMeta({ [clientCapabilities]: { sampling: true } }),
      withMeta({ [clientInfo]: { name: 'client' } }),
      withMeta({ progressToken: {} }),
      withMeta({ 'example.org/other': 1 }),
    ]) {
      expect(isPlainRequest(body, headers)).toBe(false);
    }
  });

  it('is one for the SDK too, whatever it is made of', () => {
    const odd = fc.oneof(
      { arbitrary: fc.constant({}), weight: 8 },
      fc.constant({ form: {} }),
      fc.constant({ url: {} }),
      fc.string(),
      fc.integer(),
      fc.double(),
      fc.constant(null),
      fc.constant(undefined),
      fc.constant([]),
      fc.constant({ name: 'n', version: 'v', title: 't' }),
    );
    const capabilities = fc.dictionary(
      fc.constantFrom('elicitation', 'sampling', 'roots', 'extensions', 'experimental', 'tasks'),
      odd,
    );
    const anyMeta = fc.record(
      {
        [protocolVersion]: fc.constant(revision),
        [clientInfo]: fc.oneof(fc.constant(meta[clientInfo]), odd),
        [clientCapabilities]: fc.oneof(capabilities, odd),
        progressToken: fc.oneof(fc.integer(), odd),
        traceparent: odd,
      },
      { requiredKeys: [protocolVersion, clientCapabilities] },
    );
    let recognised = 0;
    fc.assert(
      fc.property(anyMeta, fc.oneof(fc.integer(), odd), (_meta, id) => {
        const sent = { ...call, id, params: { ...call.params, _meta } };
        const body: unknown = JSON.parse(JSON.stringify(sent));
        if (!isPlainRequest(body, headers)) return;
        recognised += 1;
        const inbound = classifyInboundRequest({
          httpMethod: 'POST',
          protocolVersionHeader: revision,
          mcpMethodHeader: 'tools/call',
          mcpNameHeader: 'echo',
          body,
        });
        expect(inbound).toMatchObject({
          kind: 'modern',
          messageKind: 'request',
          classification: { revision },
        });
      }),
      { numRuns: 5000 },
    );
    expect(recognised).toBeGreaterThan(50);
  });
});
