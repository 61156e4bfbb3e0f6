/**
 * Durations of groups over slices of the archive: counts of slices add up, quantiles do not. So each slice says how
 * many durations are below the published quantile, and which lie next to it. Together they show which value
 * has the quantile's rank, or that the published one is not near it.
 */
import { countOf } from '../verify/sums.ts';
import type { FigureRow } from '../verify.ts';

export const quantiles = { p50_ms: 0.5, p95_ms: 0.95, p99_ms: 0.99 } as const;

/** What `finishDurations` makes. */
export const durationFigures = [...Object.keys(quantiles), 'min_ms', 'max_ms', 'mean_ms'];

/** The published quantiles in nanoseconds, as the columns that `durationParts` reads: `published` is joined. */
export const publishedNs = Object.keys(quantiles)
  .map((name) => `published.${name} * 1e6 AS ${name}_ns`)
  .join(',\n    ');

/** Columns of a slice about the column `duration` of the rows of which `kept` holds. */
export function durationParts(duration: string, kept: string): string {
  const parts = Object.keys(quantiles).map(
    (name) => `${nearby(name, duration, kept)} AS ${name}_nearby`,
  );
  return `minIf(${duration}, ${kept}) AS least,
  maxIf(${duration}, ${kept}) AS greatest,
  toString(sumIf(toUInt128(${duration}), ${kept})) AS total,
  ${parts.join(',\n  ')}`;
}

/**
 * How many durations are below the published quantile, the greatest of them, those that are as near to it as
 * rounding can be (and how many of each), and the least above. Doubles keep the order of durations.
 */
function nearby(name: string, duration: string, kept: string): string {
  const edge = (factor: string) => `${name}_ns * (1 ${factor} ${2 ** -50})`;
  const below = `${kept} AND toFloat64(${duration}) < ${edge('-')}`;
  const within = `${kept} AND toFloat64(${duration}) BETWEEN ${edge('-')} AND ${edge('+')}`;
  const above = `${kept} AND toFloat64(${duration}) > ${edge('+')}`;
  return `(
    countIf(${below}),
    maxIf(${duration}, ${below}),
    sumMapIf([${duration}], [toUInt64(1)], ${within}),
    countIf(${above}),
    minIf(${duration}, ${above})
  )`;
}

type Json = string | number;
type Nearby = readonly [Json, Json, readonly [readonly Json[], readonly Json[]], Json, Json];

/** What two slices say of durations, as one; `count` is the column that says how many each has. */
export function addDurations(
  left: FigureRow,
  right: FigureRow,
  count: string,
): Record<string, unknown> {
  const sum: Record<string, unknown> = {
    total: String(countOf(left, 'total') + countOf(right, 'total')),
  };
  const [first = left] = [left, right].filter((row) => countOf(row, count) > 0n);
  [sum['least'], sum['greatest']] = [first['least'], first['greatest']];
  if (countOf(left, count) > 0n && countOf(right, count) > 0n) {
    sum['least'] = String(least(countOf(left, 'least'), countOf(right, 'least')));
    sum['greatest'] = String(-least(-countOf(left, 'greatest'), -countOf(right, 'greatest')));
  }
  for (const name of Object.keys(quantiles)) {
    const of = (row: FigureRow) => row[`${name}_nearby`] as Nearby;
    sum[`${name}_nearby`] = addNearby(of(left), of(right));
  }
  return sum;
}

function addNearby(left: Nearby, right: Nearby): Nearby {
  const below = BigInt(left[0]) + BigInt(right[0]);
  const above = BigInt(left[3]) + BigInt(right[3]);
  const highest = -least(-BigInt(left[1]), -BigInt(right[1]));
  const lowest = [left, right]
    .filter((side) => BigInt(side[3]) > 0n)
    .map((side) => BigInt(side[4]));
  const next = lowest.length === 0 ? 0n : lowest.reduce(least);
  const [values, numbers] = addMaps(left[2], right[2]);
  return [String(below), String(highest), [values, numbers], String(above), String(next)];
}

export type Counted = readonly [readonly Json[], readonly Json[]];

/** Values and how many of each there are, ascending. */
export function addMaps(left: Counted, right: Counted): [string[], string[]] {
  const sums = new Map<bigint, bigint>();
  for (const [values, numbers] of [left, right]) {
    for (const [i, value] of values.entries()) {
      const known = sums.get(BigInt(value)) ?? 0n;
      sums.set(BigInt(value), known + BigInt(numbers[i] ?? 0));
    }
  }
  const sorted = [...sums].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return [sorted.map(([value]) => String(value)), sorted.map(([, count]) => String(count))];
}

/** The figures of durations of all slices together. */
export function finishDurations(row: FigureRow, count: string): Record<string, unknown> {
  const items = Number(row[count]);
  const ifAny = (ns: number) => (items === 0 ? 'nan' : ns / 1e6);
  const figures: Record<string, unknown> = {
    min_ms: ifAny(Number(row['least'])),
    max_ms: ifAny(Number(row['greatest'])),
    mean_ms: ifAny(Number(row['total']) / items),
  };
  for (const [name, quantile] of Object.entries(quantiles)) {
    const nearest = row[`${name}_nearby`] as Nearby;
    figures[name] = items === 0 ? 'nan' : quantileMs(nearest, quantile, items);
  }
  return figures;
}

/** Type 7 of Hyndman and Fan, with the operations of `quantileExactInclusive`; or why it is another. */
function quantileMs(nearest: Nearby, quantile: number, items: number): number | string {
  const position = quantile * (items - 1) + 1;
  const rank = Math.min(Math.floor(position), items);
  const lower = valueAt(nearest, BigInt(rank));
  const upper = position === rank ? lower : valueAt(nearest, BigInt(rank + 1));
  if (lower === undefined || upper === undefined) {
    return `not near it: ${nearest[0]} of ${items} durations are below, ${nearest[3]} above`;
  }
  return (Number(lower) + (position - rank) * Number(upper - lower)) / 1e6;
}

/** The duration of this rank, from 1, if it is among those that are known. */
function valueAt([below, highest, [values, numbers], above, next]: Nearby, rank: bigint) {
  let last = BigInt(below);
  if (rank <= last) return rank === last ? BigInt(highest) : undefined;
  for (const [i, value] of values.entries()) {
    last += BigInt(numbers[i] ?? 0);
    if (rank <= last) return BigInt(value);
  }
  return rank === last + 1n && BigInt(above) > 0n ? BigInt(next) : undefined;
}

function least(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
