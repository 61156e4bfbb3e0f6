/** The real things that the batch works between: an R2 bucket behind S3, and ClickHouse. */
import { readSettings, type Settings } from '../../schemas/settings.ts';
import { openClickHouse, type ClickHouse } from '../../workers/clients/clickhouse/clickhouse.ts';
import { migrate } from '../../workers/clients/clickhouse/migrate.ts';
import type { ObjectStore } from '../../workers/clients/store/objects.ts';
import { startBucket } from './objects.ts';
import { startMigrated } from './schema.ts';

export interface Stack {
  readonly store: ObjectStore;
  readonly clickhouse: ClickHouse;
  readonly settings: Settings;
  close(): Promise<void>;
}

/** Starts both on free ports, empty, with the tables of this version. */
export async function startStack(): Promise<Stack> {
  const [bucket, server] = await Promise.all([startBucket(), startMigrated()]);
  const settings: Settings = {
    ...readSettings({}),
    ...bucket.settings,
    CLICKHOUSE_URL: server.url,
    TIDEMARK_BATCH_THREADS: 1,
  };
  const clickhouse = openClickHouse(settings);
  await migrate(clickhouse);
  const close = async () => {
    await clickhouse.close();
    await Promise.all([server.stop(), bucket.close()]);
  };
  return { store: bucket.store, clickhouse, settings, close };
}
