/**
 * How long a card is fresh, and how it is asked for again. The cache is private to one peer.
 *
 * Spec: RFC 9111 §4.2 (freshness), §4.3 (validation), §5.1 (Age), §5.2 (Cache-Control), §5.3
 * (Expires); A2A 1.0 §8.6
 */

/** How long a card without a word about it is fresh. */
export const defaultFreshMs = 5 * 60_000;
/** However often the host wants to be asked: not more often than this. */
export const leastFreshMs = 5_000;
/** However long a host wants its card to be kept: a day later it is looked at again. */
export const mostFreshMs = 24 * 60 * 60_000;

/** Milliseconds that a reply is fresh from now on. */
export function freshMs(headers: Headers, now: number): number {
  const control = headers.get('cache-control') ?? '';
  if (/\bno-(cache|store)\b/i.test(control)) return leastFreshMs;
  const left = lifetimeMs(headers, control, now);
  if (left === undefined) return defaultFreshMs;
  return Math.min(mostFreshMs, Math.max(leastFreshMs, left - ageMs(headers)));
}

function lifetimeMs(headers: Headers, control: string, now: number): number | undefined {
  const maxAge = /(?:^|[\s,])max-age\s*=\s*"?([^\s,"]*)/i.exec(control)?.[1];
  if (maxAge !== undefined) return /^\d+$/.test(maxAge) ? Number(maxAge) * 1000 : 0;
  const expires = headers.get('expires');
  if (expires === null) return undefined;
  const at = Date.parse(expires);
  // Spec: RFC 9111 §5.3: an invalid date, "0" above all, is in the past
  if (Number.isNaN(at) || !/[a-z]/i.test(expires)) return 0;
  const sent = Date.parse(headers.get('date') ?? '');
  return at - (Number.isNaN(sent) ? now : sent);
}

function ageMs(headers: Headers): number {
  const age = headers.get('age')?.trim() ?? '';
  return /^\d+$/.test(age) ? Number(age) * 1000 : 0;
}

/** What a reply can be asked for again with: the headers of a conditional request. */
export function validatorsOf(headers: Headers): Record<string, string> {
  if (/\bno-store\b/i.test(headers.get('cache-control') ?? '')) return {};
  const etag = headers.get('etag');
  const modified = headers.get('last-modified');
  return {
    ...(etag !== null && { 'if-none-match': etag }),
    ...(modified !== null && { 'if-modified-since': modified }),
  };
}
