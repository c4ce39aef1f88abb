/**
 * Which protocol version a request is in. The patch number says nothing about compatibility; no
 * version, or an empty one, means 0.3.
 *
 * Spec: A2A 1.0 §3.6.1 (header or query parameter), §3.6.2 (absent means 0.3)
 */
import type { IncomingMessage } from 'node:http';
import { GatewayError } from '../model/errors.ts';

/** A version that is served. */
export type A2aVersion = '1.0' | '0.3';

/** What a request says about its version: `asked` is undefined where it says nothing. */
export interface RequestVersion {
  version: A2aVersion;
  asked: string | undefined;
}

/** The version of a request. Throws `version-unsupported`. */
export function versionOf(req: IncomingMessage, query: URLSearchParams): RequestVersion {
  const asked = (headerOf(req, 'a2a-version') ?? queryOf(query))?.trim() || undefined;
  if (asked === undefined) return { version: '0.3', asked };
  const [, version] = /^(\d+\.\d+)(\.\d+)?$/.exec(asked) ?? [];
  if (version === '1.0' || version === '0.3') return { version, asked };
  throw new GatewayError(
    'version-unsupported',
    `A2A version "${asked.slice(0, 32)}" is not served here. Use 1.0 or 0.3.`,
  );
}

/** The first value of a header. */
export function headerOf(req: IncomingMessage, name: string): string | undefined {
  const value = req.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

function queryOf(query: URLSearchParams): string | undefined {
  for (const [name, value] of query) if (name.toLowerCase() === 'a2a-version') return value;
  return undefined;
}
