/**
 * The gateway's own client metadata document: what authorization servers of others read at its
 * client id.
 *
 * Spec: draft-ietf-oauth-client-id-metadata-document-00 §4; RFC 7591 §2
 */
import type { IncomingMessage, ServerResponse } from 'node:http';

/** What the document says of the gateway. */
export interface ClientDocumentOptions {
  readonly publicUrl: string;
  /** What people call it. */
  readonly name: () => string;
  /** Where people come back to, as paths of the gateway. */
  readonly redirectPaths: () => readonly string[];
}

/** Where the document is; with the gateway's origin before it, its client id. */
const path = '/oauth-client.json';

/** Serves the document; false for other paths. */
export function createClientDocument(
  options: ClientDocumentOptions,
): (req: IncomingMessage, res: ServerResponse, path: string) => Promise<boolean> {
  return (req, res, asked) => {
    if (asked !== path) return Promise.resolve(false);
    if (req.method !== 'GET' && req.method !== 'HEAD') {
      res.writeHead(405, { allow: 'GET, HEAD' }).end();
      return Promise.resolve(true);
    }
    const body = JSON.stringify(documentOf(options));
    res.writeHead(200, {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
      'cache-control': 'public, max-age=300',
      'access-control-allow-origin': '*',
      'x-content-type-options': 'nosniff',
    });
    res.end(req.method === 'HEAD' ? undefined : body);
    return Promise.resolve(true);
  };
}

function documentOf({ publicUrl, name, redirectPaths }: ClientDocumentOptions): object {
  const redirects = redirectPaths().map((one) => `${publicUrl}${one}`);
  return {
    client_id: `${publicUrl}${path}`,
    client_name: name(),
    client_uri: publicUrl,
    jwks_uri: `${publicUrl}/.well-known/jwks.json`,
    token_endpoint_auth_method: 'private_key_jwt',
    token_endpoint_auth_signing_alg: 'ES256',
    grant_types: [
      'client_credentials',
      'urn:ietf:params:oauth:grant-type:jwt-bearer',
      'urn:ietf:params:oauth:grant-type:token-exchange',
      ...(redirects.length > 0 ? ['authorization_code', 'refresh_token'] : []),
    ],
    ...(redirects.length > 0 && { redirect_uris: redirects, response_types: ['code'] }),
  };
}
