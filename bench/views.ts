/**
 * Measures the merged views: the same answers from them and from raw spans, by the embedded ClickHouse,
 * over 30 published days of 1,000 operations each, and a live day after them. Asserts first that both
 * give the same figures. What is lost stays in the output.
 */
import assert from 'node:assert/strict';
import os from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { readSettings } from '../schemas/settings.ts';
import { startClickHouse } from '../test/support/clickhouse.ts';
import { openClickHouse } from '../workers/clients/clickhouse/clickhouse.ts';
import type { ClickHouse } from '../workers/clients/clickhouse/clickhouse.ts';
import { migrate } from '../workers/clients/clickhouse/migrate.ts';

/** 30 days of 1,000 operations: two spans of each operation in three minutes, which is little. */
const defaultSpans = 30_000_000;
/** Days that are published; one more is live. */
const days = 30;
const services = 40;
const operationsOfService = 25;
const firstDay = '2026-10-23';
const lastDay = dayOf(days - 1);
const liveDay = dayOf(days);
/** Answers from a view that are timed, and from raw spans. */
const viewTimes = 200;
const rawTimes = 3;
/** Inserts that the live day comes in. */
const liveInserts = 40;
/** Seconds that merges of what was inserted are waited for. */
const settleSeconds = 180;
const goalMs = 100;
const goalRatio = 50;

/** A question, asked of a view and of raw spans: equal answers, row by row. */
interface Question {
  readonly name: string;
  readonly view: string;
  readonly raw: string;
}

const rawDay = `toDate(Timestamp, 'UTC')`;
const rawCounts = `toFloat64(count()) AS spans, toFloat64(countIf(StatusCode = 'Error')) AS errors`;
const rawQuantiles = `quantilesExactInclusive(0.5, 0.95, 0.99)(Duration) AS exact,
  exact[1] / 1e6 AS p50, exact[2] / 1e6 AS p95, exact[3] / 1e6 AS p99`;
const rawTraces = 'toFloat64(uniqExact(TraceId)) AS traces';
const viewCounts = `toFloat64(sum(total_spans)) AS spans, toFloat64(sum(error_count)) AS errors`;

const countsUntil = (last: string) => ({
  view: `SELECT service_name AS service, operation_name AS operation, ${viewCounts} FROM service_stats_merged
    WHERE tenant_id = 'default' AND date BETWEEN '${firstDay}' AND '${last}'
    GROUP BY service, operation ORDER BY service, operation`,
  raw: `SELECT ServiceName AS service, SpanName AS operation, ${rawCounts} FROM otel_traces
    WHERE TenantId = 'default' AND ${rawDay} BETWEEN '${firstDay}' AND '${last}'
    GROUP BY service, operation ORDER BY service, operation`,
});

const questions: readonly Question[] = [
  {
    name: `${days} days, by operation: spans, errors, p50, p95 and p99 of the worst day`,
    view: `SELECT service_name AS service, operation_name AS operation, ${viewCounts},
        max(p50_ms) AS p50, max(p95_ms) AS p95, max(p99_ms) AS p99 FROM service_stats_merged
      WHERE tenant_id = 'default' AND date BETWEEN '${firstDay}' AND '${lastDay}'
      GROUP BY service, operation ORDER BY service, operation`,
    raw: `SELECT service, operation, sum(of_day.spans) AS spans, sum(of_day.errors) AS errors,
        max(of_day.p50) AS p50, max(of_day.p95) AS p95, max(of_day.p99) AS p99
      FROM (SELECT ServiceName AS service, SpanName AS operation, ${rawCounts}, ${rawQuantiles}
        FROM otel_traces
        WHERE TenantId = 'default' AND ${rawDay} BETWEEN '${firstDay}' AND '${lastDay}'
        GROUP BY ${rawDay}, service, operation) AS of_day
      GROUP BY service, operation ORDER BY service, operation`,
  },
  {
    name: `${days} days of one service, by day and operation: spans, errors, p50, p95, p99, traces`,
    view: `SELECT date, operation_name AS operation, toFloat64(total_spans) AS spans,
        toFloat64(error_count) AS errors, p50_ms AS p50, p95_ms AS p95, p99_ms AS p99,
        toFloat64(unique_traces) AS traces FROM service_stats_merged
      WHERE tenant_id = 'default' AND service_name = 'service 7' AND date <= '${lastDay}'
      ORDER BY date, operation`,
    raw: `SELECT date, operation, spans, errors, p50, p95, p99, traces FROM
      (SELECT ${rawDay} AS date, SpanName AS operation, ${rawCounts}, ${rawQuantiles}, ${rawTraces}
      FROM otel_traces
      WHERE TenantId = 'default' AND ServiceName = 'service 7' AND date <= '${lastDay}'
      GROUP BY date, operation) ORDER BY date, operation`,
  },
  { name: `${days} days, by operation: spans, errors`, ...countsUntil(lastDay) },
  { name: `${days} days and the live day, by operation: spans, errors`, ...countsUntil(liveDay) },
];

/** Runs the benchmark with about so many spans in all days together. */
export async function views(spans = defaultSpans): Promise<void> {
  const server = await startClickHouse();
  const clickhouse = openClickHouse(readSettings({ CLICKHOUSE_URL: server.url }));
  try {
    await migrate(clickhouse);
    await fill(clickhouse, spans);
    await settle(clickhouse);
    for (const question of questions) await compare(clickhouse, question, spans);
  } finally {
    await clickhouse.close();
    await server.stop();
  }
}

/** A number that looks like chance, of each row. */
function chance(seed: number): string {
  return `cityHash64(number, ${seed})`;
}

/** So many spans of a day, numbers from `from` on. */
function spansOf(day: number, from: number, count: number): string {
  const operation = `${chance(1)} % ${services * operationsOfService}`;
  // Durations are log-normal, in ns; ten spans make a trace.
  return `INSERT INTO otel_traces
      (Timestamp, TraceId, SpanId, ServiceName, SpanName, SpanKind, Duration, StatusCode)
    SELECT
      toDateTime64('${dayOf(day)} 00:00:00', 9, 'UTC') + toIntervalNanosecond(${chance(2)} % 86400000000000),
      lower(hex(sipHash128(intDiv(number, 10)))),
      lower(hex(cityHash64(number))),
      concat('service ', toString(${operation} % ${services})),
      concat('operation ', toString(intDiv(${operation}, ${services}))),
      'Server',
      toUInt64(exp(14 + 1.5 * randNormal(0, 1))),
      if(${chance(3)} % 100 = 0, 'Error', 'Unset')
    FROM numbers(${from}, ${count})`;
}

function dayOf(day: number): string {
  return new Date(Date.parse(firstDay) + day * 86_400_000).toISOString().slice(0, 10);
}

/** Each day has its share; what is published has rollups as well, which must not be seen any more. */
async function fill(clickhouse: ClickHouse, spans: number): Promise<void> {
  const each = Math.ceil(spans / (days + 1));
  progress(`generating ${spans} spans of ${days + 1} days`);
  for (let day = 0; day < days; day += 1) {
    await clickhouse.command(spansOf(day, day * each, each));
    await publish(clickhouse, dayOf(day));
  }
  const part = Math.ceil(each / liveInserts);
  for (let insert = 0; insert < liveInserts; insert += 1) {
    await clickhouse.command(spansOf(days, days * each + insert * part, part));
  }
}

/** Waits for merges of what was inserted, which would take their time from both sides; not for long. */
async function settle(clickhouse: ClickHouse): Promise<void> {
  progress('waiting for merges');
  for (let looks = 0; looks < settleSeconds; looks += 1) {
    const [merges] = await clickhouse.query<{ count: string }>(
      'SELECT count() AS count FROM system.merges',
    );
    if (Number(merges?.count) === 0) return;
    await delay(1000);
  }
}

/** The exact figures of a day, and an earlier run that is not current any more. */
async function publish(clickhouse: ClickHouse, date: string): Promise<void> {
  await clickhouse.command(
    `INSERT INTO service_stats_batch (date, run_id, tenant_id, service_name, operation_name, span_kind,
       total_spans, error_count, p50_ms, p95_ms, p99_ms, unique_traces)
     SELECT date, 'new', TenantId, service, operation, SpanKind, spans, errors, p50, p95, p99, traces
     FROM (SELECT ${rawDay} AS date, TenantId, ServiceName AS service, SpanName AS operation,
         SpanKind,
         ${rawCounts}, ${rawQuantiles}, ${rawTraces}
       FROM otel_traces WHERE date = '${date}'
       GROUP BY date, TenantId, service, operation, SpanKind)`,
  );
  await clickhouse.command(
    `INSERT INTO service_stats_batch SELECT * REPLACE ('old' AS run_id, total_spans + 1 AS total_spans)
     FROM service_stats_batch WHERE date = '${date}' AND run_id = 'new'`,
  );
  const start = { signal: 'traces', period_kind: 'day', period_start: `${date}T00:00:00Z` };
  await clickhouse.insertRows(
    'batch_runs',
    ['old', 'new'].map((run, place) => {
      return { ...start, run_id: run, is_final: true, published_at: place + 1 };
    }),
  );
}

async function compare(clickhouse: ClickHouse, question: Question, spans: number): Promise<void> {
  const { name, view, raw } = question;
  progress(name);
  const answer = await clickhouse.query<object>(view);
  assert.deepEqual(answer, await clickhouse.query<object>(raw), name);
  const ours = await times(() => clickhouse.query(view), viewTimes);
  const theirs = await times(() => clickhouse.query(raw), rawTimes);
  const p99Ms = at(ours, 0.99);
  const ratio = at(theirs, 0.5) / at(ours, 0.5);
  figure({
    case: name,
    value: round(p99Ms),
    unit: 'ms, p99 of a view',
    p50Ms: round(at(ours, 0.5)),
    versus: 'raw spans',
    rawMs: round(at(theirs, 0.5)),
    ratio: round(ratio),
    goal: `under ${goalMs} ms: ${p99Ms < goalMs ? 'met' : 'missed'}; at least ${goalRatio} times: ${
      ratio >= goalRatio ? 'met' : 'missed'
    }`,
    rows: answer.length,
    spans,
    operations: services * operationsOfService,
  });
}

/** Durations in ms, ascending. */
async function times(run: () => Promise<unknown>, count: number): Promise<number[]> {
  const found: number[] = [];
  for (let time = 0; time < count; time += 1) {
    const startMs = performance.now();
    await run();
    found.push(performance.now() - startMs);
  }
  return found.toSorted((a, b) => a - b);
}

function at(sorted: readonly number[], quantile: number): number {
  return sorted[Math.ceil(quantile * sorted.length) - 1] ?? Number.NaN;
}

function figure(fields: object): void {
  const machine = `${os.availableParallelism()} × ${os.cpus()[0]?.model ?? 'unknown'}`;
  process.stdout.write(`${JSON.stringify({ bench: 'views', ...fields, machine })}\n`);
}

function progress(text: string): void {
  process.stderr.write(`${text}\n`);
}

function round(value: number): number {
  return Number(value.toFixed(1));
}
