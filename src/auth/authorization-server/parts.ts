/** What the provider and its pages are made of. */
import type { AdapterParts } from './adapter.ts';
import type { Clients } from './clients.ts';
import type { Consents } from './consents.ts';
import type { AuthorizationServerOptions, Lifetimes } from './options.ts';

/** The parts that one authorization server shares. */
export interface ProviderParts extends AdapterParts {
  readonly options: AuthorizationServerOptions;
  readonly lifetimes: Lifetimes;
  readonly issuer: URL;
  readonly consents: Consents;
  readonly clients: Clients;
}
