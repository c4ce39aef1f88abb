/**
 * Where an issuer keeps its keys, by its own metadata.
 *
 * Spec: RFC 8414 §3 (authorization server metadata), OpenID Connect Discovery 1.0 §4
 */
import { readJsonDocument, textMember } from '../../translate/json-document.ts';

/** The way out: WHATWG `fetch`, guarded in production. */
export type Fetch = typeof fetch;

/** How to get there, and until when. */
interface Way {
  readonly fetch: Fetch;
  readonly signal: AbortSignal;
}

const maxDocument = 256 * 1024;

/**
 * The `jwks_uri` of an issuer. Throws when none of the places has metadata of exactly this issuer.
 */
export async function discoverJwksUri(issuer: string, way: Way): Promise<string> {
  const problems: string[] = [];
  for (const url of metadataUrls(issuer)) {
    try {
      return jwksUriOf(await fetchDocument(url, way), issuer);
    } catch (error) {
      way.signal.throwIfAborted();
      problems.push(`${url}: ${error instanceof Error ? error.message : 'failed'}`);
    }
  }
  throw new Error(`No metadata of ${issuer} could be used. ${problems.join(' ')}`);
}

/** Spec: RFC 8414 §3.1 (the path is inserted) and §5, OpenID Connect Discovery §4.1 (appended) */
function metadataUrls(issuer: string): string[] {
  const { origin, pathname } = new URL(issuer);
  const path = pathname.replace(/\/$/, '');
  const urls = [
    `${origin}/.well-known/oauth-authorization-server${path}`,
    `${origin}/.well-known/openid-configuration${path}`,
    `${origin}${path}/.well-known/openid-configuration`,
  ];
  return [...new Set(urls)];
}

function jwksUriOf(metadata: unknown, issuer: string): string {
  // Spec: RFC 8414 §3.3: the issuer MUST be identical, or the metadata MUST NOT be used.
  if (textMember(metadata, 'issuer') !== issuer) throw new Error('It is of another issuer.');
  const uri = textMember(metadata, 'jwks_uri');
  const url = uri === undefined ? null : URL.parse(uri);
  // Keys over plain HTTP are those of whoever sits in between.
  const allowed = issuer.startsWith('http://') ? ['https:', 'http:'] : ['https:'];
  if (url === null || !allowed.includes(url.protocol)) {
    throw new Error('It has no usable "jwks_uri".');
  }
  return url.href;
}

/** A JSON document, read strictly. Throws when it is not there, or not one. */
export async function fetchDocument(url: string, way: Way): Promise<unknown> {
  const response = await way.fetch(url, {
    headers: { accept: 'application/json, application/jwk-set+json' },
    redirect: 'manual',
    signal: way.signal,
  });
  if (response.status !== 200) {
    await response.body?.cancel();
    throw new Error(`It answered with status ${response.status}.`);
  }
  const text = await response.text();
  if (text.length > maxDocument) throw new Error('It is too large.');
  const document = readJsonDocument(text);
  if (!document.ok) throw new Error(`It ${document.problem}.`);
  return document.value;
}
