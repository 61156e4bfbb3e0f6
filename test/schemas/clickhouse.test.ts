/** Tables and views on the real engine, against a plain model of what they promise. */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readSettings } from '../../schemas/settings.ts';
import { speedTables } from '../../schemas/tables.ts';
import { openClickHouse } from '../../workers/clients/clickhouse.ts';
import type { ClickHouse } from '../../workers/clients/clickhouse.ts';
import { migrate } from '../../workers/clients/migrate.ts';
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

/** Rows that a query on a merged view of database `pruned` reads. */
const readRows = async (where: string, view = 'service_stats_merged') => {
  const query = `SELECT * FROM pruned.${view} WHERE ${where} FORMAT JSON`;
  const answer = await fetch(server.url, { method: 'POST', body: query });
  const { statistics } = (await answer.json()) as { statistics: { rows_read: number } };
  return statistics.rows_read;
};

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

/** What a day's batch rows and published runs are, in the plain model. */
interface Day {
  readonly date: string;
  readonly realtimeSpans: number;
  /** Spans of each run that was inserted, by run id, complete or not. */
  readonly runs: Map<string, number>;
  current: string | undefined;
}

const batchRow = (day: Day, runId: string, operation: string, spanCount: number) => ({
  date: day.date,
  run_id: runId,
  tenant_id: 'default',
  service_name: 'cart',
  operation_name: operation,
  total_spans: spanCount,
  p50_ms: 1,
  p95_ms: 2,
  p99_ms: 3,
});

const publish = (day: Day, runId: string, publishedMs: number) => ({
  period_kind: 'day',
  period_start: `${day.date}T00:00:00Z`,
  run_id: runId,
  published_at: new Date(publishedMs).toISOString(),
  is_final: publishedMs % 2 === 0,
  watermark: new Date(publishedMs).toISOString(),
});

interface MergedRow {
  readonly date: string;
  readonly layer: string;
  readonly run_id: string;
  readonly spans: string;
}

const mergedByDate = `SELECT date, layer, run_id, sum(total_spans) AS spans FROM service_stats_merged
  GROUP BY date, layer, run_id ORDER BY date`;

describe('service_stats_merged', () => {
  it('takes each day from one layer and one run, for any history of publishing', async () => {
    for (const seed of [11, 22]) {
      const client = await fresh(`merged_${seed}`);
      const random = randomOf(seed);
      const days: Day[] = ['2026-11-18', '2026-11-19', '2026-11-20', '2026-11-21'].map((date) => ({
        date,
        realtimeSpans: 1 + Math.floor(random() * 9),
        runs: new Map(),
        current: undefined,
      }));
      for (const { date, realtimeSpans } of days) {
        const rows = Array.from({ length: realtimeSpans }, (_, index) => ({
          Timestamp: `${date}T${index % 2 === 0 ? '00:00:00' : '23:59:59'}Z`,
          SpanName: 'get',
          ServiceName: 'cart',
          Duration: index,
        }));
        await client.insertRows('otel_traces', rows);
      }
      for (let step = 0; step < 20; step += 1) {
        const day = days[Math.floor(random() * days.length)];
        if (day === undefined) throw new Error('no day');
        await historyStep(client, day, step, random());
        const expected = days.map((one) => ({
          date: one.date,
          layer: one.current === undefined ? 'realtime' : 'batch',
          run_id: one.current ?? '',
          spans: String(one.current === undefined ? one.realtimeSpans : one.runs.get(one.current)),
        }));
        const rows = await client.query<MergedRow>(mergedByDate);
        expect(rows, `seed ${seed}, step ${step}`).toEqual(expected);
      }
    }
  });

  it('shows a day whole, once, from one layer while its run is published', async () => {
    const client = await fresh('race');
    // Every look at the current runs takes 0.4 s here (a block of rows does). A view that looked twice would see the run in
    // one half and not in the other, as it is published between the two.
    await client.command('RENAME TABLE batch_current TO batch_current_fast');
    await client.command(
      'CREATE VIEW batch_current AS SELECT * FROM batch_current_fast WHERE sleep(0.4) = 0',
    );
    const seen: string[] = [];
    const other: Day = {
      date: '2026-11-10',
      realtimeSpans: 0,
      runs: new Map(),
      current: undefined,
    };
    await client.insertRows('batch_runs', [publish(other, 'run', 1)]);
    for (const [index, waitMs] of [100, 250].entries()) {
      const day: Day = {
        date: `2026-11-${11 + index}`,
        realtimeSpans: 7,
        runs: new Map(),
        current: undefined,
      };
      const span = { Timestamp: `${day.date}T12:00:00Z`, SpanName: 'get' };
      await client.insertRows(
        'otel_traces',
        Array.from({ length: 7 }, () => ({ ...span })),
      );
      await client.insertRows('service_stats_batch', [batchRow(day, 'run', 'a', 5)]);
      // Servers before 25.9 have no snapshot that all parts of a query share.
      const reading = client.query<MergedRow>(
        `${mergedByDate} SETTINGS enable_shared_storage_snapshot_in_query = 0`,
      );
      await delay(waitMs);
      await client.insertRows('batch_runs', [publish(day, 'run', 1_000_000 + waitMs)]);
      for (const rows of [await reading, await client.query<MergedRow>(mergedByDate)]) {
        const ofDay = rows.filter(({ date }) => date === day.date);
        seen.push(ofDay.map(({ layer, spans: count }) => `${layer} ${count}`).join(' and '));
      }
    }
    for (const text of seen) expect(['realtime 7', 'batch 5']).toContain(text);
    expect(seen).toContain('realtime 7');
    expect(seen.filter((_, index) => index % 2 === 1)).toEqual(['batch 5', 'batch 5']);
  });

  it('reads only the day, run and service that are asked for', async () => {
    const client = await fresh('pruned');
    const all = 'FROM numbers(20000)';
    const service = `concat('service', toString(number % 100))`;
    await client.command(
      `INSERT INTO otel_traces (Timestamp, ServiceName, SpanName)
       SELECT toDateTime64('2026-11-18 00:00:00', 3, 'UTC') + toIntervalSecond(number * 12), ${service}, 'get' ${all}`,
    );
    for (const runId of ['r1', 'r2', 'r3']) {
      await client.command(
        `INSERT INTO service_stats_batch (date, run_id, tenant_id, service_name, operation_name)
         SELECT '2026-11-19', '${runId}', 'default', ${service}, toString(number) ${all}`,
      );
    }
    await client.insertRows('batch_runs', [
      { period_kind: 'day', period_start: '2026-11-19T00:00:00Z', run_id: 'r2', published_at: 1 },
    ]);
    // The index has a mark every 1,024 rows; a service lies within two of them.
    const small = 'tenant_id = {} AND service_name = {}'
      .replace('{}', `'default'`)
      .replace('{}', `'service7'`);
    expect(await readRows(`date = '2026-11-19' AND ${small}`)).toBeLessThan(3 * 1024);
    expect(await readRows(`date = '2026-11-18' AND ${small}`)).toBeLessThan(3 * 1024);
    expect(await readRows(`date = '2026-11-19'`)).toBeLessThan(20_000 + 100);
    expect(await readRows(`date = '2026-11-18'`)).toBeLessThan(10_000);

    // The same of hours: one of them has runs, and a minute's row is a span here.
    for (const runId of ['h1', 'h2', 'h3']) {
      await client.command(
        `INSERT INTO service_stats_hourly_batch (hour, run_id, tenant_id, service_name, operation_name)
         SELECT '2026-11-18 07:00:00', '${runId}', 'default', ${service}, toString(number) ${all}`,
      );
    }
    const start = { period_kind: 'hour', period_start: '2026-11-18T07:00:00Z' };
    await client.insertRows('batch_runs', [{ ...start, run_id: 'h2', published_at: 1 }]);
    const hourly = (where: string) => readRows(where, 'service_stats_hourly_merged');
    expect(await hourly(`hour = '2026-11-18 07:00:00' AND ${small}`)).toBeLessThan(3 * 1024);
    expect(await hourly(`hour = '2026-11-18 06:00:00' AND ${small}`)).toBeLessThan(3 * 1024);
    expect(await hourly(`hour = '2026-11-18 07:00:00'`)).toBeLessThan(30_000);
    expect(await hourly(`hour = '2026-11-18 06:00:00'`)).toBeLessThan(10_000);
  });
});

/** One random event of a day's history, done to ClickHouse and to the model alike. */
async function historyStep(
  client: ClickHouse,
  day: Day,
  step: number,
  chance: number,
): Promise<void> {
  const runId = `run-${step}`;
  const [first] = day.runs.keys();
  if (chance < 0.3) {
    // A crash: some rows, no row in batch_runs. A retry takes them back and goes through.
    await client.insertRows('service_stats_batch', [batchRow(day, runId, 'a', 1000)]);
    if (chance < 0.15) return;
    await client.command(
      `ALTER TABLE service_stats_batch DROP PARTITION ('${day.date}', '${runId}')`,
    );
  } else if (chance < 0.5 && first !== undefined) {
    // A rollback, or the same run published twice.
    await client.insertRows('batch_runs', [publish(day, first, 1_000_000 + step)]);
    day.current = first;
    return;
  } else if (chance < 0.6) {
    // An hour's run says nothing about the day.
    const hour = { ...publish(day, runId, 1_000_000 + step), period_kind: 'hour' };
    await client.insertRows('batch_runs', [hour]);
    return;
  }
  const rows = [batchRow(day, runId, 'a', step + 1), batchRow(day, runId, 'b', 2)];
  await client.insertRows('service_stats_batch', rows);
  await client.insertRows('batch_runs', [publish(day, runId, 1_000_000 + step)]);
  day.runs.set(runId, step + 3);
  day.current = runId;
}

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
    const day: Day = { date: '2026-11-20', realtimeSpans: 4, runs: new Map(), current: undefined };
    const span = (operation: string, duration: number, date = day.date) => ({
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
