/** The ID tokens of people, for the exchanges in which they prove who the gateway acts for. */
import type { Clock } from '../../model/ids.ts';
import { personKey, type Person } from '../../model/principal.ts';
import type { ProviderClient } from './provider.ts';
import type { ProviderTokens, Sessions } from './sessions.ts';

/** A person as their provider vouches for them. */
export interface ProvenIdentity {
  readonly issuer: string;
  /** For that issuer alone; its audience is the gateway's client there. */
  readonly idToken: string;
  /** The end of the ID token (ms). */
  readonly expiresAt: number;
  /** The client of the gateway at the issuer. */
  readonly clientId: string;
}

/** An ID token is renewed when less than this is left of it. */
const leastLeftMs = 30_000;

/** The latest valid ID token of a person; renewed once at a time for each session. */
export function createIdentity(parts: {
  readonly sessions: Sessions;
  readonly clock: Clock;
  readonly clientOf: (organization: string) => ProviderClient | undefined;
}): (person: Person) => Promise<ProvenIdentity | undefined> {
  const { sessions, clock, clientOf } = parts;
  const renewing = new Map<string, Promise<ProviderTokens | undefined>>();
  const isValid = ({ expiresAt }: ProviderTokens): boolean => expiresAt - clock() > leastLeftMs;

  const renew = async (
    client: ProviderClient,
    person: Person,
    { id, tokens }: { id: string; tokens: ProviderTokens },
  ): Promise<ProviderTokens | undefined> => {
    if (tokens.refreshToken === undefined) return undefined;
    const renewed = await client
      .refresh(tokens.refreshToken, person.subject)
      .catch(() => undefined);
    if (renewed !== undefined) await sessions.keepTokens(person, id, renewed);
    return renewed;
  };

  return async (person) => {
    const client = clientOf(person.organization);
    if (client === undefined || client.config.issuer !== person.issuer) return undefined;
    const identity = ({ idToken, expiresAt }: ProviderTokens): ProvenIdentity => {
      const { issuer, clientId } = client.config;
      return { issuer, idToken, expiresAt, clientId };
    };
    const held = (await sessions.tokensOf(person)).toSorted(
      (a, b) => b.tokens.expiresAt - a.tokens.expiresAt,
    );
    const [latest] = held;
    if (latest !== undefined && isValid(latest.tokens)) return identity(latest.tokens);
    for (const one of held) {
      const key = `${personKey(person)} ${one.id}`;
      const pending =
        renewing.get(key) ?? renew(client, person, one).finally(() => renewing.delete(key));
      renewing.set(key, pending);
      const renewed = await pending;
      if (renewed !== undefined && isValid(renewed)) return identity(renewed);
    }
    return undefined;
  };
}
