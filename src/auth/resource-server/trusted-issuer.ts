/**
 * Whose access tokens count, and how far. Trust is written down by the operator, never learnt.
 *
 * Spec: RFC 9068 §4 (validating access tokens), RFC 8725 §3.1 (algorithms are chosen by who verifies)
 */
import { isAsymmetric } from '../asymmetric-algorithms.ts';

/** An authorization server outside of the gateway. */
export interface TrustedIssuer {
  /** Exactly as it stands in `iss`. */
  readonly issuer: string;
  /** Everybody that it vouches for belongs to this organisation. */
  readonly organization: string;
  /** What it may sign with. */
  readonly algorithms: readonly string[];
  /** Where its keys are; found in its metadata when absent. */
  readonly jwksUri?: string;
  /**
   * Takes tokens with `typ` "JWT" or none, for servers that do not follow RFC 9068. What is clearly
   * something else, such as an ID token, stays refused.
   */
  readonly acceptUntyped?: boolean;
  /** Scopes that every token of this issuer carries besides its own. */
  readonly grants?: readonly string[];
}

/**
 * The issuers by their names. Throws where the list contradicts itself: a token must have one
 * meaning.
 */
export function issuersByName<Issuer extends TrustedIssuer>(
  issuers: readonly Issuer[],
  own: readonly string[],
): Map<string, Issuer> {
  const byName = new Map<string, Issuer>();
  for (const trusted of issuers) {
    const { issuer, algorithms } = trusted;
    if (own.includes(issuer)) {
      throw new TypeError(`${issuer} is this gateway itself: take it out of the issuers.`);
    }
    if (byName.has(issuer)) throw new TypeError(`The issuer ${issuer} is listed twice.`);
    const weak = algorithms.find((one) => !isAsymmetric(one));
    if (weak !== undefined || algorithms.length === 0) {
      throw new TypeError(
        `The issuer ${issuer} may sign with ${weak ?? 'nothing'}: list algorithms such as ES256.`,
      );
    }
    byName.set(issuer, trusted);
  }
  return byName;
}
