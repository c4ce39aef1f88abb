/** What Alice's assistant keeps as an OAuth client of the official MCP SDK, for one resource. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { randomUUID } from 'node:crypto';
import {
  auth,
  type OAuthClientProvider,
  type OAuthDiscoveryState,
  type StoredOAuthTokens,
} from '@modelcontextprotocol/client';

/** A token for `resource`, for which the person is asked in their browser. */
export async function tokenFor(
  resource: string,
  { scope, open }: { readonly scope: string; readonly open: (url: string) => Promise<void> },
): Promise<string> {
  const answered = Promise.withResolvers<URLSearchParams>();
  const state = randomUUID();
  const server = createServer((req, res) => {
    const { pathname, searchParams } = new URL(req.url ?? '/', 'http://127.0.0.1');
    const isOurs = pathname === '/callback' && searchParams.get('state') === state;
    res.writeHead(isOurs ? 200 : 404, { 'content-type': 'text/html; charset=utf-8' });
    res.end('<!doctype html><html lang="en"><h1>You can close this page</h1></html>');
    if (isOurs) answered.resolve(searchParams);
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const wallet = new Wallet(`http://127.0.0.1:${port}/callback`, state);
  try {
    await auth(wallet, { serverUrl: resource, scope });
    if (wallet.wanted === undefined) throw new Error('Nobody was asked for a token.');
    await open(wallet.wanted.href);
    const answer = await answered.promise;
    const [code, iss] = [answer.get('code'), answer.get('iss')];
    if (code === null) throw new Error(`No token for ${resource}: ${answer.get('error')}`);
    await auth(wallet, {
      serverUrl: resource,
      authorizationCode: code,
      ...(iss !== null && { iss }),
    });
  } finally {
    server.close();
    server.closeAllConnections();
  }
  return wallet.tokens()?.access_token ?? '';
}

class Wallet implements OAuthClientProvider {
  readonly redirectUrl: string;
  readonly clientMetadata;
  wanted: URL | undefined;
  readonly #state: string;
  #tokens: StoredOAuthTokens | undefined;
  #verifier = '';
  #discovered: OAuthDiscoveryState | undefined;

  constructor(redirectUrl: string, state: string) {
    this.redirectUrl = redirectUrl;
    this.#state = state;
    this.clientMetadata = { client_name: 'Desktop assistant', redirect_uris: [redirectUrl] };
  }

  state(): string {
    return this.#state;
  }
  /** The operator of the gateway has entered it. */
  clientInformation(): { client_id: string } {
    return { client_id: 'desktop-assistant' };
  }
  tokens(): StoredOAuthTokens | undefined {
    return this.#tokens;
  }
  saveTokens(tokens: StoredOAuthTokens): void {
    this.#tokens = tokens;
  }
  redirectToAuthorization(url: URL): void {
    this.wanted = url;
  }
  saveCodeVerifier(verifier: string): void {
    this.#verifier = verifier;
  }
  codeVerifier(): string {
    return this.#verifier;
  }
  saveDiscoveryState(state: OAuthDiscoveryState): void {
    this.#discovered = state;
  }
  discoveryState(): OAuthDiscoveryState | undefined {
    return this.#discovered;
  }
}
