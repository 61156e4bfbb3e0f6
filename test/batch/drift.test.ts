/** Drift on real engines: rows are really lost and duplicated in the speed tables, and counted plainly. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compareLayers, storeDrift, type ServiceDrift } from '../../batch/drift.ts';
import { runBatch } from '../../batch/run.ts';
import { logDrift } from '../../batch/logs/drift.ts';
import { pointDrift } from '../../batch/metrics/drift.ts';
import { spanDrift } from '../../batch/traces/drift.ts';
import { listInput } from '../../batch/plan/input.ts';
import { signalBatches } from '../../batch/signals.ts';
import { Transcoder } from '../../aggregator-as/host.ts';
import { parsePeriod } from '../../schemas/period.ts';
import { speedTables, type SpeedTable } from '../../schemas/tables.ts';
import { loadTranscoder } from '../aggregator-as/module.ts';
import { archiveDeliveries, type Delivery } from '../support/delivered.ts';
import { encodeRequest } from '../support/otlp.ts';
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

const serviceOf = (row: SpanRow) => `${row.tenant} ${row.service}`;
const failed = (row: SpanRow) => row.status === 'Error';

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

/** As the speed layer saw it. */
const slower = (row: SpanRow) =>
  row.operation === 'slow' ? { ...row, durationNs: 120_000_000n } : row;

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
    // Of one service a row of both is known: a third of its spans took half as long again in the speed layer.
    const clocked = randomSpans(random, 30, {
      hourMs: Date.parse(`${date}T20:00:00Z`),
      offset: 5000n,
      traces: 100,
    })
      .filter((row, i, all) => all.findIndex((other) => other.traceId === row.traceId) === i)
      .map((row, i) => ({
        ...row,
        tenant: 'acme',
        service: 'clocked',
        kind: 'Server',
        durationNs: 80_000_000n,
        operation: i % 3 === 0 ? 'slow' : 'steady',
      }));
    const late = [...spans, ...clocked].map((row) => ({
      ...row,
      ingestedMs: Math.floor(row.ingestedMs),
    }));
    const files = await archiveSpans(stack.store, late, { firstOffset: 0n });
    const { run } = await runBatch({ ...optionsOf(), of: 'traces' });
    const first = new Map<string, SpanRow>();
    for (const row of late.toSorted(arrival)) {
      if (!first.has(identityOf(row))) first.set(identityOf(row), row);
    }
    const kept = [...first.values()];
    const lost = kept.filter((_, i) => i % 50 === 7);
    const twice = kept.filter((_, i) => i % 30 === 2);
    const alone = randomSpans(random, 40, { hourMs: Date.parse(`${date}T21:00:00Z`) })
      .filter(
        (row, i, all) => all.findIndex((other) => identityOf(other) === identityOf(row)) === i,
      )
      .map((row) => ({ ...row, service: 'stranger' }));
    const stored = [
      ...kept.filter((row) => !lost.includes(row)),
      ...twice,
      ...twice.slice(0, 9),
      ...alone,
      alone[0] as SpanRow,
    ];
    await stack.clickhouse.insertRows(
      'otel_traces',
      stored.map((row) => speedRow(slower(row))),
    );
    // Neighbours of the day count for nothing.
    const dayNs = 86_400_000_000_000n;
    await stack.clickhouse.insertRows('otel_traces', [
      speedRow({ ...(kept[0] as SpanRow), timestampNs: (kept[0] as SpanRow).timestampNs + dayNs }),
    ]);

    const notLost = (rows: readonly SpanRow[]) => rows.filter((row) => !lost.includes(row));
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
      const again = [...notLost(twice), ...notLost(twice.slice(0, 9))];
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
      expect(figures(services, (row) => row.batchErrors)).toEqual(
        count(kept.filter(failed), serviceOf),
      );
      expect(figures(services, (row) => row.speedErrors)).toEqual(
        count(stored.filter(failed), serviceOf),
      );
    }
    expect(reports[1]).toEqual(reports[0]);
    const known = reports[0]?.find(({ serviceName }) => serviceName === 'clocked');
    const slow = kept.filter(({ operation }) => operation === 'slow').length;
    for (const error of [known?.p50Error, known?.p95Error, known?.p99Error]) {
      expect(error).toBeCloseTo((slow / (known?.batchItems ?? 0)) * 0.5, 12);
    }
    expect(known?.quantileErrorMax).toBeCloseTo(0.5, 12);
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

  it.each(['logs', 'metrics'] as const)('matches %s by what both layers hold', async (signal) => {
    const deliveries = Array.from({ length: 30 }, (_, i): Delivery => {
      const request = encodeRequest(signal, requests[signal](i));
      const from = { partition: 0, offset: BigInt(i), receivedMs: dayMs + 3_600_000 + i };
      return { request, tenantId: i % 3 === 0 ? 'acme' : 'default', ...from };
    });
    // Some are delivered twice, some came after midnight.
    const archived = [
      ...deliveries.slice(0, 25),
      ...deliveries.slice(5, 9).map((one) => ({ ...one, offset: one.offset + 30n })),
    ].map((one, i) => (i % 10 === 4 ? { ...one, receivedMs: period.endMs + 60_000 } : one));
    await archiveDeliveries(stack.store, signal, archived);
    const { run } = await runBatch({ ...optionsOf(), of: signal });
    const lost = new Set([3, 11, 12]);
    const twice = new Set([0, 7, 21]);
    const stored = deliveries.filter((_, i) => !lost.has(i));
    await insertSent(signal, [...stored, ...deliveries.filter((_, i) => twice.has(i))]);
    const input = await listInput(stack.store, signal, period);
    for (const rows of [1_000_000, 1000]) {
      const services = await compareLayers({
        ...stack,
        settings: { ...stack.settings, TIDEMARK_VERIFY_ROWS: rows },
        of: signal,
        drift: { logs: logDrift, metrics: pointDrift }[signal],
        table: signalBatches[signal].tables[0] ?? '',
        period,
        runId: run?.runId ?? '',
        // Told to be more than they are, so that there are slices.
        files: input.files.map((file) => ({ ...file, rows: 4000 })),
      });
      const all = deliveries.map((_, i) => i);
      expect(figures(services, (row) => row.batchItems)).toEqual(expected(all.slice(0, 25)));
      expect(figures(services, (row) => row.missing)).toEqual(expected([...lost]));
      expect(figures(services, (row) => row.duplicated)).toEqual(expected([...twice]));
      expect(figures(services, (row) => row.unarchived)).toEqual(expected(all.slice(25)));
      expect(figures(services, (row) => row.late)).toEqual(expected([4, 14, 24]));
      if (signal === 'logs') {
        expect(figures(services, (row) => row.batchErrors)).toEqual(
          expected(all.slice(0, 25).filter((i) => i % 2 === 0)),
        );
      }
    }
  });
});

/** Items of requests with these numbers, by tenant and service. */
function expected(indexes: readonly number[]): Record<string, number> {
  const each = indexes.flatMap((i) => Array.from({ length: itemsEach }, () => i));
  return count(each, (i) => `${i % 3 === 0 ? 'acme' : 'default'} service ${i % 4}`);
}

function optionsOf() {
  const log = { info: () => undefined, warn: () => undefined };
  return { ...stack, clock: () => runMs, random: seededRandom(1), log, period };
}

const itemsEach = 5;
const dayMs = period.startMs;

function nanos(i: number): string {
  return String(BigInt(dayMs + 3_600_000) * 1_000_000n + BigInt(i));
}

function resourceOf(i: number) {
  return { attributes: [{ key: 'service.name', value: { stringValue: `service ${i % 4}` } }] };
}

/** Requests of five items each: logs that are equal in one request, points of five kinds. */
const requests = {
  logs: (i: number) => ({
    resourceLogs: [
      {
        resource: resourceOf(i),
        scopeLogs: [
          {
            logRecords: Array.from({ length: itemsEach }, (_, k) => ({
              timeUnixNano: nanos(i),
              severityNumber: i % 2 === 0 ? 17 : 9,
              body: { stringValue: k < 3 ? 'the same' : `line ${k}` },
            })),
          },
        ],
      },
    ],
  }),
  metrics: (i: number) => {
    const point = {
      startTimeUnixNano: nanos(0),
      timeUnixNano: nanos(1 + i),
      attributes: [
        { key: 'route', value: { stringValue: `/${i % 2}` } },
        { key: 'code', value: { intValue: '200' } },
      ],
    };
    const cumulative = { aggregationTemporality: 2 };
    return {
      resourceMetrics: [
        {
          resource: resourceOf(i),
          scopeMetrics: [
            {
              scope: { name: 'test', version: '1' },
              metrics: [
                { name: 'a', gauge: { dataPoints: [{ ...point, asDouble: i }] } },
                { name: 'b', sum: { dataPoints: [{ ...point, asInt: '5' }], ...cumulative } },
                {
                  name: 'c',
                  histogram: {
                    dataPoints: [{ ...point, count: '1', bucketCounts: ['1'] }],
                    ...cumulative,
                  },
                },
                {
                  name: 'd',
                  exponentialHistogram: {
                    dataPoints: [{ ...point, count: '1', zeroCount: '1' }],
                    ...cumulative,
                  },
                },
                { name: 'e', summary: { dataPoints: [{ ...point, count: '1' }] } },
              ],
            },
          ],
        },
      ],
    };
  },
};

/** Inserts the requests' rows into the speed tables, as the edge does. */
async function insertSent(signal: 'logs' | 'metrics', sent: readonly Delivery[]): Promise<void> {
  const transcoder = new Transcoder(await loadTranscoder());
  const receipt = { pastMaxMs: 400 * 86_400_000, futureMaxMs: 86_400_000 };
  const rows = new Map<SpeedTable, Buffer[]>();
  for (const { request, tenantId, receivedMs } of sent) {
    const { tables } = transcoder.toRowBinary(signal, request, {
      ...receipt,
      tenantId,
      receivedMs,
    });
    for (const { table, rows: bytes } of tables) {
      rows.set(table, [...(rows.get(table) ?? []), Buffer.from(bytes)]);
    }
  }
  for (const [table, parts] of rows) {
    const columns = speedTables[table].map((name) => `\`${name}\``).join(', ');
    const sql = `INSERT INTO ${table} (${columns}) FORMAT RowBinary`;
    const url = `${stack.settings.CLICKHOUSE_URL}/?query=${encodeURIComponent(sql)}`;
    const answer = await fetch(url, { method: 'POST', body: Buffer.concat(parts) });
    expect(await answer.text()).toBe('');
  }
}
