/**
 * Where an issuer exchanges references, by its own metadata.
 *
 * Spec: RFC 8414 §3
 */
import { z } from 'zod';
import { readJsonDocument } from '../translate/json-document.ts';
import { allowedUrl, type UrlRule } from './allowed-url.ts';
import { askIssuer, protocolFault } from './issuer-request.ts';
import type { Fetch } from './options.ts';

const schema = z.object({ issuer: z.string(), token_endpoint: z.string() });

/** The token endpoint of an issuer. Throws `unavailable` or `protocol`. */
export async function discoverTokenEndpoint(
  issuer: string,
  { fetch: send, signal, urls }: { fetch: Fetch; signal: AbortSignal; urls: UrlRule },
): Promise<URL> {
  const { origin, pathname } = new URL(issuer);
  // Spec: RFC 8414 §3.1: the path is inserted, without a "/" at its end.
  const place = `${origin}/.well-known/oauth-authorization-server${pathname.replace(/\/$/, '')}`;
  const { response, text } = await askIssuer(send, place, {
    headers: { accept: 'application/json' },
    signal,
  });
  if (response.status !== 200) throw protocolFault('is not its metadata');
  const document = readJsonDocument(text);
  const metadata = document.ok ? schema.safeParse(document.value) : undefined;
  if (metadata?.success !== true) throw protocolFault('is not its metadata');
  // Spec: RFC 8414 §3.3: the issuer MUST be identical, or the metadata MUST NOT be used.
  if (metadata.data.issuer !== issuer) throw protocolFault('is the metadata of another issuer');
  const endpoint = allowedUrl(metadata.data.token_endpoint, urls);
  // What the client signs for the issuer goes to nobody else.
  if (endpoint?.origin !== origin) throw protocolFault('names a token endpoint elsewhere');
  return endpoint;
}
