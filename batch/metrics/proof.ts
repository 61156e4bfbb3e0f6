/** How the metric tables are proved: the same figures in ClickHouse's own SQL. docs/METRICS.md has the rules. */
import type { Proof, ProofOptions } from '../verify.ts';
import { mergedSql } from './exponential.ts';
import { pointSlices } from './slices.ts';
import { copies, inOrder, keys, steps, structure } from './steps.ts';

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
  slices: pointSlices,
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
    'scale',
    'zero_count',
    'zero_threshold',
    'zero_widened',
    'positive_offset',
    'positive_counts',
    'negative_offset',
    'negative_counts',
  ],
  structure,
  sql: histogramSql,
  slices: pointSlices,
};

export const summaryProof: Proof = {
  table: 'metric_summary_batch',
  keys,
  figures: ['points', 'observations', 'observation_sum', 'quantiles', 'quantile_values'],
  structure,
  sql: summarySql,
  slices: pointSlices,
};

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
  toBool(metric_type = 'Histogram' AND is_added AND NOT is_even) AS mixed_bounds,
  scale,
  zero_count,
  zero_threshold,
  zero_widened,
  positive_offset,
  positive_counts,
  negative_offset,
  negative_counts
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
LEFT JOIN (${mergedSql(steps(source, periodMs), group)}) AS merged USING (${group})
WHERE metric_type IN ('Histogram', 'ExponentialHistogram') AND series_place <= ${seriesMax}`;
}

/** Every figure of `metric_summary_batch`. */
export function summarySql(source: string, { periodMs, seriesMax }: ProofOptions): string {
  const group = keys.join(', ');
  const difference = `adds = 'difference'`;
  return `
SELECT ${group}, points, observations, observation_sum, quantiles, quantile_values
FROM
(
  SELECT
    ${group},
    count() AS points,
    dense_rank() OVER (PARTITION BY tenant_id, service_name ORDER BY series) AS series_place
  FROM (${copies(source, periodMs)})
  WHERE in_day AND place = 1
  GROUP BY ${group}
) AS counts
INNER JOIN
(
  SELECT
    ${group},
    sumIf(observed - if(${difference}, observed_before, 0), adds != 'nothing') AS observations,
    ${inOrder(`if(${difference}, observed_sum - sum_before, observed_sum)`, `adds != 'nothing'`)}
      AS observation_sum,
    argMax(ValueAtQuantiles.Quantile, (TimeUnix, StartTimeUnix)) AS quantiles,
    argMax(ValueAtQuantiles.Value, (TimeUnix, StartTimeUnix)) AS quantile_values
  FROM (${steps(source, periodMs)})
  WHERE in_day AND is_summary
  GROUP BY ${group}
) AS figures USING (${group})
WHERE series_place <= ${seriesMax}`;
}
