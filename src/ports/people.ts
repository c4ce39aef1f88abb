/** People in front of a browser: who they are, and how they are sent to log in. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Person } from '../model/principal.ts';

/** The session of a person's browser. */
export interface PersonSession {
  /** Stable while the session lasts; not the cookie's value. */
  readonly id: string;
  readonly person: Person;
  /** What the provider calls them, for pages: a name or an address; their subject when neither. */
  readonly displayName: string;
  /** When they proved who they are (ms). */
  readonly authenticatedAt: number;
  /** Forms carry it, so that no other site can post them. */
  readonly formToken: string;
}

/** Sessions of people. */
export interface People {
  /** The session of the browser that sent this; undefined when nobody is logged in. */
  sessionOf(req: IncomingMessage): Promise<PersonSession | undefined>;
  /**
   * Sends the browser to the provider of an organization and lets it come back to `returnTo`, a
   * path of this gateway. Asks which one when `organization` is absent and there are several.
   */
  login(
    req: IncomingMessage,
    res: ServerResponse,
    ask: { readonly returnTo: string; readonly organization?: string; readonly fresh?: boolean },
  ): Promise<void>;
}
