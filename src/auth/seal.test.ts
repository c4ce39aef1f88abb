import { describe, expect, it } from 'vitest';
import { createSeal } from './seal.ts';

const seal = createSeal(Buffer.alloc(32, 1));

describe('a seal', () => {
  it('opens what it sealed, for the same use only', () => {
    const sealed = seal.seal({ taskId: 't', n: 1 }, 'state alice');
    expect(seal.open(sealed, 'state alice')).toEqual({ taskId: 't', n: 1 });
    expect(seal.open(sealed, 'state bob')).toBeUndefined();
    expect(createSeal(Buffer.alloc(32, 2)).open(sealed, 'state alice')).toBeUndefined();
  });

  it('shows nothing of its content and is another one each time', () => {
    const [one, two] = [seal.seal({ secret: 'hunter2' }, ''), seal.seal({ secret: 'hunter2' }, '')];
    expect(one).not.toBe(two);
    expect(Buffer.from(one, 'base64url').toString('latin1')).not.toContain('hunter2');
  });

  it('refuses every flipped bit, every cut and every other spelling', () => {
    const sealed = seal.seal({ a: 1 }, 'x');
    const bytes = Buffer.from(sealed, 'base64url');
    for (let at = 0; at < bytes.length * 8; at += 1) {
      const changed = Buffer.from(bytes);
      changed[at >> 3] = (changed[at >> 3] ?? 0) ^ (1 << (at & 7));
      expect(seal.open(changed.toString('base64url'), 'x')).toBeUndefined();
    }
    for (const other of [
      '',
      'AAAA',
      sealed.slice(0, -1),
      `${sealed}A`,
      `${sealed}=`,
      ` ${sealed}`,
    ]) {
      expect(seal.open(other, 'x')).toBeUndefined();
    }
  });

  it('is stable where an identifier must be, and tells uses and texts apart', () => {
    const one = seal.sealStable('context', 'alice');
    expect(seal.sealStable('context', 'alice')).toBe(one);
    expect(seal.openStable(one, 'alice')).toBe('context');
    expect(seal.openStable(one, 'bob')).toBeUndefined();
    const nonces = [one, seal.sealStable('context', 'bob'), seal.sealStable('other', 'alice')].map(
      (text) => text.slice(0, 16),
    );
    expect(new Set(nonces).size).toBe(3);
  });

  it('wants a real key', () => {
    expect(() => createSeal(Buffer.from('changeme'))).toThrow(/at least 32 bytes/);
  });
});
