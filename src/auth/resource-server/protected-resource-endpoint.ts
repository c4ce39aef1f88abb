/**
 * Serves the metadata of the protected resources to anybody, pages of other sites too.
 *
 * Spec: RFC 9728 §3.2 (200, application/json), §7.9 (CORS is left to the resource)
 */
import { hash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { describeResource, resourceOfMetadataPath } from './protected-resource.ts';

/** What the endpoint is made of. */
export interface ProtectedResourceEndpointOptions {
  readonly publicUrl: string;
  /** Issuers in the order in which clients should try them. */
  readonly authorizationServers: (resourcePath: string) => readonly string[];
  /** What people call the gateway. */
  readonly name?: () => string;
  /** Whether a resource asks for tokens; each does when absent. */
  readonly isProtected?: (resourcePath: string) => boolean;
}

const allow = 'GET, HEAD, OPTIONS';
const shared = {
  'access-control-allow-origin': '*',
  'cache-control': 'public, max-age=60',
} as const;

/** See the file comment. The handler answers false when the path is not one of these documents. */
export function protectedResourceEndpoint(
  options: ProtectedResourceEndpointOptions,
): (req: IncomingMessage, res: ServerResponse, path: string) => Promise<boolean> {
  const { publicUrl, authorizationServers, name, isProtected = () => true } = options;
  return async (req, res, path) => {
    const resource = resourceOfMetadataPath(path);
    if (resource === undefined || !isProtected(resource)) return false;
    if (req.method === 'OPTIONS') {
      res.writeHead(204, {
        ...shared,
        allow,
        'access-control-allow-methods': allow,
        'access-control-allow-headers':
          'Accept, Authorization, Content-Type, If-None-Match, MCP-Protocol-Version',
        'access-control-max-age': '86400',
      });
      res.end();
      return true;
    }
    if (req.method !== 'GET' && req.method !== 'HEAD') {
      const body = JSON.stringify({ error: 'This is a document: use GET or HEAD.' });
      res.writeHead(405, { ...shared, allow, 'content-type': 'application/json' }).end(body);
      return true;
    }
    const document = describeResource(resource, {
      publicUrl,
      authorizationServers: authorizationServers(resource),
      ...(name !== undefined && { name: name() }),
    });
    sendTagged(req, res, JSON.stringify(document));
    return true;
  };
}

function sendTagged(req: IncomingMessage, res: ServerResponse, body: string): void {
  const etag = `"${hash('sha256', body, 'base64url')}"`;
  if (req.headers['if-none-match'] === etag) {
    res.writeHead(304, { ...shared, etag }).end();
    return;
  }
  res.writeHead(200, {
    ...shared,
    etag,
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    'x-content-type-options': 'nosniff',
  });
  res.end(req.method === 'HEAD' ? undefined : body);
}
