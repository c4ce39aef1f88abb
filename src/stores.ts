/** Everything that the gateway keeps, in one database. */
import type { Config } from './config/schema.ts';
import type { Clock } from './model/ids.ts';
import type { Metrics } from './observe/metrics.ts';
import type { Seal } from './ports/seal.ts';
import type { SecretSeal } from './ports/secret-store.ts';
import { SqliteAuditStore } from './store/sqlite/audit-store.ts';
import { openDatabase } from './store/sqlite/database.ts';
import { SqliteLeaseStore } from './store/sqlite/lease-store.ts';
import { SqlitePeerStore } from './store/sqlite/peer-store.ts';
import { SqliteReplayStore } from './store/sqlite/replay-store.ts';
import { SqliteSecretStore } from './store/sqlite/secret-store.ts';
import { SqliteTaskStore } from './store/sqlite/task-store.ts';

/** What the stores need. */
export interface StoreParts {
  readonly seal: Seal;
  readonly secretSeal: SecretSeal;
  readonly clock: Clock;
  readonly metrics: Pick<Metrics, 'storeFlush'>;
}

/** Opens them. Throws when the database cannot be had. Closing `tasks` closes it. */
export function openStores(
  url: Config['store']['url'],
  { seal, secretSeal, clock, metrics }: StoreParts,
) {
  const database = openDatabase(url.path);
  database.commits.observe((appends, ms) => metrics.storeFlush({ appends, seconds: ms / 1000 }));
  return {
    tasks: new SqliteTaskStore(database),
    peers: new SqlitePeerStore(database, seal),
    secrets: new SqliteSecretStore(database, { seal: secretSeal, clock }),
    replay: new SqliteReplayStore(database),
    leases: new SqliteLeaseStore(database),
    audit: new SqliteAuditStore(database, { clock }),
  };
}
