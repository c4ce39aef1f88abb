/** A person as the library knows them: one string that no two people share. */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { personKey, type Person } from '../../model/principal.ts';

const members = z.tuple([z.string(), z.string(), z.string()]);

/** The account of a person. It leaves the gateway in no token. */
export function accountIdOf(person: Person): string {
  return personKey(person);
}

/** The person of an account. Throws when the id is not one of ours. */
export function personOf(accountId: string): Person {
  const [organization, issuer, subject] = members.parse(JSON.parse(accountId));
  return { organization, issuer, subject };
}

/** Names a row without giving away the secret that it is found by. */
export function digest(...parts: readonly string[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64url');
}
