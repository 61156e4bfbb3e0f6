/** How `service_stats_batch` and `service_dedup_batch` are proved: the same figures in ClickHouse's own SQL. */
import { addCounts } from '../sums.ts';
import type { Proof } from '../verify.ts';
import { groupColumns, spanCopies, spanStructure } from './copies.ts';
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
 * columns) that gives each group's exact figures.
 */
export function verifySql(source: string): string {
  return `SELECT ${groupColumns},
  ${milliseconds('quantileExactInclusive', '(0.5)')} AS p50_ms,
  ${milliseconds('quantileExactInclusive', '(0.95)')} AS p95_ms,
  ${milliseconds('quantileExactInclusive', '(0.99)')} AS p99_ms,
  ${milliseconds('min', '')} AS min_ms,
  ${milliseconds('max', '')} AS max_ms,
  if(total_spans = 0, nan, ${total} / total_spans / 1e6) AS mean_ms
FROM ${spanCopies(source)}
GROUP BY tenant_id, service_name, operation_name, span_kind
ORDER BY tenant_id, service_name, operation_name, span_kind`;
}

/** The sum as the nearest double: `avg` adds in 64 bits, which may wrap, and wide ints are not rounded. */
const total = 'toFloat64(toString(sumIf(toUInt128(Duration), place = 1)))';

/** An aggregate over the durations of the group's distinct spans; it has none without a span. */
function milliseconds(aggregate: string, parameters: string): string {
  return `if(total_spans = 0, nan, ${aggregate}If${parameters}(Duration, place = 1) / 1e6)`;
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
