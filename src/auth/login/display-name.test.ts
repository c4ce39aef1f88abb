import { expect, it } from 'vitest';
import { displayNameOf } from './display-name.ts';

const nothing = () => Promise.resolve({});

it('a person is called by their name, user name, address, or subject', async () => {
  const all = { sub: 's', name: 'Ada', preferred_username: 'ada', email: 'ada@a.example' };
  expect(await displayNameOf(all, nothing)).toBe('Ada');
  expect(await displayNameOf({ ...all, name: ' ' }, nothing)).toBe('ada');
  expect(await displayNameOf({ sub: 's', email: 'ada@a.example' }, nothing)).toBe('ada@a.example');
  expect(await displayNameOf({ sub: 's', name: 7 }, nothing)).toBe('s');
});

it('the provider is asked only when the ID token does not say, and may fail', async () => {
  expect(await displayNameOf({ sub: 's' }, () => Promise.resolve({ name: 'Ada' }))).toBe('Ada');
  expect(await displayNameOf({ sub: 's' }, () => Promise.reject(new Error('down')))).toBe('s');
  const never = () => {
    throw new Error('asked');
  };
  expect(await displayNameOf({ sub: 's', name: 'Ada' }, never)).toBe('Ada');
});

it('a name cannot turn the text around it, or fill the page', async () => {
  expect(await displayNameOf({ sub: 's', name: 'A\u202eda\u0000' }, nothing)).toBe('Ada');
  expect(await displayNameOf({ sub: 's', name: 'x'.repeat(500) }, nothing)).toHaveLength(100);
});
