/**
 * Who the calling client is: it signs a short-lived assertion with its own key, for this issuer and
 * for one use. There is no other method: no secrets, nothing in headers.
 *
 * Spec: RFC 7523 §2.2, §3; RFC 7521 §4.2; draft-ietf-oauth-rfc7523bis (audience: the issuer alone);
 * RFC 9700 §2.5 (asymmetric client authentication)
 */
import type { IncomingMessage } from 'node:http';
import { decodeJwt, errors, type JWTPayload, type JWTVerifyGetKey } from 'jose';
import { asymmetricAlgorithms } from '../asymmetric-algorithms.ts';
import type { Clock } from '../../model/ids.ts';
import type { ReplayStore } from '../../ports/replay-store.ts';
import type { Client } from './client.ts';
import type { Clients } from './clients.ts';
import type { FormBody } from './form-body.ts';
import { verifyWith } from './key-set.ts';
import { invalidClient, OAuthError } from './oauth-error.ts';
import { firstUse } from './single-use.ts';

/** What authenticating clients needs. Times in milliseconds. */
export interface ClientAuthenticationOptions {
  readonly issuer: string;
  readonly clients: Clients;
  readonly replay: ReplayStore;
  readonly clock: Clock;
  readonly toleranceMs: number;
}

/** Authenticates the client of a request, or throws `invalid_client`. */
export type AuthenticateClient = (req: IncomingMessage, form: FormBody) => Promise<Client>;

/** How long an assertion may be good for. */
const maxLifetimeMs = 5 * 60_000;

const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

/** Tokens of other types are no client assertions. Spec: RFC 8725 §3.11, §3.12 */
const types: ReadonlySet<string> = new Set(['jwt', 'client-authentication+jwt']);

/** Builds the check. */
export function createClientAuthentication(
  options: ClientAuthenticationOptions,
): AuthenticateClient {
  return async (req, form) => {
    const assertion = assertionOf(req, form);
    const clientId = claimedClient(assertion);
    const named = form.get('client_id');
    // Spec: RFC 7521 §4.2 (client_id, when sent, identifies the same client)
    if (named !== undefined && named !== clientId) {
      throw invalidClient('client_id differs from the subject of the assertion');
    }
    const client = await options.clients.find(clientId);
    if (client === undefined) throw invalidClient('unknown client');
    const payload = await verify(assertion, client, options);
    checkTimes(payload, options);
    const { jti, exp } = payload;
    if (typeof jti !== 'string' || jti === '' || exp === undefined) {
      throw invalidClient('the assertion has no jti');
    }
    const until = exp * 1000 + options.toleranceMs;
    const first = await firstUse(options.replay, {
      use: 'client-assertion',
      issuer: clientId,
      jti,
      until,
    });
    if (!first) throw invalidClient('the assertion was used before');
    return client;
  };
}

function assertionOf(req: IncomingMessage, form: FormBody): string {
  const assertion = form.get('client_assertion');
  const other = req.headers.authorization !== undefined || form.get('client_secret') !== undefined;
  // Spec: RFC 6749 §2.3 (never more than one method in a request)
  if (assertion !== undefined && other) {
    throw new OAuthError(
      'invalid_request',
      'Authenticate by client_assertion alone: send no Authorization header and no client_secret.',
    );
  }
  if (assertion === undefined || form.get('client_assertion_type') !== assertionType) {
    throw invalidClient('no client assertion');
  }
  return assertion;
}

/** Who a request says it is from, for the log; cut to a bearable length. */
export function claimedClientOf(form: FormBody): string | undefined {
  try {
    return claimedClient(form.get('client_assertion') ?? '').slice(0, 200);
  } catch {
    return undefined;
  }
}

/** Who the assertion says it is from; nothing is believed yet. Spec: RFC 7523 §3 (items 1, 2B) */
function claimedClient(assertion: string): string {
  let claims: JWTPayload;
  try {
    claims = decodeJwt(assertion);
  } catch {
    throw invalidClient('the assertion is not a JWT');
  }
  const { iss, sub } = claims;
  if (typeof sub !== 'string' || sub === '' || iss !== sub) {
    throw invalidClient('iss and sub of the assertion are not one client id');
  }
  return sub;
}

async function verify(
  assertion: string,
  client: Client,
  options: ClientAuthenticationOptions,
): Promise<JWTPayload> {
  const { clients } = options;
  const keys = await clients.keysOf(client);
  if (keys === undefined) throw invalidClient('the keys of the client cannot be had');
  try {
    return await verifyBy(keys, assertion, { client, options });
  } catch (error) {
    if (!(error instanceof errors.JWKSNoMatchingKey)) throw refusal(error);
  }
  const renewed = await clients.renewedKeysOf(client);
  if (renewed === undefined) throw invalidClient('the client has no such key');
  try {
    return await verifyBy(renewed, assertion, { client, options });
  } catch (error) {
    throw refusal(error);
  }
}

async function verifyBy(
  keys: JWTVerifyGetKey,
  assertion: string,
  { client, options }: { client: Client; options: ClientAuthenticationOptions },
): Promise<JWTPayload> {
  const { issuer, clock, toleranceMs } = options;
  const { payload, protectedHeader } = await verifyWith(assertion, keys, {
    algorithms: client.algorithm === undefined ? [...asymmetricAlgorithms] : [client.algorithm],
    issuer: client.clientId,
    subject: client.clientId,
    audience: issuer,
    requiredClaims: ['exp', 'iat', 'jti'],
    currentDate: new Date(clock()),
    clockTolerance: toleranceMs / 1000,
  });
  const type = protectedHeader.typ?.toLowerCase().replace(/^application\//, '');
  if (type !== undefined && !types.has(type)) throw invalidClient('a token of another type');
  // A list could name others, who would then hold an assertion that is good here.
  if (typeof payload.aud !== 'string') throw invalidClient('the audience is not one string');
  return payload;
}

function checkTimes(
  { exp = Infinity, iat = Infinity }: JWTPayload,
  { clock, toleranceMs }: ClientAuthenticationOptions,
): void {
  if (iat * 1000 > clock() + toleranceMs) throw invalidClient('the assertion is from the future');
  // As iat is not to come, this bounds how far ahead exp is, too.
  if ((exp - iat) * 1000 > maxLifetimeMs) {
    throw invalidClient('the assertion is good for too long');
  }
}

function refusal(error: unknown): unknown {
  return error instanceof errors.JOSEError ? invalidClient(error.code) : error;
}
