/**
 * Who a connection comes from, as far as the network tells: the unit that is limited before anybody
 * has said who they are.
 */
import { isIPv4 } from 'node:net';
import ipaddr from 'ipaddr.js';

/**
 * The key under which an address is counted: an IPv4 address, also one that is written as IPv6; of
 * IPv6 the /64, since a single host has as many addresses of it as it likes.
 */
export function addressGroup(address: string | undefined): string {
  if (address === undefined) return 'unknown';
  if (!address.includes(':')) return address;
  // How Node spells IPv4 callers of a socket for both.
  if (address.startsWith(mapped) && isIPv4(address.slice(mapped.length))) {
    return address.slice(mapped.length);
  }
  const parsed = parse(address);
  if (parsed === undefined) return 'unknown';
  if (parsed.kind() === 'ipv4') return parsed.toString();
  const [a = 0, b = 0, c = 0, d = 0] = (parsed as ipaddr.IPv6).parts;
  return `${[a, b, c, d].map((part) => part.toString(16)).join(':')}::/64`;
}

const mapped = '::ffff:';

/**
 * Whether many callers may share this address, because it is no public one: that of a proxy, a
 * container's host or a private network. What one of them does must not shut out the others.
 */
export function isSharedAddress(address: string | undefined): boolean {
  if (address === undefined) return true;
  return parse(address)?.range() !== 'unicast';
}

/** Whether an address can be reached from this machine only. */
export function isLoopbackAddress(address: string): boolean {
  return parse(address)?.range() === 'loopback';
}

function parse(address: string): ipaddr.IPv4 | ipaddr.IPv6 | undefined {
  const [bare = ''] = address.split('%', 1);
  return ipaddr.isValid(bare) ? ipaddr.process(bare) : undefined;
}
