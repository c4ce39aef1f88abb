import { describe, expect, it } from 'vitest';
import { isPlain, mixesScripts, skeleton } from './look-alikes.ts';
import { NameIndex } from './name-index.ts';

describe('the skeleton', () => {
  it.each([
    ['read_file', 'readFile'],
    ['read_file', 'read-file'],
    ['read_file', 'rеаd_filе'],
    ['paypal', 'раураl'],
    ['scope', 'ѕсоре'],
    ['top', 'τορ'],
    ['search', 'ｓｅａｒｃｈ'],
    ['search', 'séarch'],
    ['file', 'fiIe'],
    ['login', '1ogin'],
    ['modern', 'modem'],
    ['get_task', 'gеt_task'],
  ])('of %s is that of %s', (one, other) => {
    expect(skeleton(one)).toBe(skeleton(other));
  });

  it.each([
    ['read_file', 'read_files'],
    ['search', 'research'],
    ['東京', '京都'],
  ])('of %s is not that of %s', (one, other) => {
    expect(skeleton(one)).not.toBe(skeleton(other));
  });

  it('tells plain names and mixed scripts', () => {
    expect([isPlain('read_file'), isPlain('rеad_file')]).toEqual([true, false]);
    expect([mixesScripts('rеad'), mixesScripts('читать'), mixesScripts('read')]).toEqual([
      true,
      false,
      false,
    ]);
  });
});

describe('a name among others', () => {
  const index = new NameIndex(['get_task']);
  index.add({ peer: 'files', kind: 'tool', name: 'read_file' });
  const found = (name: string, peer = 'other', kind: 'tool' | 'prompt' = 'tool') =>
    index.findings({ peer, kind, name }).map(({ kind: what, poses }) => [what, poses]);

  it('is told when another peer has it', () => {
    expect(found('read_file')).toEqual([['same-name', false]]);
    expect(found('read_file', 'files')).toEqual([]);
    expect(found('read_file', 'other', 'prompt')).toEqual([]);
  });

  it('is told when it looks like one, and poses when that is in another script', () => {
    expect(found('readFile')).toEqual([['look-alike', false]]);
    expect(found('ｒｅａｄ_file')).toEqual([['look-alike', true]]);
  });

  it('is told when it is or looks like one of our own', () => {
    expect(found('get_task')).toEqual([['own-name', false]]);
    expect(found('GetTask')).toEqual([['own-name', false]]);
    expect(found('ｇet_task')).toEqual([['own-name', true]]);
  });

  it('is free again when its peer has gone', () => {
    const other = new NameIndex([]);
    const ref = { peer: 'files', kind: 'tool', name: 'read_file' } as const;
    other.add(ref);
    other.remove(ref);
    expect(other.findings({ ...ref, peer: 'b' })).toEqual([]);
  });
});
