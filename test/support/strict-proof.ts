/**
 * DPoP proofs, checked as strictly as RFC 9449 lets a server: for the authority and the callback
 * server of tests. It shares nothing with what it judges.
 */
import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { calculateJwkThumbprint, EmbeddedJWK, jwtVerify, type JWK } from 'jose';

/** What a proof has to be for. */
export interface ProofTarget {
  readonly method: string;
  /** Byte for byte. */
  readonly url: string;
  /** With a token there has to be its hash, without one there must not be any. */
  readonly token?: string;
  readonly nonce?: string | undefined;
}

/** The proofs that one server has seen. */
export class StrictProofs {
  /** Every `jti`, in order. */
  readonly seen: string[] = [];
  /** How often one came again. */
  replays = 0;

  /** The thumbprint of the key. Throws what is wrong; `use_dpop_nonce` where only the nonce is. */
  async check(req: IncomingMessage, target: ProofTarget): Promise<string> {
    const proofs = req.headersDistinct['dpop'] ?? [];
    const [proof = ''] = proofs;
    if (proofs.length !== 1 || proof.includes(',')) throw new Error('not one proof');
    const { payload, protectedHeader } = await jwtVerify(proof, EmbeddedJWK, {
      typ: 'dpop+jwt',
      algorithms: ['ES256', 'ES384', 'EdDSA', 'Ed25519', 'PS256', 'RS256'],
      requiredClaims: ['jti', 'iat', 'htm', 'htu'],
    });
    const jwk = protectedHeader.jwk as JWK;
    const allowed = new Set(['kty', 'crv', 'x', 'y', 'n', 'e']);
    if (Object.keys(jwk).some((member) => !allowed.has(member))) throw new Error('a strange key');
    const { jti = '', iat = 0, htm, htu, ath, nonce } = payload;
    if (this.seen.includes(jti)) {
      this.replays += 1;
      throw new Error('replayed');
    }
    this.seen.push(jti);
    if (jti.length < 16) throw new Error('a jti that can be guessed');
    if (htm !== target.method) throw new Error('another htm');
    if (htu !== target.url) throw new Error('another htu');
    if (Math.abs(Date.now() / 1000 - iat) > 10) throw new Error('an iat that is far off');
    if (ath !== (target.token === undefined ? undefined : sha256(target.token))) {
      throw new Error('another ath');
    }
    if (nonce !== target.nonce) throw new Error('use_dpop_nonce');
    return calculateJwkThumbprint(jwk);
  }
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('base64url');
}
