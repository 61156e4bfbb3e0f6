/**
 * Exponential histograms brought to one scale by a plain program: maps of BigInts, nothing shared with the
 * kernel. The rules are those of docs/METRICS.md.
 */
import { exponentialBucketsMax } from '../../schemas/limits/batch.ts';

export interface Side {
  readonly offset: number;
  readonly counts: readonly number[];
}

export interface Exponential {
  readonly scale: number;
  readonly zeroThreshold: number;
  readonly zeroCount: number;
  readonly positive: Side;
  readonly negative: Side;
  readonly sum: number;
  readonly min?: number;
  readonly max?: number;
}

export interface Merged {
  scale: number;
  zeroCount: number;
  zeroThreshold: number;
  widened: boolean;
  positiveOffset: number;
  positives: number[];
  negativeOffset: number;
  negatives: number[];
}

/** What counts of an hour come from: a histogram, less the one before it. */
export interface Added {
  readonly now: Exponential;
  readonly before: Exponential | undefined;
}

export function countOf({ zeroCount, positive, negative }: Exponential): number {
  return [...positive.counts, ...negative.counts].reduce((sum, each) => sum + each, zeroCount);
}

/** Sums of the hour, `undefined` without any histogram. */
export function mergePlainly(added: readonly Added[]): Merged | undefined {
  const all = added.flatMap(({ now, before }) => (before ? [now, before] : [now]));
  if (all.length === 0) return undefined;
  const scale = commonScale(all);
  const zeroThreshold = Math.max(...all.map((each) => each.zeroThreshold));
  const isUneven = all.some((each) => each.zeroThreshold !== zeroThreshold);
  const zeroUpTo = isUneven ? bucketOf(zeroThreshold, scale) : undefined;
  const sums = { positive: new Map<bigint, number>(), negative: new Map<bigint, number>() };
  let [zeroCount, widened] = [0, false];
  for (const { now, before } of added) {
    for (const [each, sign] of [[now, 1] as const, [before, -1] as const]) {
      if (each === undefined) continue;
      zeroCount += sign * each.zeroCount;
      for (const side of ['positive', 'negative'] as const) {
        for (const [index, count] of cellsOf(each[side], each.scale, scale)) {
          if (zeroUpTo !== undefined && index <= zeroUpTo) {
            zeroCount += sign * count;
            if (index === zeroUpTo) widened = true;
          } else sums[side].set(index, (sums[side].get(index) ?? 0) + sign * count);
        }
      }
    }
  }
  const [positive, negative] = [denseOf(sums.positive), denseOf(sums.negative)];
  return {
    scale: Math.max(scale, -(2 ** 31)),
    zeroCount,
    zeroThreshold,
    widened,
    positiveOffset: positive.offset,
    positives: positive.counts,
    negativeOffset: negative.offset,
    negatives: negative.counts,
  };
}

/** Whether some bucket of `now` has less than the one of `before`, both at one scale and threshold. */
export function isLowerPlainly(now: Exponential, before: Exponential): boolean {
  if (countOf(now) < countOf(before)) return true;
  const scale = Math.min(now.scale, before.scale);
  const isUneven = now.zeroThreshold !== before.zeroThreshold;
  const threshold = Math.max(now.zeroThreshold, before.zeroThreshold);
  const zeroUpTo = isUneven ? bucketOf(threshold, scale) : undefined;
  const cells = (each: Exponential): Map<string, number> => {
    const found = new Map([['zero', each.zeroCount]]);
    for (const side of ['positive', 'negative'] as const) {
      for (const [index, count] of cellsOf(each[side], each.scale, scale)) {
        const isZero = zeroUpTo !== undefined && index <= zeroUpTo;
        const cell = isZero ? 'zero' : `${side} ${index}`;
        found.set(cell, (found.get(cell) ?? 0) + count);
      }
    }
    return found;
  };
  const own = cells(now);
  return [...cells(before)].some(([cell, count]) => (own.get(cell) ?? 0) < count);
}

/** Buckets that have counts, by index at `scale`. */
function cellsOf({ offset, counts }: Side, own: number, scale: number): Map<bigint, number> {
  const cells = new Map<bigint, number>();
  for (const [i, count] of counts.entries()) {
    if (count === 0) continue;
    const index = BigInt(offset + i) >> BigInt(Math.min(own - scale, 100));
    cells.set(index, (cells.get(index) ?? 0) + count);
  }
  return cells;
}

function commonScale(all: readonly Exponential[]): number {
  let scale = Math.min(...all.map((each) => each.scale));
  const span = (side: 'positive' | 'negative'): number => {
    const found = all.flatMap((each) => [...cellsOf(each[side], each.scale, scale).keys()]);
    const sorted = found.toSorted((a, b) => Number(a - b));
    return Number((sorted.at(-1) ?? -1n) - (sorted[0] ?? 0n)) + 1;
  };
  while (Math.max(span('positive'), span('negative')) > exponentialBucketsMax) scale -= 1;
  return scale;
}

/** The bucket that a number lies in; one that is a bound but for rounding is the bucket's below. */
function bucketOf(value: number, scale: number): bigint {
  const perPower = 2 ** Math.max(Math.min(scale, 1000), -60);
  const place = Math.log2(value) * perPower;
  if (!Number.isFinite(place)) return BigInt(2 ** 70) * BigInt(Math.sign(place));
  const isBound = Math.abs(place - Math.round(place)) < 1e-6 * Math.min(1, perPower);
  return isBound ? BigInt(Math.round(place)) - 1n : BigInt(Math.floor(place));
}

function denseOf(sums: ReadonlyMap<bigint, number>): { offset: number; counts: number[] } {
  const found = [...sums].filter(([, sum]) => sum !== 0).toSorted(([a], [b]) => Number(a - b));
  const [first, last] = [found[0]?.[0], found.at(-1)?.[0]];
  if (first === undefined || last === undefined) return { offset: 0, counts: [] };
  const length = Number(last - first) + 1;
  const counts = Array.from({ length }, (_, i) => sums.get(first + BigInt(i)) ?? 0);
  return { offset: Number(first), counts };
}
