import { describe, expect, it } from 'vitest';
import { mapBounded, mergeLimits, readExactly, readRanges } from '../../../batch/merge/ranges.ts';
import { countingReaders } from '../../support/partials.ts';
import { seededRandom } from '../../support/random.ts';

const seed = 5;
const object = Uint8Array.from({ length: 100_000 }, (_, i) => (i * 31) % 251);
const limits = { ...mergeLimits, gapBytes: 10, requestBytes: 1000, readsInFlight: 3 };

describe('readRanges()', () => {
  it('joins neighbours, and cuts at gaps and at the length of a request', async () => {
    const { readers, cost } = countingReaders([object]);
    const found: Uint8Array[] = [];
    const reads = [
      [600, 1000],
      [0, 500],
      [510, 520],
      [990, 1600],
      [5000, 5001],
    ].flatMap(([start = 0, end = 0], i) =>
      readers.map((reader) => ({
        reader,
        start,
        end,
        take: (bytes: Uint8Array) => void (found[i] = bytes.slice()),
      })),
    );
    await readRanges(reads, limits);
    expect(found).toEqual(reads.map(({ start, end }) => object.slice(start, end)));
    // [0, 520), [600, 1600), [5000, 5001)
    expect(cost).toMatchObject({ requests: 3, bytes: 520 + 1000 + 1 });
  });

  it(`gives everyone their bytes, whatever is asked, in bounded requests (seed ${seed})`, async () => {
    const random = seededRandom(seed);
    const objects = [object, object.toReversed(), object.subarray(50)];
    const { readers, cost } = countingReaders(objects);
    const reads = Array.from({ length: 2000 }, () => {
      const from = Math.floor(random() * 3);
      const start = Math.floor(random() * 99_000);
      const end = start + Math.floor(random() * 50);
      const reader = readers[from] ?? { read: () => Promise.reject(new Error('no reader')) };
      const take = (bytes: Uint8Array): void =>
        expect(bytes).toEqual(objects[from]?.slice(start, end));
      return { reader, start, end, take };
    });
    await readRanges(reads, limits);
    expect(cost.inFlightMax).toBe(3);
    expect(cost.requestBytesMax).toBeLessThanOrEqual(1000);
    expect.assertions(2002);
  });

  it('throws CORRUPT_ARCHIVE when the object ends too soon', async () => {
    const { readers } = countingReaders([object]);
    const reads = readers.map((reader) => ({
      reader,
      start: 99_990,
      end: 100_001,
      take: () => undefined,
    }));
    await expect(readRanges(reads, limits)).rejects.toMatchObject({ code: 'CORRUPT_ARCHIVE' });
  });
});

describe('readExactly()', () => {
  it('throws CORRUPT_ARCHIVE when there are fewer bytes, and what the reader throws', async () => {
    const fault = new Error('the store is gone');
    const short = { read: () => Promise.resolve(new Uint8Array(3)) };
    await expect(readExactly(short, 0, 4)).rejects.toMatchObject({ code: 'CORRUPT_ARCHIVE' });
    const gone = { read: () => Promise.reject(fault) };
    await expect(readExactly(gone, 0, 4)).rejects.toBe(fault);
  });
});

describe('mapBounded()', () => {
  it('keeps the order of results and the bound, and rejects with the first fault', async () => {
    let running = 0;
    let most = 0;
    const work = async (item: number): Promise<number> => {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setTimeout(resolve, 10 - item));
      running--;
      if (item === 7) throw new Error('seven');
      return item * 2;
    };
    expect(await mapBounded([1, 2, 3, 4, 5, 6], 4, work)).toEqual([2, 4, 6, 8, 10, 12]);
    expect(most).toBe(4);
    expect(await mapBounded([], 4, work)).toEqual([]);
    await expect(mapBounded([6, 7, 8], 2, work)).rejects.toThrow('seven');
  });
});
