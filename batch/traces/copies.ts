/** SQL for proofs of spans: which copies there are, and in which bucket a duration is. Runs none. */

/** The columns of the archive that the proofs read, with their ClickHouse types. */
export const spanStructure: readonly string[] = [
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
];

/**
 * A subquery that gives every row of `source` its `place` among the copies of a span, one identity of (tenant,
 * trace id, span id, kind): the first by (IngestedAt, Partition, Offset, ItemIndex) counts, the
 * others are duplicates of the group that they name. `first_content` is what the first one says.
 */
export function spanCopies(source: string): string {
  return `(
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
)`;
}

/** Stands for the operations of a service that are past the limit. */
export const overflow = '__overflow__';

/**
 * How many copies and spans an operation of one kind has, by the places of its copies. Its distinct traces may
 * be added up over operations: that is what `unique_traces` of the overflow means.
 */
export const copyCounts = {
  spans: 'countIf(place = 1)',
  duplicates: 'countIf(place > 1)',
  errors: 'countIf(place = 1 AND content.3)',
  traces: 'uniqExactIf((SpanName, TraceId), place = 1)',
  conflicts: 'countIf(content != first_content)',
  histogram: `sumMapIf([${bucketSql('Duration')}], [toUInt64(1)], place = 1)`,
} as const;

/** The type of `quantile_state`. */
export const stateType = 'Tuple(buckets Array(UInt16), counts Array(UInt64))';

/**
 * The bucket of a duration, as the migration that adds `quantile_state` defines it: from 128 on, six bits
 * below the leading one choose it. A bit that follows a set one is cleared before the exponent of the double is read, so
 * that no rounding can raise it.
 */
export function bucketSql(duration: string): string {
  const topBit = `bitAnd(${duration}, bitNot(bitShiftRight(${duration}, 1)))`;
  const exponent = `bitShiftRight(reinterpretAsUInt64(toFloat64(${topBit})), 52) - 1023`;
  const shift = `toUInt8(greatest(${exponent}, 6) - 6)`;
  return `toUInt16(bitShiftRight(${duration}, ${shift}) + 64 * ${shift})`;
}
