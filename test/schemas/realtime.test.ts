/** What the speed layer knows of metrics and of the service graph, while no run is current. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readSettings } from '../../schemas/settings.ts';
import { openClickHouse } from '../../workers/clients/clickhouse/clickhouse.ts';
import type { ClickHouse } from '../../workers/clients/clickhouse/clickhouse.ts';
import { migrate } from '../../workers/clients/clickhouse/migrate.ts';
import { startMigrated } from '../support/schema.ts';
import type { TestClickHouse } from '../support/clickhouse.ts';
import { randomSpans, referenceGraph } from '../support/graph.ts';
import type { GraphSpan } from '../support/graph.ts';
import { seededRandom } from '../support/random.ts';

const seed = Number(process.env['TEST_SEED'] ?? 20_261_123);

let server: TestClickHouse;
let client: ClickHouse;

beforeAll(async () => {
  console.info(`seed ${seed}`);
  server = await startMigrated();
  client = openClickHouse(readSettings({ CLICKHOUSE_URL: server.url }));
  await migrate(client);
});

afterAll(async () => {
  await client.close();
  await server.stop();
});

/** A point of hour 10. */
const at = (minute: number, more: object) => ({
  TimeUnix: `2026-11-20T10:${minute}:00Z`,
  StartTimeUnix: '2026-11-20T09:00:00Z',
  ServiceName: 'cart',
  MetricUnit: 's',
  ...more,
});

describe('metric_stats_merged', () => {
  it('gives what live points say, NaN for what there is not, and null for what only the batch knows', async () => {
    const total = { MetricName: 'total', IsMonotonic: true, AggregationTemporality: 2 };
    const delta = { MetricName: 'delta', AggregationTemporality: 1 };
    await client.insertRows('otel_metrics_sum', [
      at(10, { ...total, Value: 100, Attributes: { a: '1', b: '2' } }),
      at(20, { ...total, Value: 90, Attributes: { b: '2', a: '1' } }),
      at(10, { ...delta, Value: 5 }),
    ]);
    // Another insert, so that states are merged. Nothing recorded, and NaN, are points and no values.
    await client.insertRows('otel_metrics_sum', [
      at(30, { ...delta, Value: 7 }),
      at(40, { ...delta, Value: 0, Flags: 1 }),
    ]);
    // JSON has no NaN.
    await client.command(
      `INSERT INTO otel_metrics_sum (TimeUnix, ServiceName, MetricName, MetricUnit, AggregationTemporality,
         StartTimeUnix, Value) VALUES ('2026-11-20 10:50:00', 'cart', 'delta', 's', 1, '2026-11-20 09:00:00', nan)`,
    );
    await client.insertRows('otel_metrics_gauge', [at(10, { MetricName: 'size', Value: -3 })]);
    const count = { Count: 3, Sum: 6, BucketCounts: [3], Min: 1, Max: 3 };
    await client.insertRows('otel_metrics_histogram', [
      at(10, { MetricName: 'seconds', ...count }),
    ]);
    const rows = await client.query<Record<string, unknown>>(
      `SELECT metric_name AS name, metric_type AS type, toUInt32(points) AS points,
         toUInt32(unrecorded_points) AS unrecorded, toUInt32(nan_points) AS nans, increase,
         [value_min, value_max, value_avg, value_last] AS figures,
         [duplicate_points, conflict_points, base_points, resets] AS unknown
       FROM metric_stats_merged ORDER BY name SETTINGS output_format_json_quote_denormals = 1`,
    );
    const nothing = { unrecorded: 0, nans: 0, unknown: [null, null, null, null] };
    const nan = { increase: 'nan', figures: ['nan', 'nan', 'nan', 'nan'] };
    expect(rows).toEqual([
      {
        ...nothing,
        name: 'delta',
        type: 'Sum',
        points: 4,
        unrecorded: 1,
        nans: 1,
        increase: 12,
        figures: [5, 7, 6, 7],
      },
      { ...nothing, ...nan, name: 'seconds', type: 'Histogram', points: 1 },
      { ...nothing, ...nan, name: 'size', type: 'Gauge', points: 1, figures: [-3, -3, -3, -3] },
      {
        ...nothing,
        name: 'total',
        type: 'Sum',
        points: 2,
        increase: null,
        figures: [90, 100, 95, 90],
      },
    ]);
    const named = await client.query(
      `SELECT metric_name AS name, metric_unit AS unit, aggregation_temporality AS temporality,
         is_monotonic AS monotonic, attributes FROM metric_series_merged
       WHERE series IN (SELECT series FROM metric_stats_merged WHERE metric_name = 'total')`,
    );
    expect(named).toEqual([
      { name: 'total', unit: 's', temporality: 2, monotonic: true, attributes: { a: '1', b: '2' } },
    ]);
  }, 120_000);
});

describe('service_graph_merged', () => {
  it('joins live spans by their parents as the rules of the batch say', async () => {
    const all = randomSpans(1500, seededRandom(seed)).map((span) => ({ ...span, links: [] }));
    const spans = [...new Map(all.map((span) => [identityOf(span), span])).values()];
    // Every third one comes again.
    const again = spans.filter((_, index) => index % 3 === 0);
    await client.insertRows('otel_traces', spans.map(rowOf));
    await client.insertRows('otel_traces', again.map(rowOf));
    const rows = await client.query<{ edge: string[]; calls: string; errors: string; p95: number }>(
      `SELECT [tenant_id, caller, callee, connection_type, virtual_side] AS edge, calls, errors,
         p95_ms AS p95, layer, sample_share AS share
       FROM service_graph_merged WHERE date = '2026-11-20'`,
    );
    const found = new Map(rows.map(({ edge, ...row }) => [JSON.stringify(edge), row]));
    const wanted = referenceGraph(spans);
    expect(wanted.size).toBeGreaterThan(40);
    expect([...found.keys()].toSorted()).toEqual([...wanted.keys()].toSorted());
    for (const [key, { errors, durations }] of wanted) {
      const place = 0.95 * (durations.length - 1);
      const [low, high] = [Math.floor(place), Math.ceil(place)].map((rank) =>
        Number(durations[rank]),
      );
      const p95 = ((low ?? 0) + (place % 1) * ((high ?? 0) - (low ?? 0))) / 1e6;
      const counts = { calls: String(durations.length), errors: String(errors) };
      expect(found.get(key), key).toMatchObject({ ...counts, layer: 'realtime', share: 1 });
      expect((found.get(key)?.p95 ?? 0) / p95, key).toBeCloseTo(1, 9);
    }
  }, 120_000);

  it('looks at a sample of whole traces of a large day, and scales it up', async () => {
    // Traces of a server, a client that calls redis, and an internal span.
    await client.command(
      `INSERT INTO service_graph_realtime
         (date, tenant_id, level, trace, span, parent, kind, service_name, duration, is_error,
         peer_kind, peer)
       SELECT '2026-11-21', 'default', if(low = 0, 0, toUInt8(floor(log2(low))) + 1), trace, number + 1,
         if(number % 3 = 0, 0, number), [2, 3, 1][number % 3 + 1], 'cart', number, number % 30 = 1,
         if(number % 3 = 1, 'database', ''), if(number % 3 = 1, 'redis', '')
       FROM (SELECT number, sipHash64(intDiv(number, 3)) AS trace, trace % 65536 AS low FROM numbers(900000))`,
    );
    const rows = await client.query<Record<'caller' | 'share' | 'calls' | 'errors', string>>(
      `SELECT caller, sample_share AS share, calls, errors FROM service_graph_merged
       WHERE date = '2026-11-21' AND tenant_id = 'default' ORDER BY caller`,
    );
    expect(rows.map(({ caller, share }) => `${caller} ${share}`)).toEqual([
      'cart 0.25',
      'user 0.25',
    ]);
    for (const { calls, errors, caller } of rows) {
      expect(Math.abs(Number(calls) / 300_000 - 1), caller).toBeLessThan(0.02);
      expect(Number(errors) / 30_000, caller).toBeCloseTo(caller === 'cart' ? 1 : 0, 1);
    }
  }, 120_000);
});

function identityOf({ tenant, traceId, spanId, kind }: GraphSpan): string {
  return `${tenant} ${traceId} ${spanId} ${kind}`;
}

const kindNames = ['Unspecified', 'Internal', 'Server', 'Client', 'Producer', 'Consumer', 'Other'];

function hex(id: bigint, digits: number): string {
  return id.toString(16).padStart(digits, '0');
}

/** A span as a row of `otel_traces`: its peer is in the attributes that its kind of peer is taken from. */
function rowOf(span: GraphSpan) {
  const keys = { '': '', database: 'db.system', messaging_system: 'messaging.system' };
  const key = span.peerKind === 'virtual_node' ? 'server.address' : keys[span.peerKind];
  return {
    Timestamp: '2026-11-20T12:00:00Z',
    TenantId: span.tenant,
    ServiceName: span.service,
    TraceId: hex(span.traceId, 32),
    SpanId: hex(span.spanId, 16),
    ParentSpanId: span.parentId === 0n ? '' : hex(span.parentId, 16),
    SpanKind: kindNames[span.kind],
    StatusCode: span.isError ? 'Error' : 'Unset',
    Duration: span.durationNs,
    SpanAttributes: key === '' ? {} : { [key]: span.peer },
  };
}
