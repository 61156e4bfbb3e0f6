/** Tests of the seeded source of randomness. */
import { describe, expect, it } from 'vitest';
import { Random } from '../../../dev/traffic/random.ts';

function draw(seed: number): number[] {
  const random = new Random(seed);
  return Array.from({ length: 8 }, () => random.uint32());
}

describe('Random', () => {
  it('gives the same numbers for the same seed and others for another', () => {
    expect(draw(7)).toEqual(draw(7));
    expect(draw(7)).not.toEqual(draw(8));
  });

  it('fraction() is uniform: mean 1/2 and variance 1/12', () => {
    const random = new Random(1);
    const drawn = Array.from({ length: 50_000 }, () => random.fraction());
    const mean = drawn.reduce((sum, x) => sum + x, 0) / drawn.length;
    const variance = drawn.reduce((sum, x) => sum + (x - mean) ** 2, 0) / drawn.length;
    expect(Math.min(...drawn)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...drawn)).toBeLessThan(1);
    expect(mean).toBeCloseTo(1 / 2, 1.9);
    expect(variance).toBeCloseTo(1 / 12, 1.9);
  });

  it('logNormal() has the median and the sigma that were asked for', () => {
    const random = new Random(2);
    const drawn = Array.from({ length: 20_001 }, () => random.logNormal(30, 0.5)).toSorted(
      (a, b) => a - b,
    );
    expect((drawn[10_000] ?? 0) / 30).toBeCloseTo(1, 1);
    // The standard normal's cumulative distribution is 0.8413 at one sigma.
    expect(Math.log((drawn[Math.round(20_000 * 0.8413)] ?? 0) / 30)).toBeCloseTo(0.5, 1);
  });

  it('hex() has two lower-case digits a byte', () => {
    const random = new Random(3);
    expect(random.hex(16)).toMatch(/^[0-9a-f]{32}$/);
    expect(random.hex(8)).toMatch(/^[0-9a-f]{16}$/);
  });
});
