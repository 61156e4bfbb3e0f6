/** The metric tables on the real engine: what the migrations promise to writers and to readers. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readSettings } from '../../schemas/settings.ts';
import { speedTables, tablesOf } from '../../schemas/tables.ts';
import { openClickHouse } from '../../workers/clients/clickhouse/clickhouse.ts';
import type { ClickHouse } from '../../workers/clients/clickhouse/clickhouse.ts';
import { migrate } from '../../workers/clients/clickhouse/migrate.ts';
import { startClickHouse } from '../support/clickhouse.ts';
import type { TestClickHouse } from '../support/clickhouse.ts';

let server: TestClickHouse;
const opened: ClickHouse[] = [];

beforeAll(async () => {
  server = await startClickHouse();
});

afterAll(async () => {
  await Promise.all(opened.map((client) => client.close()));
  await server.stop();
});

function open(database: string): ClickHouse {
  const client = openClickHouse(
    readSettings({ CLICKHOUSE_URL: server.url, CLICKHOUSE_DATABASE: database }),
  );
  opened.push(client);
  return client;
}

async function columnsOf(client: ClickHouse, table: string): Promise<string[]> {
  const rows = await client.query<{ name: string }>(`DESCRIBE ${table}`);
  return rows.map(({ name }) => name);
}

describe('metric tables', () => {
  it('have the columns that writers fill, in their order, and no other', async () => {
    const client = open('columns');
    await migrate(client);
    for (const table of tablesOf.metrics) {
      expect(await columnsOf(client, table)).toEqual([...speedTables[table]]);
    }
  });

  it('keep nanoseconds, and show exponential histograms under both names', async () => {
    const client = open('names');
    await migrate(client);
    const row = { MetricName: 'm', TimeUnix: '2026-11-22 13:00:00.123456789', TenantId: 'acme' };
    await client.insertRows('otel_metrics_exp_histogram', [row]);
    const rows = await client.query(
      'SELECT MetricName, toString(TimeUnix) AS time, TenantId FROM otel_metrics_exponential_histogram',
    );
    expect(rows).toEqual([
      { MetricName: 'm', time: '2026-11-22 13:00:00.123456789', TenantId: 'acme' },
    ]);
  });

  it('take an insert with a deduplication token once', async () => {
    const client = open('tokens');
    await migrate(client);
    for (const table of tablesOf.metrics) {
      for (const deduplicationToken of ['a', 'a', 'b']) {
        const row = { MetricName: 'm', TimeUnix: '2026-11-22 13:00:00', Flags: 1 };
        await client.insertRows(table, [row], { deduplicationToken });
      }
      expect(await client.query(`SELECT toUInt32(count()) AS rows FROM ${table}`)).toEqual([
        { rows: 2 },
      ]);
    }
  });

  it('of a Collector gain our columns, with defaults for what it writes', async () => {
    await open('default').command('CREATE DATABASE collector');
    const client = open('collector');
    await client.command(
      `CREATE TABLE otel_metrics_summary (
        ResourceAttributes Map(LowCardinality(String), String), ResourceSchemaUrl String,
        ScopeName String, ScopeVersion String, ScopeAttributes Map(LowCardinality(String), String),
        ScopeDroppedAttrCount UInt32, ScopeSchemaUrl String, ServiceName LowCardinality(String),
        MetricName String, MetricDescription String, MetricUnit String,
        Attributes Map(LowCardinality(String), String), StartTimeUnix DateTime64(9),
        TimeUnix DateTime64(9), Count UInt64, Sum Float64,
        ValueAtQuantiles Nested(Quantile Float64, Value Float64), Flags UInt32)
      ENGINE = MergeTree
      ORDER BY (ServiceName, MetricName, Attributes, toUnixTimestamp64Nano(TimeUnix))`,
    );
    await migrate(client);
    await client.insertRows('otel_metrics_summary', [{ MetricName: 'm', TimeUnix: 0, Flags: 0 }]);
    const rows = await client.query(
      'SELECT TenantId, IngestedAt > 0 AS isSet FROM otel_metrics_summary',
    );
    expect(rows).toMatchObject([{ TenantId: 'default' }]);
  });
});
