/** What people have agreed to: which client may do what at which resource. */
import { z } from 'zod';
import type { Clock } from '../../model/ids.ts';
import { personKey, type Person } from '../../model/principal.ts';
import type { SecretStore } from '../../ports/secret-store.ts';
import { digest } from './account.ts';

/** Who agreed to what. */
export interface ConsentPlace {
  readonly person: Person;
  readonly client: string;
  readonly resource: string;
}

/** Remembered consents. */
export interface Consents {
  /** The scopes that were agreed to; none when nothing was. */
  scopesOf(place: ConsentPlace): Promise<readonly string[]>;
  /** Whether the person has agreed to anything of a client. */
  hasAny(person: Person, client: string): Promise<boolean>;
  /** Adds scopes to what was agreed to. */
  remember(place: ConsentPlace, scopes: readonly string[]): Promise<void>;
}

const kind = 'as.Consent';
const remembered = z.object({ scopes: z.array(z.string()) });

/** Consents over a store; each lasts `seconds` from when it was last given. */
export function createConsents(parts: {
  readonly store: SecretStore;
  readonly clock: Clock;
  readonly seconds: number;
}): Consents {
  const { store, clock, seconds } = parts;
  const idOf = ({ person, client, resource }: ConsentPlace): string =>
    digest(personKey(person), client, resource);
  const scopesOf = async (place: ConsentPlace): Promise<readonly string[]> => {
    const secret = await store.get(kind, idOf(place));
    return secret === undefined ? [] : remembered.parse(secret.value).scopes;
  };
  return {
    scopesOf,
    hasAny: async (person, client) => {
      const all = await store.ofOwner(kind, personKey(person));
      return all.some(({ value }) => value['client'] === client);
    },
    remember: async (place, scopes) => {
      const all = new Set([...(await scopesOf(place)), ...scopes]);
      await store.put({
        kind,
        id: idOf(place),
        owner: personKey(place.person),
        value: { client: place.client, resource: place.resource, scopes: [...all] },
        expiresAt: clock() + seconds * 1000,
      });
    },
  };
}
