/**
 * From a person's yes to a token: one transaction per yes, kept here, bound to the browser that said
 * it and to its session, used once.
 *
 * Spec: OAuth 2.1 (draft) §4.1.1, §7.5 (state, PKCE), §7.14 (mix-up); RFC 9700 §4.7 (CSRF)
 */
import type { IncomingMessage } from 'node:http';
import type { Clock, RandomBytes } from '../../model/ids.ts';
import { personKey } from '../../model/principal.ts';
import type { PersonSession } from '../../ports/people.ts';
import type { SecretStore } from '../../ports/secret-store.ts';
import { cookiesOf, hostCookie, noCookie } from '../login/cookies.ts';
import { digest, sameSecret } from '../secret-digest.ts';
import type { CodeFlow, ConnectionService } from './connection-service.ts';
import type { OpenRequest, Vault } from './vault.ts';

/** What the flow works with. */
export interface ConsentFlowOptions {
  readonly vault: Vault;
  readonly secrets: SecretStore;
  readonly service: (id: string) => ConnectionService | undefined;
  readonly publicUrl: string;
  readonly clock: Clock;
  readonly random: RandomBytes;
}

/** Who sits in front of the browser, in which session. */
type Visitor = Pick<PersonSession, 'id' | 'person'>;

/** Where the browser goes now, and the cookie that brings it back. */
export interface FlowStart {
  readonly url: string;
  readonly cookie: string;
}

/** Why a redirect of a third party was not accepted. */
export type FlowRefusal = 'transaction' | 'other-browser' | 'other-person' | 'connection' | 'gone';

/** What came of a redirect. */
export type FlowEnd =
  | { readonly kind: 'connected'; readonly request: OpenRequest; readonly cookie: string }
  | { readonly kind: 'refused'; readonly reason: FlowRefusal }
  /** The exchange failed; the wish is still open. */
  | {
      readonly kind: 'failed';
      readonly request: OpenRequest;
      readonly error: unknown;
      readonly cookie: string;
    };

interface Transaction extends CodeFlow {
  readonly request: string;
  readonly connection: string;
  readonly issuer: string;
  readonly sessionId: string;
  /** The digest of the cookie. */
  readonly browser: string;
}

const kind = 'connect-transaction';

/** How long a person may take at the third party (ms). */
const patienceMs = 10 * 60_000;

/** See the file comment. */
export class ConsentFlow {
  readonly #options: ConsentFlowOptions;

  constructor(options: ConsentFlowOptions) {
    this.#options = options;
  }

  /** Begins after the person's yes. Throws GatewayError when the service cannot be asked. */
  async begin(
    request: OpenRequest,
    service: ConnectionService,
    visitor: Visitor,
  ): Promise<FlowStart> {
    const { secrets, clock, random, publicUrl } = this.#options;
    const fresh = (): string => random(32).toString('base64url');
    const [state, verifier, browser] = [fresh(), fresh(), fresh()];
    const { connection } = request;
    const flow: CodeFlow = {
      redirectUri: `${publicUrl.replace(/\/$/, '')}/connect/callback/${connection}`,
      state,
      verifier,
      ...(service.speaksOpenId && { nonce: fresh() }),
    };
    const url = await service.authorizationUrl(flow);
    const { nonce, redirectUri } = flow;
    await secrets.put({
      kind,
      id: digest(state),
      owner: personKey(visitor.person),
      value: {
        request: request.id,
        connection,
        issuer: service.settings.issuer,
        sessionId: visitor.id,
        browser: digest(browser),
        state,
        verifier,
        redirectUri,
        ...(nonce !== undefined && { nonce }),
      },
      expiresAt: clock() + patienceMs,
    });
    return { url, cookie: hostCookie(cookieName(state), browser, patienceMs) };
  }

  /** Ends it with the redirect of the third party. `query` starts with `?` or is empty. */
  async finish(
    req: IncomingMessage,
    from: { readonly connection: string; readonly query: string },
    visitor: Visitor | undefined,
  ): Promise<FlowEnd> {
    const { secrets, vault } = this.#options;
    const states = new URLSearchParams(from.query).getAll('state');
    const [state = ''] = states;
    if (states.length !== 1 || state === '') return refusal('transaction');
    const known = await secrets.get(kind, digest(state));
    if (known === undefined) return refusal('transaction');
    const transaction = known.value as unknown as Transaction;
    // Looked at before it is used up: only the browser that began can end it.
    const cookie = cookiesOf(req).get(cookieName(state)) ?? '';
    if (!sameSecret(digest(cookie), transaction.browser)) return refusal('other-browser');
    if (visitor === undefined || personKey(visitor.person) !== known.owner) {
      return refusal('other-person');
    }
    if (visitor.id !== transaction.sessionId) return refusal('other-person');
    const service = this.#options.service(transaction.connection);
    if (from.connection !== transaction.connection || service === undefined) {
      return refusal('connection');
    }
    if (service.settings.issuer !== transaction.issuer) return refusal('connection');
    // Of many redirects with this state one gets it.
    if ((await secrets.take(kind, digest(state))) === undefined) return refusal('transaction');
    const request = await vault.openRequest(transaction.request);
    if (request === undefined) return refusal('gone');
    const done = noCookie(cookieName(state));
    try {
      const redirect = new URL(transaction.redirectUri);
      redirect.search = from.query;
      const tokens = await service.exchange(redirect, transaction);
      await vault.grant(request, tokens);
    } catch (error) {
      return { kind: 'failed', request, error, cookie: done };
    }
    return { kind: 'connected', request, cookie: done };
  }
}

function refusal(reason: FlowRefusal): FlowEnd {
  return { kind: 'refused', reason };
}

/** One cookie for each transaction: several may be under way in one browser. */
function cookieName(state: string): `__Host-${string}` {
  return `__Host-isthmus-connect-${digest(state).slice(0, 22)}`;
}
