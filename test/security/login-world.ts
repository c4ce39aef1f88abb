/** A gateway's login on loopback, two organisations with a provider each, and a browser. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { afterEach } from 'vitest';
import { readForm } from '../../src/auth/pages/form.ts';
import { createPeople, type Login, type PeopleOptions } from '../../src/auth/login/people.ts';
import type { LoginProvider } from '../../src/auth/login/provider.ts';
import { createSecretSeal } from '../../src/auth/secret-seal.ts';
import { signingKeyOf } from '../../src/auth/signing-key.ts';
import { createEgress } from '../../src/peers/guarded-fetch.ts';
import { openDatabase } from '../../src/store/sqlite/database.ts';
import { SqliteReplayStore } from '../../src/store/sqlite/replay-store.ts';
import { SqliteSecretStore } from '../../src/store/sqlite/secret-store.ts';
import type { CookieClient, Visit } from '../support/cookie-client.ts';
import {
  startIdentityProvider,
  type IdentityProvider,
  type IdentityProviderOptions,
} from '../support/identity-provider.ts';

/** What a test may change. */
export interface LoginWorldOptions extends Pick<PeopleOptions, 'lifetime' | 'onProblem'> {
  /** Default `acme` and `globex`. */
  readonly organizations?: readonly string[];
  readonly acme?: Partial<LoginProvider>;
  readonly provider?: IdentityProviderOptions;
}

/** The world. */
export interface LoginWorld {
  /** The gateway's origin. */
  readonly origin: string;
  readonly login: Login;
  readonly providers: { readonly acme: IdentityProvider; readonly globex: IdentityProvider };
  readonly store: SqliteSecretStore;
  /** How much is kept. */
  rows(): number;
  /** The file that everything is kept in. */
  readonly file: string;
  readonly clock: { now: number };
  /** Goes to a provider, logs in there, and stops before coming back. */
  atProvider(browser: CookieClient, ask?: LoginAsk): Promise<URL>;
  /** A whole login. */
  logIn(browser: CookieClient, ask?: LoginAsk): Promise<Visit>;
  /** Who the gateway takes this browser for. */
  whoIs(browser: CookieClient): Promise<unknown>;
}

/** Who logs in where. */
export interface LoginAsk {
  readonly who?: string;
  readonly organization?: string;
  readonly returnTo?: string;
  readonly fresh?: boolean;
  /** Changes the request to the provider on its way. */
  readonly change?: (url: URL) => void;
}

const open: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of open.splice(0)) await close();
});

/** Starts the world; it ends with the test. */
export async function startLoginWorld(options: LoginWorldOptions = {}): Promise<LoginWorld> {
  const dir = mkdtempSync(join(tmpdir(), 'login-'));
  const clock = { now: Date.now() };
  const file = join(dir, 'x.db');
  const database = openDatabase(file);
  const ring = { active: 'k1', keys: new Map([['k1', randomBytes(32)]]) };
  const seal = createSecretSeal(() => ring);
  const store = new SqliteSecretStore(database, { seal, clock: () => clock.now });
  const server = createServer((req, res) => {
    void answer(login, req, res).catch((error: unknown) => res.writeHead(500).end(String(error)));
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const key = signingKeyOf(privateKey, 0);
  const start = (organization: string): Promise<IdentityProvider> =>
    startIdentityProvider({
      people: ['alice', 'bob'],
      ...options.provider,
      clients: [
        {
          client_id: 'gateway',
          client_secret: clientSecret,
          redirect_uris: [`${origin}/login/callback/${organization}`],
          grant_types: ['authorization_code', 'refresh_token'],
        },
        {
          client_id: 'gateway-with-a-key',
          token_endpoint_auth_method: 'private_key_jwt',
          token_endpoint_auth_signing_alg: 'ES256',
          jwks: { keys: [{ ...key.publicJwk }] },
          redirect_uris: [`${origin}/login/callback/${organization}`],
          grant_types: ['authorization_code'],
        },
        {
          client_id: 'public-gateway',
          token_endpoint_auth_method: 'none',
          redirect_uris: [`${origin}/login/callback/${organization}`],
          grant_types: ['authorization_code'],
        },
      ],
    });
  const providers = { acme: await start('acme'), globex: await start('globex') };
  const egress = createEgress({ allow: [], allowLoopback: true });
  const all: LoginProvider[] = [
    {
      organization: 'acme',
      issuer: providers.acme.issuer,
      clientId: 'gateway',
      clientSecret,
      ...options.acme,
    },
    {
      organization: 'globex',
      issuer: providers.globex.issuer,
      clientId: 'gateway',
      clientSecret,
      name: 'Globex Login',
    },
  ];
  const login = createPeople({
    ...options,
    providers: all.filter(({ organization }) =>
      (options.organizations ?? ['acme', 'globex']).includes(organization),
    ),
    publicUrl: origin,
    store,
    seal,
    replay: new SqliteReplayStore(database),
    fetch: egress.fetch,
    clock: () => clock.now,
    random: randomBytes,
    organizationNames: new Map([['acme', 'Acme Ltd']]),
    signingKey: () => key,
  });
  const atProvider: LoginWorld['atProvider'] = async (browser, ask = {}) => {
    const { organization = 'acme', returnTo = '/whoami', who = 'alice', fresh = false } = ask;
    const query = new URLSearchParams({ organization, returnTo, fresh: String(fresh) });
    const sent = await browser.get(`${origin}/login?${query.toString()}`, { follow: false });
    const target = sent.location;
    if (target === undefined) throw new Error(`Not sent to a provider: ${sent.text}`);
    ask.change?.(target);
    const follow = (next: URL): boolean => next.origin !== origin;
    const back = await browser.logIn(await browser.get(target, { follow }), who, { follow });
    if (back.location?.origin !== origin) throw new Error(`Not sent back: ${back.text}`);
    return back.location;
  };
  open.push(async () => {
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
    await Promise.all([providers.acme.close(), providers.globex.close(), egress.close()]);
    database.close();
    rmSync(dir, { recursive: true, force: true });
  });
  return {
    origin,
    login,
    providers,
    store,
    rows: () => {
      const count = 'SELECT (SELECT count(*) FROM secret) + (SELECT count(*) FROM replay) AS n';
      return Number(database.db.prepare(count).get()?.['n']);
    },
    file,
    clock,
    atProvider,
    logIn: async (browser, ask) => browser.get(await atProvider(browser, ask)),
    whoIs: async (browser) => JSON.parse((await browser.get(`${origin}/whoami`)).text) as unknown,
  };
}

/** The gateway's secret at its providers. */
export const clientSecret = 'a client secret that nobody must ever see';

/** The login's own paths; who is logged in; and a form that only our own pages may post. */
async function answer(
  login: Login,
  ...[req, res]: Parameters<Parameters<typeof createServer>[1] & object>
): Promise<void> {
  const path = (req.url ?? '').split('?', 1)[0] ?? '';
  if (await login.handle(req, res, path)) return;
  const session = await login.sessionOf(req);
  if (path === '/form') {
    const fields = await readForm(req);
    const own = session !== undefined && fields !== undefined;
    const ok = own && login.checkForm(req, session, fields);
    res.writeHead(ok ? 200 : 403).end(ok ? 'done' : 'refused');
    return;
  }
  res.writeHead(path === '/whoami' ? 200 : 404, { 'content-type': 'application/json' });
  res.end(JSON.stringify(session ?? null));
}
