/**
 * The authorization server for MCP clients, at `<publicUrl>/as`: people log in at their own
 * organisation, see who asks for what, and their client gets a token for one resource.
 *
 * Spec: MCP 2026-07-28 basic/authorization; OAuth 2.1 draft; RFC 8414
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Provider } from 'oidc-provider';
import type { SigningKeySet } from '../signing-keys.ts';
import { accountIdOf } from './account.ts';
import { createClients } from './clients.ts';
import { createConsents } from './consents.ts';
import { sendBusy, sendProblem } from './error-page.ts';
import { answerInteraction } from './interaction.ts';
import { sendJson, sendPreflight } from './json-reply.ts';
import { loadLibrary } from './library.ts';
import { metadataOf, type AuthorizationServerMetadata } from './metadata.ts';
import { createOpenInteractions } from './open-interactions.ts';
import { defaultLifetimes, type AuthorizationServerOptions } from './options.ts';
import type { ProviderParts } from './parts.ts';
import { dropCookie, pinRequest, queryOf } from './pinned-request.ts';
import { cookieNames, createProvider } from './provider.ts';
import { createRegistration, type Registration } from './registration.ts';

/** The running authorization server. */
export interface AuthorizationServer {
  readonly issuer: string;
  readonly metadata: AuthorizationServerMetadata;
  /** Answers a request; false when the path is not one of its own. */
  handle(req: IncomingMessage, res: ServerResponse, path: string): Promise<boolean>;
}

/** Builds it. Throws when a client of the operator cannot be used, or no cookie key is given. */
export async function createAuthorizationServer(
  options: AuthorizationServerOptions,
): Promise<AuthorizationServer> {
  if (options.cookieKeys.length === 0 || options.cookieKeys.some((key) => key.length < 32)) {
    throw new Error('The authorization server needs cookie keys of at least 32 characters.');
  }
  const issuer = new URL(`${options.publicUrl}/as`);
  const lifetimes = { ...defaultLifetimes, ...options.lifetimes };
  const { store, replay, clock } = options;
  const clients = createClients({ ...options, lifetimes });
  const consents = createConsents({ store, clock, seconds: lifetimes.consent });
  const library = await loadLibrary();
  const bounds = { total: 10_000, perAddress: 100, ...options.openInteractions };
  const interactions = createOpenInteractions(clock, bounds);
  const busy = new WeakSet<IncomingMessage>();
  const shared = { library, options, lifetimes, issuer, store, replay, clock };
  const parts = { ...shared, clients, consents, interactions, busy };
  const server = new Routes(parts);
  return {
    issuer: issuer.href,
    metadata: server.metadata,
    handle: (req, res, path) => server.handle(req, res, path),
  };
}

interface Built {
  readonly set: SigningKeySet;
  readonly provider: Provider;
  readonly answer: ReturnType<Provider['callback']>;
}

interface Exchange {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly path: string;
}

/** Each request is kept until somebody has logged in. */
const maxRequestBytes = 4096;
const maxStateBytes = 1024;

function isTooLong(query: URLSearchParams): boolean {
  const state = Buffer.byteLength(query.get('state') ?? '');
  return state > maxStateBytes || query.toString().length > maxRequestBytes;
}

const authorizePath = /^\/authorize(?:\/[\w-]{1,64})?$/;
const interactionPath = /^\/interaction\/([\w-]{1,64})$/;

class Routes {
  readonly metadata: AuthorizationServerMetadata;
  readonly #parts: ProviderParts;
  readonly #register: Registration | undefined;
  readonly #documents: ReadonlySet<string>;
  #built: Built | undefined;

  constructor(parts: ProviderParts) {
    const { options, clients, clock, issuer } = parts;
    this.#parts = parts;
    this.metadata = metadataOf({ ...options, issuer: issuer.href });
    this.#register = options.registration ? createRegistration({ clients, clock }) : undefined;
    // Spec: RFC 8414 §3.1 (the well-known part goes before the issuer's path), and where clients
    // of OpenID Connect look. MCP 2026-07-28 basic/authorization, discovery order.
    this.#documents = new Set([
      '/.well-known/oauth-authorization-server/as',
      '/.well-known/openid-configuration/as',
      '/as/.well-known/openid-configuration',
      '/as/.well-known/oauth-authorization-server',
    ]);
  }

  async handle(req: IncomingMessage, res: ServerResponse, path: string): Promise<boolean> {
    if (this.#documents.has(path)) {
      this.#sendMetadata(req, res);
      return true;
    }
    if (path !== '/as' && !path.startsWith('/as/')) return false;
    await this.#answer({ req, res, path: path.slice('/as'.length) });
    return true;
  }

  async #answer({ req, res, path }: Exchange): Promise<void> {
    const [, uid] = interactionPath.exec(path) ?? [];
    if (uid !== undefined) {
      const { provider } = this.#current();
      pinRequest(req, { issuer: this.#parts.issuer, path, query: new URLSearchParams() });
      return answerInteraction(this.#parts, { req, res, provider, uid });
    }
    if (authorizePath.test(path)) return this.#authorize({ req, res, path });
    if (path === '/token' || path === '/revoke') return this.#call({ req, res, path });
    if (path === '/register' && this.#register !== undefined) {
      return req.method === 'OPTIONS' ? sendPreflight(res, 'POST') : this.#register(req, res);
    }
    sendJson(res, 404, { error: 'There is nothing here.' });
  }

  /** The front channel: a person's browser. */
  async #authorize({ req, res, path }: Exchange): Promise<void> {
    if (req.method !== 'GET') {
      res.setHeader('allow', 'GET');
      return sendProblem(res, { status: 405, why: 'Requests come here as links.' });
    }
    const query = queryOf(req);
    // What comes back after a login is kept here already.
    const isNew = path === '/authorize';
    if (isNew && isTooLong(query)) {
      const why = `The request is too long: it may have ${maxRequestBytes} bytes, its "state" ${maxStateBytes}.`;
      return sendProblem(res, { status: 400, why, code: 'invalid_request' });
    }
    if (isNew && this.#parts.interactions.isFull()) return sendBusy(res, 60);
    if ((query.get('response_mode') ?? 'query') !== 'query') {
      const why = 'The client wants its answer in a way that is not offered here.';
      return sendProblem(res, { status: 400, why, code: 'unsupported_response_mode' });
    }
    this.#withoutIdTokens(query);
    const { provider, answer } = this.#current();
    pinRequest(req, { issuer: this.#parts.issuer, path, query });
    await this.#followPerson(req, res, provider);
    await answer(req, res);
  }

  /** The back channel: a client. */
  async #call({ req, res, path }: Exchange): Promise<void> {
    if (req.method === 'OPTIONS') return sendPreflight(res, 'POST');
    if (req.method !== 'POST') {
      return sendJson(res, 405, { error: 'invalid_request' }, { allow: 'POST' });
    }
    pinRequest(req, { issuer: this.#parts.issuer, path, query: new URLSearchParams() });
    // Errors of these endpoints are JSON, whoever asks. Spec: RFC 6749 §5.2
    req.headers.accept = 'application/json';
    await this.#current().answer(req, res);
  }

  /**
   * Leaves out what only matters for ID tokens, which nobody gets here, and fills in the scopes
   * where none are asked for. Spec: RFC 6749 §3.3
   */
  #withoutIdTokens(query: URLSearchParams): void {
    const forIdTokens = ['nonce', 'max_age', 'acr_values', 'claims', 'claims_locales'];
    for (const name of [...forIdTokens, 'id_token_hint', 'response_mode']) query.delete(name);
    if (query.getAll('scope').length > 1) return;
    const scopes = (query.get('scope') ?? '')
      .split(' ')
      .filter((scope) => scope !== '' && scope !== 'openid' && scope !== 'offline_access');
    const [resource, ...more] = query.getAll('resource');
    const { isResource, scopesOf } = this.#parts.options;
    if (
      scopes.length === 0 &&
      resource !== undefined &&
      more.length === 0 &&
      isResource(resource)
    ) {
      scopes.push(...scopesOf(resource));
    }
    if (scopes.length === 0) query.delete('scope');
    else query.set('scope', scopes.join(' '));
  }

  /** Forgets the library's session where the browser is not logged in as that person any more. */
  async #followPerson(
    req: IncomingMessage,
    res: ServerResponse,
    provider: Provider,
  ): Promise<void> {
    const name = cookieNames(this.#parts.issuer).session;
    if (req.headers.cookie?.includes(`${name}=`) !== true) return;
    const kept = await provider.Session.get(provider.createContext(req, res));
    if (kept.accountId === undefined) return;
    const session = await this.#parts.options.people.sessionOf(req);
    if (session === undefined || accountIdOf(session.person) !== kept.accountId) {
      dropCookie(req, name);
    }
  }

  /** The provider over the keys in force: it knows the keys that it was built with alone. */
  #current(): Built {
    const set = this.#parts.options.keys.current();
    if (this.#built?.set !== set) {
      const provider = createProvider(this.#parts, set.active);
      this.#built = { set, provider, answer: provider.callback() };
    }
    return this.#built;
  }

  #sendMetadata(req: IncomingMessage, res: ServerResponse): void {
    if (req.method === 'OPTIONS') return sendPreflight(res, 'GET');
    if (req.method !== 'GET' && req.method !== 'HEAD') {
      return sendJson(res, 405, { error: 'invalid_request' }, { allow: 'GET' });
    }
    sendJson(res, 200, this.metadata, { 'cache-control': 'public, max-age=300' });
  }
}
