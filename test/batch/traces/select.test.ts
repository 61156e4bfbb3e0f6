import { describe, expect, it } from 'vitest';
import { mergeLimits } from '../../../batch/merge/ranges.ts';
import { selectDurations, type Selection } from '../../../batch/traces/select.ts';
import { decodePartialHeader, runRange } from '../../../schemas/partials/buckets.ts';
import { bucketBits, bucketCount, bucketMinNs } from '../../../schemas/partials/histogram.ts';
import { countingReaders, dealPartials } from '../../support/partials.ts';
import { seededRandom } from '../../support/random.ts';

const seed = 11;
/** So small that nearly everything has to be narrowed, and windows hold little. */
const tight = { ...mergeLimits, runBytes: 64, windowBytes: 128, requestBytes: 50, gapBytes: 4 };

/** Durations of one bucket over some partials, and the selection of all their ranks. */
function bucketOverPartials(bucket: number, count: number, shards: number, random: () => number) {
  const width = 2n ** BigInt(bucketBits(bucket));
  const durations = BigUint64Array.from({ length: count }, () => {
    const chance =
      (BigInt(Math.floor(random() * 2 ** 32)) << 32n) | BigInt(Math.floor(random() * 2 ** 32));
    return bucketMinNs(bucket) + (random() < 0.5 ? chance % width : (chance % 3n) % width);
  });
  const objects = dealPartials([durations], shards, random);
  const { readers, cost } = countingReaders(objects);
  const runs = objects.flatMap((object, i) => {
    const [group] = decodePartialHeader(object).groups;
    const reader = readers[i];
    if (group === undefined || reader === undefined) return [];
    return [{ reader, start: runRange(group, bucket).start, count: group.count }];
  });
  const selection: Selection = { bucket, runs, ranks: Array.from(durations.keys()) };
  return { selection, wanted: Array.from(durations.toSorted(), BigInt), cost };
}

describe('selectDurations()', () => {
  it(`finds every rank in buckets of every width, loaded or narrowed (seed ${seed})`, async () => {
    const random = seededRandom(seed);
    for (let bucket = 63; bucket < bucketCount; bucket += 64) {
      const { selection, wanted, cost } = bucketOverPartials(bucket, 40, 3, random);
      expect(await selectDurations([selection, selection], mergeLimits)).toEqual([wanted, wanted]);
      cost.requestBytesMax = 0;
      expect(await selectDurations([selection, selection], tight)).toEqual([wanted, wanted]);
      expect(cost.requestBytesMax).toBeLessThanOrEqual(tight.runBytes);
    }
  });

  it('throws CORRUPT_ARCHIVE when a run is not in order or leaves its bucket', async () => {
    const random = seededRandom(seed);
    for (const bucket of [800, 3700]) {
      for (const limits of [mergeLimits, tight]) {
        const { selection } = bucketOverPartials(bucket, 100, 1, random);
        const damaged = selection.runs.map((run) => ({
          ...run,
          reader: {
            read: async (start: number, end: number) =>
              (await run.reader.read(start, end)).toReversed(),
          },
        }));
        const selecting = selectDurations([{ ...selection, runs: damaged }], limits);
        await expect(selecting).rejects.toMatchObject({ code: 'CORRUPT_ARCHIVE' });
      }
    }
  });
});
