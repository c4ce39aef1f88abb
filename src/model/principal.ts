/**
 * Who is calling. `open` mode knows one anonymous principal; identity fills the rest.
 */
export interface Principal {
  /** The organisation (tenant) that the caller belongs to. */
  readonly organization: string;
  /** The issuer of the caller's token; empty for the anonymous principal. */
  readonly issuer: string;
  /** The caller's subject at that issuer. */
  readonly subject: string;
  /** The OAuth client that acts for the subject. */
  readonly client: string;
  /** Granted scopes. */
  readonly scopes: readonly string[];
}

/** The owner key that every row is stored under: organisation, issuer, subject and client. */
export type OwnerKey = string & { readonly __brand: 'OwnerKey' };

/**
 * The key of everything that a principal owns. Members are JSON-quoted, so that no two principals
 * share a key however their names are cut.
 */
export function ownerKey(principal: Principal): OwnerKey {
  const { organization, issuer, subject, client } = principal;
  return JSON.stringify([organization, issuer, subject, client]) as OwnerKey;
}

/** The one principal of `open` mode. */
export const anonymous: Principal = {
  organization: 'local',
  issuer: '',
  subject: 'anonymous',
  client: 'anonymous',
  scopes: [],
};
