/** How the metric tables are proved: the same figures in ClickHouse's own SQL. docs/METRICS.md has the rules. */
import { metricLeadMs } from '../../schemas/limits/batch.ts';
import type { Proof, ProofOptions } from '../verify.ts';

const structure = [
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
  "IngestedAt DateTime64(3, 'UTC')",
  'Partition Int32',
  'Offset Int64',
  'ItemIndex UInt32',
];

const keys = ['tenant_id', 'service_name', 'metric_name', 'metric_type', 'series', 'hour'];

export const pointProof: Proof = {
  table: 'metric_stats_batch',
  keys,
  figures: [
    'points',
    'duplicate_points',
    'conflict_points',
    'unrecorded_points',
    'nan_points',
    'base_points',
    'resets',
    'increase',
    'value_min',
    'value_max',
    'value_avg',
    'value_last',
    'value_p50',
    'value_p95',
    'value_p99',
    'overflow_series',
  ],
  structure,
  sql: pointSql,
};

export const histogramProof: Proof = {
  table: 'metric_histogram_batch',
  keys,
  figures: [
    'points',
    'observations',
    'observation_sum',
    'observation_min',
    'observation_max',
    'bounds',
    'bucket_counts',
    'mixed_bounds',
  ],
  structure,
  sql: histogramSql,
};

const day = 86_400_000;

/** A time in nanoseconds, as DateTime64(9) that is compared with the columns. */
function time(ms: number): string {
  return `fromUnixTimestamp64Nano(toInt64(${ms}000000), 'UTC')`;
}

/**
 * Rows with what they are: the copy of each identity (tenant, series, start time, time) that arrived
 * last has place 1. Rows from the hour before the day are there for their values only.
 */
function copies(source: string, periodMs: number): string {
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
    MetricType = 'Sum' OR is_histogram AS adds_up,
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
    row_number() OVER arrival AS place,
    (
      is_unrecorded,
      is_int,
      if(is_double, reinterpretAsUInt64(assumeNotNull(Value)), 0),
      int_value,
      if(is_unrecorded OR NOT is_histogram, '',
        toString((observed, observed_sum, observed_min, observed_max, buckets, bounds_of)))
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
function steps(source: string, periodMs: number): string {
  return `
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
    min(TimeUnix) OVER (PARTITION BY TenantId, SeriesHash) AS first_time,
    is_int AND was_int AS is_exact,
    multiIf(
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
      AggregationTemporality = 1, 'all',
      AggregationTemporality != 2, 'nothing',
      step > 1, if(has_fallen, 'all', 'difference'),
      begins_here, 'all',
      'nothing'
    ) AS adds,
    adds_up AND AggregationTemporality = 2 AS is_total,
    is_total AND if(step > 1, has_fallen, begins_here AND first_time < TimeUnix) AS is_reset,
    is_total AND step = 1 AND NOT begins_here AS is_base
  FROM (${copies(source, periodMs)})
  WHERE place = 1 AND is_valued
  WINDOW sequence AS (
    PARTITION BY TenantId, SeriesHash, StartTimeUnix
    ORDER BY TimeUnix ROWS BETWEEN 1 PRECEDING AND CURRENT ROW
  )`;
}

/** Sums in the order of start time and time, one after the other, as the batch does. */
function inOrder(value: string, condition: string): string {
  return `arrayFold((sum, x) -> sum + x.3, arraySort(x -> (x.1, x.2),
      groupArrayIf((StartTimeUnix, TimeUnix, ${value}), ${condition})), 0.)`;
}

/**
 * Every figure of `metric_stats_batch`, the series past the limit summed up: of each tenant's service the
 * first by hash are kept.
 */
export function pointSql(source: string, { periodMs, seriesMax }: ProofOptions): string {
  const group = keys.join(', ');
  const figures = `
  SELECT
    ${group},
    ${inOrder(
      `multiIf(adds = 'all', value, adds = 'difference', value - before, 0.)`,
      `adds != 'nothing' AND NOT if(adds = 'all', is_int, is_exact) AND metric_type = 'Sum'`,
    )} AS float_increase,
    sumIf(toInt256(int_value) - if(adds = 'difference', toInt256(int_before), 0),
      if(adds = 'all', is_int, adds = 'difference' AND is_exact) AND metric_type = 'Sum')
      AS int_increase,
    countIf(is_base) AS base_points,
    countIf(is_reset) AS resets,
    countIf(is_int OR is_double) AS numbers,
    minIf(value, is_int OR is_double) AS least,
    maxIf(value, is_int OR is_double) AS greatest,
    ${inOrder('value', 'is_int OR is_double')} / numbers AS mean,
    argMaxIf(value, (TimeUnix, StartTimeUnix), is_int OR is_double) AS last,
    quantileExactInclusiveIf(0.5)(value, is_int OR is_double) AS p50,
    quantileExactInclusiveIf(0.95)(value, is_int OR is_double) AS p95,
    quantileExactInclusiveIf(0.99)(value, is_int OR is_double) AS p99
  FROM (${steps(source, periodMs)})
  WHERE in_day
  GROUP BY ${group}`;
  const counts = `
  SELECT
    ${group},
    countIf(place = 1) AS points,
    countIf(place > 1) AS duplicate_points,
    countIf(place > 1 AND content != first_content) AS conflict_points,
    countIf(place = 1 AND is_unrecorded) AS unrecorded_points,
    countIf(place = 1 AND is_nan) AS nan_points,
    dense_rank() OVER (PARTITION BY tenant_id, service_name ORDER BY series) AS series_place
  FROM (${copies(source, periodMs)})
  WHERE in_day
  GROUP BY ${group}`;
  const isKept = `series_place <= ${seriesMax}`;
  const orNaN = (figure: string) => `if(${isKept} AND numbers > 0, ${figure}, nan)`;
  return `
SELECT
  tenant_id,
  service_name,
  if(${isKept}, metric_name, '') AS metric_name,
  if(${isKept}, metric_type, '') AS metric_type,
  if(${isKept}, series, '') AS series,
  hour,
  sum(points) AS points,
  sum(duplicate_points) AS duplicate_points,
  sum(conflict_points) AS conflict_points,
  sumIf(unrecorded_points, ${isKept}) AS unrecorded_points,
  sumIf(nan_points, ${isKept}) AS nan_points,
  sumIf(base_points, ${isKept}) AS base_points,
  sumIf(resets, ${isKept}) AS resets,
  any(if(${isKept} AND metric_type = 'Sum', ${nearest('int_increase')} + float_increase, nan))
    AS increase,
  any(${orNaN('least')}) AS value_min,
  any(${orNaN('greatest')}) AS value_max,
  any(${orNaN('mean')}) AS value_avg,
  any(${orNaN('last')}) AS value_last,
  any(${orNaN('p50')}) AS value_p50,
  any(${orNaN('p95')}) AS value_p95,
  any(${orNaN('p99')}) AS value_p99,
  countIf(NOT ${isKept}) AS overflow_series
FROM (${counts}) AS counts
LEFT JOIN (${figures}) AS figures USING (${group})
GROUP BY tenant_id, service_name, metric_name, metric_type, series, hour`;
}

/** A wide int as the nearest double: of those that fit 64 bits ClickHouse's own conversion is. */
function nearest(value: string): string {
  return `if(${value} BETWEEN -9223372036854775807 AND 9223372036854775807,
    toFloat64(toInt64(${value})), toFloat64(toString(${value})))`;
}

/** Every figure of `metric_histogram_batch` but the quantiles, which follow from the buckets. */
export function histogramSql(source: string, { periodMs, seriesMax }: ProofOptions): string {
  const group = keys.join(', ');
  const added = `adds = 'difference'`;
  return `
SELECT
  ${group},
  all_points AS points,
  observations,
  if(is_added, observation_sum, nan) AS observation_sum,
  if(is_added, observation_min, nan) AS observation_min,
  if(is_added, observation_max, nan) AS observation_max,
  if(is_merged, bounds, []) AS bounds,
  if(is_merged, bucket_counts, []) AS bucket_counts,
  toBool(is_added AND NOT is_even) AS mixed_bounds
FROM
(
  SELECT
    ${group},
    count() AS all_points,
    dense_rank() OVER (PARTITION BY tenant_id, service_name ORDER BY series) AS series_place
  FROM (${copies(source, periodMs)})
  WHERE in_day AND place = 1
  GROUP BY ${group}
) AS counts
LEFT JOIN
(
  SELECT
    ${group},
    countIf(adds != 'nothing') > 0 AS is_added,
    sumIf(observed - if(${added}, observed_before, 0), adds != 'nothing') AS observations,
    ${inOrder(`if(${added}, observed_sum - sum_before, observed_sum)`, `adds != 'nothing'`)}
      AS observation_sum,
    if(countIf(adds != 'nothing' AND (is_total OR isNaN(observed_min))) = 0,
      minIf(observed_min, adds != 'nothing'), nan) AS observation_min,
    if(countIf(adds != 'nothing' AND (is_total OR isNaN(observed_max))) = 0,
      maxIf(observed_max, adds != 'nothing'), nan) AS observation_max,
    uniqExactIf(bounds_of, adds != 'nothing') = 1
      AND countIf(${added} AND bounds_of != bounds_before) = 0 AS is_even,
    is_added AND is_even AND metric_type = 'Histogram' AS is_merged,
    anyIf(bounds_of, adds != 'nothing') AS bounds,
    if(is_even, sumForEachIf(if(${added} AND bounds_of = bounds_before,
      arrayMap((now, then) -> toUInt64(now - then), buckets,
        arrayResize(buckets_before, length(buckets))),
      buckets), adds != 'nothing'), []) AS bucket_counts
  FROM (${steps(source, periodMs)})
  WHERE in_day AND is_histogram
  GROUP BY ${group}
) AS figures USING (${group})
WHERE metric_type IN ('Histogram', 'ExponentialHistogram') AND series_place <= ${seriesMax}`;
}
