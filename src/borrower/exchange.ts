/**
 * The exchange of a lease's reference for a token that is bound to the grantee's key.
 *
 * Spec: docs/callbacks.md, "The exchange"; RFC 8693 §2, RFC 8707 §2, RFC 9396 §5, RFC 9449 §5
 */
import { z } from 'zod';
import type { Clock } from '../model/ids.ts';
import {
  leaseRefType,
  tokenExchangeGrant,
  type LeaseDetails,
  type LeaseOffer,
} from '../model/lease.ts';
import { readJsonDocument } from '../translate/json-document.ts';
import type { UrlRule } from './allowed-url.ts';
import { BorrowError, leaseOver } from './borrow-error.ts';
import type { ClientAssertion } from './client-assertion.ts';
import { nonceIn, type DpopProver } from './dpop-prover.ts';
import { discoverTokenEndpoint } from './issuer-metadata.ts';
import { askIssuer, protocolFault, type IssuerAnswer } from './issuer-request.ts';
import type { Fetch } from './options.ts';

/** A token, and its life from when it was asked for. */
export interface Granted {
  readonly token: string;
  readonly askedAt: number;
  readonly lifeMs: number;
}

/** Exchanges the reference once. Throws BorrowError. */
export type Exchange = (signal: AbortSignal) => Promise<Granted>;

/** What exchanging needs. */
export interface ExchangeOptions {
  readonly offer: LeaseOffer;
  readonly assertion: ClientAssertion;
  readonly prove: DpopProver;
  readonly details: LeaseDetails | undefined;
  readonly fetch: Fetch;
  readonly clock: Clock;
  readonly urls: UrlRule;
}

const accessTokenType = 'urn:ietf:params:oauth:token-type:access_token';
const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

const granted = z.object({
  // It becomes a header: one word of the characters of tokens. Spec: RFC 9110 §11.2
  access_token: z.string().regex(/^[A-Za-z0-9._~+/-]+=*$/),
  issued_token_type: z.literal(accessTokenType),
  // Spec: RFC 6749 §5.1: case does not matter.
  token_type: z.string().regex(/^dpop$/i),
  expires_in: z.number().positive(),
});

const refusal = z.object({ error: z.string() });

/** Prepares exchanges: metadata is read with the first one. */
export function createExchange(options: ExchangeOptions): Exchange {
  const { offer, clock, fetch: send, urls } = options;
  let endpoint: URL | undefined;
  /** Spec: RFC 9449 §8.2: the nonce of the last answer is for the next request. */
  let nonce: string | undefined;

  const ask = async (url: URL, signal: AbortSignal): Promise<IssuerAnswer> => {
    const [body, proof] = await Promise.all([
      form(options),
      options.prove({ method: 'POST', url, nonce }),
    ]);
    const headers = {
      accept: 'application/json',
      'content-type': 'application/x-www-form-urlencoded',
      dpop: proof,
    };
    const answer = await askIssuer(send, url.href, { method: 'POST', headers, body, signal });
    nonce = nonceIn(answer.response) ?? nonce;
    return answer;
  };

  return async (signal) => {
    endpoint ??= await discoverTokenEndpoint(offer.iss, { fetch: send, signal, urls });
    const sentNonce = nonce;
    let askedAt = clock();
    let answer = await ask(endpoint, signal);
    if (errorOf(answer) === 'use_dpop_nonce' && nonce !== sentNonce) {
      askedAt = clock();
      answer = await ask(endpoint, signal);
    }
    const { token, lifeMs } = tokenOf(answer);
    return { token, askedAt, lifeMs };
  };
}

/** Assertion and proof count once: everything is made anew for each request. */
async function form({ offer, assertion, details }: ExchangeOptions): Promise<string> {
  const parameters = new URLSearchParams({
    grant_type: tokenExchangeGrant,
    subject_token: offer.lease_ref,
    subject_token_type: leaseRefType,
    resource: offer.resource,
    requested_token_type: accessTokenType,
    client_assertion_type: assertionType,
    client_assertion: await assertion(offer.iss),
  });
  if (details !== undefined) parameters.set('authorization_details', JSON.stringify([details]));
  return parameters.toString();
}

function tokenOf(answer: IssuerAnswer): Pick<Granted, 'token' | 'lifeMs'> {
  if (answer.response.status !== 200) throw refused(errorOf(answer));
  const parsed = granted.safeParse(jsonOf(answer));
  if (!parsed.success) {
    const member = parsed.error.issues[0]?.path[0];
    throw protocolFault(
      typeof member === 'string' ? `has no usable "${member}"` : 'is not one of a token endpoint',
    );
  }
  return { token: parsed.data.access_token, lifeMs: parsed.data.expires_in * 1000 };
}

function errorOf(answer: IssuerAnswer): string | undefined {
  const parsed = answer.response.ok ? undefined : refusal.safeParse(jsonOf(answer));
  return parsed?.success === true ? parsed.data.error : undefined;
}

function jsonOf({ text }: IssuerAnswer): unknown {
  const document = readJsonDocument(text);
  return document.ok ? document.value : undefined;
}

const checkClient =
  'Check the client id, that its metadata names the public half of this key, and the clock.';

/** What to do about a code. Spec: RFC 6749 §5.2, RFC 8707 §2, RFC 9396 §5, RFC 9449 §5, §8 */
const advice: Readonly<Record<string, string>> = {
  invalid_client: checkClient,
  unauthorized_client: checkClient,
  invalid_dpop_proof:
    'Compare the clock of this machine with others, and bring a DPoP key for ES256.',
  use_dpop_nonce: 'Its nonces do not arrive here: look at what is in between.',
  invalid_authorization_details: 'Ask for no more than what was lent.',
  invalid_target: 'The offer is not one of this issuer.',
  invalid_request: 'Whoever runs it has to look into this.',
  unsupported_grant_type: 'It lends no tools.',
};

/** Words of the server are not passed on: a code that is not known is left out. */
function refused(code: string | undefined): BorrowError {
  if (code === 'invalid_grant') return leaseOver();
  const known = code !== undefined && Object.hasOwn(advice, code) ? code : undefined;
  return new BorrowError(
    'refused',
    `The issuer of the lease gave no token (${known ?? 'no known reason'}). ${advice[known ?? 'invalid_request']}`,
  );
}
