/** Tables and views on the real engine, against a plain model of what they promise. */
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

/** A migrated database of its own. */
async function fresh(database: string): Promise<ClickHouse> {
  const client = openClickHouse(
    readSettings({ CLICKHOUSE_URL: server.url, CLICKHOUSE_DATABASE: database }),
  );
  opened.push(client);
  await migrate(client);
  return client;
}

/** Numbers from 0 to 1 that repeat for a seed (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const spans = (random: () => number, count: number) =>
  Array.from({ length: count }, () => ({
    Timestamp: new Date(
      Date.UTC(2026, 10, 20) + Math.floor(random() * 3 * 86_400_000),
    ).toISOString(),
    TraceId: Math.floor(random() * count)
      .toString(16)
      .padStart(32, '0'),
    SpanName: `operation ${Math.floor(random() * 4)}`,
    ServiceName: `service ${Math.floor(random() * 3)}`,
    StatusCode: random() < 0.1 ? 'Error' : 'Unset',
    Duration: Math.round(Math.exp(random() * 20)),
    TenantId: `tenant${Math.floor(random() * 2)}`,
  }));

const spanAt = (second: number) => ({
  Timestamp: `2026-11-20T00:00:0${second}Z`,
  TraceId: 'ab',
  SpanName: 'x',
});

const publishedAt = (runId: string, published: string, final: boolean) => ({
  period_kind: 'day',
  period_start: '2026-11-20T00:00:00Z',
  run_id: runId,
  published_at: published,
  is_final: final,
  watermark: published,
  total_spans: runId.length,
});

describe('otel_traces', () => {
  it('has the columns that writers fill, in their order, and none more that is inserted', async () => {
    const client = await fresh('columns');
    const rows = await client.query<{ name: string; default_type: string; type: string }>(
      'DESCRIBE otel_traces',
    );
    const stored = rows.filter(({ default_type: kind }) => kind !== 'ALIAS');
    expect(stored.map(({ name }) => name)).toEqual([...speedTables.otel_traces]);
    expect(rows.find(({ name }) => name === 'Events.Attributes')?.type).toBe(
      'Array(Map(LowCardinality(String), String))',
    );
  });

  it('takes an insert with a deduplication token once, its rollups too', async () => {
    const client = await fresh('tokens');
    const rows = spans(randomOf(1), 10);
    for (const deduplicationToken of ['a', 'a', 'b']) {
      await client.insertRows('otel_traces', rows, { deduplicationToken });
    }
    const [counts] = await client.query(
      `SELECT toUInt32(count()) AS raw, (SELECT toUInt32(sum(total_spans)) FROM service_stats_realtime)
       AS rolled FROM otel_traces`,
    );
    expect(counts).toEqual({ raw: 20, rolled: 20 });
  });

  it('gives start and end of a trace by its id', async () => {
    const client = await fresh('traceids');
    await client.insertRows('otel_traces', [spanAt(5), spanAt(3)]);
    await client.insertRows('otel_traces', [spanAt(9), spanAt(7)]);
    const rows = await client.query(
      `SELECT toUnixTimestamp(min(Start)) - 1795132800 AS first, toUnixTimestamp(max(End)) - 1795132800 AS last
       FROM otel_traces_trace_id_ts WHERE TraceId = 'ab'`,
    );
    expect(rows).toEqual([{ first: '3', last: '9' }]);
  });
});

describe('service_stats_realtime', () => {
  it('equals the aggregation of otel_traces, whatever the session time zone', async () => {
    const client = await fresh('rollup');
    const random = randomOf(20_261_122);
    // Two inserts of equal shape: equal rollup rows of different inserts must both count.
    for (let insert = 0; insert < 5; insert += 1) {
      await client.insertRows('otel_traces', spans(random, 2000));
    }
    await client.insertRows('otel_traces', [
      { SpanName: 'twin', TraceId: 'a', Timestamp: '2026-11-20T00:00:00Z' },
    ]);
    await client.insertRows('otel_traces', [
      { SpanName: 'twin', TraceId: 'b', Timestamp: '2026-11-20T00:00:00Z' },
    ]);
    const keys = 'tenant_id, service_name, operation_name';
    const rolled = await client.query<Record<string, unknown>>(
      `SELECT toDate(minute, 'UTC') AS date, ${keys}, sum(total_spans) AS total, sum(error_count) AS errors,
         min(duration_min) AS least, max(duration_max) AS most, sum(duration_sum) AS sum,
         uniqCombined64Merge(14)(unique_traces) AS traces
       FROM service_stats_realtime GROUP BY date, ${keys} ORDER BY date, ${keys}
       SETTINGS session_timezone = 'Pacific/Auckland'`,
    );
    const direct = await client.query<Record<string, unknown>>(
      `SELECT toDate(Timestamp, 'UTC') AS date, TenantId AS tenant_id, ServiceName AS service_name,
         SpanName AS operation_name, count() AS total, countIf(StatusCode = 'Error') AS errors,
         min(Duration) AS least, max(Duration) AS most, toFloat64(sum(Duration)) AS sum,
         uniqExact(TraceId) AS traces
       FROM otel_traces GROUP BY date, ${keys} ORDER BY date, ${keys}`,
    );
    expect(direct.length).toBeGreaterThan(70);
    expect(rolled).toEqual(direct);
    const [worst] = await client.query<{ error: number }>(
      `SELECT max(abs(rolled.1 / exact - 1)) AS error FROM
       (SELECT ServiceName, quantilesExactInclusive(0.5, 0.95, 0.99)(Duration) AS exacts FROM otel_traces
         WHERE SpanName != 'twin' GROUP BY ServiceName) AS direct
       INNER JOIN (SELECT service_name,
         quantilesTDigestMerge(0.5, 0.95, 0.99)(duration_quantiles) AS merged
         FROM service_stats_realtime WHERE operation_name != 'twin' GROUP BY service_name) AS rollup
       ON ServiceName = service_name
       ARRAY JOIN arrayZip(merged, exacts) AS rolled, exacts AS exact`,
    );
    expect(worst?.error).toBeLessThan(0.05);
  });
});

const batchRow = (date: string, runId: string, operation: string, spanCount: number) => ({
  date,
  run_id: runId,
  tenant_id: 'default',
  service_name: 'cart',
  operation_name: operation,
  total_spans: spanCount,
  p50_ms: 1,
  p95_ms: 2,
  p99_ms: 3,
});

const publish = (date: string, runId: string, publishedMs: number) => ({
  period_kind: 'day',
  period_start: `${date}T00:00:00Z`,
  run_id: runId,
  published_at: new Date(publishedMs).toISOString(),
  is_final: publishedMs % 2 === 0,
  watermark: new Date(publishedMs).toISOString(),
});

describe('batch_current', () => {
  it('names the run published last, with its own figures', async () => {
    const client = await fresh('current');
    await client.insertRows('batch_runs', [
      publishedAt('a', '2026-11-21T05:00:00.001Z', true),
      publishedAt('longer', '2026-11-21T04:59:59.999Z', false),
    ]);
    expect(
      await client.query(
        'SELECT period_kind, run_id, is_final, watermark, total_spans FROM batch_current',
      ),
    ).toEqual([
      {
        period_kind: 'day',
        run_id: 'a',
        is_final: true,
        watermark: '2026-11-21 05:00:00.001',
        total_spans: '1',
      },
    ]);
  });
});

describe('service_drift', () => {
  it('shows batch beside realtime for published days only', async () => {
    const client = await fresh('drift');
    const day = '2026-11-20';
    const span = (operation: string, duration: number, date = day) => ({
      Timestamp: `${date}T23:59:59.999Z`,
      SpanName: operation,
      ServiceName: 'cart',
      Duration: duration,
      StatusCode: 'Error',
    });
    await client.insertRows('otel_traces', [
      span('get', 1e6),
      span('get', 1e6),
      span('only realtime', 5e6),
      span('get', 9e6, '2026-11-21'),
    ]);
    await client.insertRows('service_stats_batch', [
      { ...batchRow(day, 'r', 'get', 1), duplicate_spans: 1, error_count: 2, p50_ms: 0.5 },
      batchRow(day, 'r', 'only batch', 3),
    ]);
    await client.insertRows('batch_runs', [publish(day, 'r', 5)]);
    const rows = await client.query(
      `SELECT date, operation_name, run_id, batch_total_spans, realtime_total_spans, duplicate_spans,
         total_spans_error, error_count_error, p50_error FROM service_drift ORDER BY operation_name`,
    );
    expect(rows).toEqual([
      {
        date: '2026-11-20',
        operation_name: 'get',
        run_id: 'r',
        batch_total_spans: '1',
        realtime_total_spans: '2',
        duplicate_spans: '1',
        total_spans_error: 1,
        error_count_error: 0,
        p50_error: 1,
      },
      {
        date: '2026-11-20',
        operation_name: 'only batch',
        run_id: 'r',
        batch_total_spans: '3',
        realtime_total_spans: '0',
        duplicate_spans: '0',
        total_spans_error: -1,
        error_count_error: null,
        p50_error: null,
      },
      {
        date: '2026-11-20',
        operation_name: 'only realtime',
        run_id: '',
        batch_total_spans: '0',
        realtime_total_spans: '1',
        duplicate_spans: '0',
        total_spans_error: null,
        error_count_error: null,
        p50_error: null,
      },
    ]);
  });
});
