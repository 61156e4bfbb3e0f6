import { expect, it } from 'vitest';
import {
  addDurations,
  durationFigures,
  finishDurations,
  quantiles,
} from '../../../batch/traces/nearby.ts';
import { interpolate, mean, quantileRank, toMs } from '../../../batch/merge/quantile.ts';
import { seededRandom } from '../../support/random.ts';

const seed = 9;

/** What a slice's query says, given the published quantiles in nanoseconds. */
function sliceOf(durations: readonly bigint[], published: Readonly<Record<string, number>>) {
  const sorted = durations.toSorted((a, b) => (a < b ? -1 : Number(a > b)));
  const near = Object.keys(quantiles).map((name) => {
    const ns = published[name] ?? 0;
    const below = sorted.filter((one) => Number(one) < ns * (1 - 2 ** -50));
    const above = sorted.filter((one) => Number(one) > ns * (1 + 2 ** -50));
    const within = sorted.slice(below.length, sorted.length - above.length);
    const values = [...new Set(within)];
    const counts = values.map((value) => String(within.filter((one) => one === value).length));
    const nearest = [below.length, below.at(-1) ?? 0n, 0, above.length, above[0] ?? 0n].map(String);
    return [`${name}_nearby`, nearest.with(2, [values.map(String), counts] as unknown as string)];
  });
  return {
    calls: String(sorted.length),
    total: String(sorted.reduce((sum, one) => sum + one, 0n)),
    least: String(sorted[0] ?? 0n),
    greatest: String(sorted.at(-1) ?? 0n),
    ...(Object.fromEntries(near) as object),
  };
}

it(`finishDurations() gives the quantiles of all slices if they are the published ones (seed ${seed})`, () => {
  const random = seededRandom(seed);
  for (let round = 0; round < 50; round += 1) {
    const count = 1 + Math.floor(random() * 60);
    const durations = Array.from({ length: count }, () => BigInt(Math.floor(random() * 40)) ** 9n);
    const sorted = durations.toSorted((a, b) => (a < b ? -1 : Number(a > b)));
    const exact = Object.entries(quantiles).map(([name, quantile]): [string, number] => {
      const { lower, upper, fraction } = quantileRank(count, quantile);
      return [name, interpolate(sorted[lower] ?? 0n, sorted[upper] ?? 0n, fraction)];
    });
    const slices = [0, 1, 2, 3].map((slice) =>
      sliceOf(
        durations.filter((_, i) => i % 3 === slice),
        Object.fromEntries(exact),
      ),
    );
    const sum = slices.reduce<Readonly<Record<string, unknown>>>(
      (left, right) => {
        const calls = Number(left['calls']) + Number(right.calls);
        return { ...addDurations(left, right, 'calls'), calls };
      },
      sliceOf([], {}),
    );
    const total = sorted.reduce((added, one) => added + one, 0n);
    const figures = finishDurations(sum, 'calls');
    expect(Object.keys(figures).toSorted()).toEqual(durationFigures.toSorted());
    expect(figures).toEqual({
      ...Object.fromEntries(exact.map(([name, ns]) => [name, toMs(ns)])),
      min_ms: toMs(Number(sorted[0])),
      max_ms: toMs(Number(sorted.at(-1))),
      mean_ms: toMs(mean(total, count)),
    });
  }
});
