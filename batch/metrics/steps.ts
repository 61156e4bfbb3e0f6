/**
 * What the proofs of metrics have in common, in ClickHouse's SQL: the points that count, and what each adds to
 * its hour. docs/METRICS.md has the rules.
 */
import { metricLeadMs } from '../../schemas/limits/batch.ts';
import { comparedSql, exponentialParts } from './exponential.ts';

/** The archive's columns that the proofs read. */
export const structure = [
  'TenantId String',
  'SeriesHash FixedString(16)',
  'MetricName String',
  'MetricType String',
  'AggregationTemporality Int32',
  'IsMonotonic Bool',
  'ServiceName String',
  "StartTimeUnix DateTime64(9, 'UTC')",
  "TimeUnix DateTime64(9, 'UTC')",
  'Flags UInt32',
  'Value Nullable(Float64)',
  'ValueInt Nullable(Int64)',
  'Count Nullable(UInt64)',
  'Sum Nullable(Float64)',
  'Min Nullable(Float64)',
  'Max Nullable(Float64)',
  'BucketCounts Array(UInt64)',
  'ExplicitBounds Array(Float64)',
  'Scale Nullable(Int32)',
  'ZeroCount Nullable(UInt64)',
  'ZeroThreshold Nullable(Float64)',
  'PositiveOffset Nullable(Int32)',
  'PositiveBucketCounts Array(UInt64)',
  'NegativeOffset Nullable(Int32)',
  'NegativeBucketCounts Array(UInt64)',
  '`ValueAtQuantiles.Quantile` Array(Float64)',
  '`ValueAtQuantiles.Value` Array(Float64)',
  "IngestedAt DateTime64(3, 'UTC')",
  'Partition Int32',
  'Offset Int64',
  'ItemIndex UInt32',
];

/** What names a row of the tables of figures. */
export const keys = ['tenant_id', 'service_name', 'metric_name', 'metric_type', 'series', 'hour'];

const day = 86_400_000;

/** A time in nanoseconds, as DateTime64(9) that is compared with the columns. */
function time(ms: number): string {
  return `fromUnixTimestamp64Nano(toInt64(${ms}000000), 'UTC')`;
}

/**
 * Rows with what they are: the copy of each identity (tenant, series, start time, time) that arrived
 * last has place 1. Rows from the hour before the day are there for their values only.
 */
export function copies(source: string, periodMs: number): string {
  return `
  SELECT
    *,
    TenantId AS tenant_id,
    ServiceName AS service_name,
    MetricName AS metric_name,
    MetricType AS metric_type,
    lower(hex(SeriesHash)) AS series,
    toStartOfHour(toDateTime(TimeUnix, 'UTC')) AS hour,
    TimeUnix >= ${time(periodMs)} AS in_day,
    MetricType IN ('Histogram', 'ExponentialHistogram') AS is_histogram,
    MetricType = 'ExponentialHistogram' AS is_exponential,
    MetricType = 'Summary' AS is_summary,
    MetricType = 'Sum' OR is_histogram OR is_summary AS adds_up,
    is_summary OR (adds_up AND AggregationTemporality = 2) AS is_total,
    bitAnd(Flags, 1) = 1 AS is_unrecorded,
    NOT is_unrecorded AND ValueInt IS NOT NULL AS is_int,
    NOT is_unrecorded AND NOT is_int AND Value IS NOT NULL AS is_double,
    if(is_int, assumeNotNull(ValueInt), 0) AS int_value,
    if(is_int, toFloat64(int_value), if(is_double, assumeNotNull(Value) + 0., 0.)) AS value,
    is_double AND isNaN(value) AS is_nan,
    NOT is_unrecorded AND NOT is_nan AS is_valued,
    ifNull(Count, 0) AS observed,
    ifNull(Sum, nan) AS observed_sum,
    ifNull(Min, nan) AS observed_min,
    ifNull(Max, nan) AS observed_max,
    length(BucketCounts) = length(ExplicitBounds) + 1 AS is_whole,
    if(is_whole, BucketCounts, [observed]) AS buckets,
    if(is_whole, ExplicitBounds, []) AS bounds_of,
    ${exponentialParts} AS exponential,
    row_number() OVER arrival AS place,
    (
      is_unrecorded,
      is_int,
      if(is_double, reinterpretAsUInt64(assumeNotNull(Value)), 0),
      int_value,
      if(is_unrecorded OR NOT (is_histogram OR is_summary), '',
        toString((observed, observed_sum, observed_min, observed_max, buckets, bounds_of,
          exponential, ValueAtQuantiles.Quantile, ValueAtQuantiles.Value)))
    ) AS content,
    first_value(content) OVER arrival AS first_content
  FROM ${source}
  WHERE TimeUnix >= ${time(periodMs - metricLeadMs)} AND TimeUnix < ${time(periodMs + day)}
  WINDOW arrival AS (
    PARTITION BY TenantId, SeriesHash, StartTimeUnix, TimeUnix
    ORDER BY IngestedAt DESC, Partition DESC, Offset DESC, ItemIndex DESC
  )`;
}

/**
 * The points that count, each with the one before it of the same sequence (series and start time), and
 * what it adds: `adds` is 'all' of its value, the 'difference', or 'nothing'.
 */
export function steps(source: string, periodMs: number): string {
  const sequences = `
  SELECT
    *,
    row_number() OVER sequence AS step,
    lagInFrame(value) OVER sequence AS before,
    lagInFrame(int_value) OVER sequence AS int_before,
    lagInFrame(is_int) OVER sequence AS was_int,
    lagInFrame(observed) OVER sequence AS observed_before,
    lagInFrame(observed_sum) OVER sequence AS sum_before,
    lagInFrame(buckets) OVER sequence AS buckets_before,
    lagInFrame(bounds_of) OVER sequence AS bounds_before,
    lagInFrame(exponential) OVER sequence AS exponential_before,
    min(TimeUnix) OVER (PARTITION BY TenantId, SeriesHash) AS first_time
  FROM (${copies(source, periodMs)})
  WHERE place = 1 AND is_valued
  WINDOW sequence AS (
    PARTITION BY TenantId, SeriesHash, StartTimeUnix
    ORDER BY TimeUnix ROWS BETWEEN 1 PRECEDING AND CURRENT ROW
  )`;
  return `
  SELECT
    *,
    is_int AND was_int AS is_exact,
    multiIf(
      is_summary, observed < observed_before,
      is_exponential, observed < observed_before OR exponential_fell,
      is_histogram, observed < observed_before OR (bounds_of = bounds_before AND
        arrayExists((now, then) -> now < then, buckets,
          arrayResize(buckets_before, length(buckets)))),
      NOT IsMonotonic, false,
      is_exact, int_value < int_before,
      value < before
    ) AS has_fallen,
    StartTimeUnix != ${time(0)} AND StartTimeUnix < TimeUnix
      AND StartTimeUnix >= ${time(periodMs - metricLeadMs)} AS begins_here,
    multiIf(
      NOT adds_up, 'nothing',
      AggregationTemporality = 1 AND NOT is_summary, 'all',
      NOT is_total, 'nothing',
      step > 1, if(has_fallen, 'all', 'difference'),
      begins_here, 'all',
      'nothing'
    ) AS adds,
    is_total AND if(step > 1, has_fallen, begins_here AND first_time < TimeUnix) AS is_reset,
    is_total AND step = 1 AND NOT begins_here AS is_base
  FROM (${comparedSql(sequences)})`;
}

/** Sums in the order of start time and time, one after the other, as the batch does. */
export function inOrder(value: string, condition: string): string {
  return `arrayFold((sum, x) -> sum + x.3, arraySort(x -> (x.1, x.2),
      groupArrayIf((StartTimeUnix, TimeUnix, ${value}), ${condition})), 0.)`;
}
