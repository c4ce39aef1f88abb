/**
 * Tokens that are no longer good although they have not expired. Each request asks, so the answer
 * is in memory; the store carries it over a restart.
 *
 * Spec: RFC 7009 §2
 */
import type { Clock } from '../../model/ids.ts';
import type { SecretStore } from '../../ports/secret-store.ts';

/** The revoked tokens, by their ids. */
export interface Revocations {
  isRevoked(jti: string): boolean;
  /** Resolves when it is on disk. `expiresAt`: when the token could not be used any more (ms). */
  revoke(jti: string, expiresAt: number): Promise<void>;
  /** Reads what others recorded in the store. */
  reload(): Promise<void>;
}

const kind = 'revoked';
const owner = 'sts';

/** Opens the record, with what the store has. */
export async function openRevocations(options: {
  secrets: Pick<SecretStore, 'put' | 'ofOwner'>;
  clock: Clock;
}): Promise<Revocations> {
  const { secrets, clock } = options;
  const revoked = new Map<string, number>();
  const forgetExpired = (): void => {
    const now = clock();
    for (const [jti, expiresAt] of revoked) if (expiresAt <= now) revoked.delete(jti);
  };
  const record: Revocations = {
    isRevoked: (jti) => revoked.has(jti),
    async revoke(jti, expiresAt) {
      forgetExpired();
      revoked.set(jti, expiresAt);
      await secrets.put({ kind, id: jti, owner, value: {}, expiresAt });
    },
    async reload() {
      forgetExpired();
      for (const { id, expiresAt = Infinity } of await secrets.ofOwner(kind, owner)) {
        revoked.set(id, expiresAt);
      }
    },
  };
  await record.reload();
  return record;
}
