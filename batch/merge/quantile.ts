/**
 * Quantiles of type 7 (Hyndman and Fan, 1996: linear between order statistics), computed with the
 * very operations of ClickHouse's `quantileExactInclusive`, so that the results are the same bits.
 *
 * DuckDB's `quantile_cont` takes the rank without the + 1 below and interpolates as
 * lo * (1 - f) + hi * f: the same number, but at times another last bit. Where the two engines
 * agree, so do we; where they differ, we are with ClickHouse, into which the results go.
 */

/** The two order statistics that a quantile lies between, and how far it is from the lower. */
export interface QuantileRank {
  /** Ranks from 0 to count - 1; `upper` is `lower` or the next. */
  readonly lower: number;
  readonly upper: number;
  readonly fraction: number;
}

/** Where the quantile (0 to 1) of `count` values lies; `count` is at least 1. */
export function quantileRank(count: number, quantile: number): QuantileRank {
  // The 1 is added before the fraction is taken, which rounds it; ClickHouse counts ranks from 1.
  const position = quantile * (count - 1) + 1;
  const rank = Math.floor(position);
  if (rank < 1) return { lower: 0, upper: 0, fraction: 0 };
  if (rank >= count) return { lower: count - 1, upper: count - 1, fraction: 0 };
  return { lower: rank - 1, upper: rank, fraction: position - rank };
}

/** The value between two order statistics, in their unit. */
export function interpolate(lower: bigint, upper: bigint, fraction: number): number {
  return Number(lower) + fraction * Number(upper - lower);
}

/**
 * Milliseconds of a number of nanoseconds: what ClickHouse gives for `.../1e6`, and therefore not
 * times 1e-6.
 */
export function toMs(nanoseconds: number): number {
  return nanoseconds / 1e6;
}

/**
 * Mean in nanoseconds: the exact sum, rounded to a double, divided by the count. ClickHouse's `avg`
 * does the same as long as its 64-bit sum does not wrap, which it does silently.
 */
export function mean(sum: bigint, count: number): number {
  return Number(sum) / count;
}
