/** What is known of a quantile from a histogram: bounds that are certain, and a linear estimate. */
import type { HourHistogram } from '../../schemas/pointpartial.ts';
import { quantileRank } from '../quantile.ts';

export interface Estimate {
  /** As Prometheus' `histogram_quantile` interpolates; NaN when there are no buckets or no values. */
  readonly estimate: number;
  /** The exact quantile, type 7, of the values that were counted lies between these two. */
  readonly low: number;
  readonly high: number;
}

const unknown: Estimate = { estimate: Number.NaN, low: Number.NaN, high: Number.NaN };

/** The quantile, 0 to 1, of the values in the buckets, narrowed by least and greatest if they are known. */
export function estimateQuantile(histogram: HourHistogram, quantile: number): Estimate {
  const { bounds, min, max } = histogram;
  const counts = histogram.buckets.map(Number);
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return unknown;
  const { lower, upper } = quantileRank(total, quantile);
  const least = lowerBound(bounds, bucketOf(counts, lower));
  const greatest = upperBound(bounds, bucketOf(counts, upper));
  const low = Number.isNaN(min) ? least : Math.max(least, min);
  const high = Number.isNaN(max) ? greatest : Math.min(greatest, max);
  const estimate = interpolate(bounds, counts, quantile * total);
  return { estimate: Math.min(Math.max(estimate, low), high), low, high };
}

/** The bucket of the value of this rank, from 0. */
function bucketOf(counts: readonly number[], rank: number): number {
  let before = 0;
  for (const [bucket, count] of counts.entries()) {
    before += count;
    if (rank < before) return bucket;
  }
  return counts.length - 1;
}

function lowerBound(bounds: readonly number[], bucket: number): number {
  return bounds[bucket - 1] ?? -Infinity;
}

function upperBound(bounds: readonly number[], bucket: number): number {
  return bounds[bucket] ?? Infinity;
}

/** The first bucket begins at 0 if its bound is above; of the last nothing but where it begins is known. */
function interpolate(bounds: readonly number[], counts: readonly number[], rank: number): number {
  if (bounds.length === 0) return Number.NaN;
  let before = 0;
  for (const [bucket, count] of counts.entries()) {
    const isHere = rank <= before + count && count > 0;
    if (!isHere) {
      before += count;
      continue;
    }
    const end = bounds[bucket];
    if (end === undefined) return bounds.at(-1) ?? Number.NaN;
    const start = bounds[bucket - 1] ?? (end > 0 ? 0 : end);
    return start + (end - start) * ((rank - before) / count);
  }
  return bounds.at(-1) ?? Number.NaN;
}
