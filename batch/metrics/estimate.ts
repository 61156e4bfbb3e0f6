/** What is known of a quantile from a histogram: bounds that are certain, and an estimate. */
import type { ExponentialBuckets, HourHistogram } from '../../schemas/partials/points.ts';
import { quantileRank } from '../merge/quantile.ts';

export interface Estimate {
  /** As Prometheus' `histogram_quantile` interpolates; NaN when there are no buckets or no values. */
  readonly estimate: number;
  /** The exact quantile, type 7, of the values that were counted lies between these two. */
  readonly low: number;
  readonly high: number;
}

/** A bucket: its values lie in [low, high]. */
interface Cell {
  readonly low: number;
  readonly high: number;
  readonly count: number;
  /** The value so far into the bucket, 0 to 1, if its values are spread as is usual for it. */
  readonly at: (fraction: number) => number;
}

const unknown: Estimate = { estimate: Number.NaN, low: Number.NaN, high: Number.NaN };

/** The quantile, 0 to 1, of the values in the buckets, narrowed by least and greatest if they are known. */
export function estimateQuantile(histogram: HourHistogram, quantile: number): Estimate {
  const { exponential, min, max } = histogram;
  const cells = exponential === undefined ? plainCells(histogram) : exponentialCells(exponential);
  const total = cells.reduce((sum, { count }) => sum + count, 0);
  if (total === 0) return unknown;
  const { lower, upper } = quantileRank(total, quantile);
  const least = cellOf(cells, lower)?.low ?? Number.NaN;
  const greatest = cellOf(cells, upper)?.high ?? Number.NaN;
  const low = Number.isNaN(min) ? least : Math.max(least, min);
  const high = Number.isNaN(max) ? greatest : Math.min(greatest, max);
  const estimate = interpolate(cells, quantile * total);
  return { estimate: Math.min(Math.max(estimate, low), high), low, high };
}

/** The bucket of the value of this rank, from 0. */
function cellOf(cells: readonly Cell[], rank: number): Cell | undefined {
  let before = 0;
  for (const cell of cells) {
    before += cell.count;
    if (rank < before) return cell;
  }
  return cells.at(-1);
}

function interpolate(cells: readonly Cell[], rank: number): number {
  let before = 0;
  for (const { count, at } of cells) {
    if (count > 0 && rank <= before + count) return at((rank - before) / count);
    before += count;
  }
  return cells.at(-1)?.at(1) ?? Number.NaN;
}

/** The first bucket begins at 0 if its bound is above; of the last nothing but where it begins is known. */
function plainCells({ bounds, buckets }: HourHistogram): Cell[] {
  return buckets.map((count, bucket) => {
    const [before, end] = [bounds[bucket - 1], bounds[bucket]];
    const start = before ?? (end !== undefined && end > 0 ? 0 : end);
    return {
      low: before ?? -Infinity,
      high: end ?? Infinity,
      count: Number(count),
      at: (fraction) => {
        if (start === undefined) return Number.NaN;
        return end === undefined ? start : start + (end - start) * fraction;
      },
    };
  });
}

/** The buckets of an exponential histogram in ascending order. */
export function exponentialCells(buckets: ExponentialBuckets): Cell[] {
  const { scale, positives, positiveOffset, negatives, negativeOffset } = buckets;
  const positive = positives.map((count, i) => magnitudeCell(positiveOffset + i, scale, count));
  const negative = negatives.map((count, i) =>
    negated(magnitudeCell(negativeOffset + i, scale, count)),
  );
  return [...negative.toReversed(), zeroCell(buckets), ...positive];
}

/** Values of a bucket are spread evenly by their logarithms. */
function magnitudeCell(index: number, scale: number, count: bigint): Cell {
  const [start, end] = [exponentAt(index, scale), exponentAt(index + 1, scale)];
  return {
    low: 2 ** start * (Number.isInteger(start) ? 1 : 1 - Number.EPSILON),
    high: 2 ** end * (Number.isInteger(end) ? 1 : 1 + Number.EPSILON),
    count: Number(count),
    at: (fraction) => 2 ** (fraction === 1 ? end : start + (end - start) * fraction),
  };
}

/** Logarithm, of base 2, of a bucket's lower bound; exact, because scales are powers of two. */
function exponentAt(index: number, scale: number): number {
  return index === 0 ? 0 : index * 2 ** -scale;
}

function negated({ low, high, count, at }: Cell): Cell {
  return { low: -high, high: -low, count, at: (fraction) => -at(1 - fraction) };
}

/** Where nothing is negative else, zeros are taken for values from 0 on; that is no bound. */
function zeroCell({
  zeroCount,
  zeroThreshold,
  zeroIndex,
  scale,
  negatives,
}: ExponentialBuckets): Cell {
  const end = zeroIndex === undefined ? 0 : magnitudeCell(zeroIndex, scale, 0n).high;
  const high = Math.max(zeroThreshold, end);
  const start = negatives.length === 0 ? 0 : -high;
  const at = (fraction: number) => start + (high - start) * fraction;
  return { low: -high, high, count: Number(zeroCount), at };
}
