/**
 * Which strings may become a link. Everything that a person or a program might follow is limited
 * to http and https: `javascript:`, `data:`, `file:` and the like stay text.
 */

/** Whether a URL as it is written holds what makes two readers see two different ones. */
export function hasControls(text: string): boolean {
  // eslint-disable-next-line no-control-regex -- control characters are what is looked for
  return /[\u0000-\u0020\u007f]/.test(text);
}

/** Whether a string is an absolute http or https URL without a user name, and nothing else. */
export function isHttpUrl(value: unknown): value is string {
  if (typeof value !== 'string' || !/^https?:\/\//i.test(value)) return false;
  if (hasControls(value)) return false;
  const url = URL.parse(value);
  // `https://bank.example@evil.example/` is read as the bank by people.
  return url !== null && url.username === '' && url.password === '';
}

/** The scheme of a URL as it may be shown in a text, with its colon; `''` where there is none. */
export function schemeOf(url: string): string {
  return /^\s*([a-z][a-z0-9+.-]{0,30}):/i.exec(url)?.[1]?.toLowerCase().concat(':') ?? '';
}

/** Every http(s) URL in prose, in order, each once; trailing punctuation is not part of it. */
export function httpUrlsIn(text: string): string[] {
  const found = text.match(/https?:\/\/[^\s<>"'`|\\^{}]+/gi) ?? [];
  return [...new Set(found.map(withoutTrailingPunctuation).filter(isHttpUrl))];
}

function withoutTrailingPunctuation(url: string): string {
  let end = url.length;
  for (; end > 0; end -= 1) {
    const last = url[end - 1] ?? '';
    if ('.,;:!?*_'.includes(last)) continue;
    const open = { ')': '(', ']': '[' }[last];
    if (open === undefined) break;
    const body = url.slice(0, end);
    if (body.split(open).length >= body.split(last).length) break;
  }
  return url.slice(0, end);
}
