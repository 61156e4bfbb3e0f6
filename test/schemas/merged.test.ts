/** The merged view of log records against a plain model, under random histories of publishing. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readSettings } from '../../schemas/settings.ts';
import { openClickHouse } from '../../workers/clients/clickhouse.ts';
import type { ClickHouse } from '../../workers/clients/clickhouse.ts';
import { migrate } from '../../workers/clients/migrate.ts';
import { startClickHouse } from '../support/clickhouse.ts';
import type { TestClickHouse } from '../support/clickhouse.ts';
import { seededRandom } from '../support/random.ts';

let server: TestClickHouse;
let clickhouse: ClickHouse;

beforeAll(async () => {
  server = await startClickHouse();
  clickhouse = openClickHouse(readSettings({ CLICKHOUSE_URL: server.url }));
  await migrate(clickhouse);
});

afterAll(async () => {
  await clickhouse.close();
  await server.stop();
});

const days = ['2026-11-20', '2026-11-21', '2026-11-22'];
const seed = 20_261_123;

it('log_stats_merged has each hour once: of the current run, else live', async () => {
  console.info(`seed ${seed}`);
  const random = seededRandom(seed);
  const below = (bound: number) => Math.floor(random() * bound);
  /** Records by day and hour, as they came in, and bytes of their bodies. */
  const live = new Map<string, { count: number; bytes: number; bodies: Set<string> }>();
  const records = Array.from({ length: 600 }, () => {
    // Also the first and the last moment of a day.
    const at = below(10) === 0 ? ['00:00:00.000000000', '23:59:59.999999999'][below(2)] : undefined;
    const day = days[below(3)] ?? '';
    const clock = at ?? `${String(below(24)).padStart(2, '0')}:30:00`;
    const body = `é line ${below(5)}`;
    const key = `${day} ${clock.slice(0, 2)}`;
    const own = live.get(key) ?? { count: 0, bytes: 0, bodies: new Set() };
    live.set(key, {
      count: own.count + 1,
      bytes: own.bytes + Buffer.byteLength(body),
      bodies: own.bodies.add(body),
    });
    return { Timestamp: `${day} ${clock}`, ServiceName: 'shop', SeverityNumber: 9, Body: body };
  });
  await clickhouse.insertRows('otel_logs', records);

  const current = new Map<string, { run: string; isFinal: boolean; total: number }>();
  for (let step = 0; step < 25; step += 1) {
    // The last day has no run at all.
    const day = days[below(2)] ?? '';
    const earlier = [...current.values()].filter(({ run }) => run.startsWith(day));
    const again = earlier[0] !== undefined && below(3) === 0 ? earlier[0] : undefined;
    const run = again?.run ?? `${day}-${step}`;
    const total = again?.total ?? 1 + below(1000);
    const isFinal = below(2) === 0;
    if (again === undefined) {
      const hours = [0, 23].map((hour) => ({
        date: day,
        run_id: run,
        tenant_id: 'default',
        service_name: 'shop',
        severity_number: 9,
        hour: `${day}T${String(hour).padStart(2, '0')}:00:00Z`,
        total_records: total,
      }));
      await clickhouse.insertRows('log_stats_batch', hours);
    }
    // A run whose rows are in but that nothing names yet is not seen.
    if (again === undefined && below(4) === 0) continue;
    const row = { signal: 'logs', period_kind: 'day', period_start: `${day}T00:00:00Z` };
    const publishedAt = new Date(Date.UTC(2026, 10, 23, 4) + step).toISOString();
    const named = { run_id: run, is_final: isFinal, published_at: publishedAt };
    await clickhouse.insertRows('batch_runs', [{ ...row, ...named }]);
    current.set(day, { run, isFinal, total });
  }

  const rows = await clickhouse.query<Record<string, unknown>>(
    `SELECT concat(toString(date), ' ', formatDateTime(hour, '%H')) AS key, layer, run_id AS run,
       is_final AS isFinal, toUInt32(total_records) AS total, toUInt32(body_bytes) AS bytes,
       toUInt32(unique_bodies) AS bodies
     FROM log_stats_merged ORDER BY key`,
  );
  const wanted = days.flatMap((day) => {
    const published = current.get(day);
    if (published !== undefined) {
      const { run, isFinal, total } = published;
      return ['00', '23'].map((hour) => {
        return { key: `${day} ${hour}`, layer: 'batch', run, isFinal, total, bytes: 0, bodies: 0 };
      });
    }
    return [...live]
      .filter(([key]) => key.startsWith(day))
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, { count, bytes, bodies }]) => {
        const figures = { total: count, bytes, bodies: bodies.size };
        return { key, layer: 'realtime', run: '', isFinal: false, ...figures };
      });
  });
  expect(current.size).toBeGreaterThan(0);
  expect(rows).toEqual(wanted);
});
