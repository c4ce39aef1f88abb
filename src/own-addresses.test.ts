import { expect, it } from 'vitest';
import { OwnAddresses } from './own-addresses.ts';

const own = new OwnAddresses();
own.add('https://gw.example.org', 'http://127.0.0.1:8080');

it.each([
  'https://gw.example.org/a2a/x',
  'https://GW.example.org:443/mcp',
  'http://127.0.0.1:8080/',
  'http://localhost:8080/',
  'http://localhost.:8080/',
  'http://agent.localhost:8080/',
  'http://127.9.9.9:8080/',
  'http://2130706433:8080/',
  'http://0.0.0.0:8080/',
  'http://[::1]:8080/',
  'http://[::ffff:127.0.0.1]:8080/',
])('%s is the gateway itself', (url) => {
  expect(own.has(new URL(url))).toBe(true);
});

it.each([
  'https://gw.example.org:8443/',
  'http://gw.example.org/',
  'https://gw.example.org.evil.example/',
  'http://127.0.0.1:8081/',
  'http://localhost/',
  'http://10.0.0.1:8080/',
])('%s is somebody else', (url) => {
  expect(own.has(new URL(url))).toBe(false);
});
