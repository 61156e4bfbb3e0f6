/**
 * Brings ClickHouse to the schema of this version: reads the numbered files of `schemas/clickhouse`, runs
 * those that the database has not seen, records each. Statements can all be run twice, so a crash
 * between two of them is mended by the next run. It never changes or drops what it does not own.
 */
import { createHash } from 'node:crypto';
import { readFile, readdir } from 'node:fs/promises';
import { ClickHouseError, TidemarkError } from '../../../schemas/errors.ts';
import type { ClickHouse } from './clickhouse.ts';

export interface Migration {
  /** The number that the file's name begins with. */
  readonly version: number;
  /** The rest of the file's name, without `.sql`. */
  readonly name: string;
  /** SHA-256 of the text, lower-case hex. */
  readonly checksum: string;
  readonly statements: readonly string[];
}

export interface AppliedMigration {
  readonly version: number;
  readonly name: string;
  readonly checksum: string;
}

export interface MigrationReport {
  /** Migrations that were run, or, of a dry run, would be; in order. */
  readonly pending: readonly Migration[];
  /** Migrations that the database had already. */
  readonly applied: readonly AppliedMigration[];
}

const directory = new URL('../../../schemas/clickhouse/', import.meta.url);

const createRecord = `CREATE TABLE IF NOT EXISTS tidemark_migrations
(
    version UInt32,
    name String,
    checksum String,
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = MergeTree
ORDER BY version`;

/** The migrations of this version of Tidemark, in order. */
export async function readMigrations(): Promise<Migration[]> {
  const names = (await readdir(directory)).filter((name) => name.endsWith('.sql'));
  const migrations = await Promise.all(
    names.map(async (name) =>
      parseMigration(name, await readFile(new URL(name, directory), 'utf8')),
    ),
  );
  return migrations.toSorted((left, right) => left.version - right.version);
}

/**
 * One file: `NNNN_name.sql`. A statement ends with a semicolon at the end of a line; so no other line,
 * not even of a comment, may end with one. Line ends do not count for the checksum.
 */
export function parseMigration(fileName: string, text: string): Migration {
  const [, version, name] = /^(\d{4})_([a-z0-9_]+)\.sql$/.exec(fileName) ?? [];
  if (version === undefined || name === undefined) {
    throw new Error(`Bug: migration "${fileName}" is not named NNNN_name.sql`);
  }
  const unix = text.replaceAll('\r\n', '\n');
  const statements = unix
    .split(/;[ \t]*(?:\n|$)/)
    .map((statement) => statement.trim())
    .filter((statement) => statement.replaceAll(/^\s*--.*$/gm, '').trim() !== '');
  const checksum = createHash('sha256').update(unix).digest('hex');
  return { version: Number(version), name, checksum, statements };
}

/**
 * The migrations that have to run, in order. Throws `TidemarkError` CONFLICT when an applied one has
 * another checksum now, or is none of `files`: then the database belongs to another version.
 */
export function planMigrations(
  applied: readonly AppliedMigration[],
  files: readonly Migration[],
): Migration[] {
  const byVersion = new Map(files.map((file) => [file.version, file]));
  if (byVersion.size !== files.length) throw new Error('Bug: two migrations have one version');
  for (const { version, name, checksum } of applied) {
    const file = byVersion.get(version);
    const label = `${String(version).padStart(4, '0')}_${name}`;
    if (file === undefined) {
      throw new TidemarkError(
        'CONFLICT',
        `Cannot migrate: the database has migration ${label}, which this version does not know`,
      );
    }
    if (file.checksum !== checksum) {
      throw new TidemarkError(
        'CONFLICT',
        `Cannot migrate: migration ${label} was changed after it was applied`,
      );
    }
  }
  const versions = new Set(applied.map(({ version }) => version));
  return files
    .filter(({ version }) => !versions.has(version))
    .toSorted((left, right) => left.version - right.version);
}

/**
 * Runs what `planMigrations` says and records each migration once all its statements ran. A dry run
 * reads only. Throws `ClickHouseError`, and what `planMigrations` throws.
 */
export async function migrate(
  client: ClickHouse,
  options: { readonly dryRun?: boolean; readonly files?: readonly Migration[] } = {},
): Promise<MigrationReport> {
  const files = options.files ?? (await readMigrations());
  const dryRun = options.dryRun ?? false;
  if (!dryRun) await prepare(client);
  const applied = await readApplied(client);
  const pending = planMigrations(applied, files);
  if (!dryRun) {
    for (const migration of pending) await apply(client, migration);
  }
  return { pending, applied };
}

async function prepare(client: ClickHouse): Promise<void> {
  await client.createDatabase();
  await client.command(createRecord, {}, { idempotent: true });
}

async function apply(client: ClickHouse, migration: Migration): Promise<void> {
  const { version, name, checksum, statements } = migration;
  for (const statement of statements) await client.command(statement, {}, { idempotent: true });
  await client.insertRows('tidemark_migrations', [{ version, name, checksum }], {
    idempotent: true,
  });
}

/** What the database has seen; two migrators at once may have recorded the same. */
async function readApplied(client: ClickHouse): Promise<AppliedMigration[]> {
  if (!(await hasRecord(client))) return [];
  return client.query<AppliedMigration>(
    `SELECT DISTINCT version, name, checksum FROM tidemark_migrations ORDER BY version, name, checksum`,
  );
}

async function hasRecord(client: ClickHouse): Promise<boolean> {
  const unknownDatabase = 81;
  try {
    const rows = await client.query<{ result: number }>('EXISTS TABLE tidemark_migrations');
    return rows[0]?.result === 1;
  } catch (error) {
    if (error instanceof ClickHouseError && error.clickhouseCode === unknownDatabase) return false;
    throw error;
  }
}
