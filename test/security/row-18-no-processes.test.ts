/** SECURITY row 18: nothing that `serve` can reach starts a process, or loads code that it is told. */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const root = join(import.meta.dirname, '../../src');

const sources = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts') && !path.endsWith('.test.ts'))
  .map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }));

const importing = (name: string): string[] =>
  sources
    .filter(({ text }) => new RegExp(`['"\`](node:)?${name}['"\`]`).test(text))
    .map(({ path }) => path);

it.each(['cluster', 'worker_threads', 'inspector', 'repl', 'module', 'wasi'])(
  'no source file imports node:%s',
  (name) => {
    expect(importing(name)).toEqual([]);
  },
);

it('one source file imports node:child_process, and only the command "lend" imports that one', () => {
  expect(importing('child_process')).toEqual(['child-server.ts']);
  const users = sources.filter(({ text }) => /['"`]\.{1,2}\/(?:.*\/)?child-server/.test(text));
  expect(users.map(({ path }) => path)).toEqual(['lend.ts']);
  const others = sources.filter(({ path, text }) =>
    [...text.matchAll(/['"`](\.{1,2}\/[^'"`]+)['"`]/g)].some(
      ([, target = '']) => join(path, '..', target) === 'lend.ts',
    ),
  );
  expect(others.map(({ path }) => path)).toEqual([]);
});

it('the command "lend" has nothing of the service', () => {
  const reached = new Set<string>();
  const visit = (path: string): void => {
    if (reached.has(path)) return;
    reached.add(path);
    const { text } = sources.find((one) => one.path === path)!;
    for (const [, target = ''] of text.matchAll(/from '(\.[^']+)'/g)) {
      visit(join(path, '..', target));
    }
  };
  visit('lend.ts');
  const folders = new Set([...reached].map((path) => path.split('/').slice(0, -1).join('/')));
  expect([...folders].toSorted()).toEqual(['', 'lender', 'model']);
  expect([...reached].filter((path) => !path.includes('/')).toSorted()).toEqual([
    'child-server.ts',
    'lend.ts',
  ]);
});

it('the command line starts the command "lend" for that word alone', () => {
  const bin = readFileSync(join(root, '../bin/isthmus.js'), 'utf8');
  expect(bin.match(/process\.argv\[2\] === '(\w+)' \? 'lend'/)?.[1]).toBe('lend');
  expect(bin.match(/import\(/g)).toHaveLength(1);
});

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
