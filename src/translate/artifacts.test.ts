import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { artifactUri, mergeArtifact, parseArtifactUri } from './artifacts.ts';

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
  it('make one text of a text in chunks, however it was cut', () => {
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
        expect(artifacts).toEqual([{ artifactId: 'a', parts: [{ text: chunks.join('') }] }]);
      }),
    );
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
