/** Migrations on the real engine: once, twice, after a crash, and refused when they do not fit. */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readSettings } from '../../../../schemas/settings.ts';
import { openClickHouse } from '../../../../workers/clients/clickhouse/clickhouse.ts';
import {
  migrate,
  parseMigration,
  planMigrations,
  readMigrations,
} from '../../../../workers/clients/clickhouse/migrate.ts';
import { startClickHouse } from '../../../support/clickhouse.ts';
import type { TestClickHouse } from '../../../support/clickhouse.ts';

let server: TestClickHouse;

beforeAll(async () => {
  server = await startClickHouse();
});

afterAll(async () => {
  await server.stop();
});

function open(database: string) {
  return openClickHouse(
    readSettings({ CLICKHOUSE_URL: server.url, CLICKHOUSE_DATABASE: database }),
  );
}

describe('parseMigration()', () => {
  it('splits at semicolons that end a line, and leaves comments out of the count', () => {
    const migration = parseMigration(
      '0007_two_things.sql',
      "-- one\nSELECT ';';\n\nSELECT 2 ; \n-- end\n",
    );
    expect(migration.version).toBe(7);
    expect(migration.name).toBe('two_things');
    expect(migration.statements).toEqual(["-- one\nSELECT ';'", 'SELECT 2']);
  });

  it('has the checksum of the text, whatever the line ends', () => {
    const expected = createHash('sha256').update('SELECT 1;\n').digest('hex');
    expect(parseMigration('0001_a.sql', 'SELECT 1;\n').checksum).toBe(expected);
    expect(parseMigration('0001_a.sql', 'SELECT 1;\r\n').checksum).toBe(expected);
  });
});

describe('readMigrations()', () => {
  it('reads every file in order, numbered from 1 without a gap', async () => {
    const migrations = await readMigrations();
    expect(migrations.map(({ version }) => version)).toEqual(
      migrations.map((_, index) => index + 1),
    );
    expect(migrations.length).toBeGreaterThanOrEqual(8);
  });

  it('reads files whose every statement can run twice', async () => {
    for (const { statements } of await readMigrations()) {
      for (const statement of statements)
        expect(statement).toMatch(
          /IF NOT EXISTS|CREATE OR REPLACE|MODIFY (?:QUERY|SETTING)|INSERT[^;]+ NOT IN/,
        );
    }
  });
});

describe('planMigrations()', () => {
  const first = parseMigration('0001_a.sql', 'SELECT 1;\n');
  const second = parseMigration('0002_b.sql', 'SELECT 2;\n');

  it('runs what is not applied yet, in order', () => {
    expect(planMigrations([], [second, first])).toEqual([first, second]);
    expect(planMigrations([first], [first, second])).toEqual([second]);
    expect(planMigrations([first, second], [first, second])).toEqual([]);
  });

  it('refuses a migration that was changed after it was applied', () => {
    const changed = parseMigration('0001_a.sql', 'SELECT 3;\n');
    expect(() => planMigrations([first], [changed, second])).toThrow(
      'Cannot migrate: migration 0001_a was changed after it was applied',
    );
  });

  it('refuses a database of a newer version', () => {
    expect(() => planMigrations([first, second], [first])).toThrow(
      'the database has migration 0002_b, which this version does not know',
    );
  });
});

describe('migrate()', () => {
  it('only says what it would do in a dry run', async () => {
    const client = open('dry');
    const report = await migrate(client, { dryRun: true });
    expect(report.pending.map(({ version }) => version)).toEqual(
      (await readMigrations()).map(({ version }) => version),
    );
    await expect(client.query('SHOW TABLES')).rejects.toMatchObject({ clickhouseCode: 81 });
    await client.close();
  });

  it('creates database, tables and views, and does nothing the second time', async () => {
    const client = open('twice');
    const report = await migrate(client);
    expect(report.applied).toEqual([]);
    const tables = await client.query<{ name: string }>('SHOW TABLES');
    const statements = (await readMigrations()).flatMap((migration) => migration.statements);
    const made = statements.flatMap(
      (text) =>
        /^CREATE (?:OR REPLACE )?(?:\w+ )?(?:TABLE|VIEW) (?:IF NOT EXISTS )?(\w+)/m.exec(
          text,
        )?.[1] ?? [],
    );
    expect(made).toContain('service_stats_merged');
    expect(tables.map(({ name }) => name)).toEqual(
      [...new Set([...made, 'tidemark_migrations'])].toSorted(),
    );
    const again = await migrate(client);
    expect(again.pending).toEqual([]);
    expect(again.applied).toHaveLength(report.pending.length);
    const recorded = await client.query<{ rows: string }>(
      'SELECT toString(count()) AS rows FROM tidemark_migrations WHERE applied_at > now() - 60',
    );
    expect(recorded).toEqual([{ rows: String(report.pending.length) }]);
    await client.close();
  });

  it('goes on after a crash between two statements', async () => {
    const client = open('crash');
    const text = 'CREATE TABLE IF NOT EXISTS a (x UInt8) ENGINE = MergeTree ORDER BY x;\n';
    const broken = parseMigration(
      '0001_ab.sql',
      `${text}\nCREATE TABLE IF NOT EXISTS b (x Nope);\n`,
    );
    const whole = parseMigration('0001_ab.sql', `${text}\n${text.replace(' a ', ' b ')}`);
    await expect(migrate(client, { files: [broken] })).rejects.toMatchObject({
      clickhouseCode: 50,
    });
    expect(await migrate(client, { files: [whole] })).toMatchObject({ pending: [{ version: 1 }] });
    expect(await migrate(client, { files: [whole] })).toMatchObject({ pending: [] });
    await client.close();
  });

  it('lets two migrators run at once', async () => {
    const [one, two] = [open('both'), open('both')];
    await Promise.all([migrate(one), migrate(two)]);
    expect((await migrate(one)).pending).toEqual([]);
    await Promise.all([one.close(), two.close()]);
  });

  it('adds our columns to a table that a Collector made', async () => {
    const client = open('adopted');
    await client.createDatabase();
    const [migration] = await readMigrations();
    const theirs = (migration?.statements[0] ?? '')
      .split('\n')
      .filter((line) => !/`(TenantId|IngestedAt)`/.test(line))
      .join('\n')
      .replaceAll('(TenantId, ', '(');
    await client.command(theirs);
    await migrate(client);
    await client.insertRows('otel_traces', [{ Timestamp: '2026-11-22T00:00:00Z', SpanName: 'a' }]);
    const rows = await client.query<{ TenantId: string }>(
      'SELECT TenantId, IngestedAt > now() - 60 AS recent FROM otel_traces',
    );
    expect(rows).toEqual([{ TenantId: 'default', recent: 1 }]);
    await client.close();
  });
});
