/**
 * Who a borrower is: an OAuth client that describes itself at its own URL, with a key that never
 * leaves it. A project of your own imports `isthmus/borrower` instead of the path below.
 *
 * Spec: draft-ietf-oauth-client-id-metadata-document-00 §4.1; RFC 7591 §2
 */
import { createPublicKey, webcrypto, type KeyObject } from 'node:crypto';
import { openLease, type Lease, type LeaseOffer } from '../../src/borrower/borrower.ts';
import { keyOf } from './key-file.ts';
import type { Options } from './program.ts';

/** Whom a borrower believes, and where its key is. */
export interface GranteeOptions {
  /** Offers of these issuers are accepted, and no others. */
  issuers: readonly string[];
  keyFile?: string;
}

/** The same on a command line. */
export const granteeFlags = {
  issuer: { multiple: true, default: 'http://127.0.0.1:8080/sts' },
  'key-file': {},
} as const satisfies Options;

const documentPath = '/client.json';

/** See the file comment. */
export class Grantee {
  readonly #name: string;
  readonly #issuers: readonly string[];
  readonly #key: KeyObject;
  /** One for all leases: the gateway pins the first that redeems a lease. */
  readonly #dpopKey: Promise<webcrypto.CryptoKeyPair>;

  constructor(name: string, { issuers, keyFile }: GranteeOptions) {
    this.#name = name;
    this.#issuers = issuers;
    this.#key = keyOf('p-256', keyFile);
    this.#dpopKey = proofKey();
  }

  /** The client id of a borrower at this origin. */
  clientId(origin: string): string {
    return `${origin}${documentPath}`;
  }

  /** What to serve at the client id, by its path. */
  documents(origin: string): Record<string, unknown> {
    const { kty, crv, x, y } = createPublicKey(this.#key).export({ format: 'jwk' });
    const document = {
      client_id: this.clientId(origin),
      client_name: this.#name,
      grant_types: ['urn:ietf:params:oauth:grant-type:token-exchange'],
      token_endpoint_auth_method: 'private_key_jwt',
      token_endpoint_auth_signing_alg: 'ES256',
      dpop_bound_access_tokens: true,
      jwks: { keys: [{ kty, crv, x, y, kid: 'client', alg: 'ES256', use: 'sig' }] },
    };
    return { [documentPath]: document };
  }

  /** Does something with what is lent, and gives it back. Rejects with a BorrowError as well. */
  async withLease<T>(
    offer: LeaseOffer,
    { origin, signal }: { origin: string; signal: AbortSignal },
    act: (lease: Lease) => Promise<T>,
  ): Promise<T> {
    const lease = await openLease(offer, {
      clientId: this.clientId(origin),
      key: this.#key.export({ format: 'pem', type: 'pkcs8' }).toString(),
      keyId: 'client',
      dpopKey: await this.#dpopKey,
      issuers: this.#issuers,
      clientInfo: { name: this.#name, version: '1.0.0' },
      signal,
    });
    try {
      return await act(lease);
    } finally {
      await lease.close();
    }
  }
}

async function proofKey(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, false, [
    'sign',
    'verify',
  ]);
}
