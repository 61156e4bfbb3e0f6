/** Computes shards of metrics: the figures of each series and hour. */
import {
  histogramMarks,
  PointKernel,
  type ExponentialFigures,
  type HourFigures,
} from '../../aggregator-as/pointkernel.ts';
import { metricLeadMs, shardNamesMax } from '../../schemas/limits/batch.ts';
import {
  encodePointPartial,
  type ExponentialBuckets,
  type HourHistogram,
  type HourSummary,
  type Series,
  type SeriesHour,
  type SeriesName,
} from '../../schemas/partials/points.ts';
import { Names } from '../shard/names.ts';
import type { RowSlice, ShardRows, WorkOptions } from '../work.ts';
import { PointColumnMap, pointColumns, SeriesNames } from './columns.ts';
import { SeriesLimit } from './limit.ts';

export function startPointWork(options: WorkOptions): ShardRows {
  return new PointWork(options);
}

const hourLengthMs = 3_600_000;

class PointWork implements ShardRows {
  readonly columns = pointColumns;
  readonly #kernel: PointKernel;
  readonly #options: WorkOptions;
  #tenants = tenantNames();
  #map = new PointColumnMap(this.#tenants);
  #series: Omit<SeriesName, 'tenantId'>[] = [];

  constructor(options: WorkOptions) {
    const { kernel, memoryBytes, hashSeed, periodMs } = options;
    const windowMs = periodMs - metricLeadMs;
    this.#options = options;
    this.#kernel = new PointKernel(kernel, {
      memoryBytesMax: memoryBytes,
      hashSeed,
      periodMs,
      windowMs,
    });
  }

  reset(): void {
    this.#kernel.reset();
    this.#tenants = tenantNames();
    this.#map = new PointColumnMap(this.#tenants);
    this.#series = [];
  }

  add(rows: RowSlice): void {
    const names = new SeriesNames(rows.arrow);
    this.#kernel.add(this.#map.columns(rows), (row) => {
      this.#series.push(names.name(rows.from + row));
    });
  }

  finish(): Uint8Array {
    const limit = new SeriesLimit(this.#options.seriesMax);
    const series: Series[] = [];
    for (const each of ascending(this.#named())) if (limit.keeps(each)) series.push(each);
    return encodePointPartial({ series, overflow: limit.overflow() });
  }

  /** Series that have points in the period, with names in place of codes. */
  *#named(): Generator<Series> {
    const tenants = this.#tenants.values();
    for (const { seriesHash, tenant, ordinal, hours } of this.#kernel.finish()) {
      const name = this.#series[ordinal];
      if (name === undefined || hours.length === 0) continue;
      yield {
        name: { tenantId: tenants[tenant] ?? '', ...name },
        hash: seriesHash,
        hours: hours.map((hour) => hourOf(hour, name, this.#options.periodMs)),
      };
    }
  }
}

function tenantNames(): Names {
  return new Names('tenant', shardNamesMax);
}

/** Series of one hash in the order of their tenants' names, whose codes depend on what was read first. */
function* ascending(series: Iterable<Series>): Generator<Series> {
  let same: Series[] = [];
  for (const each of series) {
    if (same.length > 0 && same[0]?.hash !== each.hash) {
      yield* same.toSorted(byTenant);
      same = [];
    }
    same.push(each);
  }
  yield* same.toSorted(byTenant);
}

function byTenant(a: Series, b: Series): number {
  return a.name.tenantId < b.name.tenantId ? -1 : Number(a.name.tenantId > b.name.tenantId);
}

type SeriesKind = Pick<SeriesName, 'metricType'>;

function hourOf(figures: HourFigures, { metricType }: SeriesKind, periodMs: number): SeriesHour {
  const { points, duplicates, conflicts, unrecorded, nans, bases, resets } = figures;
  return {
    hourMs: periodMs + figures.hour * hourLengthMs,
    points,
    duplicates,
    conflicts,
    unrecorded,
    nans,
    bases,
    resets,
    increase: metricType === 'Sum' ? figures.increase : Number.NaN,
    values: valuesOf(figures),
    histogram: histogramOf(figures, metricType),
    summary: summaryOf(figures, metricType),
  };
}

function valuesOf(figures: HourFigures): number[] {
  const { values, valueMin, valueMax, valueSum, valueLast, p50, p95, p99 } = figures;
  const all = [valueMin, valueMax, valueSum / values, valueLast, p50, p95, p99];
  return values === 0 ? all.map(() => Number.NaN) : all;
}

function histogramOf(figures: HourFigures, metricType: string): HourHistogram | undefined {
  if (metricType !== 'Histogram' && metricType !== 'ExponentialHistogram') return undefined;
  const { histogram, exponential, marks, hasMixedBounds } = figures;
  const isAdded = histogram !== undefined || exponential !== undefined || hasMixedBounds;
  const orNaN = (value: number, mark: number): number =>
    (marks & mark) !== 0 || !isAdded ? Number.NaN : value;
  return {
    count: figures.histogramCount,
    sum: orNaN(figures.histogramSum, histogramMarks.noSum),
    min: orNaN(figures.histogramMin, histogramMarks.noMin),
    max: orNaN(figures.histogramMax, histogramMarks.noMax),
    hasMixedBounds,
    bounds: [...(histogram?.bounds ?? [])],
    buckets: [...(histogram?.buckets ?? [])],
    exponential: exponential === undefined ? undefined : exponentialOf(exponential),
  };
}

/** Copies the counts, which are the kernel's. */
function exponentialOf(figures: ExponentialFigures): ExponentialBuckets {
  return {
    ...figures,
    positives: [...figures.positives],
    negatives: [...figures.negatives],
  };
}

/** An hour whose summaries are all without a value has none. */
function summaryOf(figures: HourFigures, metricType: string): HourSummary | undefined {
  const { summary, histogramCount, histogramSum, marks } = figures;
  if (metricType !== 'Summary' || summary === undefined) return undefined;
  return {
    count: histogramCount,
    sum: (marks & histogramMarks.noSum) === 0 ? histogramSum : Number.NaN,
    quantiles: [...summary.quantiles],
    values: [...summary.values],
  };
}
