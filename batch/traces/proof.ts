/** How `service_stats_batch` and `service_dedup_batch` are proved: the same figures in ClickHouse's own SQL. */
import { addCounts } from '../verify/sums.ts';
import type { Proof, ProofOptions } from '../verify.ts';
import { copyCounts, overflow, spanCopies, spanStructure, stateType } from './copies.ts';
import { spanSlices } from './slices.ts';

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
    'quantile_state',
  ],
  structure: spanStructure,
  sql: verifySql,
  slices: spanSlices,
};

/**
 * A ClickHouse query over the rows of `source` (a table, table function or subquery with the archive's
 * columns) that gives each group's exact figures. Of each service the `operationsMax` operations with most
 * spans are groups, the others are one.
 */
export function verifySql(
  source: string,
  { operationsMax }: Pick<ProofOptions, 'operationsMax'>,
): string {
  return `SELECT
  tenant_id,
  service_name,
  if(place > ${operationsMax}, '${overflow}', operation) AS operation_name,
  span_kind,
  sum(spans) AS total_spans,
  sum(duplicates) AS duplicate_spans,
  sum(errors) AS error_count,
  sum(traces) AS unique_traces,
  sum(conflicts) AS conflict_spans,
  CAST(sumMap(histogram.1, histogram.2), '${stateType}') AS quantile_state,
  quantilesExactInclusiveMerge(0.5, 0.95, 0.99)(durations) AS quantiles,
  ${milliseconds('quantiles[1]')} AS p50_ms,
  ${milliseconds('quantiles[2]')} AS p95_ms,
  ${milliseconds('quantiles[3]')} AS p99_ms,
  ${milliseconds('minIf(least, spans > 0)')} AS min_ms,
  ${milliseconds('maxIf(greatest, spans > 0)')} AS max_ms,
  ${milliseconds(total, ' / total_spans')} AS mean_ms
FROM
(
  SELECT *, dense_rank() OVER (
    PARTITION BY tenant_id, service_name
    ORDER BY operation_spans DESC, operation
  ) AS place
  FROM
  (
    SELECT *, sum(spans) OVER (
      PARTITION BY tenant_id, service_name, operation
    ) AS operation_spans
    FROM ${operations(source)}
  )
)
GROUP BY tenant_id, service_name, operation_name, span_kind
ORDER BY tenant_id, service_name, operation_name, span_kind`;
}

/** Each kind of each operation, with all of its durations. */
function operations(source: string): string {
  const counts = Object.entries(copyCounts).map(([name, sql]) => `${sql} AS ${name}`);
  return `(
  SELECT
    TenantId AS tenant_id,
    ServiceName AS service_name,
    SpanName AS operation,
    SpanKind AS span_kind,
    ${counts.join(',\n    ')},
    quantilesExactInclusiveStateIf(0.5, 0.95, 0.99)(Duration, place = 1) AS durations,
    minIf(Duration, place = 1) AS least,
    maxIf(Duration, place = 1) AS greatest,
    sumIf(toUInt128(Duration), place = 1) AS total
  FROM ${spanCopies(source)}
  GROUP BY tenant_id, service_name, operation, span_kind
)`;
}

/** The sum as the nearest double: `avg` adds in 64 bits, which may wrap, and wide ints are not rounded. */
const total = 'toFloat64(toString(sum(total)))';

/** A figure of the group's distinct spans in milliseconds; it has none without a span. */
function milliseconds(nanoseconds: string, divided = ''): string {
  return `if(total_spans = 0, nan, ${nanoseconds}${divided} / 1e6)`;
}

const dedupFigures = ['raw_span_count', 'deduped_span_count', 'duplicate_span_count'];

export const dedupProof: Proof = {
  table: 'service_dedup_batch',
  keys: ['tenant_id', 'service_name'],
  figures: dedupFigures,
  structure: spanStructure,
  sql: dedupSql,
  slices: {
    by: spanSlices.by,
    isSorted: true,
    sql: (source) => dedupSql(source),
    add: addCounts(dedupFigures),
    finish: (row) => row,
  },
};

function dedupSql(source: string): string {
  return `SELECT
  TenantId AS tenant_id,
  ServiceName AS service_name,
  count() AS raw_span_count,
  countIf(place = 1) AS deduped_span_count,
  countIf(place > 1) AS duplicate_span_count
FROM ${spanCopies(source)}
GROUP BY tenant_id, service_name`;
}
