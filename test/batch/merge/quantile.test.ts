import { describe, expect, it } from 'vitest';
import { interpolate, mean, quantileRank, toMs } from '../../../batch/merge/quantile.ts';
import { askEngines } from '../../support/engines.ts';
import { seededRandom } from '../../support/random.ts';

const seed = 7;
const quantiles = [0, 0.001, 0.1, 0.25, 1 / 3, 0.5, 0.9, 0.95, 0.99, 0.999, 1];

function quantileMs(sorted: BigUint64Array, quantile: number): number {
  const { lower, upper, fraction } = quantileRank(sorted.length, quantile);
  return toMs(interpolate(sorted[lower] ?? 0n, sorted[upper] ?? 0n, fraction));
}

/** Values of all sizes: small, around 2^53 and up to 2^64. */
function randomValues(count: number, bits: number, random: () => number): BigUint64Array {
  return BigUint64Array.from({ length: count }, () => {
    const high = BigInt(Math.floor(random() * 2 ** 32));
    return ((high << 32n) | BigInt(Math.floor(random() * 2 ** 32))) >> BigInt(64 - bits);
  });
}

describe('quantileRank()', () => {
  it('is the first and the last rank at 0 and 1, and the only one of one value', () => {
    expect(quantileRank(10, 0)).toEqual({ lower: 0, upper: 1, fraction: 0 });
    expect(quantileRank(10, 1)).toEqual({ lower: 9, upper: 9, fraction: 0 });
    expect(quantileRank(1, 0.5)).toEqual({ lower: 0, upper: 0, fraction: 0 });
  });

  it('lies in the middle between two values', () => {
    expect(quantileRank(2, 0.5)).toEqual({ lower: 0, upper: 1, fraction: 0.5 });
  });
});

describe('interpolate(), toMs() and mean()', () => {
  it(`are ClickHouse's bits always, and DuckDB's wherever it agrees with ClickHouse (seed ${seed})`, async () => {
    const random = seededRandom(seed);
    const groups = [10, 20, 34, 40, 52, 53, 54, 60, 63, 64].flatMap((bits) =>
      Array.from({ length: 60 }, () => randomValues(1 + Math.floor(random() * 200), bits, random)),
    );
    const { clickHouse, duckDb } = await askEngines(groups, quantiles);
    let agreements = 0;
    for (const [i, values] of groups.entries()) {
      const ours = quantiles.map((quantile) => quantileMs(values.toSorted(), quantile));
      expect(ours).toEqual(clickHouse[i]?.quantilesMs);
      for (const [at, quantile] of (duckDb[i]?.quantilesMs ?? []).entries()) {
        expect(ours[at]).toBeCloseTo(quantile, 0);
        expect(Math.abs((ours[at] ?? 0) - quantile)).toBeLessThanOrEqual(quantile * 1e-12);
        agreements += Number(ours[at] === quantile);
      }
      const sum = values.reduce((total, value) => total + value, 0n);
      const meanMs = toMs(mean(sum, values.length));
      if (sum < 2n ** 64n) expect(meanMs).toBe(clickHouse[i]?.meanMs);
      expect(Math.abs(meanMs - (duckDb[i]?.meanMs ?? 0))).toBeLessThanOrEqual(meanMs * 1e-12);
    }
    expect(agreements).toBeGreaterThan((groups.length * quantiles.length) / 2);
  });
});
