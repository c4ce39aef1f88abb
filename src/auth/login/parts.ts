/** What the steps of a login share. */
import type { ServerResponse } from 'node:http';
import type { Clock } from '../../model/ids.ts';
import type { LoginAttempts } from './attempt.ts';
import type { LoginProblem } from './login-pages.ts';
import type { ProviderClient } from './provider.ts';
import type { Sessions } from './sessions.ts';

/** The parts of the login. */
export interface LoginParts {
  /** The gateway's own origin. */
  readonly origin: string;
  /** By organisation. */
  readonly clients: ReadonlyMap<string, ProviderClient>;
  readonly attempts: LoginAttempts;
  readonly sessions: Sessions;
  readonly clock: Clock;
  /** What a person calls the provider. */
  readonly nameOf: (client: ProviderClient) => string;
  readonly redirectUri: (organization: string) => string;
  /** Answers with the page of a problem, and tells whoever listens. */
  readonly fail: (
    res: ServerResponse,
    problem: LoginProblem,
    facts?: { organization?: string; returnTo?: string; error?: unknown },
  ) => void;
}
