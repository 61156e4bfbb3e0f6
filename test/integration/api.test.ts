/** The read API of the Worker in workerd on the real ClickHouse, with two tenants who must never meet. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod/mini';
import { apiRowsMax } from '../../schemas/limits/api.ts';
import { completeness, drift, runs } from '../../edge/api/books.ts';
import { graph } from '../../edge/api/graph.ts';
import { differences, ledger } from '../../edge/api/ledger.ts';
import { logs } from '../../edge/api/logs.ts';
import { metrics, points, series } from '../../edge/api/metrics.ts';
import { problemOf } from '../../edge/api/problem.ts';
import { readRows } from '../../edge/api/read.ts';
import type { Resource } from '../../edge/api/resource.ts';
import { resources } from '../../edge/api/resources.ts';
import { hours, operations, rates, services } from '../../edge/api/services.ts';
import { timeseries } from '../../edge/api/timeseries.ts';
import { trace, traces } from '../../edge/api/traces.ts';
import { bucketOf } from '../../schemas/partials/histogram.ts';
import { digest, hex } from '../../schemas/key.ts';
import { readSettings } from '../../schemas/settings.ts';
import { tenantColumns } from '../../schemas/tables.ts';
import { openClickHouse } from '../../workers/clients/clickhouse/clickhouse.ts';
import type { ClickHouse } from '../../workers/clients/clickhouse/clickhouse.ts';
import { migrate } from '../../workers/clients/clickhouse/migrate.ts';
import { startMigrated } from '../support/schema.ts';
import type { TestClickHouse } from '../support/clickhouse.ts';
import { startEdge } from '../support/edge.ts';
import type { TestEdge } from '../support/edge.ts';

const hour = 'from=2026-11-22T13:00:00Z&to=2026-11-22T14:00:00Z';
const traceId = '5b8efff798038103d269b633813fc60c';
const keys = {
  acme: `tm_${'a'.repeat(16)}_${'1'.repeat(48)}`,
  beta: `tm_${'b'.repeat(16)}_${'2'.repeat(48)}`,
  sender: `tm_${'c'.repeat(16)}_${'3'.repeat(48)}`,
};

let server: TestClickHouse;
let clickhouse: ClickHouse;
let edge: TestEdge;
let base: string;

async function recordsOf(): Promise<string> {
  const entries = Object.entries(keys).map(async ([name, key]) => {
    const record = {
      version: 1,
      hash: hex(await digest(key)),
      tenant: name === 'sender' ? 'acme' : name,
      signals: ['traces'],
      read: name !== 'sender',
      created: '2026-11-22T00:00:00Z',
    };
    return [key.split('_')[1], record] as const;
  });
  return JSON.stringify(Object.fromEntries(await Promise.all(entries)));
}

function span(tenant: string, index: number, more: Record<string, unknown> = {}) {
  return {
    Timestamp: `2026-11-22 13:${String(index % 60).padStart(2, '0')}:00.00000000${index % 10}`,
    TraceId: index === 0 ? traceId : index.toString(16).padStart(32, '0'),
    SpanId: index.toString(16).padStart(16, '0'),
    SpanName: `op ${index % 3}`,
    SpanKind: 'Server',
    ServiceName: `${tenant}-shop`,
    Duration: String((index + 1) * 1_000_000),
    StatusCode: index % 10 === 0 ? 'Error' : 'Unset',
    SpanAttributes: { 'http.route': `/${tenant}/${index % 2}` },
    TenantId: tenant,
    ...more,
  };
}

/** Books of two minutes, and of one of them as they had been computed before. */
function booksOf(tenant: string) {
  const about = { signal: 'traces', tenant_id: tenant, is_settled: true };
  const newer = { ...about, computed_at: '2026-11-22 14:00:00' };
  return [
    { ...about, computed_at: '2026-11-22 13:40:00', minute: '2026-11-22 13:30:00', received: 7 },
    {
      ...newer,
      minute: '2026-11-22 13:30:00',
      received: 10,
      rejected: 1,
      rejected_by: { trace_id_zero: 1 },
      archived: 9,
      differences: { missing_in_speed: 4, sent_again: 2 },
    },
    { ...newer, minute: '2026-11-22 13:31:00', received: 5, archived: 5 },
    { ...newer, minute: '2026-11-23 00:00:00', received: 100 },
  ];
}

beforeAll(async () => {
  server = await startMigrated();
  const settings = readSettings({ CLICKHOUSE_URL: server.url });
  clickhouse = openClickHouse(settings);
  await migrate(clickhouse);
  for (const tenant of ['acme', 'beta']) {
    const spans = Array.from({ length: 120 }, (_, index) => span(tenant, index));
    await clickhouse.insertRows('otel_traces', [...spans, span(tenant, 0)]);
    const records = Array.from({ length: 30 }, (_, index) => ({
      Timestamp: `2026-11-22 13:30:00.00000000${index % 3}`,
      TraceId: index === 0 ? traceId : '',
      SeverityText: index % 2 === 0 ? 'ERROR' : 'INFO',
      SeverityNumber: index % 2 === 0 ? 17 : 9,
      ServiceName: `${tenant}-shop`,
      Body: `${tenant} line ${index}`,
      TenantId: tenant,
    }));
    await clickhouse.insertRows('otel_logs', records);
    const values = Array.from({ length: 10 }, (_, index) => ({
      ServiceName: `${tenant}-shop`,
      MetricName: 'queue.length',
      MetricUnit: '1',
      Attributes: { queue: tenant },
      TimeUnix: `2026-11-22 13:0${index}:00`,
      Value: index,
      TenantId: tenant,
    }));
    await clickhouse.insertRows('otel_metrics_gauge', values);
    await clickhouse.insertRows('ledger_minutes', booksOf(tenant));
  }
  edge = await startEdge({ CLICKHOUSE_URL: server.url, TIDEMARK_KEYS: await recordsOf() });
  base = `${edge.origin}/api/v1`;
}, 120_000);

afterAll(async () => {
  await edge.stop();
  await clickhouse.close();
  await server.stop();
});

async function get(where: string, key = keys.acme) {
  const headers = key === '' ? undefined : { authorization: `Bearer ${key}` };
  const answer = await fetch(`${base}${where}`, { ...(headers && { headers }) });
  const body = (await answer.json()) as {
    data: Record<string, unknown>[];
    next?: string;
    detail?: string;
    status?: number;
  };
  return { status: answer.status, headers: answer.headers, body };
}

/** Runs of the hours 10 and 11 of a day, and of the day: hour 10 has 1, 2 and 3 ms, hour 11 has 4 ms. */
async function publishOld(): Promise<void> {
  const key = { run_id: 'run', tenant_id: 'acme', service_name: 'old-shop' };
  const statsOf = (at: string, operation: string, durationsMs: readonly number[]) => ({
    ...key,
    hour: `2026-11-20T${at}:00:00Z`,
    operation_name: operation,
    total_spans: durationsMs.length,
    error_count: durationsMs.length - 1,
    unique_traces: durationsMs.length,
    min_ms: Math.min(...durationsMs),
    max_ms: Math.max(...durationsMs),
    p50_ms: durationsMs.reduce((sum, each) => sum + each, 0) / durationsMs.length,
    quantile_state: {
      buckets: durationsMs.map((each) => bucketOf(BigInt(each * 1e6))),
      counts: durationsMs.map(() => 1),
    },
  });
  await clickhouse.insertRows('service_stats_hourly_batch', [
    statsOf('10', 'a', [1, 2]),
    statsOf('10', 'b', [3]),
    statsOf('11', 'a', [4]),
  ]);
  // What the speed layer knows of these hours does not count; hours 9 and 12 are live.
  const live = ['09', '10', '12'].map((at, index) =>
    span('acme', index, { Timestamp: `2026-11-20T${at}:00:00Z`, ServiceName: 'old-shop' }),
  );
  await clickhouse.insertRows('otel_traces', live);
  const day = { date: '2026-11-20', run_id: 'run', tenant_id: 'acme' };
  await clickhouse.insertRows('service_graph_batch', [
    { ...day, caller: 'user', callee: 'old-shop', calls: 3 },
  ]);
  const metric = { metric_name: 'queue.length', metric_type: 'Gauge', series: 'ab' };
  const gauge = { ...day, service_name: 'old-shop', ...metric };
  await clickhouse.insertRows('metric_stats_batch', [
    { ...gauge, hour: '2026-11-20T10:00:00Z', points: 2, value_avg: 7 },
  ]);
  await clickhouse.insertRows('metric_series_batch', [{ ...gauge, attributes: { queue: 'old' } }]);
  const named = ['10', '11'].map((at) => ['traces', 'hour', `2026-11-20T${at}:00:00Z`]);
  const days = ['traces', 'metrics'].map((of) => [of, 'day', '2026-11-20T00:00:00Z']);
  await clickhouse.insertRows(
    'batch_runs',
    [...named, ...days].map(([signal, period_kind, period_start]) => {
      return { signal, period_kind, period_start, run_id: 'run', published_at: 1, is_final: true };
    }),
  );
}

/** Hours of that day, as parameters. */
function old(from: number, to: number): string {
  return `from=2026-11-20T${from}:00:00Z&to=2026-11-20T${to}:00:00Z&service=old-shop`;
}

/** An answer, and how long it may be kept. */
async function kept(where: string) {
  const { headers, body } = await get(where);
  return { kept: headers.get('cache-control'), data: body.data };
}

/** A request for each resource that has rows. */
const examples: readonly (readonly [Resource, string])[] = [
  [services, `/services?${hour}`],
  [operations, '/operations?date=2026-11-22&service=acme-shop'],
  [hours, `/hours?${hour}&service=acme-shop`],
  [rates, `/rates?${hour}`],
  [timeseries, `/timeseries?${hour}&service=acme-shop&step=300`],
  [traces, `/traces?${hour}&status=Error&minDurationMs=1&attribute=http.route%3D/acme/0`],
  [trace, `/traces/${traceId}`],
  [logs, `/logs?${hour}&severity=17&search=LINE`],
  [graph, '/graph?date=2026-11-22&service=acme-shop'],
  [metrics, `/metrics?${hour}`],
  [series, `/series?${hour}&metric=queue.length&kind=gauge`],
  [ledger, '/ledger?date=2026-11-22&step=minute&signal=traces'],
  [differences, '/ledger/differences?date=2026-11-22'],
  [points, `/points?${hour}&metric=queue.length&kind=gauge`],
];

describe('GET /api/v1/…', () => {
  it.each(examples)('$name has rows as its schema says', async ({ row }, where) => {
    const { status, body } = await get(where);
    expect(body).toHaveProperty('data');
    expect(status).toBe(200);
    expect(body.data.length).toBeGreaterThan(0);
    for (const each of body.data)
      expect(z.strictObject(row.shape).safeParse(each).error).toBeUndefined();
  });

  it.each([
    [completeness, '/completeness'],
    [runs, '/runs'],
    [drift, '/drift?date=2026-11-22'],
  ])('$name is empty before any run', async (_, where) => {
    const { status, body } = await get(where);
    expect([status, body.data]).toEqual([200, []]);
  });

  it('counts what was inserted', async () => {
    const { body } = await get(`/services?${hour}`);
    expect(body.data).toMatchObject([
      {
        service: 'acme-shop',
        spans: 121,
        errors: 13,
        traces: 120,
        lastMinute: '2026-11-22T13:59:00Z',
      },
    ]);
    const [first] = (await get('/operations?date=2026-11-22')).body.data;
    expect(first).toMatchObject({
      operation: 'op 0',
      kind: 'Server',
      spans: 41,
      layer: 'realtime',
    });
  });

  it('adds the books of a day up as they were computed last, and names differences', async () => {
    const { body } = await get('/ledger?date=2026-11-22');
    const figures = { received: 15, rejected: 1, archived: 14, differing: 4, isSettled: true };
    const time = '2026-11-22T13:00:00Z';
    expect(body.data).toMatchObject([{ time, ...figures, rejectedBy: { trace_id_zero: 1 } }]);
    const minute = '2026-11-22T13:30:00Z';
    const about = { signal: 'traces', minutes: 1, from: minute, to: minute };
    expect((await get('/ledger/differences?date=2026-11-22')).body.data).toEqual([
      { ...about, kind: 'missing_in_speed', items: 4 },
      { ...about, kind: 'sent_again', items: 2 },
    ]);
  });

  it('shows a trace once, whatever copies there are', async () => {
    const { body } = await get(`/traces/${traceId.toUpperCase()}`);
    expect(body.data).toHaveLength(1);
    expect(body.data[0]).toMatchObject({
      time: '2026-11-22T13:00:00.000000000Z',
      durationMs: 1,
      attributes: { 'http.route': '/acme/0' },
    });
    expect((await get(`/traces/${'0'.repeat(31)}f`)).status).toBe(200);
    const missing = await get(`/traces/${'f'.repeat(32)}`);
    expect(missing.status).toBe(404);
    expect(missing.headers.get('content-type')).toBe('application/problem+json');
  });

  it.each(['traces', 'logs'])(
    '%s: pages show each row once, in order',
    async (name) => {
      const whole = (await get(`/${name}?${hour}&limit=1000`)).body.data;
      for (const size of [1, 7, 50]) {
        const seen: unknown[] = [];
        let next: string | undefined = '';
        while (next !== undefined) {
          const cursor: string = next === '' ? '' : `&cursor=${next}`;
          const { body } = await get(`/${name}?${hour}&limit=${size}${cursor}`);
          seen.push(...body.data);
          next = body.next;
        }
        expect(seen).toEqual(whole);
      }
    },
    120_000,
  );

  it('gives the hours of published periods exactly, and says how long answers may be kept', async () => {
    await publishOld();
    const exact = await kept(`/timeseries?${old(10, 12)}&step=3600`);
    expect(exact).toMatchObject({
      kept: 'private, max-age=3600',
      data: [
        {
          time: '2026-11-20T10:00:00Z',
          spans: 3,
          errors: 1,
          layer: 'batch',
          isFinal: true,
          traces: null,
        },
        { spans: 1, p50Ms: 4, traces: 1, layer: 'batch' },
      ],
    });
    // The median of three spans, in a bucket that is 1/64 wide.
    expect(Math.abs(Number(exact.data[0]?.['p50Ms']) / 2 - 1)).toBeLessThan(1 / 64);
    const mixed = await kept(`/timeseries?${old(10, 13)}&step=3600`);
    expect(mixed.kept).toBe('no-store');
    expect(mixed.data.map(({ layer }) => layer)).toEqual(['batch', 'batch', 'realtime']);
    // Six hours of which one is live are live as a whole.
    expect((await kept(`/timeseries?${old(10, 13)}&step=21600`)).data).toMatchObject([
      { time: '2026-11-20T06:00:00Z', spans: 2, layer: 'realtime' },
      { time: '2026-11-20T12:00:00Z', spans: 1, layer: 'realtime' },
    ]);
    expect(await kept(`/timeseries?${old(10, 12)}`)).toMatchObject({
      kept: 'no-store',
      data: [{ spans: 1, layer: 'realtime' }],
    });
    expect((await kept(`/hours?${old(10, 12)}`)).kept).toBe('private, max-age=3600');
    expect((await kept(`/hours?${old(10, 13)}`)).kept).toBe('no-store');
    expect(await kept('/graph?date=2026-11-20')).toMatchObject({
      kept: 'private, max-age=3600',
      data: [{ caller: 'user', callee: 'old-shop', calls: 3, layer: 'batch', sampleShare: 1 }],
    });
    const asked = 'metric=queue.length&kind=gauge';
    expect(await kept(`/series?${old(10, 11)}&${asked}`)).toMatchObject({
      kept: 'private, max-age=3600',
      data: [
        { attributes: { queue: 'old' }, points: [2], avg: [7], runIds: ['run'], isFinal: true },
      ],
    });
    expect((await kept(`/series?${old(10, 12)}&${asked}`)).kept).toBe('no-store');
    expect((await kept(`/metrics?${old(10, 12)}`)).data).toMatchObject([
      { service: 'old-shop', metric: 'queue.length', points: 2, lastHour: '2026-11-20T10:00:00Z' },
    ]);
  });

  it('says which parameter cannot be used, and why', async () => {
    for (const [path, name] of [
      ['/operations', 'date'],
      ['/operations?date=2026-02-30', 'date'],
      [`/logs?${hour}&limit=${apiRowsMax + 1}`, 'limit'],
      ['/logs?from=yesterday', 'from'],
      ['/logs?from=2026-01-01T00:00:00Z', 'to'],
      ['/logs?cursor=x', 'cursor'],
      ['/logs?tenant=beta', 'tenant'],
      ['/traces/abc', 'traceId'],
    ]) {
      const { status, body } = await get(path ?? '');
      expect([path, status]).toEqual([path, 400]);
      expect(body.detail).toContain(`${name}: `);
    }
    expect((await get('/nothing')).status).toBe(404);
  });

  it('wants a key that may read', async () => {
    expect((await get('/services', '')).status).toBe(401);
    expect((await get('/services', keys.sender)).status).toBe(403);
  });
});

describe('problemOf()', () => {
  it('keeps the text of a bug inside', async () => {
    const answer = problemOf(new Error('secret'));
    expect(answer.status).toBe(500);
    expect(await answer.text()).not.toContain('secret');
  });
});

describe('the wall between tenants', () => {
  it('covers every table that has a tenant, and no other is read by the API', async () => {
    const columns = await clickhouse.query<{ table: string; name: string }>(
      `SELECT table, name FROM system.columns
       WHERE database = currentDatabase() AND name IN ('TenantId', 'tenant_id')
         AND table NOT IN (SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%View')`,
    );
    const found = Object.fromEntries(columns.map(({ table, name }) => [table, name]));
    expect(tenantColumns).toEqual(found);
  });

  it('shows each tenant its own rows alone', async () => {
    for (const [, where] of examples) {
      const { body } = await get(where.replaceAll('acme', 'beta'), keys.beta);
      expect(JSON.stringify(body)).not.toContain('acme');
    }
    for (const service of [
      'acme-shop',
      "x' OR 1=1 --",
      '{tenant:String}',
      "acme-shop') OR ('1'='1",
    ]) {
      const text = encodeURIComponent(service);
      for (const path of ['operations?date=2026-11-22', `traces?${hour}`, `logs?${hour}`]) {
        expect((await get(`/${path}&service=${text}`, keys.beta)).body.data).toEqual([]);
      }
      const { body } = await get(`/logs?${hour}&search=${text}`, keys.beta);
      expect(body.data).toEqual([]);
    }
  });

  it('holds when a query is wrong', async () => {
    const settings = readSettings({ CLICKHOUSE_URL: server.url });
    const tools = {
      fetch: (url: string, init: RequestInit) => fetch(url, init),
      timeout: (ms: number) => AbortSignal.timeout(ms),
      now: () => Date.now(),
      requestId: (nowMs: number) => `r${nowMs}`,
    };
    const run = (sql: string) => readRows({ sql, parameters: {} }, 'beta', settings, tools);
    // Without any condition of its own, through aliases, joins, views and another way to name it.
    for (const sql of [
      'SELECT TenantId AS tenant FROM otel_traces',
      'SELECT t.TenantId AS tenant FROM default.otel_traces AS t',
      'SELECT b.TenantId AS tenant FROM otel_logs AS a CROSS JOIN otel_traces AS b',
      'SELECT tenant_id AS tenant FROM service_stats_merged',
      'SELECT tenant_id AS tenant FROM (SELECT * FROM service_stats_realtime)',
    ]) {
      const tenants = new Set((await run(sql)).map(({ tenant }) => tenant));
      expect([sql, [...tenants]]).toEqual([sql, ['beta']]);
    }
    for (const sql of [
      "SELECT TenantId FROM otel_traces SETTINGS additional_table_filters = {'otel_traces': '1'}",
      // ClickHouse (26.7) would take these, although the whole query may only read.
      'SELECT * FROM (SELECT TenantId FROM otel_traces SETTINGS additional_table_filters = {})',
      'SELECT 1 SETTINGS readonly = 0',
    ]) {
      await expect(run(sql)).rejects.toThrow('Bug: a query of the API changes settings');
    }
    for (const sql of [
      "INSERT INTO otel_logs (Body, TenantId) VALUES ('x', 'acme')",
      'DROP TABLE otel_logs',
    ]) {
      await expect(run(sql)).rejects.toMatchObject({ code: 'SINK_FAILED' });
    }
  });
});

describe('GET /api/v1/openapi.json', () => {
  it('describes every resource', async () => {
    const answer = await fetch(`${base}/openapi.json`);
    const document = (await answer.json()) as { openapi: string; paths: Record<string, unknown> };
    expect(document.openapi).toBe('3.1.0');
    expect(Object.keys(document.paths).toSorted()).toEqual(
      resources.map(({ path }) => path).toSorted(),
    );
  });
});
