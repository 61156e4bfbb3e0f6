/**
 * A data directory of ClickHouse that has the tables of this version, for tests: made once for each schema and kept
 * in the cache of node_modules, copied by every test. Running all migrations takes longer than most tests do.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { readSettings } from '../../schemas/settings.ts';
import { openClickHouse } from '../../workers/clients/clickhouse/clickhouse.ts';
import { migrate, readMigrations } from '../../workers/clients/clickhouse/migrate.ts';
import { startClickHouse, type TestClickHouse } from './clickhouse.ts';

const cache = path.join(import.meta.dirname, '../../node_modules/.cache');

/** Starts the engine on a copy; `stop` and `kill` remove it. */
export async function startMigrated(): Promise<TestClickHouse> {
  const kept = await keptSchema();
  const dataDir = await mkdtemp(path.join(tmpdir(), 'tidemark-clickhouse-'));
  const remove = () => rm(dataDir, { recursive: true, force: true });
  await cp(kept, dataDir, { recursive: true });
  const server = await startClickHouse({ dataDir });
  return {
    ...server,
    stop: () => server.stop().then(remove),
    kill: () => server.kill().then(remove),
  };
}

/** The directory that is copied. Of several processes that make it at once, the first one's is kept. */
async function keptSchema(): Promise<string> {
  const { version } = createRequire(import.meta.url)('chdb/package.json') as { version: string };
  const checksums = (await readMigrations()).map(({ checksum }) => checksum);
  const text = [version, ...checksums].join('\n');
  const hash = createHash('sha256').update(text).digest('hex').slice(0, 12);
  const kept = path.join(cache, `schema-${hash}`);
  if (existsSync(kept)) return kept;
  await mkdir(cache, { recursive: true });
  const dataDir = await mkdtemp(`${kept}.`);
  try {
    const server = await startClickHouse({ dataDir });
    const clickhouse = openClickHouse({ ...readSettings({}), CLICKHOUSE_URL: server.url });
    await migrate(clickhouse);
    await clickhouse.close();
    await server.stop();
    await rename(dataDir, kept).catch((error: unknown) => {
      if (!existsSync(kept)) throw error;
    });
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
  return kept;
}
