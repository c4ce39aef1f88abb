import { expect, it } from 'vitest';
import { createMintId } from './ids.ts';

it('an id is 22 characters of base64url, and no option of a command line', () => {
  const drawn = [Buffer.alloc(16, 0xf8), Buffer.alloc(16, 0xfb), Buffer.alloc(16, 7)];
  const id = createMintId(() => drawn.shift()!)();
  expect(id).toBe(Buffer.alloc(16, 7).toString('base64url'));
  expect(id).toHaveLength(22);
  expect(drawn).toEqual([]);
});
