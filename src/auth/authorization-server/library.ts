/** The library that the front channel stands on. It is loaded only where it is configured. */

import type * as oidcProvider from 'oidc-provider';

/** The module as it was loaded. */
export type Library = typeof oidcProvider;

/** Loads it. */
export function loadLibrary(): Promise<Library> {
  return import('oidc-provider');
}
