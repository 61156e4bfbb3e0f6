/**
 * The ClickHouse tables of the speed layer and the columns that our writers fill, in the order of
 * the RowBinary rows. The tables themselves are made by the migrations in `clickhouse/`.
 */
import type { Signal } from './archive.ts';
import { noteStatement, noteTable } from './note.ts';

/** Columns of every metric table that stand before the point's own. */
const metricColumns = [
  'ResourceAttributes',
  'ResourceSchemaUrl',
  'ScopeName',
  'ScopeVersion',
  'ScopeAttributes',
  'ScopeDroppedAttrCount',
  'ScopeSchemaUrl',
  'ServiceName',
  'MetricName',
  'MetricDescription',
  'MetricUnit',
  'Attributes',
  'StartTimeUnix',
  'TimeUnix',
] as const;

const exemplarColumns = [
  'Exemplars.FilteredAttributes',
  'Exemplars.TimeUnix',
  'Exemplars.Value',
  'Exemplars.SpanId',
  'Exemplars.TraceId',
] as const;

/** Ours, last in every table. */
const ownColumns = ['TenantId', 'IngestedAt'] as const;

/**
 * Table to columns: the clickhouseexporter's, then ours. The transcoder writes rows in this order.
 */
export const speedTables = {
  otel_traces: [
    'Timestamp',
    'TraceId',
    'SpanId',
    'ParentSpanId',
    'TraceState',
    'SpanName',
    'SpanKind',
    'ServiceName',
    'ResourceAttributes',
    'ScopeName',
    'ScopeVersion',
    'SpanAttributes',
    'Duration',
    'StatusCode',
    'StatusMessage',
    'Events.Timestamp',
    'Events.Name',
    'Events.Attributes',
    'Links.TraceId',
    'Links.SpanId',
    'Links.TraceState',
    'Links.Attributes',
    ...ownColumns,
  ],
  otel_logs: [
    'Timestamp',
    'TraceId',
    'SpanId',
    'TraceFlags',
    'SeverityText',
    'SeverityNumber',
    'ServiceName',
    'Body',
    'ResourceSchemaUrl',
    'ResourceAttributes',
    'ScopeSchemaUrl',
    'ScopeName',
    'ScopeVersion',
    'ScopeAttributes',
    'LogAttributes',
    'EventName',
    ...ownColumns,
  ],
  otel_metrics_gauge: [...metricColumns, 'Value', 'Flags', ...exemplarColumns, ...ownColumns],
  otel_metrics_sum: [
    ...metricColumns,
    'Value',
    'Flags',
    ...exemplarColumns,
    'AggregationTemporality',
    'IsMonotonic',
    ...ownColumns,
  ],
  otel_metrics_histogram: [
    ...metricColumns,
    'Count',
    'Sum',
    'BucketCounts',
    'ExplicitBounds',
    ...exemplarColumns,
    'Flags',
    'Min',
    'Max',
    'AggregationTemporality',
    ...ownColumns,
  ],
  otel_metrics_exp_histogram: [
    ...metricColumns,
    'Count',
    'Sum',
    'Scale',
    'ZeroCount',
    'PositiveOffset',
    'PositiveBucketCounts',
    'NegativeOffset',
    'NegativeBucketCounts',
    ...exemplarColumns,
    'Flags',
    'Min',
    'Max',
    'AggregationTemporality',
    ...ownColumns,
  ],
  otel_metrics_summary: [
    ...metricColumns,
    'Count',
    'Sum',
    'ValueAtQuantiles.Quantile',
    'ValueAtQuantiles.Value',
    'Flags',
    ...ownColumns,
  ],
} as const satisfies Record<string, readonly string[]>;

/** A table that the edge inserts into. */
export type SpeedTable = keyof typeof speedTables;

/** The tables of each signal. The transcoder gives metric tables in this order. */
export const tablesOf = {
  traces: ['otel_traces'],
  logs: ['otel_logs'],
  metrics: [
    'otel_metrics_gauge',
    'otel_metrics_sum',
    'otel_metrics_histogram',
    'otel_metrics_exp_histogram',
    'otel_metrics_summary',
  ],
} as const satisfies Record<Signal, readonly SpeedTable[]>;

/** A table whose rows wait in the spool when ClickHouse does not take them. */
export type SpooledTable = SpeedTable | typeof noteTable;

export const spooledTables: readonly SpooledTable[] = [
  ...Object.values(tablesOf).flat(),
  noteTable,
];

/** The statement that carries rows of `table` in its body: RowBinary, and of notes JSON. */
export function insertStatement(table: SpooledTable): string {
  if (table === noteTable) return noteStatement;
  const columns = speedTables[table].map((name) => `\`${name}\``).join(', ');
  return `INSERT INTO ${table} (${columns}) FORMAT RowBinary`;
}

/** Tables whose rows belong to tenants, and the column that says to which. */
export const tenantColumns: Readonly<Record<string, string>> = {
  otel_traces: 'TenantId',
  otel_logs: 'TenantId',
  otel_metrics_gauge: 'TenantId',
  otel_metrics_sum: 'TenantId',
  otel_metrics_histogram: 'TenantId',
  otel_metrics_exp_histogram: 'TenantId',
  otel_metrics_summary: 'TenantId',
  service_stats_realtime: 'tenant_id',
  log_stats_realtime: 'tenant_id',
  metric_stats_realtime: 'tenant_id',
  service_graph_realtime: 'tenant_id',
  service_stats_batch: 'tenant_id',
  service_stats_days: 'tenant_id',
  service_stats_hourly_batch: 'tenant_id',
  service_dedup_batch: 'tenant_id',
  service_graph_batch: 'tenant_id',
  log_stats_batch: 'tenant_id',
  metric_stats_batch: 'tenant_id',
  metric_series_batch: 'tenant_id',
  metric_histogram_batch: 'tenant_id',
  metric_summary_batch: 'tenant_id',
  layer_drift: 'tenant_id',
  ledger_received: 'tenant_id',
  ledger_archived: 'tenant_id',
  ledger_minutes: 'tenant_id',
};
