import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readersOf } from '../../../batch/merge/partials.ts';
import type { ObjectStore } from '../../../workers/clients/store/objects.ts';
import { startBucket, type Bucket } from '../../support/objects.ts';

describe('readersOf()', () => {
  let bucket: Bucket;
  beforeAll(async () => {
    bucket = await startBucket();
  });
  afterAll(() => bucket.close());

  it('takes a small partial by one request, whatever is read, and ranges of a large one', async () => {
    const asked: string[] = [];
    const store = new Proxy(bucket.store, {
      get(target, name: keyof ObjectStore) {
        if (name !== 'get') return target[name].bind(target);
        return (key: string, options: { range: { start: number; end: number } }) => {
          asked.push(`${key} ${options.range.start} ${options.range.end}`);
          return target.get(key, options);
        };
      },
    });
    const sizes = { small: 65_536, large: 65_537 };
    for (const [key, bytes] of Object.entries(sizes)) {
      await bucket.store.put(
        key,
        Uint8Array.from({ length: bytes }, (_, index) => index % 251),
      );
    }
    const reports = Object.entries(sizes).map(([key, bytes]) => ({ key, bytes }));
    for (const [index, reader] of readersOf(store, reports).entries()) {
      const { byteLength = 0 } = reader;
      expect(byteLength).toBe(reports[index]?.bytes);
      const [first, beyond] = await Promise.all([
        reader.read(3, 5),
        reader.read(byteLength - 1, 70_000),
      ]);
      expect([...first]).toEqual([3, 4]);
      expect([...beyond]).toEqual([(byteLength - 1) % 251]);
    }
    expect(asked).toEqual(['small 0 65536', 'large 3 5', 'large 65536 70000']);
  });

  it('says which partial is gone', async () => {
    const [gone] = readersOf(bucket.store, [{ key: '_partials/gone', bytes: 10 }]);
    await expect(gone?.read(0, 4)).rejects.toMatchObject({
      code: 'BATCH_FAILED',
      message: 'Cannot merge: the partial "_partials/gone" is gone',
    });
  });
});
