import { describe, expect, it } from 'vitest';
import { estimateQuantile } from '../../../batch/metrics/estimate.ts';
import { quantileRank } from '../../../batch/merge/quantile.ts';
import type { HourHistogram } from '../../../schemas/partials/points.ts';
import { seededRandom } from '../../support/random.ts';

function histogramOf(bounds: number[], counts: number[], min = NaN, max = NaN): HourHistogram {
  const count = BigInt(counts.reduce((sum, each) => sum + each, 0));
  const buckets = counts.map(BigInt);
  const none = { hasMixedBounds: false, exponential: undefined };
  return { count, sum: 0, min, max, ...none, bounds, buckets };
}

function exponentialOf(values: number[], scale: number, zeroThreshold: number): HourHistogram {
  const isZero = (value: number) => Math.abs(value) <= zeroThreshold;
  const side = (own: number[]) => {
    const found = own.map((value) => Math.ceil(Math.log2(value) * 2 ** scale) - 1);
    const offset = Math.min(...found, 1e9);
    const length = found.length === 0 ? 0 : Math.max(...found) - offset + 1;
    const counts = Array.from({ length }, (_, i) => found.filter((at) => at === offset + i).length);
    return { offset, counts: counts.map(BigInt) };
  };
  const positive = side(values.filter((value) => !isZero(value) && value > 0));
  const negative = side(values.filter((value) => !isZero(value) && value < 0).map(Math.abs));
  return {
    ...histogramOf([], []),
    exponential: {
      scale,
      zeroThreshold,
      zeroIndex: undefined,
      zeroCount: BigInt(values.filter(isZero).length),
      positiveOffset: positive.offset,
      positives: positive.counts,
      negativeOffset: negative.offset,
      negatives: negative.counts,
    },
  };
}

describe('estimateQuantile()', () => {
  it('bounds the exact quantile of any values, and its estimate lies between', () => {
    const random = seededRandom(3);
    for (let round = 0; round < 2000; round += 1) {
      const bounds = [-5, 0, 0.5, 1, 10, 100].slice(0, Math.floor(random() * 7));
      const size = 1 + Math.floor(random() * 30);
      const values = Array.from({ length: size }, () => (random() - 0.2) * 10 ** (random() * 3));
      const sorted = values.toSorted((a, b) => a - b);
      const counts = [...bounds, Infinity].map(
        (bound, i) => values.filter((v) => v <= bound && v > (bounds[i - 1] ?? -Infinity)).length,
      );
      const known = random() < 0.5;
      const extremes = known ? ([sorted[0], sorted.at(-1)] as const) : [];
      for (const q of [0, 0.5, 0.95, 0.99, 1]) {
        const { lower, upper, fraction } = quantileRank(size, q);
        const [a = 0, b = 0] = [sorted[lower], sorted[upper]];
        const exact = a + fraction * (b - a);
        const found = estimateQuantile(histogramOf(bounds, counts, ...extremes), q);
        expect(found.low).toBeLessThanOrEqual(exact);
        expect(found.high).toBeGreaterThanOrEqual(exact);
        if (bounds.length === 0) continue;
        expect(found.estimate).toBeGreaterThanOrEqual(found.low);
        expect(found.estimate).toBeLessThanOrEqual(found.high);
      }
    }
  });

  it("interpolates as Prometheus' histogram_quantile does", () => {
    // Its documentation: rank 0.5 * 12 lies in (0.1, 0.2], the first of its two; the last bucket gives
    // its lower bound; the first begins at 0.
    const histogram = histogramOf([0.1, 0.2, 1], [5, 2, 3, 2]);
    expect(estimateQuantile(histogram, 0.5).estimate).toBeCloseTo(0.15, 12);
    expect(estimateQuantile(histogram, 1).estimate).toBe(1);
    expect(estimateQuantile(histogramOf([0.1, 0.2], [0, 5, 0]), 0.5).estimate).toBeCloseTo(
      0.15,
      12,
    );
  });

  it('bounds the exact quantile of the values of an exponential histogram', () => {
    const random = seededRandom(4);
    for (let round = 0; round < 1000; round += 1) {
      const scale = Math.floor(random() * 12) - 4;
      const threshold = random() < 0.5 ? 0 : 0.01;
      const size = 1 + Math.floor(random() * 50);
      const values = Array.from({ length: size }, () => {
        const magnitude = random() < 0.1 ? threshold * random() : 0.02 + 10 ** (random() * 6 - 3);
        return random() < 0.3 ? -magnitude : magnitude;
      });
      const sorted = values.toSorted((a, b) => a - b);
      const histogram = exponentialOf(values, scale, threshold);
      for (const q of [0, 0.5, 0.95, 0.99, 1]) {
        const { lower, upper, fraction } = quantileRank(size, q);
        const [a = 0, b = 0] = [sorted[lower], sorted[upper]];
        const exact = a + fraction * (b - a);
        const { estimate, low, high } = estimateQuantile(histogram, q);
        expect(low).toBeLessThanOrEqual(exact);
        expect(high).toBeGreaterThanOrEqual(exact);
        expect(estimate).toBeGreaterThanOrEqual(low);
        expect(estimate).toBeLessThanOrEqual(high);
      }
    }
  });

  it("interpolates as Prometheus' native histograms do: by logarithms", () => {
    // (4, 16] at scale -1: half way of its two is 8; the zero bucket begins at 0 and is even.
    const made = { ...exponentialOf([5, 6], -1, 0) };
    expect(estimateQuantile(made, 0.5).estimate).toBe(8);
    const zero = estimateQuantile(exponentialOf([0, 0, 0.5, 0.5], 0, 1), 0.5);
    expect(zero).toEqual({ estimate: 0.5, low: -1, high: 1 });
    // Widened: the bucket (2, 4] of a threshold of 3 is part of zero.
    const { exponential } = exponentialOf([1, 2, 3, 9], 0, 3);
    if (exponential === undefined) throw new Error('Bug: made without buckets');
    const widened = { ...exponentialOf([9], 0, 3), exponential: { ...exponential, zeroIndex: 1 } };
    expect(estimateQuantile(widened, 0)).toEqual({ estimate: 0, low: -4, high: 4 });
  });

  it('has bounds for any scale that can be sent', () => {
    for (const scale of [-(2 ** 31), -30, -11, 20, 60, 2 ** 31 - 1]) {
      const made = exponentialOf([1.5, 3], 0, 0);
      const exponential = made.exponential && { ...made.exponential, scale };
      const { low, high } = estimateQuantile({ ...made, exponential }, 0.5);
      expect(low).toBeGreaterThan(0);
      expect(high).toBeGreaterThanOrEqual(low);
    }
  });

  it('knows nothing of no values, and no estimate without bounds', () => {
    expect(estimateQuantile(histogramOf([1], [0, 0]), 0.5).estimate).toBeNaN();
    expect(estimateQuantile(histogramOf([], []), 0.5).low).toBeNaN();
    const single = estimateQuantile(histogramOf([], [7], 1, 9), 0.5);
    expect(single).toEqual({ estimate: NaN, low: 1, high: 9 });
  });
});
