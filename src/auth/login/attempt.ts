/**
 * A login that is under way: from the redirect to the provider until the browser comes back. It is
 * used once, ends after ten minutes, and belongs to the browser that began it. It lies sealed in a
 * cookie of that browser, so that no flood of logins ends those of others.
 *
 * Spec: OpenID Connect Core §3.1.2.1 (state, nonce), RFC 7636 (PKCE), RFC 9700 §4.7 (CSRF)
 */
import { z } from 'zod';
import type { Clock, RandomBytes } from '../../model/ids.ts';
import type { ReplayStore } from '../../ports/replay-store.ts';
import type { SecretSeal } from '../../ports/secret-store.ts';
import { digest } from '../secret-digest.ts';

const attemptSchema = z.object({
  organization: z.string(),
  issuer: z.string(),
  verifier: z.string(),
  nonce: z.string(),
  returnTo: z.string(),
  fresh: z.boolean(),
  startedAt: z.number(),
});

/** What is remembered of a login. */
export type LoginAttempt = Readonly<z.infer<typeof attemptSchema>>;

/** What the browser takes along. */
export interface StartedAttempt {
  readonly attempt: LoginAttempt;
  /** Travels through the provider. */
  readonly state: string;
  readonly cookie: { readonly name: `__Host-${string}`; readonly value: string };
}

/** The logins under way. */
export interface LoginAttempts {
  start(
    ask: Pick<LoginAttempt, 'organization' | 'issuer' | 'returnTo' | 'fresh'>,
  ): Promise<StartedAttempt>;
  /**
   * The attempt behind a `state`, which is used up then: `other-browser` leaves it for the browser
   * that it belongs to; `gone` when it is none of ours, used or has expired.
   */
  finish(
    state: string,
    cookies: ReadonlyMap<string, string>,
  ): Promise<LoginAttempt | 'other-browser' | 'gone'>;
}

/** What the logins need. */
export interface AttemptParts {
  readonly seal: SecretSeal;
  readonly replay: ReplayStore;
  readonly clock: Clock;
  readonly random: RandomBytes;
}

/** How long a person may take at the provider. */
export const attemptLifetimeMs = 10 * 60_000;

/** The start of the name of every attempt's cookie. */
export const attemptCookie = '__Host-isthmus-login-';

/** When it began is in it: a browser that was too late has no cookie any more. */
const stateSyntax = /^(\d{1,15})\.[\w-]{43}$/;

/** Logins whose only trace here is that they have been used. */
export function createLoginAttempts({ seal, replay, clock, random }: AttemptParts): LoginAttempts {
  const secret = (): string => random(32).toString('base64url');
  return {
    async start(ask) {
      const startedAt = clock();
      const state = `${startedAt}.${secret()}`;
      const attempt = { ...ask, verifier: secret(), nonce: secret(), startedAt };
      const sealed = await seal.seal({ ...attempt }, placeOf(state));
      const cookie = { name: attemptCookieName(state), value: encodeURIComponent(sealed) };
      return { attempt, state, cookie };
    },
    async finish(state, cookies) {
      const [, startedAt] = stateSyntax.exec(state) ?? [];
      const until = Number(startedAt) + attemptLifetimeMs;
      if (startedAt === undefined || clock() >= until) return 'gone';
      const value = cookies.get(attemptCookieName(state));
      const attempt = value === undefined ? undefined : await opened(seal, value, state);
      if (attempt === undefined) return 'other-browser';
      return (await replay.firstUse(`login:${digest(state)}`, until)) ? attempt : 'gone';
    },
  };
}

/** The cookie of the attempt that a `state` stands for. */
export function attemptCookieName(state: string): `__Host-${string}` {
  return `${attemptCookie}${digest(state).slice(0, 16)}`;
}

/** What was sealed for one state opens for no other. */
function placeOf(state: string): string {
  return JSON.stringify(['login', digest(state)]);
}

async function opened(
  seal: SecretSeal,
  value: string,
  state: string,
): Promise<LoginAttempt | undefined> {
  try {
    const attempt = await seal.open(decodeURIComponent(value), placeOf(state));
    return attemptSchema.safeParse(attempt).data;
  } catch {
    return undefined;
  }
}
