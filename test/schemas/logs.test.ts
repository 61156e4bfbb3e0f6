/** The table of logs on the real engine. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readSettings } from '../../schemas/settings.ts';
import { speedTables } from '../../schemas/tables.ts';
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
  const settings = { CLICKHOUSE_URL: server.url, CLICKHOUSE_DATABASE: database };
  const client = openClickHouse(readSettings(settings));
  opened.push(client);
  return client;
}

/** Of the Collector's exporter before 2024: no event name, no `TimestampTime`, nothing of ours. */
const oldTable = `CREATE TABLE older.otel_logs
  (
    Timestamp DateTime64(9), TraceId String, SpanId String, TraceFlags UInt32,
    SeverityText LowCardinality(String), SeverityNumber Int32, ServiceName LowCardinality(String),
    Body String, ResourceSchemaUrl String, ResourceAttributes Map(LowCardinality(String), String),
    ScopeSchemaUrl String, ScopeName String, ScopeVersion String,
    ScopeAttributes Map(LowCardinality(String), String),
    LogAttributes Map(LowCardinality(String), String)
  )
  ENGINE = MergeTree PARTITION BY toDate(Timestamp)
  ORDER BY (ServiceName, SeverityText, toUnixTimestamp(Timestamp), TraceId)`;

describe('otel_logs', () => {
  it('has the columns that writers fill, in their order, and TimestampTime', async () => {
    const client = open('logcolumns');
    await migrate(client);
    const rows = await client.query<{ name: string; default_type: string }>('DESCRIBE otel_logs');
    const stored = rows
      .filter(({ default_type: kind }) => kind !== 'ALIAS' && kind !== 'MATERIALIZED')
      .map(({ name }) => name);
    expect(stored.filter((name) => name !== 'TimestampTime')).toEqual([...speedTables.otel_logs]);
    expect(stored[1]).toBe('TimestampTime');
  });

  it('takes an insert of the exporter, which knows nothing of our columns', async () => {
    const client = open('exporter');
    await migrate(client);
    await client.insertRows('otel_logs', [
      {
        Timestamp: '2026-11-20T00:00:05Z',
        Body: 'line',
        ResourceAttributes: { 'k8s.pod.name': 'pod-1' },
      },
    ]);
    const rows = await client.query(
      'SELECT TenantId, toUnixTimestamp(TimestampTime) - 1795132800 AS second,' +
        ' `__otel_materialized_k8s.pod.name` AS pod FROM otel_logs',
    );
    expect(rows).toEqual([{ TenantId: 'default', second: '5', pod: 'pod-1' }]);
  });

  it('takes an insert with a deduplication token once', async () => {
    const client = open('logtokens');
    await migrate(client);
    const rows = [{ Timestamp: '2026-11-20T00:00:05Z', Body: 'line' }];
    for (const deduplicationToken of ['a', 'a', 'b']) {
      await client.insertRows('otel_logs', rows, { deduplicationToken });
    }
    expect(await client.query('SELECT toUInt32(count()) AS rows FROM otel_logs')).toEqual([
      { rows: 2 },
    ]);
  });

  it('gets the columns that it lacks where an old Collector made it', async () => {
    const client = open('older');
    for (const body of ['CREATE DATABASE IF NOT EXISTS older', oldTable]) {
      const answer = await fetch(server.url, { method: 'POST', body });
      expect(answer.status, await answer.text()).toBe(200);
    }
    await migrate(client);
    const rows = await client.query<{ name: string }>('DESCRIBE otel_logs');
    const names = new Set(rows.map(({ name }) => name));
    expect(speedTables.otel_logs.filter((name) => !names.has(name))).toEqual([]);
  });
});
