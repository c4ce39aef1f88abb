import { expect, it } from 'vitest';
import { nearNames } from './near-names.ts';

it('names with a typing error or in another spelling are near, the nearest first', () => {
  const names = ['files__read_files', 'mail__send', 'files__Read-File'];
  expect(nearNames('files__read_fle', names, 3)).toEqual(['files__Read-File', 'files__read_files']);
});

it('a name without its peer is near to that of any peer', () => {
  expect(nearNames('read_file', ['mail__send', 'files__read_file'], 3)).toEqual([
    'files__read_file',
  ]);
});

it('no more names are given than asked for, and never the name itself', () => {
  expect(nearNames('abcdef', ['abcdef', 'abcdeg', 'abcdeh'], 1)).toEqual(['abcdeg']);
});

it('nothing is near to what is entirely different', () => {
  expect(nearNames('zeppelin', ['files__read_file', 'ask_cafe'], 3)).toEqual([]);
});

it('of endless names a fixed number is looked at', () => {
  let looked = 0;
  const long = 'x'.repeat(1_000_000);
  function* endless(): Generator<string> {
    for (;;) {
      looked += 1;
      yield long;
    }
  }
  nearNames(`y${long}`, endless(), 3);
  expect(looked).toBeLessThanOrEqual(5001);
});
