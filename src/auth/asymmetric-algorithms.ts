/**
 * What tokens, assertions and proofs may be signed with: whoever verifies cannot sign.
 *
 * Spec: RFC 8725 §3.1, RFC 9864 (fully specified algorithms), RFC 9449 §5.1
 */
export const asymmetricAlgorithms = [
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
  'PS256',
  'PS384',
  'PS512',
  'RS256',
  'RS384',
  'RS512',
] as const;

/** Whether an algorithm is one of them. */
export function isAsymmetric(algorithm: string | undefined): boolean {
  return asymmetricAlgorithms.some((one) => one === algorithm);
}
