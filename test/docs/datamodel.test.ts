/** The guides against the tables: their queries run on the real engine, and the data model names all that there is. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readSettings } from '../../schemas/settings.ts';
import { openClickHouse } from '../../workers/clients/clickhouse/clickhouse.ts';
import type { ClickHouse } from '../../workers/clients/clickhouse/clickhouse.ts';
import { migrate } from '../../workers/clients/clickhouse/migrate.ts';
import { startMigrated } from '../support/schema.ts';
import type { TestClickHouse } from '../support/clickhouse.ts';
import { guides, readGuide } from '../support/guides.ts';

let server: TestClickHouse;
let clickhouse: ClickHouse;

beforeAll(async () => {
  server = await startMigrated();
  clickhouse = openClickHouse(readSettings({ CLICKHOUSE_URL: server.url }));
  await migrate(clickhouse);
}, 60_000);

afterAll(async () => {
  await clickhouse.close();
  await server.stop();
});

/** Statements of a guide's SQL blocks. Users and their rights are not in an engine without access control. */
function statementsOf(file: string): string[] {
  return [...readGuide(file).matchAll(/^```sql\n([\s\S]*?)^```$/gm)]
    .flatMap(([, block = '']) => block.split(/;\s*$/m))
    .map((statement) => statement.trim())
    .filter(
      (statement) =>
        statement !== '' && !/^(CREATE|GRANT|ALTER) (USER|ROLE|ROW|SELECT|ON)/.test(statement),
    )
    .filter((statement) => !statement.startsWith('GRANT'));
}

const all = guides().flatMap((file) =>
  statementsOf(file).map((sql, index) => [file, index + 1, sql] as const),
);

describe('the queries of the guides', () => {
  it('are many', () => {
    expect(all.filter(([file]) => file === 'docs/DATAMODEL.md').length).toBeGreaterThan(8);
  });

  it.each(all)('of %s, number %i, are right', async (_file, _number, sql) => {
    await (sql.startsWith('ALTER') ? clickhouse.command(sql) : clickhouse.query(sql));
  });
});

describe('docs/DATAMODEL.md', () => {
  const named = new Set(
    [...readGuide('docs/DATAMODEL.md').matchAll(/`(\w+)`/g)].map(([, name]) => name),
  );

  it('names every table and view', async () => {
    const tables = await clickhouse.query<{ name: string }>(
      `SELECT name FROM system.tables WHERE database = currentDatabase()
         AND engine != 'MaterializedView' AND name NOT LIKE '.inner%' ORDER BY name`,
    );
    expect(tables.length).toBeGreaterThan(30);
    expect(tables.map(({ name }) => name).filter((name) => !named.has(name))).toEqual([]);
  });
});
