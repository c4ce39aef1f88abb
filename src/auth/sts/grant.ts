/** What a grant is. Each is a file of its own; `grants.ts` is the table of them. */
import type { JsonObject } from '../../model/json.ts';
import type { Client, GrantType } from './client.ts';
import type { FormBody } from './form-body.ts';
import type { ProtectedResource } from './scopes.ts';
import type { TokenContents } from './access-token.ts';

/** A token request whose client, resource and DPoP key have been checked. */
export interface GrantRequest {
  readonly client: Client;
  readonly form: FormBody;
  readonly resource: string;
  readonly kind: ProtectedResource;
  /** Thumbprint of the key that the client proved to hold. */
  readonly jkt?: string;
}

/** What a grant decides: the rest of the token is the same for all. */
export type Granted = Pick<
  TokenContents,
  'subject' | 'idp' | 'organization' | 'scopes' | 'lifetime' | 'more'
> & {
  /** Further members of the answer. */
  readonly answer?: JsonObject;
};

/** One way to get a token. */
export interface Grant {
  readonly type: GrantType;
  /** Decides, or throws an `OAuthError`. */
  decide(request: GrantRequest): Promise<Granted>;
}
