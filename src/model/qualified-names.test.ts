import { describe, expect, it } from 'vitest';
import { askName, askedAgent, qualifiedNames, splitName } from './qualified-names.ts';

describe('names among all peers', () => {
  it('are the peer and its own name, which can be told apart again', () => {
    expect(qualifiedNames('files', ['read', 'a.b-c_d', '_x'])).toEqual([
      { name: 'files__read', own: 'read' },
      { name: 'files__a.b-c_d', own: 'a.b-c_d' },
      { name: 'files___x', own: '_x' },
    ]);
    expect(splitName('files___x')).toEqual({ peerId: 'files', own: '_x' });
    expect(splitName('ask_files')).toBeUndefined();
    expect(splitName('__x')).toBeUndefined();
  });

  it('of agents cannot be taken for those of tools', () => {
    expect(askName('travel-desk')).toBe('ask_travel-desk');
    expect(askedAgent('ask_travel-desk')).toBe('travel-desk');
    expect(askedAgent('ask__x')).toBeUndefined();
    expect(askedAgent('files__ask')).toBeUndefined();
  });

  it('that are not valid are made so, the same way each time', () => {
    expect(qualifiedNames('files', ['read me'])).toEqual([
      { name: 'files__read_me_77852338', own: 'read me' },
    ]);
    expect(qualifiedNames('files', ['other', 'read me'])[1]?.name).toBe('files__read_me_77852338');
  });

  it('are never longer than 128 characters, and stay different', () => {
    const own = ['x'.repeat(130), `${'x'.repeat(130)}y`, 'x'.repeat(121)];
    const names = qualifiedNames('files', own).map(({ name }) => name);
    expect(names.map((name) => name.length)).toEqual([128, 128, 128]);
    expect(new Set(names).size).toBe(3);
    expect(names[2]).toBe(`files__${'x'.repeat(121)}`);
  });

  it('do not meet the name that another one was made into', () => {
    const names = qualifiedNames('files', ['read me', 'read_me_77852338']);
    expect(names[1]).toEqual({ name: 'files__read_me_77852338', own: 'read_me_77852338' });
    expect(names[0]?.name).toMatch(/^files__read_me_[0-9a-f]{8}$/);
    expect(names[0]?.name).not.toBe(names[1]?.name);
  });

  it('that a peer lists twice are there once', () => {
    expect(qualifiedNames('files', ['a', 'a'])).toHaveLength(1);
  });
});
