/**
 * The gateway as an OAuth client of one authorization server.
 *
 * Spec: RFC 6749 §4.4, RFC 8693 §2, RFC 7523 §2.1; RFC 9449 §5
 */
import {
  allowInsecureRequests,
  clientCredentialsGrant,
  Configuration,
  customFetch,
  genericGrantRequest,
  getDPoPHandle,
  type CryptoKeyPair,
  type CustomFetch,
} from 'openid-client';
import {
  isPlainLoopback,
  type AuthorizationServer,
  type ServerMetadata,
} from './authorization-server.ts';
import { clientAuthentication, proofId, type ClientProof } from './client-authentication.ts';
import { faultOfRequest, tokenFault } from './token-fault.ts';

/** What the gateway is to the authorization server. */
export interface TokenClientOptions extends ClientProof {
  readonly peerId: string;
  readonly server: AuthorizationServer;
  readonly clientId: string;
  /** The guarded way out. */
  readonly fetch: typeof fetch;
  /** Tokens are bound to this key. */
  readonly boundTo?: (() => Promise<CryptoKeyPair>) | undefined;
}

/** What an authorization server gave out. */
export interface Granted {
  readonly token: string;
  /** In lower case; `n_a` for what is no access token. */
  readonly tokenType: string;
  /** Spec: RFC 8693 §2.2.1 */
  readonly issuedType: string | undefined;
  /** The scopes that were granted, where the server says so. */
  readonly scopes: readonly string[] | undefined;
  /** In seconds. */
  readonly expiresIn: number | undefined;
}

/** Asks for tokens. Throws GatewayError. */
export interface TokenClient {
  readonly clientId: string;
  readonly issuer: string;
  request(grantType: string, parameters: Readonly<Record<string, string>>): Promise<Granted>;
}

const timeoutSeconds = 10;

/** A client at one authorization server. */
export function createTokenClient(options: TokenClientOptions): TokenClient {
  const { peerId, server, clientId } = options;
  let made: { metadata: ServerMetadata; proof: string; client: Configuration } | undefined;
  const configured = async (): Promise<Configuration> => {
    const metadata = await server.metadata();
    const proof = proofId(options);
    if (made?.metadata === metadata && made.proof === proof) return made.client;
    const client = await configure(metadata, options);
    made = { metadata, proof, client };
    return client;
  };
  return {
    clientId,
    issuer: server.issuer,
    async request(grantType, parameters) {
      const client = await configured();
      try {
        const keys = await options.boundTo?.();
        const bound = keys === undefined ? {} : { DPoP: getDPoPHandle(client, keys) };
        const answer =
          grantType === 'client_credentials'
            ? await clientCredentialsGrant(client, parameters, bound)
            : await genericGrantRequest(client, grantType, parameters, bound);
        const { issued_token_type: issuedType } = answer;
        const granted = {
          token: answer.access_token,
          tokenType: answer.token_type,
          issuedType: typeof issuedType === 'string' ? issuedType : undefined,
          scopes: answer.scope?.split(' ').filter((scope) => scope !== ''),
          expiresIn: answer.expires_in,
        };
        // It becomes a header: whatever else it may be, it is one printable word.
        if (/^[\x21-\x7e]+$/.test(granted.token)) return granted;
      } catch (error) {
        throw faultOfRequest(peerId, error);
      }
      throw tokenFault('peer-protocol', peerId, 'gave a token that cannot be sent.');
    },
  };
}

async function configure(
  metadata: ServerMetadata,
  options: TokenClientOptions,
): Promise<Configuration> {
  const { clientId } = options;
  const authentication = await clientAuthentication(options, metadata);
  const client = new Configuration({ ...metadata }, clientId, {}, authentication);
  const send: CustomFetch = (url, init) =>
    options.fetch(url, { ...init, body: bodyText(init.body) });
  client[customFetch] = send;
  client.timeout = timeoutSeconds;
  // The metadata was checked: plain http is there on loopback alone, and only where it is allowed.
  if (isPlainLoopback(new URL(metadata.token_endpoint))) allowInsecureRequests(client);
  return client;
}

/** A form as text, which spares the guarded client a stream. */
function bodyText(body: Parameters<CustomFetch>[1]['body']): string | null {
  if (body === null || body === undefined) return null;
  if (typeof body === 'string') return body;
  if (body instanceof URLSearchParams) return body.toString();
  throw new TypeError('Expected a form.');
}
