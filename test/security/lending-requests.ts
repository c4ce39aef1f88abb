/** What borrowers and those who would be borrowers send: exchanges and callbacks, each a good one but for what it proves. */
import { randomUUID } from 'node:crypto';
import { request } from 'node:http';
import { SignJWT, type CryptoKey } from 'jose';
import { leaseExtension, leaseRefType, type LeaseOffer } from '../../src/model/lease.ts';
import { dpopProof, testKey, type ProofShape, type TestKey } from '../support/issuer.ts';
import { WireClient, type WireResponse } from '../support/wire-client.ts';

export const exchangeGrant = 'urn:ietf:params:oauth:grant-type:token-exchange';
export const detailsType = leaseExtension;
export const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

/** Who redeems: an OAuth client. */
export interface Borrower {
  readonly clientId: string;
  readonly key: CryptoKey;
}

/** How an assertion differs from a good one. */
export interface AssertionShape {
  readonly claims?: Record<string, unknown>;
  readonly header?: Record<string, unknown>;
  readonly key?: CryptoKey;
}

/** A client's assertion for an issuer. */
export async function assertionOf(
  { clientId, key }: Borrower,
  issuer: string,
  { claims = {}, header = {}, key: other }: AssertionShape = {},
): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  return new SignJWT({
    iss: clientId,
    sub: clientId,
    aud: issuer,
    iat: now,
    exp: now + 60,
    jti: randomUUID(),
    ...claims,
  })
    .setProtectedHeader({ alg: 'ES256', kid: 'agent', ...header })
    .sign(other ?? key);
}

/** An answer of the token endpoint. */
export interface FormAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly json: Record<string, unknown>;
}

/** How an exchange differs from a good one. */
export interface ExchangeShape {
  readonly assertion?: AssertionShape;
  /** Replaces parameters; `undefined` leaves one out, a list repeats it. */
  readonly form?: Record<string, string | readonly string[] | undefined>;
  /** The key that is proved; a new one when absent. */
  readonly proofKey?: TestKey;
  readonly proof?: Partial<ProofShape>;
  /** Replaces the proofs. */
  readonly proofs?: readonly string[];
}

/** The parameters of an exchange. */
export async function exchangeForm(
  offer: LeaseOffer,
  who: Borrower,
  { assertion, form = {} }: ExchangeShape = {},
): Promise<[string, string][]> {
  const all: Record<string, string | readonly string[] | undefined> = {
    grant_type: exchangeGrant,
    subject_token: offer.lease_ref,
    subject_token_type: leaseRefType,
    resource: offer.resource,
    client_assertion_type: assertionType,
    client_assertion: await assertionOf(who, offer.iss, assertion),
    ...form,
  };
  return Object.entries(all).flatMap(([name, value]) =>
    (value === undefined ? [] : [value].flat()).map((one): [string, string] => [name, one]),
  );
}

/** Asks for a token. */
export async function exchange(
  offer: LeaseOffer,
  who: Borrower,
  shape: ExchangeShape = {},
): Promise<FormAnswer> {
  const endpoint = `${offer.iss}/token`;
  const key = shape.proofKey ?? (await testKey());
  const proofs = shape.proofs ?? [
    await dpopProof({ key, htm: 'POST', htu: endpoint, ...shape.proof }),
  ];
  return postForm(endpoint, await exchangeForm(offer, who, shape), proofs);
}

/** A token for all of a lease, or for `details` of it. */
export async function tokenFor(
  offer: LeaseOffer,
  who: Borrower,
  { key, details }: { key: TestKey; details?: Record<string, unknown> },
): Promise<string> {
  const form = details === undefined ? {} : { authorization_details: JSON.stringify([details]) };
  const { json, text } = await exchange(offer, who, { proofKey: key, form });
  if (typeof json['access_token'] !== 'string') throw new Error(text);
  return json['access_token'];
}

/** Posts a form; a header that is there twice is sent twice. */
export async function postForm(
  url: string,
  form: readonly (readonly [string, string])[],
  proofs: readonly string[] = [],
): Promise<FormAnswer> {
  const body = new URLSearchParams(
    form.map(([name, value]): [string, string] => [name, value]),
  ).toString();
  const { status, headers, text } = await post(url, body, {
    'content-type': 'application/x-www-form-urlencoded',
    ...(proofs.length > 0 && { dpop: [...proofs] }),
  });
  return {
    status,
    headers,
    text,
    json: JSON.parse(text === '' ? '{}' : text) as Record<string, unknown>,
  };
}

/** A POST whose headers are sent as they are. */
export function post(
  url: string,
  body: string,
  headers: Record<string, string | string[]>,
): Promise<{ status: number; headers: Headers; text: string }> {
  return new Promise((resolve, reject) => {
    const req = request(url, { method: 'POST', headers, agent: false }, (res) => {
      const chunks: Buffer[] = [];
      res.on('data', (chunk: Buffer) => chunks.push(chunk));
      res.on('error', reject);
      res.on('end', () =>
        resolve({
          status: res.statusCode ?? 0,
          headers: new Headers(
            Object.entries(res.headers).map(([name, value]) => [name, [value].flat().join(', ')]),
          ),
          text: Buffer.concat(chunks).toString('utf8'),
        }),
      );
    });
    req.on('error', reject);
    req.end(body);
  });
}

/** How a callback differs from a good one. */
export interface CallbackShape {
  readonly token: string;
  /** The key of the proof; no proof without it. */
  readonly key?: TestKey;
  readonly proof?: Partial<ProofShape>;
  /** A proof that was made before. */
  readonly dpop?: string;
  readonly scheme?: string;
  readonly method?: string;
  readonly params?: Record<string, unknown>;
  readonly meta?: Record<string, unknown>;
  readonly signal?: AbortSignal;
}

/** One request at a callback endpoint; `tools/list` unless it says otherwise. */
export async function callback(resource: string, shape: CallbackShape): Promise<WireResponse> {
  const { token, key, scheme = 'DPoP', method = 'tools/list', params = {}, meta, signal } = shape;
  const dpop =
    shape.dpop ??
    (key &&
      (await dpopProof({ key, htm: 'POST', htu: resource, accessToken: token, ...shape.proof })));
  return new WireClient(resource).request(method, params, {
    headers: { authorization: `${scheme} ${token}`, dpop },
    capabilities: {},
    ...(meta !== undefined && { meta }),
    ...(signal !== undefined && { signal }),
  });
}

/** A call of a lent tool. */
export function callTool(
  resource: string,
  { token, key }: { token: string; key: TestKey },
  name: string,
  args: Record<string, unknown> = {},
): Promise<WireResponse> {
  const params = { name, arguments: args };
  return callback(resource, { token, key, method: 'tools/call', params });
}

/** The text of a tool's result, and whether it is an error. */
export function resultOf({ status, result, error }: WireResponse): {
  status: number;
  isError?: unknown;
  text: string;
} {
  const content = (result?.['content'] ?? []) as { text?: string }[];
  const text = content.map((part) => part.text ?? '').join('');
  return {
    status,
    isError: result?.['isError'],
    text: text === '' ? JSON.stringify(error ?? '') : text,
  };
}

/** Waits for something to happen; throws when it does not. */
export async function until(done: () => boolean): Promise<void> {
  for (const end = Date.now() + 8000; !done();) {
    if (Date.now() > end) throw new Error('it did not happen');
    await new Promise((go) => setTimeout(go, 20));
  }
}
