/** Tokens that are accepted once. */
import { createHash } from 'node:crypto';
import type { ReplayStore } from '../../ports/replay-store.ts';

/** A token as its issuer numbered it. */
export interface NumberedToken {
  readonly use: 'client-assertion' | 'id-jag';
  readonly issuer: string;
  readonly jti: string;
  /** When it stops being acceptable, leeway included (ms). */
  readonly until: number;
}

/**
 * True the first time. Ids of different issuers and uses never meet.
 *
 * Spec: RFC 7519 §4.1.7 (jti); RFC 7523 §3 (item 7)
 */
export function firstUse(replay: ReplayStore, token: NumberedToken): Promise<boolean> {
  const { use, issuer, jti, until } = token;
  const place = JSON.stringify([use, issuer, jti]);
  return replay.firstUse(`sts ${createHash('sha256').update(place).digest('base64url')}`, until);
}
