import ipaddr from 'ipaddr.js';
import { LRUCache } from 'lru-cache';
import { EgressRefusedError } from './refused.ts';

/** Which targets may be reached although they are not on the public network. */
export interface EgressRules {
  /** CIDR ranges (`10.0.0.0/8`), addresses, or hosts with an optional port (`intra.example:8443`). */
  readonly allow: readonly string[];
  /** Whether 127.0.0.0/8 and ::1 may be reached. */
  readonly allowLoopback: boolean;
}

/** The rules, parsed: answers questions about URLs and addresses without doing any I/O. */
export interface EgressPolicy {
  /** Parses and checks what can be known without DNS; throws `EgressRefusedError`. */
  checkUrl(target: string | URL): URL;
  /** Whether a connection to `address`, made for `host`:`port`, is allowed. */
  allowsAddress(address: string, host: string, port: number): boolean;
}

type Address = ipaddr.IPv4 | ipaddr.IPv6;

interface HostEntry {
  readonly host: string;
  readonly port: number | undefined;
}

/** Private ranges that a listed host name may stand for; a link-local one must be listed as a range. */
const listable = new Set(['private', 'uniqueLocal', 'loopback', 'carrierGradeNat']);

const globalUnicastV6 = ipaddr.IPv6.parseCIDR('2000::/3');

/** Lower case, no brackets, no trailing dot: the form in which hosts are compared. */
export function normalizeHost(hostname: string): string {
  return hostname
    .toLowerCase()
    .replace(/^\[|\]$/g, '')
    .replace(/\.+$/, '');
}

function parseAddress(text: string): Address | undefined {
  const bare = text.split('%', 1)[0] ?? '';
  if (ipaddr.IPv4.isValidFourPartDecimal(bare)) return ipaddr.IPv4.parse(bare);
  return ipaddr.IPv6.isValid(bare) ? ipaddr.process(bare) : undefined;
}

function isPublic(address: Address): boolean {
  if (address.range() !== 'unicast') return false;
  return address instanceof ipaddr.IPv4 || address.match(globalUnicastV6);
}

function contains(range: [Address, number], address: Address): boolean {
  return range[0].kind() === address.kind() && address.match(range);
}

/** Reads one entry of the allow list; undefined when it is neither a range nor a host. */
export function parseAllowEntry(
  entry: string,
): { range: [Address, number] } | HostEntry | undefined {
  const text = entry.trim();
  if (/^[^/]+\/\d+$/.test(text) && ipaddr.isValidCIDR(text))
    return { range: ipaddr.parseCIDR(text) };
  const address = parseAddress(text);
  if (address !== undefined) return { range: [address, address.kind() === 'ipv4' ? 32 : 128] };
  const parts = /^(\[[0-9a-f:.]+\]|[^\s:/@?#]+)(?::(\d{1,5}))?$/i.exec(text);
  if (parts?.[1] === undefined || !URL.canParse(`http://${text}`)) return undefined;
  const port = parts[2] === undefined ? undefined : Number(parts[2]);
  return { host: normalizeHost(new URL(`http://${parts[1]}`).hostname), port };
}

/** Builds the policy, for any target but our own; throws a `TypeError` that names an entry it cannot read. */
export function createEgressPolicy(
  rules: EgressRules,
  isOwn: (url: URL) => boolean = () => false,
): EgressPolicy {
  const ranges: [Address, number][] = [];
  const hosts: HostEntry[] = [];
  for (const entry of rules.allow) {
    const parsed = parseAllowEntry(entry);
    if (parsed === undefined) {
      throw new TypeError(`egress.allow: "${entry}" is neither an address range nor host[:port]`);
    }
    if ('range' in parsed) ranges.push(parsed.range);
    else hosts.push(parsed);
  }

  const allowsAddress = (text: string, host: string, port: number): boolean => {
    const address = parseAddress(text);
    if (address === undefined) return false;
    if (isPublic(address)) return true;
    if (rules.allowLoopback && address.range() === 'loopback') return true;
    if (ranges.some((range) => contains(range, address))) return true;
    const name = normalizeHost(host);
    return (
      listable.has(address.range()) &&
      hosts.some((entry) => entry.host === name && (entry.port ?? port) === port)
    );
  };

  // What is known without DNS of an origin, which is the same each time.
  const refusals = new LRUCache<string, 'url' | 'address' | ''>({ max: 512 });

  const refusalOf = (url: URL): 'url' | 'address' | '' => {
    const known = refusals.get(url.origin);
    if (known !== undefined) return known;
    const host = normalizeHost(url.hostname);
    const isRefused = parseAddress(host) !== undefined && !allowsAddress(host, host, portOf(url));
    const refusal = host === '' ? 'url' : isRefused ? 'address' : '';
    refusals.set(url.origin, refusal);
    return refusal;
  };

  const checkUrl = (target: string | URL): URL => {
    // The WHATWG parser maps every spelling of an IPv4 address (hexadecimal, octal, short,
    // full-width) to four decimal parts, so the check below sees what a socket would.
    const url = typeof target === 'string' ? URL.parse(target) : target;
    if (url === null) throw new EgressRefusedError('url', '');
    if (url.protocol !== 'http:' && url.protocol !== 'https:') {
      throw new EgressRefusedError('scheme', url.host);
    }
    if (url.username !== '' || url.password !== '') {
      throw new EgressRefusedError('credentials', url.host);
    }
    if (isOwn(url)) throw new EgressRefusedError('self', url.host);
    const refusal = refusalOf(url);
    if (refusal !== '') throw new EgressRefusedError(refusal, url.host);
    return url;
  };

  return { checkUrl, allowsAddress };
}

function portOf(url: URL): number {
  if (url.port !== '') return Number(url.port);
  return url.protocol === 'https:' ? 443 : 80;
}
