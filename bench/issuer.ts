import { boundTo, startIssuer, type TestKey } from '../test/support/issuer.ts';
import type { Running } from './processes.ts';

/** An authorization server in the process of the bench, and the tokens that it gives out. */
export interface Issuer {
  /** Its name, as it stands in the gateway's configuration. */
  readonly issuer: string;
  /**
   * A token (ES256) for a path of a gateway, with the scopes to read and call every peer: a bearer
   * token, or one that is bound to a key.
   */
  token(gateway: Pick<Running, 'origin'>, path: string, key?: TestKey): Promise<string>;
  close(): Promise<void>;
}

/** Longer than any run. */
const lifetimeSeconds = 3600;

/** Starts it. Its keys are fetched once, before the gateway is warm. */
export async function startBenchIssuer(): Promise<Issuer> {
  const server = await startIssuer();
  return {
    issuer: server.issuer,
    token: async ({ origin }, path, key) =>
      server.token({
        ...(key !== undefined && (await boundTo(key))),
        aud: `${origin}${path}`,
        exp: Math.floor(Date.now() / 1000) + lifetimeSeconds,
        scope: 'peer:*:read peer:*:call',
      }),
    close: () => server.close(),
  };
}
