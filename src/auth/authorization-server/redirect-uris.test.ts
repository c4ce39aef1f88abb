import { expect, it } from 'vitest';
import { redirectPlace } from './redirect-uris.ts';

it.each([
  ['https://client.example:8443/callback', 'client.example:8443'],
  ['http://127.0.0.1:33418/callback', '127.0.0.1:33418'],
  ['com.evil.app://accounts.google.com/cb', 'An app on this device (com.evil.app:)'],
  ['com.example.app:/cb', 'An app on this device (com.example.app:)'],
])('%s is shown as %s', (uri, shown) => {
  expect(redirectPlace(uri)).toBe(shown);
});
