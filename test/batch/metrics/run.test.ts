import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lookForDue } from '../../../batch/due.ts';
import { listInput } from '../../../batch/plan/input.ts';
import { runBatch, type BatchOptions } from '../../../batch/run.ts';
import { parsePeriod } from '../../../schemas/period.ts';
import type { Settings } from '../../../schemas/settings.ts';
import { archiveDeliveries } from '../../support/delivered.ts';
import {
  metricDelivery,
  plainMetrics,
  randomMetricDay,
  type Figures,
  type Point,
  type Sent,
  type Series,
} from '../../support/metricday.ts';
import { memoryOf } from '../../support/planned.ts';
import { expectProved } from '../../support/proved.ts';
import { seededRandom } from '../../support/random.ts';
import { startStack, type Stack } from '../../support/stack.ts';

const seed = Number(process.env['TEST_SEED'] ?? 20261123);
/** Most of it are requests to the store, which a loaded machine answers slowly. */
const patient = { timeout: 300_000 };
const hourNs = 3_600_000_000_000n;
let stack: Stack;
let nextOffset = 0n;

beforeAll(async () => {
  console.log(`seed ${seed}`);
  stack = await startStack();
});
afterAll(() => stack.close());

describe('runBatch() of metrics', () => {
  it(
    'equals a plain program and ClickHouse, the same from 1, 7 and 50 shards',
    patient,
    async () => {
      const date = '2026-10-02';
      const sent = randomMetricDay(seededRandom(seed), Date.parse(date), 90);
      const points = sent.reduce((sum, request) => sum + request.points.length, 0);
      await archive(sent);
      const wanted = [...plainMetrics(sent, Date.parse(date))].toSorted(byKey);
      const counts: number[] = [];
      for (const shards of [1, 7, 50]) {
        const memory = memoryOf('metrics', points / shards);
        const settings = { ...stack.settings, TIDEMARK_BATCH_MEMORY_BYTES: memory };
        const { run } = await runBatch({ ...optionsFor(date), settings, force: true });
        counts.push(run?.shards ?? 0);
        expect(await published(run?.runId ?? '')).toEqual(wanted);
        // The proof reads what is published, which is the same of all.
        if (shards === 50) await expectDayProved(date, run?.runId ?? '', stack.settings);
      }
      expect(counts[0]).toBe(1);
      expect(counts[1]).toBeGreaterThanOrEqual(5);
      expect(counts[2]).toBeGreaterThanOrEqual(20);
    },
  );

  it('takes the last point before an hour as its base, over midnight and restarts', async () => {
    const date = '2026-10-05';
    const total = totalOf('total');
    const day = BigInt(Date.parse(date)) * 1_000_000n;
    const at = (hours: number, value: number | bigint, startNs = day - 9n * hourNs): Point => {
      return {
        series: total,
        startNs,
        timeNs: day + BigInt(Math.round(hours * 3.6e6)) * 1_000_000n,
        value,
      };
    };
    const restartNs = day + 4n * hourNs + 1n;
    const sent = requestsOf([
      // 23:30 and 23:45 of the day before; only the latter is a base. Nothing comes between 1 and 3.
      at(-0.5, 100n),
      at(-0.25, 110n),
      at(0.5, 115n),
      at(0.75, 125n),
      at(3.5, 165n),
      // The program starts again, and counts from zero; then it does so without saying so.
      at(4.5, 7n, restartNs),
      at(5.5, 3n, restartNs),
    ]);
    await archive(sent);
    const { run } = await runBatch(optionsFor(date));
    expect(await increases(run?.runId ?? '')).toEqual([
      [0, 15, 0, 0],
      [3, 40, 0, 0],
      [4, 7, 1, 0],
      [5, 3, 1, 0],
    ]);
    await expectDayProved(date, run?.runId ?? '', stack.settings);
  });

  it('does not guess what a total held before anything is known of it', async () => {
    const date = '2026-10-08';
    const day = BigInt(Date.parse(date)) * 1_000_000n;
    const old = { series: totalOf('old'), startNs: day - 50n * hourNs };
    const none = { series: totalOf('none'), startNs: 0n };
    const marked = { series: totalOf('marked'), startNs: day + hourNs };
    const fresh = { series: totalOf('fresh'), startNs: day + hourNs };
    const late = { series: totalOf('straddling'), startNs: day - hourNs / 2n };
    const sent = requestsOf([
      { ...old, timeNs: day + hourNs, value: 1000 },
      { ...old, timeNs: day + hourNs + 1n, value: 1001.5 },
      { ...none, timeNs: day + hourNs, value: 2000 },
      { ...none, timeNs: day + hourNs + 1n, value: 2003 },
      { ...marked, timeNs: day + hourNs, value: 3000 },
      { ...marked, timeNs: day + hourNs + 1n, value: 3004 },
      { ...fresh, timeNs: day + hourNs + 1n, value: 5 },
      { ...late, timeNs: day + hourNs + 1n, value: 6 },
    ]);
    await archive(sent);
    const { run } = await runBatch(optionsFor(date));
    const rows = await increases(run?.runId ?? '');
    const sorted = rows.toSorted((a, b) => (a[1] ?? 0) - (b[1] ?? 0));
    expect(sorted).toEqual([
      [1, 1.5, 0, 1],
      [1, 3, 0, 1],
      [1, 4, 0, 1],
      [1, 5, 0, 0],
      [1, 6, 0, 0],
    ]);
  });

  it('adds ints exactly past 2^53, rounding once', async () => {
    const date = '2026-10-11';
    const day = BigInt(Date.parse(date)) * 1_000_000n;
    const series: Series = { ...totalOf('huge'), type: 'delta' };
    const values = [2n ** 62n, 2n ** 62n + 1n, 2n ** 62n, 2n ** 53n + 1n, 1n, 1n];
    const sent = requestsOf(
      values.map((value, i) => ({ series, startNs: 0n, timeNs: day + BigInt(i), value })),
    );
    await archive(sent);
    const { run } = await runBatch(optionsFor(date));
    const sum = values.reduce((total, value) => total + value, 0n);
    expect(await increases(run?.runId ?? '')).toEqual([[0, Number(sum), 0, 0]]);
    await expectDayProved(date, run?.runId ?? '', stack.settings);
  });

  it('sums up the series of a service past the limit, whatever the shards', patient, async () => {
    const date = '2026-10-14';
    const sent = randomMetricDay(seededRandom(seed + 1), Date.parse(date), 40);
    await archive(sent);
    const results: unknown[] = [];
    for (const memory of [64, 2.02]) {
      const settings = {
        ...stack.settings,
        TIDEMARK_BATCH_MEMORY_BYTES: Math.round(memory * 1024 * 1024),
        TIDEMARK_BATCH_SERIES_MAX: 3,
      };
      const { run } = await runBatch({ ...optionsFor(date), settings, force: true });
      await expectDayProved(date, run?.runId ?? '', settings);
      results.push(
        await stack.clickhouse.query(
          `SELECT * EXCEPT (date, run_id) FROM metric_stats_batch WHERE run_id = {run:String}
           ORDER BY ALL`,
          { run: run?.runId },
        ),
      );
      const [most] = await stack.clickhouse.query<{ most: string; past: string; points: string }>(
        `SELECT toString(max(series)) AS most, toString(sum(overflow)) AS past,
            toString(sum(points)) AS points
         FROM (
           SELECT uniqExactIf(series, series != '') AS series, sum(overflow_series) AS overflow,
             sum(points) AS points
           FROM metric_stats_batch WHERE run_id = {run:String} GROUP BY tenant_id, service_name)`,
        { run: run?.runId },
      );
      expect(Number(most?.most)).toBe(3);
      expect(Number(most?.past)).toBeGreaterThan(0);
      expect(Number(most?.points)).toBe(run?.totalSpans);
    }
    expect(results[1]).toEqual(results[0]);
  });

  it('makes a day due when data of the hour before it comes, and no other signal', async () => {
    const date = '2026-11-20';
    const day = BigInt(Date.parse(date)) * 1_000_000n;
    const total = totalOf('total');
    const startNs = day - 9n * hourNs;
    await archive(requestsOf([{ series: total, startNs, timeNs: day + 1n, value: 8 }]));
    const first = await runBatch(optionsFor(date));
    expect(await increases(first.run?.runId ?? '')).toEqual([[0, 0, 0, 1]]);
    expect(await dueSince('2026-11-19')).toEqual([]);
    await archive(requestsOf([{ series: total, startNs, timeNs: day - 5n, value: 3 }]));
    expect(await dueSince('2026-11-19')).toEqual(['2026-11-19 metrics', '2026-11-20 metrics']);
    const second = await runBatch(optionsFor(date));
    expect(await increases(second.run?.runId ?? '')).toEqual([[0, 5, 0, 0]]);
    expect(second.run).toMatchObject({ totalSpans: 1, files: 1, lateSpans: 0 });
  });

  it('publishes a day without data points, once it is complete', async () => {
    const settings = { ...stack.settings, TIDEMARK_ALLOWED_LATENESS_MS: 0 };
    const options = { ...optionsFor('2026-08-01'), settings, force: true };
    const report = await runBatch(options);
    expect(report.message).toContain('2026-08-01 (metrics) has no data points; published as');
  });
});

async function dueSince(date: string): Promise<string[]> {
  const days = await lookForDue({ ...stack, clock: noon });
  return days
    .filter(({ period }) => period.name >= date)
    .map(({ period, signal }) => `${period.name} ${signal}`);
}

function noon(): number {
  return Date.parse('2026-11-22T12:00:00Z');
}

function totalOf(label: string): Series {
  return { tenantId: 'default', service: 'cart', metric: 'm', type: 'total', label };
}

/** One request for each point, in the order given. */
function requestsOf(points: readonly Point[]): Sent[] {
  return points.map((point, index) => ({
    points: [point],
    receivedMs: Number(point.timeNs / 1_000_000n) + index,
    partition: 0,
    offset: BigInt(index),
  }));
}

function optionsFor(date: string): BatchOptions {
  let nowMs = Date.parse('2026-11-22T12:00:00Z');
  return {
    store: stack.store,
    clickhouse: stack.clickhouse,
    settings: stack.settings,
    clock: () => (nowMs += 1),
    random: Math.random,
    log: { info: () => undefined, warn: (fields, message) => console.warn(message, fields) },
    period: parsePeriod(date),
    of: 'metrics',
  };
}

/** One commit for each partition; offsets are made unique over the whole test. */
async function archive(requests: readonly Sent[]): Promise<void> {
  for (const own of Map.groupBy(requests, ({ partition }) => partition).values()) {
    const deliveries = own
      .map((request) => metricDelivery({ ...request, offset: request.offset + nextOffset }))
      .toSorted((a, b) => Number(a.offset - b.offset));
    await archiveDeliveries(stack.store, 'metrics', deliveries);
  }
  nextOffset += 100_000n;
}

/** Hour, increase, resets and bases of each series and hour. */
async function increases(runId: string): Promise<number[][]> {
  const rows = await stack.clickhouse.query<{ row: number[] }>(
    `SELECT [toFloat64(toHour(hour)), increase, toFloat64(resets), toFloat64(base_points)] AS row
     FROM metric_stats_batch WHERE run_id = {runId:String} ORDER BY hour, series`,
    { runId },
  );
  return rows.map(({ row }) => row);
}

type Row = Readonly<Record<string, unknown>>;

async function published(runId: string): Promise<[string, Figures][]> {
  const query = (table: string) =>
    stack.clickhouse.query<Row>(
      `SELECT t.*, attributes['label'] AS label, toHour(t.hour) AS number FROM ${table} AS t
       INNER JOIN (SELECT tenant_id, series, attributes FROM metric_series_batch
         WHERE run_id = {runId:String}) AS names USING (tenant_id, series)
       WHERE run_id = {runId:String} SETTINGS output_format_json_quote_denormals = 1`,
      { runId },
    );
  const stats = await query('metric_stats_batch');
  const parted = [
    ...(await query('metric_histogram_batch')),
    ...(await query('metric_summary_batch')),
  ];
  const byHour = new Map(parted.map((row) => [keyOf(row), row]));
  return stats
    .map((row): [string, Figures] => [keyOf(row), figuresOf(row, byHour.get(keyOf(row)))])
    .toSorted(byKey);
}

function keyOf(row: Row): string {
  const names = ['tenant_id', 'service_name', 'metric_name', 'label', 'number'];
  return JSON.stringify(names.map((name) => row[name]));
}

function figuresOf(row: Row, histogram: Row | undefined): Figures {
  const names = ['min', 'max', 'avg', 'last', 'p50', 'p95', 'p99'];
  return {
    points: toNumber(row['points']),
    duplicates: toNumber(row['duplicate_points']),
    conflicts: toNumber(row['conflict_points']),
    unrecorded: toNumber(row['unrecorded_points']),
    nans: toNumber(row['nan_points']),
    bases: toNumber(row['base_points']),
    resets: toNumber(row['resets']),
    increase: toNumber(row['increase']),
    values: names.map((name) => toNumber(row[`value_${name}`])),
    observations: toNumber(histogram?.['observations'] ?? 0),
    sum: toNumber(histogram?.['observation_sum'] ?? 'nan'),
    min: toNumber(histogram?.['observation_min'] ?? 'nan'),
    max: toNumber(histogram?.['observation_max'] ?? 'nan'),
    bounds: (histogram?.['bounds'] ?? []) as number[],
    buckets: ((histogram?.['bucket_counts'] ?? []) as string[]).map(Number),
    mixed: histogram?.['mixed_bounds'] === true,
    exponential: exponentialOf(histogram),
    quantiles: (histogram?.['quantiles'] ?? []) as number[],
    quantileValues: (histogram?.['quantile_values'] ?? []) as number[],
  };
}

/** An hour that added nothing has none; then its sum is NaN. */
function exponentialOf(row: Row | undefined): Figures['exponential'] {
  if (row?.['metric_type'] !== 'ExponentialHistogram') return undefined;
  if (Number.isNaN(toNumber(row['observation_sum']))) return undefined;
  const numbers = (name: string) => ((row[name] ?? []) as string[]).map(Number);
  return {
    scale: toNumber(row['scale']),
    zeroCount: toNumber(row['zero_count']),
    zeroThreshold: toNumber(row['zero_threshold']),
    widened: row['zero_widened'] === true,
    positiveOffset: toNumber(row['positive_offset']),
    positives: numbers('positive_counts'),
    negativeOffset: toNumber(row['negative_offset']),
    negatives: numbers('negative_counts'),
  };
}

/** A number that ClickHouse wrote into JSON, perhaps as text. */
function toNumber(value: unknown): number {
  return Number(String(value).replace('inf', 'Infinity').replace('nan', 'NaN'));
}

function byKey([a]: [string, unknown], [b]: [string, unknown]): number {
  return a < b ? -1 : 1;
}

/** Every run of the day so far read all of its files. */
async function expectDayProved(date: string, runId: string, settings: Settings): Promise<void> {
  const { files } = await listInput(stack.store, 'metrics', parsePeriod(date));
  const keys = files.map(({ key }) => key);
  await expectProved({ ...stack, settings }, ['metrics', date, runId], keys);
}
