/** SECURITY row 18: nothing that `serve` can reach starts a process, or loads code that it is told. */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const root = join(import.meta.dirname, '../../src');

const sources = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts') && !path.endsWith('.test.ts'))
  .map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }));

it.each(['child_process', 'cluster', 'worker_threads', 'inspector', 'repl', 'module', 'wasi'])(
  'no source file imports node:%s',
  (name) => {
    const importing = sources.filter(({ text }) =>
      new RegExp(`['"\`](node:)?${name}['"\`]`).test(text),
    );
    expect(importing.map(({ path }) => path)).toEqual([]);
  },
);

it('no source file makes code of text, or imports what a variable names', () => {
  const making = sources.filter(({ text }) =>
    /\beval\(|new Function\(|\bimport\((?!')|createRequire|process\.(binding|dlopen)/.test(text),
  );
  expect(making.map(({ path }) => path)).toEqual([]);
});

it('the stdio transports of the SDKs are not imported', () => {
  const stdio = sources.filter(({ text }) => /from '[^']*stdio[^']*'/i.test(text));
  expect(stdio.map(({ path }) => path)).toEqual([]);
});
