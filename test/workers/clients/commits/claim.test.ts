/** The one conditional write, on a real bucket, through a network that loses answers. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { putOnce } from '../../../../workers/clients/commits/claim.ts';
import { startBucket } from '../../../support/objects.ts';
import type { Bucket } from '../../../support/objects.ts';
import type { Weather } from '../../../support/outage.ts';
import { closeAfterwards, storeIn } from '../../../support/unwell.ts';

let bucket: Bucket;

beforeAll(async () => {
  bucket = await startBucket();
});

afterAll(async () => bucket.close());

closeAfterwards();

describe('putOnce()', () => {
  it.for<Weather>(['lost', 'mute', 503, 'reset'])(
    'has won when the answer of its own write was %s, and loses when it comes second',
    async (weather) => {
      const store = await storeIn(bucket, 'PUT', [weather], { S3_TIMEOUT_MS: 300 });
      const key = `claim/${weather}`;
      expect(await putOnce(store, key, 'own')).toBe('won');
      expect(store.tries()).toBe(2);
      expect(await putOnce(bucket.store, key, 'another')).toBe('lost');
      expect(new TextDecoder().decode(await bucket.store.get(key))).toBe('own');
    },
  );

  it('has lost when another writer came between its first try and its second', async () => {
    const store = await storeIn(bucket, 'PUT', ['silent'], { S3_TIMEOUT_MS: 500 });
    const claim = putOnce(store, 'claim/between', 'own');
    await bucket.store.put('claim/between', 'another');
    expect(await claim).toBe('lost');
  });

  it('throws when no answer ever comes, and leaves open what is stored', async () => {
    const weather = Array.from({ length: 5 }, (): Weather => 'lost');
    const store = await storeIn(bucket, 'PUT', weather, { S3_TIMEOUT_MS: 300 });
    const claim = putOnce(store, 'claim/unknown', 'own');
    await expect(claim).rejects.toMatchObject({ code: 'OBJECT_STORE', retryable: true });
    expect(new TextDecoder().decode(await bucket.store.get('claim/unknown'))).toBe('own');
  });
});
