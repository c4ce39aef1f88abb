import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Artifact, Part } from '../model/a2a.ts';
import {
  artifactUri,
  mergeArtifact,
  parseArtifactUri,
  tellsAgain,
  withoutChunks,
  type GrowingArtifacts,
} from './artifacts.ts';

const id = fc.string({ minLength: 1, unit: 'binary' });

describe('artifact URIs', () => {
  it('give back the ids that they were made of', () => {
    fc.assert(
      fc.property(id, id, id, (peerId, taskId, artifactId) => {
        const uri = artifactUri(peerId, taskId, artifactId);
        expect(parseArtifactUri(uri)).toEqual({ peerId, taskId, artifactId });
        expect(uri).toMatch(/^a2a:\/\/[A-Za-z0-9%_.!~*'()-]+\/tasks\/[^/]+\/artifacts\/[^/]+$/);
      }),
    );
  });

  it('encode what would end a segment', () => {
    expect(artifactUri('travel', 'a/b', 'c d?#')).toBe(
      'a2a://travel/tasks/a%2Fb/artifacts/c%20d%3F%23',
    );
    expect(artifactUri('travel', '..', '.')).toBe('a2a://travel/tasks/%2E%2E/artifacts/%2E');
  });

  it('are told from other URIs', () => {
    for (const uri of [
      'a2a://p/tasks/t',
      'a2a://p/tasks/t/artifacts/',
      'a2a://p/tasks/t/artifacts/a/b',
      'a2a://p/tasks/t/artifacts/a?x',
      'https://p/tasks/t/artifacts/a',
      'a2a://p/tasks/%E0%A4%A/artifacts/a',
      '',
    ]) {
      expect(parseArtifactUri(uri)).toBeUndefined();
    }
  });
});

describe('artifact updates', () => {
  it('keep the parts as they were sent, and read as one text however it was cut', () => {
    fc.assert(
      fc.property(fc.array(fc.string(), { minLength: 1 }), (chunks) => {
        const artifacts = chunks.reduce(
          (known, text, index) =>
            mergeArtifact(known, {
              artifact: { artifactId: 'a', parts: [{ text }] },
              append: index > 0,
              lastChunk: index === chunks.length - 1,
            }),
          [] as ReturnType<typeof mergeArtifact>,
        );
        expect(artifacts).toEqual([{ artifactId: 'a', parts: chunks.map((text) => ({ text })) }]);
        expect(artifacts.map((artifact) => withoutChunks(artifact, ['a']))).toEqual([
          { artifactId: 'a', parts: [{ text: chunks.join('') }] },
        ]);
      }),
    );
  });

  it('grow an artifact in place once it was copied, and never one that somebody else holds', () => {
    const growing: GrowingArtifacts = new Set();
    const append = (known: Artifact[], text: string): Artifact[] =>
      mergeArtifact(
        known,
        { artifact: { artifactId: 'a', parts: [{ text }] }, append: true, lastChunk: false },
        growing,
      );
    const given = append([], '1');
    const copied = append(given, '2');
    const grown = append(copied, '3');
    expect(given).toEqual([{ artifactId: 'a', parts: [{ text: '1' }] }]);
    expect(grown[0]?.parts).toEqual([{ text: '1' }, { text: '2' }, { text: '3' }]);
    expect(grown[0]?.parts).toBe(copied[0]?.parts);
    growing.clear();
    expect(append(grown, '4')[0]?.parts).toHaveLength(4);
    expect(grown[0]?.parts).toHaveLength(3);
  });

  it('do not change the list that they are applied to', () => {
    const before = [{ artifactId: 'a', name: 'n', parts: [{ text: 'x' }] }];
    const after = mergeArtifact(before, {
      artifact: {
        artifactId: 'a',
        parts: [{ text: 'y', mediaType: 'text/html' }, { data: 1 }],
        extensions: ['urn:x'],
      },
      append: true,
      lastChunk: false,
    });
    expect(before).toEqual([{ artifactId: 'a', name: 'n', parts: [{ text: 'x' }] }]);
    expect(after).toEqual([
      {
        artifactId: 'a',
        name: 'n',
        parts: [{ text: 'x' }, { text: 'y', mediaType: 'text/html' }, { data: 1 }],
        extensions: ['urn:x'],
      },
    ]);
  });

  it('without append replace the artifact in its place', () => {
    const before = [
      { artifactId: 'a', parts: [{ text: '1' }] },
      { artifactId: 'b', parts: [{ text: '2' }] },
    ];
    const artifact = { artifactId: 'a', parts: [{ text: '3' }] };
    expect(mergeArtifact(before, { artifact, append: false, lastChunk: true })).toEqual([
      { artifactId: 'a', parts: [{ text: '3' }] },
      { artifactId: 'b', parts: [{ text: '2' }] },
    ]);
  });
});

describe('the texts of an artifact', () => {
  const parts = [
    { text: 'a' },
    { text: 'b' },
    { text: 'c', mediaType: 'text/html' },
    { data: 1 },
    { text: 'd' },
    { text: 'e', metadata: { n: 1 } },
    { text: 'f' },
    { text: 'g' },
  ];

  it('are joined where they came in chunks, bare ones of one media type alone', () => {
    expect(withoutChunks({ artifactId: 'x', parts }, ['x']).parts).toEqual([
      { text: 'ab' },
      { text: 'c', mediaType: 'text/html' },
      { data: 1 },
      { text: 'd' },
      { text: 'e', metadata: { n: 1 } },
      { text: 'fg' },
    ]);
  });

  it('stay apart where they did not', () => {
    expect(withoutChunks({ artifactId: 'x', parts }, ['y']).parts).toEqual(parts);
    expect(withoutChunks({ artifactId: 'x', parts }).parts).toEqual(parts);
  });

  it.each<[string, Part[], boolean]>([
    ['the same parts', [{ text: 'ab' }, { text: 'c' }], true],
    ['the same text in one part', [{ text: 'abc' }], true],
    ['more of it', [{ text: 'abcd' }, { data: 1 }], true],
    ['less of it', [{ text: 'ab' }], false],
    ['another text', [{ text: 'x' }, { text: 'abc' }], false],
    ['no text', [{ data: 'abc' }], false],
  ])('%s: whether that tells "ab" and "c" again', (_what, told, again) => {
    const known = { artifactId: 'x', parts: [{ text: 'ab' }, { text: 'c' }] };
    expect(tellsAgain({ artifactId: 'x', parts: told }, known)).toBe(again);
  });
});
