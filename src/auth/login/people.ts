/**
 * Logs people in at their organisation's OpenID provider, and keeps the sessions of their browsers.
 * Answers `/login`, `/login/callback/{organization}` and `/logout`.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Person } from '../../model/principal.ts';
import type { Clock, RandomBytes } from '../../model/ids.ts';
import type { People, PersonSession } from '../../ports/people.ts';
import type { ReplayStore } from '../../ports/replay-store.ts';
import type { SecretSeal, SecretStore } from '../../ports/secret-store.ts';
import { isOwnForm } from '../pages/form.ts';
import { sendPage } from '../pages/page.ts';
import type { SigningKey } from '../signing-key.ts';
import { createLoginAttempts } from './attempt.ts';
import { createCallback } from './callback.ts';
import { cookiesOf, sessionCookie } from './cookies.ts';
import { createIdentity, type ProvenIdentity } from './identity.ts';
import { problemPage, statusPage, type LoginProblem } from './login-pages.ts';
import { createLogout } from './logout.ts';
import type { LoginParts } from './parts.ts';
import { callbackPath, loginPath, queryOf } from './paths.ts';
import { createProviderClient, type LoginProvider } from './provider.ts';
import { createSessions, type SessionLifetime } from './sessions.ts';
import { createStart } from './start.ts';

/** What the login needs. */
export interface PeopleOptions {
  /** One for each organisation whose people log in. */
  readonly providers: readonly LoginProvider[];
  /** The gateway's own origin. */
  readonly publicUrl: string;
  readonly store: SecretStore;
  /** Seals what browsers keep of a login that is under way. */
  readonly seal: SecretSeal;
  /** Remembers which logins have been used. */
  readonly replay: ReplayStore;
  /** The guarded client. */
  readonly fetch: typeof fetch;
  readonly clock: Clock;
  readonly random: RandomBytes;
  /** What people call their organisation; its id when it has no name. */
  readonly organizationNames: ReadonlyMap<string, string>;
  /** The gateway's signing key, for providers with `privateKeyJwt`. */
  readonly signingKey: () => Pick<SigningKey, 'kid' | 'privateKey'>;
  readonly lifetime?: SessionLifetime;
  /** Hears of every login that failed. The error may hold what a provider wrote. */
  readonly onProblem?: (problem: {
    readonly organization: string | undefined;
    readonly kind: LoginProblem['kind'];
    readonly error?: unknown;
  }) => void;
}

/** The login. */
export interface Login extends People {
  /** Answers the login's own paths; false when the path is none of them. */
  handle(req: IncomingMessage, res: ServerResponse, path: string): Promise<boolean>;
  /** Whether a posted form came from a page of ours for this session. */
  checkForm(req: IncomingMessage, session: PersonSession, fields: URLSearchParams): boolean;
  /**
   * The latest ID token of a person that is still valid, renewed where the provider allows it;
   * undefined when they have to log in again. It never leaves the gateway but for its own issuer.
   */
  identityOf(person: Person): Promise<ProvenIdentity | undefined>;
}

/** Builds the login. Throws when two providers serve the same organisation. */
export function createPeople(options: PeopleOptions): Login {
  const parts = partsOf(options);
  const { clients, sessions, origin, clock } = parts;
  const [login, logout, callback] = [
    createStart(parts),
    createLogout(parts),
    createCallback(parts),
  ];
  const sessionOf = async (req: IncomingMessage): Promise<PersonSession | undefined> => {
    const value = cookiesOf(req).get(sessionCookie);
    const session = value === undefined ? undefined : await sessions.find(value);
    if (session === undefined) return undefined;
    // A login counts for as long as its provider is the one that is configured.
    const { organization, issuer } = session.person;
    return clients.get(organization)?.config.issuer === issuer ? session : undefined;
  };

  /** `/login`: the way to the provider, or who is logged in when nothing else was asked. */
  const open = async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    const query = queryOf(req);
    const organization = query.get('organization') ?? undefined;
    const returnTo = query.get('returnTo') ?? undefined;
    const session = await sessionOf(req);
    if (session !== undefined && organization === undefined && returnTo === undefined) {
      const { organization: id } = session.person;
      const name = options.organizationNames.get(id) ?? id;
      const html = statusPage(session, name, { logout: '/logout' });
      return sendPage(res, { status: 200, html, forms: true });
    }
    const fresh = query.get('fresh') === 'true';
    await login(req, res, {
      returnTo: returnTo ?? '/login',
      ...(organization !== undefined && { organization }),
      fresh,
    });
  };

  return {
    sessionOf,
    login,
    checkForm: (req, session, fields) => isOwnForm(req, origin, { session, fields }),
    identityOf: createIdentity({ sessions, clock, clientOf: (id) => clients.get(id) }),
    async handle(req, res, path) {
      if (path === '/login') {
        if (allows(req, res, ['GET'])) await open(req, res);
      } else if (path === '/logout') {
        if (allows(req, res, ['GET', 'POST'])) await logout(req, res);
      } else if (path.startsWith(callbackPath)) {
        if (!allows(req, res, ['GET'])) return true;
        const client = clients.get(decoded(path.slice(callbackPath.length)));
        if (client === undefined) parts.fail(res, { kind: 'unknown-organization' });
        else await callback(req, res, { client, query: queryOf(req) });
      } else {
        return false;
      }
      return true;
    },
  };
}

function partsOf(options: PeopleOptions): LoginParts {
  const { providers, store, clock, random, organizationNames } = options;
  const origin = new URL(options.publicUrl).origin;
  const clients = new Map(
    providers.map((config) => [config.organization, createProviderClient(config, options)]),
  );
  if (clients.size !== providers.length) {
    throw new TypeError('Each organization can have one login provider.');
  }
  return {
    origin,
    clients,
    clock,
    attempts: createLoginAttempts(options),
    sessions: createSessions({ store, clock, random }, options.lifetime),
    nameOf: ({ config }) =>
      config.name ?? organizationNames.get(config.organization) ?? config.organization,
    redirectUri: (organization) => `${origin}${callbackPath}${encodeURIComponent(organization)}`,
    fail: (res, problem, { organization, returnTo, error } = {}) => {
      options.onProblem?.({ organization, kind: problem.kind, error });
      sendPage(res, problemPage(problem, loginPath({ returnTo })));
    },
  };
}

function allows(req: IncomingMessage, res: ServerResponse, methods: readonly string[]): boolean {
  if (methods.includes(req.method ?? '')) return true;
  res.writeHead(405, { allow: methods.join(', '), 'content-length': '0' }).end();
  return false;
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return '';
  }
}
