/** The rows of the four tables of metrics. Only forms them. */
import { publishSeriesAtOnce } from '../../schemas/limits/batch.ts';
import type {
  ExponentialBuckets,
  OverflowHour,
  Series,
  SeriesHour,
  SeriesName,
} from '../../schemas/partials/points.ts';
import type { PartialReader } from '../merge/ranges.ts';
import { double } from '../publish/table.ts';
import type { MergeOptions, RunResults, TableRow } from '../work.ts';
import { estimateQuantile } from './estimate.ts';
import { MergedSeries } from './merge.ts';

export const pointTables = [
  'metric_stats_batch',
  'metric_series_batch',
  'metric_histogram_batch',
  'metric_summary_batch',
] as const;

/** Merges the partials of metrics. Throws as `MergedSeries` does. */
export async function mergePoints(
  readers: readonly PartialReader[],
  { seriesMax }: Pick<MergeOptions, 'seriesMax'>,
): Promise<RunResults> {
  const merged = await MergedSeries.open(readers, seriesMax);
  const totals = await addUp(merged);
  const sumColumn = 'points';
  const [stats, names, histograms, summaries] = pointTables;
  return {
    items: totals.points,
    duplicates: totals.duplicates,
    conflicts: totals.conflicts,
    groups: totals.hours,
    tables: [
      {
        name: stats,
        rowCount: totals.hours,
        sumColumn,
        sum: totals.points,
        parts: () => partsOf(merged, statsRows, true),
      },
      {
        name: names,
        rowCount: totals.series,
        sumColumn,
        sum: totals.seriesPoints,
        parts: () => partsOf(merged, seriesRows, false),
      },
      {
        name: histograms,
        rowCount: totals.histograms,
        sumColumn,
        sum: totals.histogramPoints,
        parts: () => partsOf(merged, histogramRows, false),
      },
      {
        name: summaries,
        rowCount: totals.summaries,
        sumColumn,
        sum: totals.summaryPoints,
        parts: () => partsOf(merged, summaryRows, false),
      },
    ],
  };
}

/** How many rows each table will have, and their points: one pass over all partials. */
async function addUp(merged: MergedSeries) {
  const totals = { points: 0, duplicates: 0, conflicts: 0, hours: 0, series: 0, seriesPoints: 0 };
  const parted = { histograms: 0, histogramPoints: 0, summaries: 0, summaryPoints: 0 };
  const addHours = (hours: readonly (SeriesHour | OverflowHour)[]): void => {
    totals.hours += hours.length;
    for (const { points, duplicates, conflicts } of hours) {
      totals.points += points;
      totals.duplicates += duplicates;
      totals.conflicts += conflicts;
    }
  };
  const parts = merged.parts();
  for (;;) {
    const { done, value } = await parts.next();
    if (done === true) {
      totals.seriesPoints = totals.points;
      addHours(value);
      return { ...totals, ...parted };
    }
    totals.series += value.length;
    for (const { hours } of value) {
      addHours(hours);
      for (const { points, histogram, summary } of hours) {
        parted.histograms += Number(histogram !== undefined);
        parted.histogramPoints += histogram === undefined ? 0 : points;
        parted.summaries += Number(summary !== undefined);
        parted.summaryPoints += summary === undefined ? 0 : points;
      }
    }
  }
}

/** Rows of every series, in parts of bounded size; those of the overflow last, if they are wanted. */
async function* partsOf(
  merged: MergedSeries,
  rowsOf: (series: Series) => TableRow[],
  withOverflow: boolean,
): AsyncGenerator<readonly TableRow[]> {
  const parts = merged.parts();
  for (;;) {
    const { done, value } = await parts.next();
    if (done === true) {
      if (withOverflow && value.length > 0) yield value.map(overflowRow);
      return;
    }
    for (let from = 0; from < value.length; from += publishSeriesAtOnce) {
      yield value.slice(from, from + publishSeriesAtOnce).flatMap(rowsOf);
    }
  }
}

function keyOf({ name, hash }: Series): TableRow {
  return {
    tenant_id: name.tenantId,
    service_name: name.serviceName,
    metric_name: name.metricName,
    metric_type: name.metricType,
    series: hash,
  };
}

function statsRows(series: Series): TableRow[] {
  const key = keyOf(series);
  return series.hours.map((hour) => ({ ...key, ...hourRow(hour), overflow_series: 0 }));
}

function hourRow(hour: SeriesHour): TableRow {
  const [min, max, avg, last, p50, p95, p99] = hour.values.map(double);
  return {
    hour: hour.hourMs / 1000,
    points: hour.points,
    duplicate_points: hour.duplicates,
    conflict_points: hour.conflicts,
    unrecorded_points: hour.unrecorded,
    nan_points: hour.nans,
    base_points: hour.bases,
    resets: hour.resets,
    increase: double(hour.increase),
    value_min: min,
    value_max: max,
    value_avg: avg,
    value_last: last,
    value_p50: p50,
    value_p95: p95,
    value_p99: p99,
  };
}

function overflowRow(hour: OverflowHour): TableRow {
  const name = { tenantId: hour.tenantId, serviceName: hour.serviceName };
  return {
    tenant_id: name.tenantId,
    service_name: name.serviceName,
    metric_name: '',
    metric_type: '',
    series: '',
    ...hourRow({
      hourMs: hour.hourMs,
      points: hour.points,
      duplicates: hour.duplicates,
      conflicts: hour.conflicts,
      unrecorded: 0,
      nans: 0,
      bases: 0,
      resets: 0,
      increase: Number.NaN,
      values: Array.from({ length: 7 }, () => Number.NaN),
      histogram: undefined,
      summary: undefined,
    }),
    overflow_series: hour.series,
  };
}

function seriesRows(series: Series): TableRow[] {
  const { name } = series;
  const points = series.hours.reduce((sum, hour) => sum + hour.points, 0);
  return [
    {
      ...keyOf(series),
      metric_unit: name.unit,
      aggregation_temporality: name.temporality,
      is_monotonic: name.isMonotonic,
      scope_name: name.scopeName,
      scope_version: name.scopeVersion,
      attributes: mapOf(name.attributes),
      resource_attributes: mapOf(name.resourceAttributes),
      points,
    },
  ];
}

/** An object that has `__proto__` as a key like any other. */
function mapOf(attributes: SeriesName['attributes']): Record<string, string> {
  const map = Object.create(null) as Record<string, string>;
  for (const [key, value] of attributes) map[key] = value;
  return map;
}

/** Without an exponential histogram: nothing but zeros. */
function exponentialColumns(buckets: ExponentialBuckets | undefined): TableRow {
  return {
    scale: buckets?.scale ?? 0,
    zero_count: buckets?.zeroCount ?? 0n,
    zero_threshold: double(buckets?.zeroThreshold ?? 0),
    zero_widened: buckets?.zeroIndex !== undefined,
    positive_offset: buckets?.positiveOffset ?? 0,
    positive_counts: buckets?.positives ?? [],
    negative_offset: buckets?.negativeOffset ?? 0,
    negative_counts: buckets?.negatives ?? [],
  };
}

function summaryRows(series: Series): TableRow[] {
  const key = keyOf(series);
  return series.hours.flatMap(({ hourMs, points, summary }) => {
    if (summary === undefined) return [];
    return [
      {
        ...key,
        hour: hourMs / 1000,
        points,
        observations: summary.count,
        observation_sum: double(summary.sum),
        quantiles: summary.quantiles.map(double),
        quantile_values: summary.values.map(double),
      },
    ];
  });
}

function histogramRows(series: Series): TableRow[] {
  const key = keyOf(series);
  return series.hours.flatMap(({ hourMs, points, histogram }) => {
    if (histogram === undefined) return [];
    const { bounds, buckets } = histogram;
    const [p50, p95, p99] = [0.5, 0.95, 0.99].map((q) => estimateQuantile(histogram, q));
    return [
      {
        ...key,
        hour: hourMs / 1000,
        points,
        observations: histogram.count,
        observation_sum: double(histogram.sum),
        observation_min: double(histogram.min),
        observation_max: double(histogram.max),
        bounds: bounds.map(double),
        bucket_counts: buckets,
        mixed_bounds: histogram.hasMixedBounds,
        ...exponentialColumns(histogram.exponential),
        p50: double(p50?.estimate ?? Number.NaN),
        p50_low: double(p50?.low ?? Number.NaN),
        p50_high: double(p50?.high ?? Number.NaN),
        p95: double(p95?.estimate ?? Number.NaN),
        p95_low: double(p95?.low ?? Number.NaN),
        p95_high: double(p95?.high ?? Number.NaN),
        p99: double(p99?.estimate ?? Number.NaN),
        p99_low: double(p99?.low ?? Number.NaN),
        p99_high: double(p99?.high ?? Number.NaN),
      },
    ];
  });
}
