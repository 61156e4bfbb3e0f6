/** Drift on real engines: rows are really lost and duplicated in the speed tables, and counted plainly. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compareLayers, storeDrift, type ServiceDrift } from '../../batch/drift.ts';
import { runBatch } from '../../batch/run.ts';
import { spanDrift } from '../../batch/traces/drift.ts';
import { parsePeriod } from '../../schemas/period.ts';
import { archiveSpans } from '../support/day.ts';
import { seededRandom } from '../support/random.ts';
import { randomSpans, type SpanRow } from '../support/spans.ts';
import { startStack, type Stack } from '../support/stack.ts';

const seed = Number(process.env['TEST_SEED'] ?? 20261123);
const date = '2026-11-03';
const period = parsePeriod(date);
const runMs = Date.parse('2026-11-04T05:00:00Z');
let stack: Stack;

beforeAll(async () => {
  console.log(`seed ${seed}`);
  stack = await startStack();
});
afterAll(() => stack.close());

const identityOf = (row: SpanRow) =>
  JSON.stringify([row.tenant, row.traceId, row.spanId, row.kind]);

const arrival = (a: SpanRow, b: SpanRow) =>
  a.ingestedMs - b.ingestedMs ||
  a.partition - b.partition ||
  Number(a.offset - b.offset) ||
  a.itemIndex - b.itemIndex;

/** A row of `otel_traces`. */
const speedRow = (row: SpanRow) => ({
  Timestamp: `${row.timestampNs / 1_000_000_000n}.${String(row.timestampNs % 1_000_000_000n).padStart(9, '0')}`,
  TraceId: row.traceId,
  SpanId: row.spanId,
  SpanKind: row.kind,
  SpanName: row.operation,
  ServiceName: row.service,
  Duration: row.durationNs,
  StatusCode: row.status,
  TenantId: row.tenant,
  IngestedAt: new Date(row.ingestedMs).toISOString(),
});

const count = <T>(items: readonly T[], keyOf: (item: T) => string): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const item of items) counts[keyOf(item)] = (counts[keyOf(item)] ?? 0) + 1;
  return counts;
};

const figures = (services: readonly ServiceDrift[], of: (row: ServiceDrift) => number) =>
  Object.fromEntries(
    services
      .map((row) => [`${row.tenantId} ${row.serviceName}`, of(row)] as const)
      .filter(([, value]) => value !== 0),
  );

describe('compareLayers()', () => {
  it('counts what the speed table lost, has twice and has alone, in one query and in slices', async () => {
    const random = seededRandom(seed);
    const spans = randomSpans(random, 3000, { hourMs: Date.parse(`${date}T20:00:00Z`) }).map(
      // A tenth comes after midnight, some of it after the run.
      (row) => (random() < 0.9 ? row : { ...row, ingestedMs: runMs - 4e6 + random() * 8e6 }),
    );
    const late = spans.map((row) => ({ ...row, ingestedMs: Math.floor(row.ingestedMs) }));
    const files = await archiveSpans(stack.store, late, { firstOffset: 0n });
    const { run } = await runBatch({
      ...stack,
      clock: () => runMs,
      random: seededRandom(1),
      log: { info: () => undefined, warn: () => undefined },
      period,
      of: 'traces',
    });
    const first = new Map<string, SpanRow>();
    for (const row of late.toSorted(arrival)) {
      if (!first.has(identityOf(row))) first.set(identityOf(row), row);
    }
    const kept = [...first.values()];
    const lost = kept.filter((_, i) => i % 50 === 7);
    const twice = kept.filter((_, i) => i % 30 === 2);
    const alone = randomSpans(random, 40, { hourMs: Date.parse(`${date}T21:00:00Z`) })
      .filter((row, i, all) => all.findIndex((it) => identityOf(it) === identityOf(row)) === i)
      .map((row) => ({ ...row, service: 'stranger' }));
    const stored = [
      ...kept.filter((row) => !lost.includes(row)),
      ...twice,
      ...twice.slice(0, 9),
      ...alone,
      alone[0] as SpanRow,
    ];
    await stack.clickhouse.insertRows('otel_traces', stored.map(speedRow));
    // Neighbours of the day count for nothing.
    const dayNs = 86_400_000_000_000n;
    await stack.clickhouse.insertRows('otel_traces', [
      speedRow({ ...(kept[0] as SpanRow), timestampNs: (kept[0] as SpanRow).timestampNs + dayNs }),
    ]);

    const serviceOf = (row: SpanRow) => `${row.tenant} ${row.service}`;
    const lostOrTwice = (rows: readonly SpanRow[]) => rows.filter((row) => !lost.includes(row));
    const reports: (readonly ServiceDrift[])[] = [];
    for (const rows of [1_000_000, 1000]) {
      const services = await compareLayers({
        ...stack,
        settings: { ...stack.settings, TIDEMARK_VERIFY_ROWS: rows },
        of: 'traces',
        drift: spanDrift,
        table: 'service_stats_batch',
        period,
        runId: run?.runId ?? '',
        files: files.map(({ key }) => ({ key, rows: 3000 })),
      });
      reports.push(services);
      expect(figures(services, (row) => row.batchItems)).toEqual(count(kept, serviceOf));
      expect(figures(services, (row) => row.speedItems)).toEqual(count(stored, serviceOf));
      expect(figures(services, (row) => row.rollupItems)).toEqual(count(stored, serviceOf));
      expect(figures(services, (row) => row.missing)).toEqual(count(lost, serviceOf));
      const again = [...lostOrTwice(twice), ...lostOrTwice(twice.slice(0, 9))];
      expect(figures(services, (row) => row.duplicated)).toEqual(
        count([...again, alone[0] as SpanRow], serviceOf),
      );
      expect(figures(services, (row) => row.unarchived)).toEqual(count(alone, serviceOf));
      expect(figures(services, (row) => row.late)).toEqual(
        count(
          kept.filter((row) => row.ingestedMs >= period.endMs),
          serviceOf,
        ),
      );
      expect(figures(services, (row) => row.afterRun)).toEqual(
        count(
          kept.filter((row) => row.ingestedMs >= runMs),
          serviceOf,
        ),
      );
      const failed = (row: SpanRow) => row.status === 'Error';
      expect(figures(services, (row) => row.batchErrors)).toEqual(
        count(kept.filter(failed), serviceOf),
      );
      expect(figures(services, (row) => row.speedErrors)).toEqual(
        count(stored.filter(failed), serviceOf),
      );
    }
    expect(reports[1]).toEqual(reports[0]);
    for (const row of reports[0] ?? []) {
      if (row.serviceName === 'stranger') expect(row.p95Error).toBeNull();
      else expect(row.quantileErrorMax).toBeGreaterThanOrEqual(row.p95Error ?? Infinity);
    }

    const store = (services: readonly ServiceDrift[], nowMs: number) =>
      storeDrift(stack.clickhouse, services, {
        signal: 'traces',
        period,
        runId: run?.runId ?? '',
        nowMs,
      });
    await store(reports[0] ?? [], runMs);
    await store(reports[0] ?? [], runMs + 1);
    await store((reports[0] ?? []).slice(1), runMs + 2);
    const [read] = await stack.clickhouse.query<{ rows: string; missing: string; at: string }>(
      `SELECT toString(count()) AS rows, toString(sum(missing_items)) AS missing,
         toString(toUnixTimestamp64Milli(max(computed_at))) AS at
       FROM layer_drift_current WHERE run_id = {run:String}`,
      { run: run?.runId },
    );
    const rest = (reports[0] ?? []).slice(1);
    expect(read).toEqual({
      rows: String(rest.length),
      missing: String(rest.reduce((sum, row) => sum + row.missing, 0)),
      at: String(runMs + 2),
    });
  });
});
