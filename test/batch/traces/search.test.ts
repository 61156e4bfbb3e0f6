/** Searches and folds of durations by themselves; `operations.test.ts` has them at work. */
import { describe, expect, it } from 'vitest';
import { mergeLimits } from '../../../batch/merge/ranges.ts';
import { Folds, selectFolded } from '../../../batch/traces/fold.ts';
import { PartialGroups } from '../../../batch/traces/groups.ts';
import { Searches, type Want } from '../../../batch/traces/search.ts';
import { bucketOf } from '../../../schemas/partials/histogram.ts';
import { encodePartial, type GroupNames } from '../../../schemas/partials/spans.ts';
import { countingReaders, partialGroup } from '../../support/partials.ts';
import { seededRandom } from '../../support/random.ts';

const seed = 3;

function ascending(a: bigint, b: bigint): number {
  return a < b ? -1 : Number(a > b);
}

function overflowOf(key: GroupNames): GroupNames {
  return { ...key, operationName: 'other' };
}

function groupOf(count: number, bounds: readonly [bigint, bigint], buckets: readonly number[]) {
  return {
    tenantId: 't',
    serviceName: 's',
    operationName: `${count}`,
    spanKind: 'k',
    rawCount: count + 1,
    count,
    errorCount: 1,
    uniqueTraces: count,
    conflicts: 2,
    durationMinNs: bounds[0],
    durationMaxNs: bounds[1],
    durationSumNs: bounds[1],
    buckets: Uint16Array.from(buckets),
    bucketCounts: new Float64Array(buckets.length).fill(1),
  };
}

describe('selectFolded()', () => {
  it.each([
    ['short distances', 2n ** 40n, 1n],
    ['distances that doubles do not hold', 2n ** 63n, 2n ** 33n],
    ['one value', 77n, 0n],
  ])(`finds any rank among many small groups: %s (seed ${seed})`, async (_, least, step) => {
    const random = seededRandom(seed);
    const groups = Array.from({ length: 300 }, (_empty, i) =>
      partialGroup(
        `op ${i}`,
        BigUint64Array.from(
          { length: 5 },
          () => least + BigInt(Math.floor(random() * 4000)) * step,
        ),
      ),
    );
    const shards = [0, 1, 2].map((shard) =>
      encodePartial(groups.filter((_group, i) => i % 3 === shard)),
    );
    const durations = groups.flatMap((group) => [...group.durations]).toSorted(ascending);
    const bucket = bucketOf(durations[0] ?? 0n);
    const own = durations.filter((duration) => bucketOf(duration) === bucket);
    const ranks = [0, 1, own.length >> 1, own.length - 1];
    const fold = JSON.stringify(['shop', 'cart', 'other', 'Server']);
    const want: Want = { fold, bucket, count: own.length, ranks };
    for (const limits of [mergeLimits, { ...mergeLimits, runBytes: 80, windowBytes: 100 }]) {
      const { readers } = countingReaders(shards);
      const partials = await PartialGroups.open(readers, limits);
      const found = await selectFolded(partials, [want], overflowOf, limits);
      expect(found.get(want)).toEqual(ranks.map((rank) => own[rank]));
    }
  });
});

describe('Searches', () => {
  it('waits with what does not fit, and ends when all is found', () => {
    const wants = [1, 2, 3].map((i) => ({ fold: `${i}`, bucket: 900, count: 10, ranks: [4] }));
    const searches = new Searches(wants, { ...mergeLimits, windowBytes: 100 });
    const passes: string[][] = [];
    while (searches.begin()) {
      const seen = wants.filter(({ fold }) => searches.wants(fold, 900));
      passes.push(seen.map(({ fold }) => fold));
      for (const { fold } of seen) {
        searches.take(
          fold,
          900,
          new Uint8Array(10 * 2).fill(0).map((_, at) => (at % 2 === 0 ? at : 0)),
          10,
        );
      }
      searches.end();
    }
    expect(passes).toEqual([['1'], ['2'], ['3']]);
    expect(new Set([...searches.found.values()].map(String)).size).toBe(1);
  });
});

describe('Folds', () => {
  it('adds counts, bounds and histograms of groups, those without spans too', () => {
    const folds = new Folds();
    const key = { tenantId: 't', serviceName: 's', operationName: 'other', spanKind: 'k' };
    folds.add(key, groupOf(0, [0n, 0n], []));
    folds.add(key, groupOf(2, [5n, 9n], [5, 9]));
    folds.add(key, groupOf(2, [4n, 7n], [4, 5]));
    const [merged, ...none] = folds.merged();
    expect(none).toEqual([]);
    expect(merged?.group).toEqual({
      ...key,
      rawCount: 7,
      count: 4,
      errorCount: 3,
      uniqueTraces: 4,
      conflicts: 6,
      durationMinNs: 4n,
      durationMaxNs: 9n,
      durationSumNs: 16n,
      buckets: Uint16Array.of(4, 5, 9),
      bucketCounts: Float64Array.of(1, 2, 1),
    });
  });
});

describe('PartialGroups', () => {
  it('gives the groups of each key together, in pieces of what it may hold', async () => {
    const shards = Array.from({ length: 5 }, (_, shard) =>
      encodePartial(
        Array.from({ length: 2000 }, (_empty, i) =>
          partialGroup(
            `op ${String(i * (1 + (shard % 2))).padStart(5, '0')}`,
            BigUint64Array.of(1n),
          ),
        ),
      ),
    );
    const { readers, cost } = countingReaders(shards);
    const partials = await PartialGroups.open(readers, { ...mergeLimits, headerBytes: 1 });
    for (let round = 0; round < 2; round += 1) {
      const seen: [string, number][] = [];
      for await (const sources of partials.byKey()) {
        seen.push([sources[0]?.group.operationName ?? '', sources.length]);
      }
      const names = seen.map(([name]) => name);
      expect(names).toEqual([...new Set(names)].toSorted());
      // Three shards have all numbers below 2000, two the even ones below 4000.
      expect(names).toHaveLength(3000);
      expect(seen.reduce((sum, [, sources]) => sum + sources, 0)).toBe(10_000);
      expect(seen.slice(0, 4).map(([, sources]) => sources)).toEqual([5, 3, 5, 3]);
    }
    expect(cost.requestBytesMax).toBeLessThanOrEqual(16 * 1024);
  });
});
