import { expect, it } from 'vitest';
import { addressGroup, isSharedAddress } from './remote-address.ts';

it.each([
  ['203.0.113.7', '203.0.113.7'],
  ['::ffff:203.0.113.7', '203.0.113.7'],
  ['::ffff:cb00:7107', '203.0.113.7'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:db8:1:2:ffff::1', '2001:db8:1:2::/64'],
  ['2001:db8:1:3::1', '2001:db8:1:3::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ['not:an:address', 'unknown'],
  [undefined, 'unknown'],
])('%s is counted as %s', (address, group) => {
  expect(addressGroup(address)).toBe(group);
});

it.each([
  ['127.0.0.1', true],
  ['::1', true],
  ['::ffff:127.0.0.1', true],
  ['10.1.2.3', true],
  ['172.17.0.1', true],
  ['192.168.0.9', true],
  ['100.64.0.1', true],
  ['fd00::1', true],
  ['fe80::1%eth0', true],
  [undefined, true],
  ['8.8.8.8', false],
  ['::ffff:8.8.8.8', false],
  ['2606:4700::1', false],
])('%s may be the address of many: %s', (address, isShared) => {
  expect(isSharedAddress(address)).toBe(isShared);
});
