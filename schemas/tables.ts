/**
 * The ClickHouse columns that our writers fill, in the order of the RowBinary rows. The tables
 * themselves are made by the migrations in `clickhouse/`.
 */

/** `otel_traces`: the clickhouseexporter's columns, then ours. The transcoder writes this order. */
export const otelTracesColumns = [
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
  'TenantId',
  'IngestedAt',
] as const;

/** The statement that carries RowBinary rows of `otel_traces` in its body. */
export const otelTracesInsert = `INSERT INTO otel_traces (${otelTracesColumns
  .map((name) => `\`${name}\``)
  .join(', ')}) FORMAT RowBinary`;
