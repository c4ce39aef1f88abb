import { GatewayError } from '../../model/errors.ts';

/** Why the guard did not let a request out, or did not accept where it was sent on to. */
export type EgressRefusal =
  | 'url' // not an absolute URL
  | 'scheme' // neither http nor https
  | 'credentials' // user or password inside the URL
  | 'address' // a literal, resolved or connected address that is not public and not listed
  | 'self' // this gateway
  | 'origin' // not an origin that may have the peer's credentials
  | 'redirect'; // the peer answered with a redirect, which is never followed

const texts: Record<EgressRefusal, string> = {
  url: 'The target is not an absolute URL.',
  scheme: 'Only http and https targets can be reached.',
  credentials: 'A URL must not carry a user name or password.',
  address:
    'The target is not on the public network; an operator can list it under egress in the configuration.',
  self: 'The target is this gateway itself. A peer has to name an address of its own.',
  origin:
    "The agent's card points to another origin, where the agent's credentials do not go; an operator can list it under a2a.origins in the configuration.",
  redirect: 'The target answered with a redirect, and redirects are not followed.',
};

/**
 * An outbound request that the guard refused. The text and facts are safe to show: they hold the
 * host as the caller wrote it, never an address that it resolves to.
 */
export class EgressRefusedError extends GatewayError {
  readonly reason: EgressRefusal;
  readonly host: string;

  constructor(reason: EgressRefusal, host: string, options: { cause?: unknown } = {}) {
    super('egress-refused', texts[reason], { facts: { reason, host }, cause: options.cause });
    this.name = 'EgressRefusedError';
    this.reason = reason;
    this.host = host;
  }
}
