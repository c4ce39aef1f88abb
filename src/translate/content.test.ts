import { Buffer } from 'node:buffer';
import { ContentBlockSchema } from '@modelcontextprotocol/sdk/types.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Part } from '../model/a2a.ts';
import type { Json } from '../model/json.ts';
import { contentFromParts, partsFromContent } from './content.ts';

const json = fc
  .jsonValue({ maxDepth: 3 })
  .map((value) => JSON.parse(JSON.stringify(value)) as Json);
const metadata = fc.dictionary(fc.stringMatching(/^[a-z]{1,8}$/), json, { minKeys: 1, maxKeys: 3 });
const base64 = fc
  .uint8Array({ maxLength: 40 })
  .map((bytes) => Buffer.from(bytes).toString('base64'));
const media = fc.constantFrom('text/markdown', 'application/pdf', 'image/png', 'audio/wav');
const httpUrl = fc.webUrl({ withQueryParameters: true, validSchemes: ['http', 'https'] });

const extras = fc.record({ metadata, filename: fc.string({ minLength: 1 }) }, { requiredKeys: [] });
const part: fc.Arbitrary<Part> = fc.oneof(
  fc.tuple(fc.record({ text: fc.string() }), extras).map(([a, b]) => ({ ...a, ...b })),
  fc
    .tuple(fc.record({ text: fc.string(), mediaType: media }), extras)
    .map(([a, b]) => ({ ...a, ...b })),
  fc.tuple(fc.record({ raw: base64, mediaType: media }), extras).map(([a, b]) => ({ ...a, ...b })),
  fc.tuple(fc.record({ raw: base64 }), extras).map(([a, b]) => ({ ...a, ...b })),
  fc.tuple(fc.record({ url: httpUrl }), extras).map(([a, b]) => ({ ...a, ...b })),
  fc.tuple(fc.record({ url: httpUrl, mediaType: media }), extras).map(([a, b]) => ({ ...a, ...b })),
  fc.tuple(fc.record({ data: json }), extras).map(([a, b]) => ({ ...a, ...b })),
);

describe('parts and content', () => {
  it('survive the way from parts to content and back', () => {
    fc.assert(
      fc.property(fc.array(part, { maxLength: 6 }), (parts) => {
        const { content, loss } = contentFromParts(parts, { inlineBytes: 1e9 });
        // What travels is JSON.
        const wire = JSON.parse(JSON.stringify(content)) as typeof content;
        expect(loss).toEqual([]);
        expect(partsFromContent(wire)).toEqual({ parts, loss: [] });
      }),
    );
  });

  it('are content that an MCP client accepts, inlined or linked', () => {
    fc.assert(
      fc.property(fc.array(part, { maxLength: 6 }), fc.nat(20), (parts, inlineBytes) => {
        const resourceUri = 'a2a://p/tasks/t/artifacts/a';
        const { content } = contentFromParts(parts, { inlineBytes, resourceUri });
        for (const block of content) expect(ContentBlockSchema.parse(block)).toMatchObject(block);
      }),
    );
  });

  it('give each data part once as structured output, in order', () => {
    fc.assert(
      fc.property(fc.array(part, { maxLength: 6 }), (parts) => {
        const { structured } = contentFromParts(parts, { inlineBytes: 1e9 });
        expect(structured).toEqual(parts.flatMap(({ data }) => (data === undefined ? [] : [data])));
      }),
    );
  });

  it('never link to anything but http and https, whatever a peer sends', () => {
    const schemes = fc.constantFrom(
      'javascript:',
      'data:text/html,',
      'file:///',
      'vbscript:',
      ' https://',
      'JaVaScRiPt:',
      'https:/',
      '//',
      'blob:https://',
    );
    fc.assert(
      fc.property(schemes, fc.string(), (scheme, rest) => {
        const { content, files, loss } = contentFromParts([{ url: `${scheme}${rest}` }], {
          inlineBytes: 1e9,
        });
        fc.pre(!/^https?:\/\//i.test(`${scheme}${rest}`));
        expect(content).toEqual([{ type: 'text', text: `${scheme}${rest}` }]);
        expect(files).toEqual([]);
        expect(loss).toHaveLength(1);
      }),
    );
  });

  it('repeat structured content only where the text says something else', () => {
    expect(
      partsFromContent(
        [
          { type: 'text', text: '{"a":1}' },
          { type: 'text', text: '{ "a": 1 }' },
        ],
        { a: 1 },
      ).parts,
    ).toEqual([{ data: { a: 1 }, mediaType: 'application/json' }]);
    expect(partsFromContent([{ type: 'text', text: '{"a":2}' }], { a: 1 }).parts).toEqual([
      { text: '{"a":2}' },
      { data: { a: 1 }, mediaType: 'application/json' },
    ]);
  });

  it('are inlined up to the limit and linked above it', () => {
    const options = {
      inlineBytes: 5,
      resourceUri: 'a2a://p/tasks/t/artifacts/a',
      resourceName: 'notes',
    };
    expect(contentFromParts([{ text: '12345' }], options).content).toEqual([
      { type: 'text', text: '12345' },
    ]);
    expect(contentFromParts([{ text: '123456' }], options).content).toEqual([
      { type: 'resource_link', uri: 'a2a://p/tasks/t/artifacts/a', name: 'notes', size: 6 },
    ]);
    expect(contentFromParts([{ text: 'ä€' }], options).content).toEqual([
      { type: 'text', text: 'ä€' },
    ]);
    expect(contentFromParts([{ text: '123456' }], { inlineBytes: 5 }).content).toEqual([
      { type: 'text', text: '123456' },
    ]);
  });

  it('do not let an agent speak in the name of the protocol', () => {
    for (const name of ['io.modelcontextprotocol/related-task', 'dev.mcp/x']) {
      const metadata = { 'isthmus/meta': { [name]: { taskId: 't' } } };
      expect(contentFromParts([{ text: 'x', metadata }], { inlineBytes: 9 }).content).toEqual([
        { type: 'text', text: 'x', _meta: { 'isthmus/metadata': metadata } },
      ]);
    }
    const metadata = { 'isthmus/meta': { 'example.org/x': 1 } };
    expect(contentFromParts([{ text: 'x', metadata }], { inlineBytes: 9 }).content).toEqual([
      { type: 'text', text: 'x', _meta: { 'example.org/x': 1 } },
    ]);
  });

  it('that are malformed are the peer’s fault', () => {
    for (const block of [
      { type: 'text' },
      { type: 'image', data: 'AAE=' },
      { type: 'resource' },
      { type: 'resource_link' },
      { type: 'tool_use' },
      {},
    ]) {
      expect(() => partsFromContent([block as never])).toThrow(
        expect.objectContaining({ code: 'peer-protocol' }),
      );
    }
  });
});
