import { describe, expect, it } from 'vitest';
import { estimateQuantile } from '../../../batch/metrics/estimate.ts';
import { quantileRank } from '../../../batch/quantile.ts';
import type { HourHistogram } from '../../../schemas/pointpartial.ts';
import { seededRandom } from '../../support/random.ts';

function histogramOf(bounds: number[], counts: number[], min = NaN, max = NaN): HourHistogram {
  const count = BigInt(counts.reduce((sum, each) => sum + each, 0));
  return { count, sum: 0, min, max, hasMixedBounds: false, bounds, buckets: counts.map(BigInt) };
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

  it('knows nothing of no values, and no estimate without bounds', () => {
    expect(estimateQuantile(histogramOf([1], [0, 0]), 0.5).estimate).toBeNaN();
    expect(estimateQuantile(histogramOf([], []), 0.5).low).toBeNaN();
    const single = estimateQuantile(histogramOf([], [7], 1, 9), 0.5);
    expect(single).toEqual({ estimate: NaN, low: 1, high: 9 });
  });
});
