import { beforeAll, describe, expect, it } from 'vitest';
import type { MergeKernel } from '../../aggregator-as/mergekernel.ts';
import { startMergeKernel } from '../../batch/shard/kernel.ts';
import {
  decodePartialHeader,
  runRange,
  type BucketedHeaderGroup,
} from '../../schemas/partials/buckets.ts';
import { bucketOf } from '../../schemas/partials/histogram.ts';
import { encodePartial, runWidth } from '../../schemas/partials/spans.ts';
import { partialGroup } from '../support/partials.ts';
import { seededRandom } from '../support/random.ts';

const seed = 23;
const corrupt = expect.objectContaining({ code: 'CORRUPT_ARCHIVE' });

/** One group of so many durations of any size, as a partial's header has it, and the durations. */
function partOf(count: number, random: () => number) {
  const durations = BigUint64Array.from({ length: count }, () =>
    BigInt(Math.floor(2 ** (random() * 50))),
  ).toSorted();
  const [group] = decodePartialHeader(encodePartial([partialGroup('op', durations)])).groups;
  return { group: group as BucketedHeaderGroup, durations };
}

describe('MergeKernel', () => {
  let kernel: MergeKernel;
  beforeAll(async () => {
    kernel = await startMergeKernel();
  });

  it(`merge() adds up the parts, and finds the runs that hold the ranks (seed ${seed})`, () => {
    const random = seededRandom(seed);
    for (const counts of [[0], [1], [0, 5], [300, 1, 2000], [40, 40, 40, 40, 0, 40]]) {
      const parts = counts.map((count) => partOf(count, random));
      const all = parts.flatMap(({ durations }) => [...durations]);
      const sorted = BigUint64Array.from(all).toSorted();
      const ranks = [0, 1, 7, 100, sorted.length - 1].filter(
        (rank, i, wanted) => rank < sorted.length && rank > (wanted[i - 1] ?? -1),
      );
      const groups = parts.map(({ group }) => group);
      const { buckets, bucketCounts, plans } = kernel.merge(groups, ranks);
      const inBuckets = Map.groupBy(sorted, bucketOf);
      expect([...buckets]).toEqual([...inBuckets.keys()]);
      expect([...bucketCounts]).toEqual(Array.from(inBuckets.values(), (own) => own.length));
      const wanted = Map.groupBy(ranks, (rank) => bucketOf(sorted[rank] ?? 0n));
      expect(plans).toEqual(
        Array.from(wanted, ([bucket, own]) => ({
          bucket,
          ranks: own.length,
          before: sorted.filter((duration) => bucketOf(duration) < bucket).length,
          runs: groups.flatMap((group, part) => {
            const count = group.bucketCounts[group.buckets.indexOf(bucket)] ?? 0;
            if (count === 0) return [];
            const { start, end } = runRange(group, bucket);
            expect(end - start).toBe(count * runWidth(bucket));
            return [{ part, start: runWidth(bucket) === 0 ? expect.any(Number) : start, count }];
          }),
        })),
      );
    }
  });

  it(`merge() refuses buckets that are cut, changed or others than the totals say (seed ${seed})`, async () => {
    const { group } = partOf(50, seededRandom(seed));
    const { bucketBytes } = group;
    const wrong = [
      ...Array.from(bucketBytes, (_, length) => ({ bucketBytes: bucketBytes.slice(0, length) })),
      { bucketBytes: new Uint8Array(bucketBytes.length).fill(0xff) },
      { bucketsFilled: group.bucketsFilled - 1 },
      { bucketsFilled: 4_000_000_000 },
      { count: group.count + 1 },
      { hotBytes: group.hotBytes + 1 },
      { coldBytes: group.coldBytes + 1 },
    ];
    for (const change of wrong) {
      // It is of no more use once it has thrown.
      const own = await startMergeKernel();
      expect(() => own.merge([{ ...group, ...change }], [])).toThrow(corrupt);
    }
  });

  it('take() refuses runs that do not ascend or leave their bucket', async () => {
    const own = await startMergeKernel();
    own.room(2, 2, 4);
    own.take(Uint8Array.of(1, 0, 255, 3), 0, 2, 10);
    expect([own.valueAt(0), own.valueAt(1)]).toEqual([1n, 1023n]);
    expect(() => own.take(Uint8Array.of(1, 0, 0, 4), 0, 2, 10)).toThrow(corrupt);
    expect(() => own.take(Uint8Array.of(2, 0, 1, 0), 0, 2, 10)).toThrow(corrupt);
  });
});
