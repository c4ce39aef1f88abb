/** Where a browser goes after the login: a path of this gateway and nothing else. */

/** It lies in a cookie of at most 4 KB. */
const maxLength = 1024;

/**
 * The path and query to go to; undefined when the text is anything but a path of this origin. What
 * browsers read as the start of another host (`//`, a backslash, a tab in between) is refused, not
 * repaired.
 */
export function ownPath(text: string | undefined): string | undefined {
  if (text === undefined || text.length > maxLength) return undefined;
  // Printable ASCII without a backslash: what else a path holds is percent-encoded.
  if (!/^\/[\x21-\x5b\x5d-\x7e]*$/.test(text) || text.startsWith('//')) return undefined;
  const origin = 'https://gateway.invalid';
  const url = URL.parse(text, origin);
  if (url === null || url.origin !== origin) return undefined;
  const path = `${url.pathname}${url.search}`;
  // Dots may have been resolved into two slashes.
  return path.startsWith('//') ? undefined : path;
}
