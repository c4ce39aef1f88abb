/** What the vault keeps of one consent: its tokens, and everything that it was given for. */
import type { JsonObject } from '../../model/json.ts';
import { ownerKey, type Principal } from '../../model/principal.ts';
import type { ConnectionUse } from '../../ports/connections.ts';
import { digest } from '../secret-digest.ts';

/** See the file comment. */
export interface Held extends ConnectionUse {
  readonly issuer: string;
  readonly clientId: string;
  readonly client: string;
  readonly accessToken: string;
  readonly refreshToken?: string;
  readonly expiresAt?: number;
  readonly scopes: readonly string[];
  readonly since: number;
  /** The peer does not take the token, and there is no other one without the person. */
  readonly refused?: true;
}

/**
 * Consent is per client and use: the same person's other client, and the same peer at another
 * place, have ids of their own.
 */
export function idOf(principal: Principal, use: ConnectionUse): string {
  return digest(JSON.stringify([ownerKey(principal), ...partsOf(use)]));
}

/** Whether two uses are the same. */
export function isSameUse(one: ConnectionUse, other: ConnectionUse): boolean {
  return JSON.stringify(partsOf(one)) === JSON.stringify(partsOf(other));
}

/** The hosts that are given the token. */
export function hostsOf({ origins }: ConnectionUse): string[] {
  return [...new Set(origins)].map((origin) => new URL(origin).host);
}

/** As it is stored. */
export function valueOf(held: Held): JsonObject {
  return { ...held, scopes: [...held.scopes], origins: [...held.origins] };
}

/** Undefined when it is none. */
export function heldFrom(value: JsonObject): Held | undefined {
  const { issuer, clientId, client, accessToken, refreshToken, expiresAt, since } = value;
  const use = useFrom(value);
  if (
    use === undefined ||
    typeof issuer !== 'string' ||
    typeof clientId !== 'string' ||
    typeof client !== 'string' ||
    typeof accessToken !== 'string' ||
    typeof since !== 'number'
  ) {
    return undefined;
  }
  const scopes = Array.isArray(value['scopes']) ? value['scopes'].map(String) : [];
  return {
    ...use,
    issuer,
    clientId,
    client,
    accessToken,
    since,
    scopes,
    ...(typeof refreshToken === 'string' && { refreshToken }),
    ...(typeof expiresAt === 'number' && { expiresAt }),
    ...(value['refused'] === true && { refused: true }),
  };
}

/** The use in something that is stored; undefined when there is none. */
export function useFrom(value: JsonObject): ConnectionUse | undefined {
  const { connection, peerId, resource, origins } = value;
  if (
    typeof connection !== 'string' ||
    typeof peerId !== 'string' ||
    typeof resource !== 'string' ||
    !Array.isArray(origins)
  ) {
    return undefined;
  }
  return { connection, peerId, resource, origins: origins.map(String) };
}

function partsOf({ connection, peerId, resource, origins }: ConnectionUse): unknown[] {
  return [connection, peerId, resource, [...new Set(origins)].toSorted()];
}
