/** Grafana's queries on the real engine: those of our dashboard, and those of its log and trace views. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readSettings } from '../../schemas/settings.ts';
import { openClickHouse } from '../../workers/clients/clickhouse/clickhouse.ts';
import type { ClickHouse } from '../../workers/clients/clickhouse/clickhouse.ts';
import { migrate } from '../../workers/clients/clickhouse/migrate.ts';
import { startMigrated } from '../support/schema.ts';
import type { TestClickHouse } from '../support/clickhouse.ts';

interface Panel {
  readonly title: string;
  readonly targets: readonly { readonly rawSql: string }[];
}

const dashboard = JSON.parse(
  readFileSync(new URL('../../deploy/grafana/tidemark.json', import.meta.url), 'utf8'),
) as {
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly query: string }[] };
};

const traceId = '5b8efff798038103d269b633813fc60c';
let server: TestClickHouse;
let clickhouse: ClickHouse;

beforeAll(async () => {
  server = await startMigrated();
  clickhouse = openClickHouse(readSettings({ CLICKHOUSE_URL: server.url }));
  await migrate(clickhouse);
  const at = '2026-11-22 13:00:00';
  await clickhouse.insertRows('otel_traces', [
    {
      Timestamp: at,
      TraceId: traceId,
      SpanId: '0000000000000001',
      SpanName: 'GET /cart',
      SpanKind: 'Server',
      ServiceName: 'cart',
      Duration: '5000000',
      StatusCode: 'Error',
      SpanAttributes: { 'http.route': '/cart' },
    },
  ]);
  await clickhouse.insertRows('otel_logs', [
    {
      Timestamp: at,
      ServiceName: 'cart',
      SeverityText: 'ERROR',
      Body: 'no cart',
      TraceId: traceId,
    },
  ]);
  const key = { date: '2026-11-22', run_id: 'run', tenant_id: 'default' };
  await clickhouse.insertRows('service_graph_batch', [
    { ...key, caller: 'user', callee: 'cart', connection_type: 'virtual_node', calls: 1 },
  ]);
  await clickhouse.insertRows('service_stats_batch', [
    { ...key, service_name: 'cart', operation_name: 'GET /cart', total_spans: 1 },
  ]);
  await clickhouse.insertRows('batch_runs', [
    { signal: 'traces', period_kind: 'day', period_start: '2026-11-22T00:00:00Z', run_id: 'run' },
  ]);
});

afterAll(async () => {
  await clickhouse.close();
  await server.stop();
});

/** What the plugin makes of its macros and Grafana of its variables, for three hours of that day. */
function expanded(sql: string): string {
  const [from, to] = ["toDateTime('2026-11-22 11:00:00')", "toDateTime('2026-11-22 14:00:00')"];
  return sql
    .replaceAll(/\$__timeFilter\((\w+)\)/g, `($1 >= ${from} AND $1 <= ${to})`)
    .replaceAll('$__fromTime', from)
    .replaceAll('$__toTime', to)
    .replaceAll('$__interval_s', '30')
    .replaceAll('${service:singlequote}', "'cart'")
    .replaceAll('${tenant}', 'default');
}

describe("Grafana's dashboard", () => {
  it.each(dashboard.panels.map(({ title, targets }) => [title, targets[0]?.rawSql ?? '']))(
    '%s has rows',
    async (_, sql) => {
      const rows = await clickhouse.query(expanded(sql));
      expect(rows.length).toBeGreaterThan(0);
    },
  );

  it('finds tenants and services for its variables', async () => {
    const [tenants = '', services = ''] = dashboard.templating.list.map(({ query }) => query);
    expect(await clickhouse.query(tenants)).toEqual([{ tenant_id: 'default' }]);
    expect(await clickhouse.query(expanded(services))).toEqual([{ service_name: 'cart' }]);
  });
});

/** Written from the columns that the plugin's documentation names for OpenTelemetry tables. */
const views: Readonly<Record<string, string>> = {
  'trace search': `SELECT TraceId AS traceID, ServiceName AS serviceName, SpanName AS operationName,
      Timestamp AS startTime, multiply(Duration, 0.000001) AS duration
    FROM otel_traces WHERE Timestamp >= '2026-11-22 11:00:00' AND ParentSpanId = ''
      AND Duration > 0 AND ServiceName = 'cart' ORDER BY Timestamp DESC LIMIT 20`,
  'one trace': `WITH '${traceId}' AS trace_id,
      (SELECT min(Start) FROM otel_traces_trace_id_ts WHERE TraceId = trace_id) AS trace_start,
      (SELECT max(End) + 1 FROM otel_traces_trace_id_ts WHERE TraceId = trace_id) AS trace_end
    SELECT TraceId AS traceID, SpanId AS spanID, ParentSpanId AS parentSpanID,
      ServiceName AS serviceName, SpanName AS operationName, Timestamp AS startTime,
      multiply(Duration, 0.000001) AS duration,
      arrayMap(key -> map('key', key, 'value', SpanAttributes[key]), mapKeys(SpanAttributes)) AS tags,
      arrayMap(key -> map('key', key, 'value', ResourceAttributes[key]), mapKeys(ResourceAttributes)) AS serviceTags,
      if(StatusCode IN ('Error', 'STATUS_CODE_ERROR'), 2, 0) AS statusCode
    FROM otel_traces WHERE traceID = trace_id AND startTime >= trace_start AND startTime <= trace_end`,
  logs: `SELECT Timestamp AS timestamp, Body AS body, SeverityText AS level, LogAttributes AS labels,
      TraceId AS traceID
    FROM otel_logs WHERE TimestampTime >= toDateTime('2026-11-22 11:00:00') AND level = 'ERROR'
    ORDER BY timestamp DESC LIMIT 1000`,
  'logs of a trace': `SELECT Timestamp, Body FROM otel_logs WHERE TraceId = '${traceId}'`,
  'log volume': `SELECT toStartOfInterval(Timestamp, INTERVAL 1 MINUTE) AS time,
      sum(multiSearchAny(toString(SeverityText), ['error', 'ERROR'])) AS error
    FROM otel_logs WHERE Timestamp >= '2026-11-22 11:00:00' GROUP BY time ORDER BY time`,
  'attribute by text': `SELECT TraceId FROM otel_traces
    WHERE SpanAttributes['http.route'] = '/cart' AND has(SpanAttributeItems, 'http.route=/cart')`,
};

describe('queries over the tables of the OpenTelemetry Collector', () => {
  it.each(Object.entries(views))('%s finds what is there', async (_, sql) => {
    expect(await clickhouse.query(sql)).toHaveLength(1);
  });
});
