/** A browser's own rules for reading what another site serves. Spec: Fetch, "CORS protocol" */
import { expect } from 'vitest';

const stranger = 'https://reader.example';

/** Header names that a page may send without asking first. */
const safelisted = new Set(['accept', 'accept-language', 'content-language']);

/** Header names of an answer that a page may always read. */
const readable = new Set(['cache-control', 'content-language', 'content-length', 'content-type']);

/** What a page in a browser gets when it fetches a document of another origin. */
export interface PageFetch {
  readonly status: number;
  readonly text: string;
  /** The headers that the page may see. */
  readonly headers: Headers;
  /** Whether the browser had to ask first. */
  readonly preflighted: boolean;
}

/** Fetches as a page of another origin would, without credentials; fails where a browser refuses. */
export async function fetchFromPage(
  url: string,
  headers: Record<string, string> = {},
): Promise<PageFetch> {
  const asked = Object.keys(headers).filter((name) => !safelisted.has(name.toLowerCase()));
  if (asked.length > 0) await preflight(url, asked);
  const response = await fetch(url, {
    headers: { ...headers, origin: stranger },
    redirect: 'manual',
  });
  expectAllowed(response);
  const exposed = listOf(response, 'access-control-expose-headers');
  const visible = [...response.headers].filter(
    ([name]) => readable.has(name) || exposed.includes('*') || exposed.includes(name),
  );
  return {
    status: response.status,
    text: await response.text(),
    headers: new Headers(visible),
    preflighted: asked.length > 0,
  };
}

/** Spec: Fetch, "CORS-preflight fetch" */
async function preflight(url: string, names: readonly string[]): Promise<void> {
  const response = await fetch(url, {
    method: 'OPTIONS',
    headers: {
      origin: stranger,
      'access-control-request-method': 'GET',
      'access-control-request-headers': names
        .map((name) => name.toLowerCase())
        .sort()
        .join(','),
    },
    redirect: 'manual',
  });
  await response.arrayBuffer();
  expect(response.ok, `the preflight of ${url} answers ${response.status}`).toBe(true);
  expectAllowed(response);
  const methods = listOf(response, 'access-control-allow-methods');
  expect(methods.includes('get') || methods.includes('*') || methods.length === 0).toBe(true);
  const allowed = listOf(response, 'access-control-allow-headers');
  for (const name of names) {
    expect(allowed.includes('*') ? [name.toLowerCase()] : allowed).toContain(name.toLowerCase());
  }
}

function expectAllowed(response: Response): void {
  const origin = response.headers.get('access-control-allow-origin');
  expect(['*', stranger], `Access-Control-Allow-Origin of ${response.url}`).toContain(origin);
  // A public document that answers to the asker by name would have to vary by the asker.
  if (origin === stranger) expect(listOf(response, 'vary')).toContain('origin');
  expect(response.headers.get('access-control-allow-credentials')).not.toBe('true');
}

function listOf(response: Response, name: string): string[] {
  const value = response.headers.get(name) ?? '';
  return value
    .split(',')
    .map((one) => one.trim().toLowerCase())
    .filter((one) => one !== '');
}
