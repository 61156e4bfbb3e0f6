/** The copy of `service_stats_batch` that the merged view reads, and counts of live days: each must say what its table says. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dropPartition } from '../../batch/publish/partition.ts';
import { parsePeriod } from '../../schemas/period.ts';
import { readSettings } from '../../schemas/settings.ts';
import { openClickHouse } from '../../workers/clients/clickhouse/clickhouse.ts';
import type { ClickHouse } from '../../workers/clients/clickhouse/clickhouse.ts';
import { readMigrations } from '../../workers/clients/clickhouse/migrate.ts';
import { startMigrated } from '../support/schema.ts';
import type { TestClickHouse } from '../support/clickhouse.ts';

let server: TestClickHouse;
let client: ClickHouse;

beforeAll(async () => {
  server = await startMigrated();
  client = openClickHouse(readSettings({ CLICKHOUSE_URL: server.url }));
});

afterAll(async () => {
  await client.close();
  await server.stop();
});

const copied = `date, run_id, tenant_id, service_name, operation_name, span_kind, total_spans, p50_ms,
  p95_ms, p99_ms, error_count, unique_traces`;

/** Rows of one run, each of which differs from the others in some key. */
function publish(date: string, run: string) {
  return client.command(
    `INSERT INTO service_stats_batch (${copied})
     SELECT '${date}', '${run}', toString(number % 2), toString(intDiv(number, 2) % 2), toString(number % 5),
       toString(number), number, 1, 2, if(number = 3, nan, 3), number, number FROM numbers(20)`,
  );
}

function rowsOf(table: string) {
  return client.query(`SELECT ${copied} FROM ${table} ORDER BY ALL`);
}

describe('service_stats_days', () => {
  it('has every row of service_stats_batch once: of before its migration, of after it, and of no run that is removed', async () => {
    const migration = (await readMigrations()).find(({ name }) => name === 'service_stats_days');
    // As it was before the migration; then that breaks off after some of it, and begins again.
    await client.command('DROP TABLE service_stats_days_mv');
    await publish('2026-11-01', 'first');
    await publish('2026-11-01', 'second');
    for (const statement of migration?.statements.filter((each) =>
      each.includes('MATERIALIZED VIEW'),
    ) ?? []) {
      await client.command(statement);
    }
    await publish('2026-11-02', 'first');
    for (const statement of [...(migration?.statements ?? []), ...(migration?.statements ?? [])]) {
      await client.command(statement);
    }
    await publish('2026-12-01', 'first');
    const rows = await rowsOf('service_stats_batch');
    expect(rows).toHaveLength(80);
    expect(await rowsOf('service_stats_days')).toEqual(rows);
    await dropPartition(client, 'service_stats_batch', parsePeriod('2026-11-01'), 'first');
    const left = await rowsOf('service_stats_batch');
    expect(left).toHaveLength(60);
    expect(await rowsOf('service_stats_days')).toEqual(left);
  });
});

async function ask(query: string) {
  const body = `${query} GROUP BY ALL ORDER BY ALL FORMAT JSONCompact`;
  const answer = await fetch(server.url, { method: 'POST', body });
  return (await answer.json()) as { data: unknown[]; statistics: { rows_read: number } };
}

describe('the counts of live days', () => {
  it('are read instead of minutes, and are those of the minutes, merged or not', async () => {
    const spansPerInsert = 5000;
    const insert = (from: number) =>
      client.command(
        `INSERT INTO otel_traces (Timestamp, ServiceName, SpanName, StatusCode, TraceId, SpanId)
         SELECT toDateTime64('2026-11-20 00:00:00', 9, 'UTC') + toIntervalSecond(number * 7919 % 172800), 'cart',
           toString(number % 10), if(number % 9 = 0, 'Error', 'Unset'), leftPad(hex(number), 32, '0'),
           leftPad(hex(number), 16, '0') FROM numbers(${from}, ${spansPerInsert})`,
      );
    for (let turn = 1; turn <= 3; turn += 1) {
      await insert(turn * spansPerInsert);
      if (turn === 3) await client.command('OPTIMIZE TABLE service_stats_realtime FINAL');
      const { data, statistics } = await ask(
        `SELECT date, operation_name, toUInt32(sum(total_spans)), toUInt32(sum(error_count))
         FROM service_stats_merged WHERE layer = 'realtime' AND service_name = 'cart'`,
      );
      const wanted = await ask(
        `SELECT toDate(Timestamp, 'UTC'), SpanName, toUInt32(count()), toUInt32(countIf(StatusCode = 'Error'))
         FROM otel_traces`,
      );
      expect(data).toEqual(wanted.data);
      expect(data).toHaveLength(20);
      // Ten operations of two days in each part, and what is published.
      expect(statistics.rows_read).toBeLessThan(3 * 20 + 200);
    }
  });
});
