/** Values of metrics that have more parts than a number, for tests: what they are, and random ones. */
import { countOf as exponentialCount, type Exponential, type Side } from './exponents.ts';

export interface Histogram {
  readonly bounds: readonly number[];
  readonly counts: readonly number[];
  readonly sum: number;
  readonly min?: number;
  readonly max?: number;
}

export interface Summary {
  readonly count: number;
  readonly sum: number;
  readonly quantiles: readonly number[];
  readonly values: readonly number[];
}

export type Parted = Histogram | Exponential | Summary;

export function isExponential(value: Parted): value is Exponential {
  return 'scale' in value;
}

export function isSummary(value: Parted): value is Summary {
  return 'quantiles' in value;
}

export function isHistogram(value: Parted): value is Histogram {
  return 'bounds' in value;
}

export function countOf(value: Parted): number {
  if (isSummary(value)) return value.count;
  if (isExponential(value)) return exponentialCount(value);
  return value.counts.reduce((sum, count) => sum + count, 0);
}

function randomHistogram(random: () => number, shape: number): Histogram {
  const bounds = shape === 0 ? [0.5, 1, 10] : [1, 2];
  const counts = [...bounds, 0].map(() => Math.floor(random() * 5));
  const isEmpty = counts.every((count) => count === 0);
  const extremes = random() < 0.9 ? { min: random(), max: 10 + random() } : {};
  return { bounds, counts, sum: isEmpty ? 0 : random() * 100, ...extremes };
}

export function randomParted(random: () => number, type: string, shape: number): Parted {
  if (type === 'summary') return randomSummary(random, Math.floor(random() * 5), random() * 9);
  if (!type.startsWith('exponential')) return randomHistogram(random, shape);
  const side = (): Side => ({
    offset: Math.floor(random() * 30) - 15,
    counts: Array.from({ length: Math.floor(random() * 6) }, () => Math.floor(random() * 4)),
  });
  const made = {
    scale: 3 + Math.floor(random() * 3),
    zeroThreshold: random() < 0.8 ? 0 : ([0.5, 2 ** -40, 3][Math.floor(random() * 3)] ?? 0),
    zeroCount: Math.floor(random() * 3),
    positive: side(),
    negative: random() < 0.5 ? side() : { offset: 0, counts: [] },
  };
  const extremes = random() < 0.9 ? { min: random(), max: 10 + random() } : {};
  return { ...made, ...extremes, sum: exponentialCount({ ...made, sum: 0 }) * random() };
}

function randomSummary(random: () => number, count: number, sum: number): Summary {
  const quantiles = [0, 0.5, 0.9, 1].slice(0, Math.floor(random() * 5));
  return { count, sum, quantiles, values: quantiles.map((quantile) => quantile * random() * 10) };
}

/** A later total, perhaps of a coarser scale. */
function grownExponential(random: () => number, value: Exponential): Exponential {
  const by = Number(random() < 0.1 && value.scale > -3);
  const side = ({ offset, counts }: Side): Side => {
    const first = offset >> by;
    const end = counts.length === 0 ? first : ((offset + counts.length - 1) >> by) + 1;
    const sums = Array.from({ length: end - first }, () => Math.floor(random() * 2));
    for (const [i, count] of counts.entries()) {
      const at = ((offset + i) >> by) - first;
      sums[at] = (sums[at] ?? 0) + count;
    }
    return { offset: first, counts: sums };
  };
  const sides = { positive: side(value.positive), negative: side(value.negative) };
  const made = { ...value, ...sides, scale: value.scale - by };
  const isEmpty = exponentialCount(made) === 0;
  return { ...made, sum: isEmpty ? 0 : value.sum + random() };
}

export function grown(random: () => number, value: Parted): Parted {
  if (isSummary(value)) {
    return randomSummary(random, value.count + Math.floor(random() * 4), value.sum + random());
  }
  if (isExponential(value)) return grownExponential(random, value);
  const { bounds, counts, sum } = value;
  const more = counts.map((count) => count + Math.floor(random() * 3));
  const isEmpty = more.every((count) => count === 0);
  return { bounds, counts: more, sum: isEmpty ? 0 : sum + random() * 10 };
}
