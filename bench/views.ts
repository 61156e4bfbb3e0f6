/**
 * Measures the merged views: the same answers from them and from raw spans, by the embedded ClickHouse, over
 * 30 days of 1,000 operations each, of which the last has no run and is live. Asserts first that both say the
 * same: equal figures of published days, equal counts of the live one.
 */
import assert from 'node:assert/strict';
import os from 'node:os';
import { readSettings } from '../schemas/settings.ts';
import { startClickHouse } from '../test/support/clickhouse.ts';
import { openClickHouse } from '../workers/clients/clickhouse.ts';
import type { ClickHouse } from '../workers/clients/clickhouse.ts';
import { migrate } from '../workers/clients/migrate.ts';

const defaultSpans = 20_000_000;
const days = 30;
const services = 40;
const operationsOfService = 25;
const firstDay = '2026-10-24';
const lastDay = '2026-11-22';
/** Answers from a view that are timed, and from raw spans. */
const viewTimes = 300;
const rawTimes = 3;
/** Inserts that the live day comes in. */
const liveInserts = 40;
const goalMs = 100;
const goalRatio = 50;

/** A question, asked of a view and of raw spans: equal answers, row by row. */
interface Question {
  readonly name: string;
  readonly view: string;
  readonly raw: string;
  readonly params?: Readonly<Record<string, string>>;
}

const rawDay = `toDate(Timestamp, 'UTC')`;
const rawFigures = `toFloat64(count()) AS spans, toFloat64(countIf(StatusCode = 'Error')) AS errors`;
const viewFigures = `toFloat64(sum(total_spans)) AS spans, toFloat64(sum(error_count)) AS errors`;
const rawQuantiles = `quantilesExactInclusive(0.5, 0.95, 0.99)(Duration) AS exact,
  exact[1] / 1e6 AS p50, exact[2] / 1e6 AS p95, exact[3] / 1e6 AS p99, toFloat64(uniqExact(TraceId)) AS traces`;

const questions: readonly Question[] = [
  {
    name: `${days} days by operation: spans, errors`,
    view: `SELECT service_name AS service, operation_name AS operation, ${viewFigures} FROM service_stats_merged
      WHERE tenant_id = 'default' AND date BETWEEN '${firstDay}' AND '${lastDay}'
      GROUP BY service, operation ORDER BY service, operation`,
    raw: `SELECT ServiceName AS service, SpanName AS operation, ${rawFigures} FROM otel_traces
      WHERE TenantId = 'default' AND ${rawDay} BETWEEN '${firstDay}' AND '${lastDay}'
      GROUP BY service, operation ORDER BY service, operation`,
  },
  {
    name: `${days} days by day and service: spans, errors`,
    view: `SELECT date, service_name AS service, ${viewFigures} FROM service_stats_merged
      WHERE tenant_id = 'default' AND date BETWEEN '${firstDay}' AND '${lastDay}'
      GROUP BY date, service ORDER BY date, service`,
    raw: `SELECT ${rawDay} AS date, ServiceName AS service, ${rawFigures} FROM otel_traces
      WHERE TenantId = 'default' AND date BETWEEN '${firstDay}' AND '${lastDay}'
      GROUP BY date, service ORDER BY date, service`,
  },
  {
    name: `${days - 1} published days of one service by operation: spans, errors, p50, p95, p99, traces`,
    view: `SELECT date, operation_name AS operation, toFloat64(total_spans) AS spans,
        toFloat64(error_count) AS errors, p50_ms AS p50, p95_ms AS p95, p99_ms AS p99,
        toFloat64(unique_traces) AS traces FROM service_stats_merged
      WHERE tenant_id = 'default' AND service_name = 'service 7' AND date < '${lastDay}'
      ORDER BY date, operation`,
    raw: `SELECT date, operation, spans, errors, p50, p95, p99, traces FROM
      (SELECT ${rawDay} AS date, SpanName AS operation, ${rawFigures}, ${rawQuantiles} FROM otel_traces
      WHERE TenantId = 'default' AND ServiceName = 'service 7' AND date < '${lastDay}'
      GROUP BY date, operation) ORDER BY date, operation`,
  },
];

/** Runs the benchmark with about so many spans in all days together. */
export async function views(spans = defaultSpans): Promise<void> {
  const server = await startClickHouse();
  const clickhouse = openClickHouse(readSettings({ CLICKHOUSE_URL: server.url }));
  try {
    await migrate(clickhouse);
    await fill(clickhouse, spans);
    for (const question of questions) await compare(clickhouse, question, spans);
  } finally {
    await clickhouse.close();
    await server.stop();
  }
}

/** Spans: numbers from `from` on, of the day that `day` says (an expression of `number`). */
function spansOf(day: string, from: number, count: number): string {
  const chance = (seed: number) => `cityHash64(number, ${seed})`;
  const operation = `${chance(1)} % ${services * operationsOfService}`;
  // Durations are log-normal, in ns; ten spans make a trace.
  return `SELECT
      fromUnixTimestamp64Nano(toInt64(toUnixTimestamp(toDateTime('${firstDay} 00:00:00', 'UTC') + toIntervalDay(${day}))
        * 1000000000 + ${chance(2)} % 86400000000000)) AS Timestamp,
      lower(hex(sipHash128(intDiv(number, ${days * 10}), ${day}))) AS TraceId,
      lower(hex(cityHash64(number))) AS SpanId,
      concat('service ', toString(${operation} % ${services})) AS ServiceName,
      concat('operation ', toString(intDiv(${operation}, ${services}))) AS SpanName,
      'Server' AS SpanKind,
      toUInt64(exp(14 + 1.5 * randNormal(0, 1))) AS Duration,
      if(${chance(3)} % 100 = 0, 'Error', 'Unset') AS StatusCode
    FROM numbers(${from}, ${count})`;
}

const columns = 'Timestamp, TraceId, SpanId, ServiceName, SpanName, SpanKind, Duration, StatusCode';

async function fill(clickhouse: ClickHouse, spans: number): Promise<void> {
  progress(`generating ${spans} spans of ${days} days`);
  // The rollups of published days are never read: those days go into the table beside them.
  await clickhouse.command('CREATE TABLE IF NOT EXISTS raw_traces AS otel_traces');
  const chunk = 2_000_000;
  const ofDays = Math.floor((spans / days) * (days - 1));
  for (let from = 0; from < ofDays; from += chunk) {
    const count = Math.min(chunk, ofDays - from);
    const rows = spansOf(`number % ${days - 1}`, from, count);
    await clickhouse.command(`INSERT INTO raw_traces (${columns}) ${rows}`);
  }
  for (let day = 0; day < days - 1; day += 1) {
    const date = new Date(Date.parse(firstDay) + day * 86_400_000).toISOString().slice(0, 10);
    await clickhouse.command(`ALTER TABLE otel_traces ATTACH PARTITION '${date}' FROM raw_traces`);
  }
  await clickhouse.command('DROP TABLE raw_traces');
  progress('publishing');
  await publish(clickhouse);
  progress('the live day');
  const each = Math.ceil((spans - ofDays) / liveInserts);
  for (let insert = 0; insert < liveInserts; insert += 1) {
    const rows = spansOf(String(days - 1), spans + insert * each, each);
    await clickhouse.command(`INSERT INTO otel_traces (${columns}) ${rows}`);
  }
}

/** The exact figures of each published day, and an earlier run that is not current. */
async function publish(clickhouse: ClickHouse): Promise<void> {
  for (const run of ['old', 'new']) {
    await clickhouse.command(
      `INSERT INTO service_stats_batch (date, run_id, tenant_id, service_name, operation_name, span_kind,
         total_spans, error_count, p50_ms, p95_ms, p99_ms, unique_traces)
       SELECT date, '${run}', TenantId, service, operation, SpanKind, spans, errors, p50, p95, p99, traces
       FROM (SELECT ${rawDay} AS date, TenantId, ServiceName AS service, SpanName AS operation, SpanKind,
           ${rawFigures}, ${rawQuantiles}
         FROM otel_traces GROUP BY date, TenantId, service, operation, SpanKind)`,
    );
  }
  const rows = Array.from({ length: days - 1 }, (_, day) => ({
    signal: 'traces',
    period_kind: 'day',
    period_start: new Date(Date.parse(firstDay) + day * 86_400_000),
    run_id: 'new',
    is_final: true,
    published_at: new Date(Date.parse(lastDay)),
  }));
  await clickhouse.insertRows('batch_runs', rows);
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
