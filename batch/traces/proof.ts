/** How `service_stats_batch` is proved: the same figures in ClickHouse's own SQL. */
import type { Proof } from '../verify.ts';

export const spanProof: Proof = {
  table: 'service_stats_batch',
  keys: ['tenant_id', 'service_name', 'operation_name', 'span_kind'],
  figures: [
    'total_spans',
    'duplicate_spans',
    'p50_ms',
    'p95_ms',
    'p99_ms',
    'min_ms',
    'max_ms',
    'mean_ms',
    'error_count',
    'unique_traces',
    'conflict_spans',
  ],
  structure: [
    'TenantId String',
    'ServiceName String',
    'SpanName String',
    'TraceId FixedString(16)',
    'SpanId FixedString(8)',
    'SpanKind String',
    'StatusCode String',
    'Duration UInt64',
    "IngestedAt DateTime64(3, 'UTC')",
    'Partition Int32',
    'Offset Int64',
    'ItemIndex UInt32',
  ],
  sql: verifySql,
};

/**
 * A ClickHouse query over the rows of `source` (a table, table function or subquery with the archive's
 * columns) that gives each group's exact figures. Of the copies of a span, one identity of (tenant, trace id,
 * span id, kind), the first by (IngestedAt, Partition, Offset, ItemIndex) counts; the others are
 * duplicates of the group that they name.
 */
export function verifySql(source: string): string {
  return `SELECT
  TenantId AS tenant_id,
  ServiceName AS service_name,
  SpanName AS operation_name,
  SpanKind AS span_kind,
  countIf(place = 1) AS total_spans,
  countIf(place > 1) AS duplicate_spans,
  ${milliseconds('quantileExactInclusive', '(0.5)')} AS p50_ms,
  ${milliseconds('quantileExactInclusive', '(0.95)')} AS p95_ms,
  ${milliseconds('quantileExactInclusive', '(0.99)')} AS p99_ms,
  ${milliseconds('min', '')} AS min_ms,
  ${milliseconds('max', '')} AS max_ms,
  ${milliseconds('avg', '')} AS mean_ms,
  countIf(place = 1 AND content.3) AS error_count,
  uniqExactIf(TraceId, place = 1) AS unique_traces,
  countIf(content != first_content) AS conflict_spans
FROM
(
  SELECT
    TenantId,
    ServiceName,
    SpanName,
    SpanKind,
    TraceId,
    Duration,
    (ServiceName, SpanName, StatusCode = 'Error', Duration) AS content,
    row_number() OVER arrival AS place,
    first_value(content) OVER arrival AS first_content
  FROM ${source}
  WINDOW arrival AS (
    PARTITION BY TenantId, TraceId, SpanId, SpanKind
    ORDER BY IngestedAt, Partition, Offset, ItemIndex
  )
)
GROUP BY tenant_id, service_name, operation_name, span_kind
ORDER BY tenant_id, service_name, operation_name, span_kind`;
}

/** An aggregate over the durations of the group's distinct spans; it has none without a span. */
function milliseconds(aggregate: string, parameters: string): string {
  return `if(total_spans = 0, nan, ${aggregate}If${parameters}(Duration, place = 1) / 1e6)`;
}
