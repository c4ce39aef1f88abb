/** Facts about who came in, who did not, and who was given what. No token is among them. */

/** A request was not let in, or the token service refused a token. Anybody can cause many. */
export type Refusal =
  | { event: 'access.refused'; resource: string; status: number; error: string; reason: string }
  | { event: 'sts.refused'; endpoint: string; client?: string; error: string; reason: string };

/** A fact about identity. */
export type IdentityEvent =
  | Refusal
  /** Refusals of the last minute without lines of their own, since their addresses had many. */
  | {
      event: 'refusals.summary';
      total: number;
      /** How many there were of each kind, and the first of them. */
      kinds: readonly { count: number; first: Refusal }[];
    }
  /** Somebody was refused at a page of a connection: it was not theirs, or not their decision. */
  | {
      event: 'connection.refused';
      reason: string;
      connection?: string;
      peer?: string;
      by?: string;
    }
  | { event: 'connection.made'; connection: string; peer: string; client: string; by: string }
  | { event: 'connection.declined'; connection: string; peer: string; client: string; by: string }
  | { event: 'connection.failed'; connection: string; by: string; error: unknown }
  | { event: 'connection.removed'; by: string }
  /** Somebody could not log in. */
  | { event: 'login.failed'; organization: string; kind: string }
  /** The keys of a trusted issuer cannot be had, so that its tokens cannot be checked. */
  | { event: 'issuer.unavailable'; issuer: string; error: unknown }
  /** The token service issued or revoked a token. */
  | {
      event: 'sts.issued';
      client: string;
      organization: string;
      grant: string;
      resource: string;
      scopes: readonly string[];
      bound: boolean;
    }
  | { event: 'sts.revoked'; client: string; jti: string };

/** How loud each of them is. */
export const identityLevels = {
  'access.refused': 'info',
  'refusals.summary': 'warn',
  'connection.refused': 'warn',
  'connection.made': 'info',
  'connection.declined': 'info',
  'connection.failed': 'warn',
  'connection.removed': 'info',
  'login.failed': 'warn',
  'issuer.unavailable': 'warn',
  'sts.issued': 'info',
  'sts.revoked': 'info',
  'sts.refused': 'info',
} as const satisfies Record<IdentityEvent['event'], 'debug' | 'info' | 'warn' | 'error'>;
