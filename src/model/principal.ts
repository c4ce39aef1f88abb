/** Somebody as their organisation knows them: a person, or a machine that acts for itself. */
export interface Person {
  /** The organisation (tenant) that they belong to. */
  readonly organization: string;
  /** The issuer that vouches for the subject; empty for the anonymous principal. */
  readonly issuer: string;
  /** The subject at that issuer. */
  readonly subject: string;
}

/** Who is calling. `open` mode knows one anonymous principal. */
export interface Principal extends Person {
  /** The OAuth client that acts for the subject. */
  readonly client: string;
  /** Granted scopes. */
  readonly scopes: readonly string[];
  /** The token that came with the call: its issuer, and the scopes that it names itself. */
  readonly token?: { readonly issuer: string; readonly scopes: readonly string[] };
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

/** The key of a person, whichever client acts for them. */
export function personKey({ organization, issuer, subject }: Person): string {
  return JSON.stringify([organization, issuer, subject]);
}

/** The one principal of `open` mode: it may do everything that callers may. */
export const anonymous: Principal = {
  organization: 'local',
  issuer: '',
  subject: 'anonymous',
  client: 'anonymous',
  scopes: ['peer:*:call', 'lend'],
};
