/**
 * A DPoP proof: that whoever sends a request holds a key. Used where a token is presented, and
 * without one where a token is asked for. Proofs are short-lived and count once, which is what
 * nonces of the server are for: there are none.
 *
 * Spec: RFC 9449 §4.3
 */
import { hash } from 'node:crypto';
import {
  calculateJwkThumbprint,
  compactVerify,
  decodeProtectedHeader,
  EmbeddedJWK,
  errors,
  type JWK,
} from 'jose';
import { asymmetricAlgorithms, isAsymmetric } from '../asymmetric-algorithms.ts';
import { isObject } from '../../model/json.ts';
import type { ReplayStore } from '../../ports/replay-store.ts';
import { payloadMembers } from './claims.ts';

/** A request that carries a proof. */
export interface ProvenRequest {
  /** The values of all `DPoP` headers. */
  readonly proofs: readonly string[] | undefined;
  readonly method: string;
  /** The URL of the request as the configuration says it, never made from `Host`. */
  readonly url: string;
  /** The token that goes with it; none at a token endpoint. */
  readonly accessToken?: string;
  /** The thumbprint of the key that has to be proven; any key when absent. */
  readonly jkt?: string;
}

/** What verifying needs. */
export interface ProofOptions {
  /** In milliseconds. */
  readonly now: () => number;
  /** How far `iat` may lie off, either way; 60 s by default. */
  readonly windowSeconds?: number;
}

/** A proof that does not count, and a sentence for the client. */
export interface ProofRefused {
  readonly kind: 'refused' | 'other-key';
  readonly reason: string;
}

/** The thumbprint of the key that was proven, or why none was. */
export type ProofResult = { readonly kind: 'proven'; readonly jkt: string } | ProofRefused;

/** A proof that is good, if it was not used before. */
export interface VerifiedProof {
  readonly kind: 'verified';
  readonly jkt: string;
  /** What it is remembered by, and until when (ms). */
  readonly use: { readonly id: string; readonly until: number };
}

const maxProof = 8 * 1024;

/** Checks the proof of a request. Each proof passes once. Rejects when the replay store does. */
export async function checkDpopProof(
  request: ProvenRequest,
  options: ProofOptions & { readonly replay: ReplayStore },
): Promise<ProofResult> {
  const proof = await verifyDpopProof(request, options);
  return proof.kind === 'verified' ? useDpopProof(proof, options.replay) : proof;
}

/**
 * Uses a proof up: another time it does not pass. Rejects when the replay store does. `isSoon` as
 * the store has it, for requests that do nothing before another write is on disk.
 */
export async function useDpopProof(
  { jkt, use }: VerifiedProof,
  replay: ReplayStore,
  { isSoon = false }: { isSoon?: boolean } = {},
): Promise<ProofResult> {
  // Spec: RFC 9449 §11.1
  const isFirst = await replay.firstUse(use.id, use.until, { isSoon });
  if (!isFirst) return refused('was used before.');
  return { kind: 'proven', jkt };
}

/** Checks everything of a proof but whether it was used before, and remembers nothing. */
export async function verifyDpopProof(
  request: ProvenRequest,
  options: ProofOptions,
): Promise<VerifiedProof | ProofRefused> {
  const { proofs = [] } = request;
  const [proof = ''] = proofs;
  // Spec: RFC 9449 §4.3 (1): not more than one header; proxies join several with a comma.
  if (proofs.length !== 1 || proof.includes(',')) {
    return refused(proofs.length === 0 ? 'is missing.' : 'has to be the only one.');
  }
  const jwk = headerKey(proof);
  if (typeof jwk === 'string') return refused(jwk);
  const payload = await verifiedPayload(proof);
  if (payload === undefined) return refused('has a signature that does not verify.');
  const flaw = claimsFlaw(payload, request, options);
  if (flaw !== undefined) return refused(flaw);
  const jkt = await calculateJwkThumbprint(jwk);
  // Spec: RFC 9449 §4.3 (12b); §7.1 calls it the token's fault, not the proof's.
  if (request.jkt !== undefined && request.jkt !== jkt) {
    return { kind: 'other-key', reason: 'The DPoP proof is of another key than the access token.' };
  }
  const { jti, iat } = payload as { jti: string; iat: number };
  // Remembered for twice the time in which it could count, so that replicas whose clocks differ
  // agree.
  const until = (iat + 2 * windowOf(options)) * 1000;
  const id = `dpop ${jkt} ${hash('sha256', jti, 'base64url')}`;
  return { kind: 'verified', jkt, use: { id, until } };
}

function refused(flaw: string): ProofRefused {
  return { kind: 'refused', reason: `The DPoP proof ${flaw}` };
}

function windowOf({ windowSeconds = 60 }: ProofOptions): number {
  return windowSeconds;
}

/** The public key in the header, or what is wrong with the header. */
function headerKey(proof: string): JWK | string {
  if (proof.length > maxProof) return 'is too long.';
  let header: ReturnType<typeof decodeProtectedHeader>;
  try {
    header = decodeProtectedHeader(proof);
  } catch {
    return 'is not a JWT that can be read.';
  }
  const { typ, alg, jwk } = header;
  // Spec: RFC 9449 §4.3 (4)
  if (typ !== 'dpop+jwt') return 'has another "typ" than "dpop+jwt".';
  // Spec: RFC 9449 §4.3 (5): asymmetric, not none, and acceptable here
  if (!isAsymmetric(alg)) {
    return 'is signed with an algorithm that is not allowed.';
  }
  if (!isObject(jwk)) return 'has no public key in its header.';
  // Spec: RFC 9449 §4.3 (7)
  if (privateMembers.some((member) => Object.hasOwn(jwk, member))) {
    return 'shows a private key. Make a new key: this one is no secret any more.';
  }
  // A large exponent makes verifying as slow as signing.
  if (typeof jwk.e === 'string' && jwk.e.length > 6) return 'has an RSA key that is not usual.';
  return jwk;
}

const privateMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv'];

/** Spec: RFC 9449 §4.3 (6) */
async function verifiedPayload(proof: string): Promise<Record<string, unknown> | undefined> {
  try {
    const { payload } = await compactVerify(proof, EmbeddedJWK, {
      algorithms: [...asymmetricAlgorithms],
    });
    return payloadMembers(payload);
  } catch (error) {
    // What jose and the runtime throw for keys and signatures that are not good.
    const isBad = error instanceof errors.JOSEError || error instanceof TypeError;
    if (isBad || error instanceof DOMException) return undefined;
    throw error;
  }
}

/** Spec: RFC 9449 §4.3 (3), (8) to (12) */
function claimsFlaw(
  { jti, htm, htu, iat, ath }: Record<string, unknown>,
  { method, url, accessToken }: ProvenRequest,
  options: ProofOptions,
): string | undefined {
  if (typeof jti !== 'string' || jti === '' || jti.length > 1024) return 'has no usable "jti".';
  if (htm !== method) return 'is for another method.';
  if (typeof htu !== 'string' || !isSameTarget(htu, url)) return `is not for ${url}.`;
  if (typeof iat !== 'number' || !Number.isFinite(iat)) return 'does not say when it was made.';
  if (Math.abs(options.now() / 1000 - iat) > windowOf(options)) {
    return 'is too old, or of the future. Compare your clock with the "Date" of this answer.';
  }
  if (accessToken !== undefined && ath !== hash('sha256', accessToken, 'base64url')) {
    return 'is for another access token.';
  }
  return undefined;
}

/** Query and fragment do not count; spelling is normalised. Spec: RFC 9449 §4.3 (9) */
function isSameTarget(htu: string, url: string): boolean {
  const claimed = URL.parse(htu);
  const actual = URL.parse(url);
  if (claimed === null || actual === null) return false;
  const bare = claimed.username === '' && claimed.password === '';
  return bare && claimed.origin === actual.origin && claimed.pathname === actual.pathname;
}
