/** A lender's issuer and callback endpoint, and an agent that is lent tools. */
import { exportJWK, generateKeyPair, type JSONWebKeySet, type JWK } from 'jose';
import { onTestFinished } from 'vitest';
import { openLease, type Lease, type OpenLeaseOptions } from '../../src/borrower/borrower.ts';
import {
  startCallbackAuthority,
  type CallbackAuthority,
  type CallbackAuthorityOptions,
} from '../support/callback-authority.ts';
import {
  startCallbackServer,
  type CallbackServer,
  type Lent,
  type WireOffer,
} from '../support/callback-server.ts';

/** The agent's client id. */
export const agent = 'https://partner.example/agent.json';

/** How the lender's side behaves. */
export interface WorldOptions extends Omit<CallbackAuthorityOptions, 'clients'> {
  readonly era?: 'modern' | 'legacy';
  /** Of the callback endpoint. */
  readonly callbackNonces?: boolean;
  /** The agent's public keys, where a test has keys of its own. */
  readonly publicKeys?: JSONWebKeySet;
}

/** See the file comment. */
export interface BorrowerWorld {
  readonly authority: CallbackAuthority;
  readonly callback: CallbackServer;
  /** The agent's private key. */
  readonly key: JWK;
  lend(lent?: Partial<Lent>): WireOffer;
  /** What the agent passes, and what a test changes of it. */
  options(changes?: Partial<OpenLeaseOptions>): OpenLeaseOptions;
  /** Closed with the world. */
  open(offer: WireOffer, changes?: Partial<OpenLeaseOptions>): Promise<Lease>;
  /** How many requests either of the servers got. */
  requestCount(): number;
  close(): Promise<void>;
}

/** Starts both servers. */
export async function startBorrowerWorld(options: WorldOptions = {}): Promise<BorrowerWorld> {
  const { era = 'modern', callbackNonces = false, publicKeys, ...behaviour } = options;
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
  const jwks = publicKeys ?? {
    keys: [{ ...(await exportJWK(publicKey)), kid: 'agent-1', alg: 'ES256' }],
  };
  const authority = await startCallbackAuthority({ ...behaviour, clients: { [agent]: jwks } });
  const callback = await startCallbackServer({ authority, era, nonces: callbackNonces });
  const key = { ...(await exportJWK(privateKey)), kid: 'agent-1', alg: 'ES256' };
  const optionsFor = (changes: Partial<OpenLeaseOptions> = {}): OpenLeaseOptions => ({
    clientId: agent,
    key,
    issuers: [authority.issuer],
    ...changes,
  });
  const leases: Lease[] = [];
  return {
    authority,
    callback,
    key,
    lend: (lent = {}) => callback.lend({ client: agent, ...lent }),
    options: optionsFor,
    async open(offer, changes) {
      const lease = await openLease(offer, optionsFor(changes));
      leases.push(lease);
      return lease;
    },
    requestCount: () => authority.requests.length + callback.requests.length,
    async close() {
      await Promise.all(leases.map((lease) => lease.close()));
      await callback.close();
      await authority.close();
    },
  };
}

/** The same for one test, with which it ends. */
export async function worldOfTest(options?: WorldOptions): Promise<BorrowerWorld> {
  const world = await startBorrowerWorld(options);
  onTestFinished(() => world.close());
  return world;
}

/** The error that something rejects with. */
export async function failureOf(waited: Promise<unknown>): Promise<unknown> {
  try {
    await waited;
  } catch (error) {
    return error;
  }
  throw new Error('It did not fail.');
}
