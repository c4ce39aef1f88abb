/**
 * The claims of a verified access token, and why they do not count. What somebody else's token
 * says is read strictly: no member twice, no audience but one.
 *
 * Spec: RFC 9068 §2.2 and §4, RFC 7519 §4.1
 */
import { isUtf8 } from 'node:buffer';
import { isObject } from '../../model/json.ts';
import { readJsonDocument } from '../../translate/json-document.ts';

/** What an access token says, as far as it matters here. Times are in seconds. */
export interface AccessClaims {
  readonly subject: string;
  readonly client: string;
  readonly scopes: readonly string[];
  readonly expiresAt: number;
  readonly jti?: string;
  /** The thumbprint of the key that the token is bound to. Spec: RFC 9449 §6.1 */
  readonly jkt?: string;
  /** Claims of the gateway's own tokens: the organisation, and who vouches for the subject. */
  readonly org?: string;
  readonly idp?: string;
  /** The lease that its calls are made under. */
  readonly lease?: string;
}

/** What the claims are held against. Times are in seconds. */
export interface Expected {
  readonly resource: string;
  readonly now: number;
  readonly leeway: number;
}

const maxText = 1024;

/** The members of a payload; undefined when it is not a JSON object that has one reading. */
export function payloadMembers(payload: Uint8Array): Record<string, unknown> | undefined {
  // Bytes that are no UTF-8 would all be read as one character, and two subjects as one.
  if (!isUtf8(payload)) return undefined;
  const document = readJsonDocument(new TextDecoder().decode(payload));
  return document.ok && isObject(document.value) ? document.value : undefined;
}

/** The claims, or what is wrong with the token; the text completes "The access token …". */
export function readClaims(
  payload: Record<string, unknown>,
  expected: Expected,
): AccessClaims | string {
  // Spec: RFC 8707 §2, MCP 2026-07-28 "Token Handling": issued for this resource and no other.
  if (payload['aud'] !== expected.resource) {
    return `is not for ${expected.resource}: ask for one with this "resource".`;
  }
  const untimely = timeFlaw(payload, expected);
  if (untimely !== undefined) return untimely;
  const subject = text(payload['sub']);
  const client = text(payload['client_id'] ?? payload['azp']);
  if (subject === undefined || client === undefined) return 'names no subject or no client.';
  const scopes = scopesOf(payload);
  if (scopes === undefined) return 'has a malformed scope.';
  const jkt = confirmation(payload['cnf']);
  if (jkt === false) return 'is bound to its holder in a way that is not supported here.';
  const { jti, org, idp, lease } = payload;
  return {
    subject,
    client,
    scopes,
    expiresAt: payload['exp'] as number,
    ...(jkt !== undefined && { jkt }),
    ...optional('jti', jti),
    ...optional('org', org),
    ...optional('idp', idp),
    ...optional('lease', lease),
  };
}

function timeFlaw(
  { exp, nbf, iat }: Record<string, unknown>,
  { now, leeway }: Expected,
): string | undefined {
  if (!isTime(exp)) return 'does not say when it expires.';
  if (exp + leeway <= now) return 'has expired.';
  for (const start of [nbf, iat]) {
    if (start === undefined) continue;
    if (!isTime(start) || start > now + leeway) return 'is not valid yet.';
  }
  return undefined;
}

/** Spec: RFC 9068 §2.2.3 (`scope`); `scp` is what some servers call it, as text or as a list. */
function scopesOf({ scope, scp }: Record<string, unknown>): string[] | undefined {
  const given = scope ?? scp ?? [];
  if (Array.isArray(given) && scope !== undefined) return undefined;
  const list: unknown = typeof given === 'string' ? given.split(' ').filter(Boolean) : given;
  if (!Array.isArray(list)) return undefined;
  return list.every((one) => typeof one === 'string' && scopeToken.test(one))
    ? (list as string[])
    : undefined;
}

/** Spec: RFC 6749 §3.3 */
const scopeToken = /^[\x21\x23-\x5b\x5d-\x7e]{1,256}$/;

/** The key's thumbprint; false when the token is bound by something that nobody checks here. */
function confirmation(cnf: unknown): string | undefined | false {
  if (cnf === undefined) return undefined;
  if (!isObject(cnf) || Object.keys(cnf).join() !== 'jkt') return false;
  return text(cnf['jkt']) ?? false;
}

function optional<Name extends string>(name: Name, value: unknown): { [key in Name]?: string } {
  const found = text(value);
  return found === undefined ? {} : ({ [name]: found } as { [key in Name]: string });
}

/** Lone surrogates become one and the same character in a store: they name nobody. */
function text(value: unknown): string | undefined {
  if (typeof value !== 'string' || value === '' || value.length > maxText) return undefined;
  return value.isWellFormed() ? value : undefined;
}

function isTime(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}
