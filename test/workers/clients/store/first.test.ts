import { afterAll, beforeAll, expect, it } from 'vitest';
import { firstKey } from '../../../../workers/clients/store/first.ts';
import { startBucket, type Bucket } from '../../../support/objects.ts';

let bucket: Bucket;
beforeAll(async () => {
  bucket = await startBucket();
});
afterAll(() => bucket.close());

it('gives the least key below a prefix, and undefined where there is none', async () => {
  for (const key of ['log/3', 'log/1', 'log/2', 'kept/0']) {
    await bucket.store.put(key, Buffer.from(key));
  }
  expect(await firstKey(bucket.store, 'log/')).toBe('log/1');
  expect(await firstKey(bucket.store, 'gone/')).toBeUndefined();
});
