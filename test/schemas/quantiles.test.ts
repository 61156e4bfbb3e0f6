/**
 * Quantiles of merged histograms against exact ones of ClickHouse and of a plain sort: whatever the
 * durations are, the exact quantile is within the bounds, and the estimate off by less than 1/64.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bucketOf } from '../../schemas/partials/histogram.ts';
import { readSettings } from '../../schemas/settings.ts';
import { openClickHouse } from '../../workers/clients/clickhouse/clickhouse.ts';
import type { ClickHouse } from '../../workers/clients/clickhouse/clickhouse.ts';
import { migrate } from '../../workers/clients/clickhouse/migrate.ts';
import { startMigrated } from '../support/schema.ts';
import type { TestClickHouse } from '../support/clickhouse.ts';
import { seededRandom } from '../support/random.ts';

const seed = Number(process.env['TEST_SEED'] ?? 20261123);
let server: TestClickHouse;
let clickhouse: ClickHouse;

beforeAll(async () => {
  console.log(`seed ${seed}`);
  server = await startMigrated();
  clickhouse = openClickHouse(readSettings({ CLICKHOUSE_URL: server.url }));
  await migrate(clickhouse);
});
afterAll(async () => {
  await clickhouse.close();
  await server.stop();
});

const quantiles = [0, 0.001, 0.25, 0.5, 0.9, 0.95, 0.99, 0.999, 1];
/** Operations on doubles, of which neither side has more than a few. */
const rounding = 2 ** -48;

/** Durations of a service, by the row (day and operation) that they are published in. */
type Rows = readonly (readonly bigint[])[];

/** `count` durations that `one` makes, dealt out to rows by chance. */
function dealt(random: () => number, count: number, one: (i: number) => bigint): Rows {
  const rows = Array.from({ length: 1 + Math.floor(random() * 12) }, (): bigint[] => []);
  for (let i = 0; i < count; i += 1) rows[Math.floor(random() * rows.length)]?.push(one(i));
  return rows;
}

/** A bucket's first or last duration, where the estimate is furthest off: 2^60 + … as well as 128. */
function edge(random: () => number): bigint {
  const shift = BigInt(Math.floor(random() * 58));
  const low = BigInt(64 + Math.floor(random() * 64)) << shift;
  return random() < 0.5 ? low : low + (1n << shift) - 1n;
}

const whole = (x: number) => BigInt(Math.floor(x));
const ms = (ns: bigint | undefined) => (ns === undefined ? 'nan' : Number(ns) / 1e6);

function adversaries(random: () => number): Record<string, Rows> {
  const size = 1 + Math.floor(random() * 3000);
  const low = edge(random);
  return {
    equal: dealt(random, size, () => low),
    one: dealt(random, 1, () => whole(random() * 1e9)),
    two: dealt(random, 2, () => edge(random)),
    three: dealt(random, 3, () => whole(random() * 1e7)),
    nothing: [[]],
    small: dealt(random, size, () => whole(random() * 200)),
    tiny: dealt(random, size, () => whole(random() * 128)),
    edges: dealt(random, size, () => edge(random)),
    // All of a bucket at one side of it.
    lowest: dealt(random, size, (i) => (i % 7 === 0 ? 1n : 128n << 30n)),
    highest: dealt(random, size, (i) => (i % 7 === 0 ? 2n ** 63n : (129n << 30n) - 1n)),
    apart: dealt(random, size, () => (random() < 0.5 ? 0n : 2n ** 64n - 1n)),
    tail: dealt(random, size, () => whole(1e6 / Math.max(1e-12, random()) ** 1.1)),
    logNormal: dealt(random, size, () => whole(Math.exp(12 + 3 * (random() + random() - 1)))),
  };
}

async function publish(services: Record<string, Rows>): Promise<void> {
  const rows = Object.entries(services).flatMap(([service, all]) =>
    all.map((durations, i) => {
      const counts = new Map<number, number>();
      for (const duration of durations.toSorted((a, b) => (a < b ? -1 : 1))) {
        const bucket = bucketOf(duration);
        counts.set(bucket, (counts.get(bucket) ?? 0) + 1);
      }
      const sorted = durations.toSorted((a, b) => (a < b ? -1 : Number(a > b)));
      return {
        date: `2026-11-0${1 + (i % 3)}`,
        run_id: `run ${1 + (i % 3)}`,
        tenant_id: 'default',
        service_name: service,
        operation_name: `GET /${Math.floor(i / 3)}`,
        span_kind: 'Server',
        total_spans: durations.length,
        min_ms: ms(sorted[0]),
        max_ms: ms(sorted.at(-1)),
        quantile_state: { buckets: [...counts.keys()], counts: [...counts.values()] },
      };
    }),
  );
  await clickhouse.insertRows('service_stats_batch', rows);
  const values = Object.entries(services).flatMap(([service, all]) =>
    all.flat().map((duration) => ({ service, duration })),
  );
  await clickhouse.command(
    'CREATE OR REPLACE TABLE durations (service String, duration UInt64) ENGINE = Memory',
  );
  await clickhouse.insertRows('durations', values);
}

interface Merged {
  readonly service_name: string;
  readonly total_spans: string;
  readonly estimate_ms: number;
  readonly low_ms: number;
  readonly high_ms: number;
}

async function merged(q: number, view = 'service_quantiles'): Promise<Merged[]> {
  return clickhouse.query<Merged>(
    `SELECT * FROM ${view}(from = '2026-11-01', to = '2026-11-03', q = ${q})
     ORDER BY ALL SETTINGS output_format_json_quote_denormals = 1`,
  );
}

/** Type 7 of sorted durations, without a histogram. */
function exactMs(sorted: readonly bigint[], q: number): number {
  const rank = q * (sorted.length - 1);
  const below = sorted[Math.floor(rank)] ?? 0n;
  const above = sorted[Math.ceil(rank)] ?? 0n;
  return (Number(below) + (rank - Math.floor(rank)) * Number(above - below)) / 1e6;
}

async function makeCurrent(): Promise<void> {
  const runs = [1, 2, 3].map((day) => ({
    signal: 'traces',
    period_kind: 'day',
    period_start: `2026-11-0${day}T00:00:00Z`,
    run_id: `run ${day}`,
    published_at: '2026-11-05T00:00:00Z',
    is_final: true,
    watermark: '2026-11-05T00:00:00Z',
  }));
  await clickhouse.insertRows('batch_runs', runs);
}

describe('service_quantiles', () => {
  it('holds the exact quantile within its bounds, and is off by less than 1/64', async () => {
    await makeCurrent();
    const random = seededRandom(seed);
    const services: Record<string, Rows> = {};
    for (let round = 0; round < 4; round += 1) {
      for (const [name, rows] of Object.entries(adversaries(random))) {
        services[`${name} ${round}`] = rows;
      }
    }
    await publish(services);
    const sorted = new Map(
      Object.entries(services).map(([name, rows]) => [
        name,
        rows.flat().toSorted((a, b) => (a < b ? -1 : Number(a > b))),
      ]),
    );
    let checked = 0;
    for (const q of quantiles) {
      const engine = await clickhouse.query<{ service: string; exact: number }>(
        `SELECT service, quantileExactInclusive(${q})(duration) / 1e6 AS exact FROM durations GROUP BY service`,
      );
      const exacts = new Map(engine.map(({ service, exact }) => [service, exact]));
      for (const row of await merged(q)) {
        const durations = sorted.get(row.service_name) ?? [];
        expect(Number(row.total_spans)).toBe(durations.length);
        const { estimate_ms: estimate, low_ms: low, high_ms: high } = row;
        if (durations.length === 0) {
          expect([estimate, low, high]).toEqual(['nan', 'nan', 'nan']);
          continue;
        }
        // The engine, and the views, round the rank of n durations to a double; a plain program does not.
        const gap = exactMs(durations, 1) * durations.length * 2 ** -52;
        for (const [exact, slack] of [
          [exacts.get(row.service_name) ?? Number.NaN, 0],
          [exactMs(durations, q), gap],
        ].map(([value = 0, more = 0]) => [value, value * rounding + more] as const)) {
          expect(exact, `${row.service_name}, q = ${q}`).toBeGreaterThanOrEqual(low - slack);
          expect(exact, `${row.service_name}, q = ${q}`).toBeLessThanOrEqual(high + slack);
          expect(Math.abs(estimate - exact)).toBeLessThanOrEqual(exact / 64 + slack);
          expect(high - low).toBeLessThanOrEqual(exact / 64 + slack);
          if (q === 0 || q === 1 || durations.length <= 2 || row.service_name.startsWith('tiny')) {
            expect(Math.abs(estimate - exact)).toBeLessThanOrEqual(slack);
          }
          checked += 1;
        }
      }
    }
    expect(checked).toBeGreaterThan(2 * 4 * 12 * quantiles.length - 1);
  });

  it('knows only rows of current runs, by operation too, and says NaN where a state is missing', async () => {
    const before = await merged(0.5);
    const some = before.find(({ total_spans: spans }) => Number(spans) > 10);
    await clickhouse.insertRows('service_stats_batch', [
      { date: '2026-11-01', run_id: 'other', service_name: some?.service_name, total_spans: 5 },
    ]);
    expect(await merged(0.5)).toEqual(before);
    const operations = await merged(0.5, 'operation_quantiles');
    const spans = (rows: readonly Merged[]) =>
      rows
        .filter(({ service_name: service }) => service === some?.service_name)
        .reduce((sum, { total_spans: each }) => sum + Number(each), 0);
    expect(spans(operations)).toBe(spans(before));

    await clickhouse.insertRows('service_stats_batch', [
      {
        date: '2026-11-01',
        run_id: 'run 1',
        tenant_id: 'default',
        service_name: some?.service_name,
        total_spans: 5,
      },
    ]);
    const after = (await merged(0.5)).find((row) => row.service_name === some?.service_name);
    expect(after).toMatchObject({ estimate_ms: 'nan', low_ms: 'nan', high_ms: 'nan' });
    expect(Number(after?.total_spans)).toBe(Number(some?.total_spans) + 5);
  });
});
