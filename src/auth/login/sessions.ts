/**
 * Sessions of browsers, kept by the gateway: the cookie holds a random value, the store its digest.
 * What changes during a session lies in rows of its own, so that a write that is late cannot bring
 * back a session that has ended.
 */
import { z } from 'zod';
import type { Clock, RandomBytes } from '../../model/ids.ts';
import { personKey, type Person } from '../../model/principal.ts';
import type { PersonSession } from '../../ports/people.ts';
import type { Secret, SecretStore } from '../../ports/secret-store.ts';
import { digest } from '../secret-digest.ts';

/** How long sessions last. */
export interface SessionLifetime {
  /** Without any request; default 1 hour. */
  readonly idleMs?: number;
  /** At most; default 12 hours. */
  readonly absoluteMs?: number;
}

/** What the provider issued about a person. */
export interface ProviderTokens {
  readonly idToken: string;
  /** The end of the ID token (ms). */
  readonly expiresAt: number;
  readonly refreshToken?: string | undefined;
}

/** The sessions. */
export interface Sessions {
  /** A new session; the value is for the cookie alone. */
  start(
    who: Pick<PersonSession, 'person' | 'displayName' | 'authenticatedAt'>,
    tokens: ProviderTokens,
  ): Promise<{ readonly session: PersonSession; readonly value: string; readonly endsAt: number }>;
  /** The session behind a cookie's value. */
  find(value: string): Promise<PersonSession | undefined>;
  /** Ends it, and returns the tokens that belonged to it. */
  end(value: string): Promise<ProviderTokens | undefined>;
  /**
   * The tokens of each session of a person that has neither been ended nor reached its end: an idle
   * browser does not take them from the person's clients.
   */
  tokensOf(person: Person): Promise<{ readonly id: string; readonly tokens: ProviderTokens }[]>;
  /** Replaces the tokens of a session, if it still stands. */
  keepTokens(person: Person, id: string, tokens: ProviderTokens): Promise<void>;
}

const sessionSchema = z.object({
  person: z.object({ organization: z.string(), issuer: z.string(), subject: z.string() }),
  displayName: z.string(),
  authenticatedAt: z.number(),
  formToken: z.string(),
});
const seenSchema = z.object({ seenAt: z.number() });
const tokensSchema = z.object({
  idToken: z.string(),
  expiresAt: z.number(),
  refreshToken: z.string().optional(),
});

const kinds = { session: 'session', seen: 'session-seen', tokens: 'session-tokens' } as const;

/** How exactly the last request is remembered. */
const seenEveryMs = 60_000;

/** Keeps sessions in the store. */
export function createSessions(
  parts: { readonly store: SecretStore; readonly clock: Clock; readonly random: RandomBytes },
  lifetime: SessionLifetime = {},
): Sessions {
  const { store, clock, random } = parts;
  const { idleMs = 3_600_000, absoluteMs = 12 * 3_600_000 } = lifetime;
  const markSeen = (id: string, owner: string, endsAt: number): Promise<void> => {
    const expiresAt = Math.min(clock() + idleMs, endsAt);
    return store.put({ kind: kinds.seen, id, owner, value: { seenAt: clock() }, expiresAt });
  };
  const putTokens = (place: Pick<Secret, 'id' | 'owner'>, tokens: ProviderTokens, end: number) => {
    const { refreshToken, ...rest } = tokens;
    const value = { ...rest, ...(refreshToken !== undefined && { refreshToken }) };
    return store.put({ kind: kinds.tokens, ...place, value, expiresAt: end });
  };
  return {
    async start(who, tokens) {
      const value = random(32).toString('base64url');
      const [id, owner] = [digest(value), personKey(who.person)];
      const endsAt = clock() + absoluteMs;
      const content = { ...who, formToken: random(32).toString('base64url') };
      await putTokens({ id, owner }, tokens, endsAt);
      await markSeen(id, owner, endsAt);
      const row = { ...content, person: { ...who.person } };
      await store.put({ kind: kinds.session, id, owner, value: row, expiresAt: endsAt });
      return { session: { id, ...content }, value, endsAt };
    },
    async find(value) {
      const id = digest(value);
      const secret = await store.get(kinds.session, id);
      if (secret === undefined) return undefined;
      const seen = seenSchema.safeParse((await store.get(kinds.seen, id))?.value);
      const session = sessionSchema.safeParse(secret.value);
      if (!seen.success || !session.success) return undefined;
      if (Math.abs(clock() - seen.data.seenAt) >= Math.min(seenEveryMs, idleMs / 10)) {
        await markSeen(id, secret.owner, secret.expiresAt ?? Infinity);
      }
      return { id, ...session.data };
    },
    async end(value) {
      const id = digest(value);
      await store.delete(kinds.session, id);
      await store.delete(kinds.seen, id);
      const taken = tokensSchema.safeParse((await store.take(kinds.tokens, id))?.value);
      return taken.success ? taken.data : undefined;
    },
    async tokensOf(person) {
      const owner = personKey(person);
      const standing = new Set((await store.ofOwner(kinds.session, owner)).map(({ id }) => id));
      return (await store.ofOwner(kinds.tokens, owner)).flatMap(({ id, value }) => {
        const tokens = tokensSchema.safeParse(value);
        return tokens.success && standing.has(id) ? [{ id, tokens: tokens.data }] : [];
      });
    },
    async keepTokens(person, id, tokens) {
      const session = await store.get(kinds.session, id);
      const owner = personKey(person);
      if (session?.owner !== owner || session.expiresAt === undefined) return;
      await putTokens({ id, owner }, tokens, session.expiresAt);
    },
  };
}
