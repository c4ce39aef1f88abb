/** The grants that the STS knows, by type. Another one is another file and a line here. */
import { clientCredentialsGrant } from './client-credentials.ts';
import type { GrantType } from './client.ts';
import type { Grant } from './grant.ts';
import { idJagGrant, type IdJagOptions } from './id-jag.ts';
import { tokenExchangeGrant, type TokenExchangeOptions } from './token-exchange.ts';

/** What the grants need; a grant whose part is absent is not offered. */
export interface GrantsOptions {
  readonly issuer: string;
  readonly idJag?: IdJagOptions;
  readonly exchange?: TokenExchangeOptions;
}

/** The grants that are offered. */
export function createGrants({
  issuer,
  idJag,
  exchange,
}: GrantsOptions): ReadonlyMap<string, Grant> {
  const offered: Record<GrantType, Grant | undefined> = {
    client_credentials: clientCredentialsGrant({ issuer }),
    'urn:ietf:params:oauth:grant-type:jwt-bearer': idJag && idJagGrant(idJag),
    'urn:ietf:params:oauth:grant-type:token-exchange': exchange && tokenExchangeGrant(exchange),
  };
  return new Map(
    Object.values(offered)
      .filter((grant) => grant !== undefined)
      .map((grant) => [grant.type, grant]),
  );
}
