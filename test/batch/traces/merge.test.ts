/** The merge against one process that has everything, against ClickHouse and against DuckDB. */
import { describe, expect, it } from 'vitest';
import { mergePartials, type GroupStats } from '../../../batch/traces/merge.ts';
import { interpolate, mean, quantileRank, toMs } from '../../../batch/merge/quantile.ts';
import { mergeLimits } from '../../../batch/merge/ranges.ts';
import { bucketOf } from '../../../schemas/partials/histogram.ts';
import { encodePartial } from '../../../schemas/partials/spans.ts';
import { askEngines } from '../../support/engines.ts';
import {
  countingReaders,
  dealPartials,
  operationNameOf,
  partialGroup,
} from '../../support/partials.ts';
import { seededRandom } from '../../support/random.ts';

const seed = 42;
const published = [0.5, 0.95, 0.99];
const many = [0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1];
const max = 2n ** 64n - 1n;
const corrupt = { code: 'CORRUPT_ARCHIVE' };

function fill(count: number, value: (i: number) => bigint): BigUint64Array {
  return BigUint64Array.from({ length: count }, (_, i) => value(i));
}

/** Distributions that are hard for a histogram, a radix sort or an interpolation. */
function distributions(random: () => number): BigUint64Array[] {
  const word = (): bigint => BigInt(Math.floor(random() * 2 ** 32));
  const uniform = (bits: bigint): bigint => ((word() << 32n) | word()) >> (64n - bits);
  return [
    fill(1, () => 0n),
    fill(1, () => max),
    fill(2, (i) => (i === 0 ? 0n : max)),
    fill(5000, () => 1_000_003n),
    fill(5000, () => max),
    fill(5000, (i) => (i % 2 === 0 ? 1_000_003n : 1_000_004n)),
    fill(5001, (i) => (i % 2 === 0 ? 100n : 2n ** 40n)),
    fill(3000, (i) => BigInt(i)),
    fill(3000, (i) => max - BigInt(i)),
    fill(20_000, () => BigInt(Math.floor(1e6 / (1 - random()) ** 2)) & max),
    fill(20_000, () => BigInt(Math.floor(Math.exp(14 + 2 * (random() + random() + random()))))),
    fill(10_000, () => uniform(64n)),
    fill(10_000, () => uniform(55n)),
    fill(3, () => uniform(30n)),
  ];
}

/** Distinct durations that grow with their number, so what they are when sorted is known. */
function durationOf(i: number): number {
  return i * 1009 + (i % 997);
}

/** What one process that holds all of a group's durations computes. */
function wholeStats(durations: BigUint64Array, quantiles: readonly number[]) {
  const sorted = durations.toSorted();
  const at = (rank: number): bigint => sorted[rank] ?? 0n;
  return {
    totalSpans: sorted.length,
    minMs: toMs(Number(at(0))),
    maxMs: toMs(Number(at(sorted.length - 1))),
    meanMs: toMs(
      mean(
        sorted.reduce((sum, value) => sum + value, 0n),
        sorted.length,
      ),
    ),
    quantilesMs: quantiles.map((quantile) => {
      const { lower, upper, fraction } = quantileRank(sorted.length, quantile);
      return toMs(interpolate(at(lower), at(upper), fraction));
    }),
  };
}

function figures(stats: readonly GroupStats[]) {
  return stats.map(({ totalSpans, minMs, maxMs, meanMs, quantilesMs }) => {
    return { totalSpans, minMs, maxMs, meanMs, quantilesMs };
  });
}

describe('mergePartials()', () => {
  it(`gives one process's bits for 1 to 500 shards (seed ${seed})`, async () => {
    const random = seededRandom(seed);
    const groups = distributions(random);
    const wanted = groups.map((durations) => wholeStats(durations, many));
    for (const shards of [1, 2, 3, 7, 60, 500]) {
      const { readers } = countingReaders(dealPartials(groups, shards, random));
      const stats = await mergePartials(readers, many);
      expect(figures(stats)).toEqual(wanted);
      expect(await mergePartials(readers.toReversed(), many)).toEqual(stats);
    }
  });

  it(`gives the same bits however little it may hold and ask for (seed ${seed})`, async () => {
    const random = seededRandom(seed);
    const groups = distributions(random);
    const { readers, cost } = countingReaders(dealPartials(groups, 5, random));
    const limits = {
      ...mergeLimits,
      runBytes: 4096,
      windowBytes: 8192,
      requestBytes: 1000,
      gapBytes: 0,
    };
    const stats = await mergePartials(readers, many, { ...limits, readsInFlight: 2 });
    expect(figures(stats)).toEqual(groups.map((durations) => wholeStats(durations, many)));
    expect(cost.inFlightMax).toBeLessThanOrEqual(2);
  });

  it(`gives ClickHouse's bits, and DuckDB's wherever the two agree (seed ${seed})`, async () => {
    const groups = distributions(seededRandom(seed));
    const { readers } = countingReaders(dealPartials(groups, 9, seededRandom(seed)));
    const stats = await mergePartials(readers, many);
    const { clickHouse, duckDb } = await askEngines(groups, many);
    let agreements = 0;
    for (const [i, found] of stats.entries()) {
      const { count, minMs, maxMs, quantilesMs = [] } = clickHouse[i] ?? {};
      expect(found).toMatchObject({ totalSpans: count, minMs, maxMs, quantilesMs });
      for (const [at, quantile] of (duckDb[i]?.quantilesMs ?? []).entries()) {
        const ours = found.quantilesMs[at] ?? 0;
        expect(Math.abs(ours - quantile)).toBeLessThanOrEqual(quantile * 1e-12);
        agreements += Number(ours === quantile && quantile === quantilesMs[at]);
      }
    }
    expect(agreements).toBeGreaterThan(stats.length * many.length * 0.6);
  });

  it('adds counts, histograms and groups that only some shards have', async () => {
    const both = partialGroup(
      'both',
      fill(10, (i) => BigInt(i * 100)),
    );
    const first = encodePartial([
      both,
      partialGroup(
        'only first',
        fill(3, () => 5n),
      ),
    ]);
    const second = encodePartial([
      { ...both, tenantId: 'aaa' },
      both,
      partialGroup(
        'zero',
        fill(0, () => 0n),
      ),
    ]);
    const stats = await mergePartials(countingReaders([first, second]).readers, [0.5]);
    expect(stats.map((group) => [group.tenantId, group.operationName])).toEqual([
      ['aaa', 'both'],
      ['shop', 'both'],
      ['shop', 'only first'],
      ['shop', 'zero'],
    ]);
    expect(stats[1]).toMatchObject({
      totalSpans: 20,
      duplicateSpans: 4,
      errorCount: 2,
      uniqueTraces: 10,
      conflicts: 2,
      buckets: Uint16Array.from(both.durations, bucketOf),
      bucketCounts: new Float64Array(10).fill(2),
    });
    const none = [Number.NaN];
    expect(stats[3]).toMatchObject({
      totalSpans: 0,
      duplicateSpans: 2,
      minMs: Number.NaN,
      quantilesMs: none,
    });
  });

  it('returns nothing for no partials and for empty ones', async () => {
    expect(await mergePartials([], published)).toEqual([]);
    const { readers } = countingReaders([encodePartial([]), encodePartial([])]);
    expect(await mergePartials(readers, published)).toEqual([]);
  });

  it(`moves a small part of 1e6 distinct durations in 3 requests a partial (seed ${seed})`, async () => {
    const random = seededRandom(seed);
    const groups = [1, 2, 3, 4].map((scale) =>
      fill(
        250_000,
        (i) => BigInt(Math.floor(Math.exp(14 + scale + random() * 4))) * 1000n + BigInt(i % 1000),
      ),
    );
    const objects = dealPartials(groups, 8, random);
    const { readers, cost } = countingReaders(objects);
    const stats = await mergePartials(readers, published);
    expect(figures(stats)).toEqual(groups.map((durations) => wholeStats(durations, published)));
    const total = objects.reduce((sum, object) => sum + object.length, 0);
    // A duration takes less than its 8 bytes, and a ninth of them at most is moved.
    expect(total).toBeLessThan(1_000_000 * 5);
    expect(cost.bytes - 8 * 65_536).toBeLessThan(total / 9);
    expect(cost.requests).toBeLessThanOrEqual(8 * 3);
  });

  it(`gives the bits of 10^7 distinct durations from 500 shards (seed ${seed})`, async () => {
    const count = 10_000_000;
    const random = seededRandom(seed);
    const shardOf = Uint16Array.from({ length: count }, () => Math.floor(random() * 500));
    const sizes = new Uint32Array(500);
    for (const shard of shardOf) sizes[shard] = (sizes[shard] ?? 0) + 1;
    const shards = Array.from(sizes, (size) => new BigUint64Array(size));
    sizes.fill(0);
    for (const [i, shard] of shardOf.entries()) {
      const durations = shards[shard];
      const at = sizes[shard] ?? 0;
      sizes[shard] = at + 1;
      if (durations) durations[at] = BigInt(durationOf(i));
    }
    const objects = shards.map((durations) => encodePartial([partialGroup('op', durations)]));
    const [found] = await mergePartials(countingReaders(objects).readers, many);
    const wanted = many.map((quantile) => {
      const { lower, upper, fraction } = quantileRank(count, quantile);
      return toMs(interpolate(BigInt(durationOf(lower)), BigInt(durationOf(upper)), fraction));
    });
    expect(found).toMatchObject({ totalSpans: count, quantilesMs: wanted });
  });

  it(`moves a part of 500 groups in 3 requests a partial (seed ${seed})`, async () => {
    const random = seededRandom(seed);
    const groups = Array.from({ length: 500 }, (_, scale) =>
      fill(1000, () => BigInt(Math.floor(Math.exp(14 + scale / 100 + random() * 4)))),
    );
    const objects = dealPartials(groups, 2, random);
    const { readers, cost } = countingReaders(objects);
    const stats = await mergePartials(readers, published);
    expect(stats.map((group) => group.operationName)).toEqual(
      groups.map((_, i) => operationNameOf(i)),
    );
    expect(figures(stats)).toEqual(groups.map((durations) => wholeStats(durations, published)));
    const total = objects.reduce((sum, object) => sum + object.length, 0);
    expect(cost.bytes).toBeLessThan(total * 0.7);
    expect(cost.requests).toBeLessThanOrEqual(2 * 3);
  });

  it('throws CORRUPT_ARCHIVE for objects that are no partials, cut ones and damaged runs', async () => {
    const durations = fill(5000, (i) => BigInt(i) * 1_000_003n);
    const good = encodePartial([partialGroup('op', durations)]);
    await expect(mergeOne(new Uint8Array(0))).rejects.toMatchObject(corrupt);
    await expect(mergeOne(new Uint8Array(1000))).rejects.toMatchObject(corrupt);
    await expect(mergeOne(good.slice(0, 100))).rejects.toMatchObject(corrupt);
    const headerOnly = good.slice(0, new DataView(good.buffer).getUint32(8, true));
    await expect(mergeOne(headerOnly)).rejects.toMatchObject(corrupt);
    const damaged = good.slice();
    damaged.set(good.subarray(headerOnly.length).toReversed(), headerOnly.length);
    await expect(mergeOne(damaged)).rejects.toMatchObject(corrupt);
  });
});

function mergeOne(object: Uint8Array): Promise<GroupStats[]> {
  return mergePartials(countingReaders([object]).readers, published);
}
