/**
 * What a client is told when its request is not let in: `WWW-Authenticate` with all that it needs
 * to come back with the right token.
 *
 * Spec: RFC 6750 §3, RFC 9728 §5.1, RFC 9449 §7.1, MCP 2026-07-28 basic/authorization "Scope
 * Challenge Handling"
 */
import { asymmetricAlgorithms } from '../asymmetric-algorithms.ts';

/** Why the request is refused. Spec: RFC 6750 §3.1, RFC 9449 §7.1 */
export type ChallengeError =
  'invalid_request' | 'invalid_token' | 'invalid_dpop_proof' | 'insufficient_scope';

/** What a challenge says. */
export interface Challenge {
  /** The way in which the client showed its token, or has to. */
  readonly scheme: 'Bearer' | 'DPoP';
  /** URL of the protected resource's metadata. */
  readonly resourceMetadata: string;
  /** Every scope that is needed. */
  readonly scopes: readonly string[];
  /** Absent when the request had no token. Spec: RFC 6750 §3.1 */
  readonly error?: ChallengeError;
  readonly description?: string;
}

/**
 * The value of `WWW-Authenticate`. A client that came with a bearer token, or with none, hears of
 * DPoP in a second challenge; the first one is complete, because many clients read no further.
 */
export function challengeHeader(challenge: Challenge): string {
  const { scheme, resourceMetadata, scopes, error, description } = challenge;
  const parameters = [
    parameter('error', error),
    parameter('error_description', description),
    parameter('resource_metadata', resourceMetadata),
    parameter('scope', scopes.length === 0 ? undefined : scopes.join(' ')),
    ...(scheme === 'DPoP' ? [algs] : []),
  ];
  const first = `${scheme} ${parameters.filter((one) => one !== undefined).join(', ')}`;
  return scheme === 'DPoP' ? first : `${first}, DPoP ${algs}`;
}

/** Spec: RFC 9449 §7.1 */
const algs = `algs="${asymmetricAlgorithms.join(' ')}"`;

function parameter(name: string, value: string | undefined): string | undefined {
  return value === undefined ? undefined : `${name}="${escaped(value)}"`;
}

/**
 * Spec: RFC 6750 §3: printable ASCII without quote and backslash, though RFC 9110 §5.6.4 could
 * escape them: a client that stops at the first quote reads the same.
 */
function escaped(text: string): string {
  return text.replace(/["\\]/g, "'").replace(/[^\x20-\x7e]/g, '?');
}
