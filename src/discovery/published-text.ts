/**
 * What peers wrote about themselves, fit for a document that anybody may read: short, on one line,
 * without invisible characters, and without links into a network that the reader cannot see.
 */
import { createHash } from 'node:crypto';
import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import { isHttpUrl } from '../translate/http-url.ts';
import { plainText } from '../translate/plain-text.ts';

/** Text on one line of at most `max` UTF-16 units, cut after a word; empty when it begins with nothing. */
export function shortLine(text: string, max: number): string {
  // No more is read than can be shown: a description may be a megabyte of spaces.
  const seen = text.slice(0, max * 8);
  const line = plainText(seen.toWellFormed()).replace(/\s+/g, ' ').trim();
  if (line.length <= max && seen.length === text.length) return line;
  const room = line.slice(0, max - 1);
  const end = line[max - 1] === ' ' || line.length < max ? -1 : room.lastIndexOf(' ');
  const words = end > 0 ? room.slice(0, end) : room.replace(/[\ud800-\udbff]$/, '');
  const kept = words.replace(/[\s.,;:–-]+$/, '');
  return kept === '' ? '' : `${kept}…`;
}

/** The URL, where it may be published: http or https, on a host that the public network knows. */
export function publishedUrl(value: unknown): string | undefined {
  if (!isHttpUrl(value) || value.length > 2048) return undefined;
  return isPublicHost(new URL(value).hostname) ? value : undefined;
}

const privateDomains = /(^|\.)(localhost|local|internal|intranet|lan|home|corp|home\.arpa|test)$/;

function isPublicHost(hostname: string): boolean {
  const host = hostname.replace(/^\[|\]$/g, '').replace(/\.+$/, '');
  if (isIP(host) !== 0) return ipaddr.process(host).range() === 'unicast';
  return host.includes('.') && !privateDomains.test(host);
}

/**
 * A version of its own for each content, after the release that the peer names. Ranges, `latest` and
 * what is too long become `0.0.0`. Build metadata, because the release stays the peer's to name.
 * Spec: Semantic Versioning 2.0.0 §10
 */
export function contentVersion(release: string, content: object): string {
  const named = publishedRelease(release);
  const digest = createHash('sha256').update(JSON.stringify(content)).digest('hex');
  return `${named}${named.includes('+') ? '.' : '+'}${digest.slice(0, digestCharacters)}`;
}

const digestCharacters = 16;

/** What leaves room for the rest. Spec: MCP Server Card, `version` (at most 255 characters) */
const longestRelease = 255 - 1 - digestCharacters;

function publishedRelease(version: string): string {
  const text = plainText(version).trim();
  const isUnfit = text === '' || text.length > longestRelease || isRange(text);
  return isUnfit ? '0.0.0' : text.toWellFormed();
}

/** Spec: MCP Registry server.json, `version` ("Version ranges are rejected") */
function isRange(version: string): boolean {
  if (version === 'latest' || /^[\^~<>=]/.test(version)) return true;
  if (version.includes(' - ') || version.includes('||')) return true;
  const [release = ''] = version.split(/[-+]/, 1);
  return release.split('.').some((part) => /^[xX*]$/.test(part.trim()));
}

/** An icon as both the Server Card and the registry's `server.json` allow it. */
export interface PublishedIcon {
  src: string;
  mimeType?: string;
  sizes?: string[];
  theme?: 'light' | 'dark';
}

const imageTypes = new Set(['image/png', 'image/jpeg', 'image/jpg', 'image/svg+xml', 'image/webp']);
const mostIcons = 8;

/**
 * The icons that may be shown. The Server Card would allow `http:` and `data:` too, the registry
 * does not; one list serves both.
 * Spec: MCP Registry server.json, `icons` (HTTPS, at most 255 characters)
 */
export function publishedIcons(icons: unknown): PublishedIcon[] {
  if (!Array.isArray(icons)) return [];
  return icons.slice(0, mostIcons).flatMap((icon: unknown) => {
    const { src, mimeType, sizes, theme } = (icon ?? {}) as Record<string, unknown>;
    const url = publishedUrl(src);
    if (url === undefined || url.length > 255 || !url.startsWith('https:')) return [];
    return [
      {
        src: url,
        ...(typeof mimeType === 'string' && imageTypes.has(mimeType) && { mimeType }),
        ...(areSizes(sizes) && { sizes }),
        ...((theme === 'light' || theme === 'dark') && { theme }),
      },
    ];
  });
}

function areSizes(value: unknown): value is string[] {
  return (
    Array.isArray(value) &&
    value.length > 0 &&
    value.length <= mostIcons &&
    value.every((size) => typeof size === 'string' && /^(\d{1,5}x\d{1,5}|any)$/.test(size))
  );
}
