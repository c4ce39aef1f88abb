import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { product } from './product.ts';

it('the product names the version of its package', () => {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  expect(JSON.parse(text)).toMatchObject({ name: product.name, version: product.version });
});
