/** Uploads in parts on a real bucket, through a network that fails one request of them. */
import type { IncomingMessage } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { objectInPartsBytesMin } from '../../../../schemas/limits.ts';
import { startBucket } from '../../../support/objects.ts';
import type { Bucket } from '../../../support/objects.ts';
import { closeAfterwards, errorOf, storeBehind } from '../../../support/unwell.ts';

let bucket: Bucket;

beforeAll(async () => {
  bucket = await startBucket();
});

afterAll(async () => bucket.close());

closeAfterwards();

function partOf(request: IncomingMessage): string {
  return new URL(request.url ?? '', 'http://s3').searchParams.get('partNumber') ?? 'none';
}

describe('uploadParts()', () => {
  it('put() sends a part that failed again, and only that', async () => {
    const uploads: string[] = [];
    const store = await storeBehind(bucket, (request) => {
      const part = partOf(request);
      uploads.push(`${request.method} ${part}`);
      const isFirst = uploads.filter((upload) => upload === `PUT ${part}`).length === 1;
      return part === '2' && isFirst ? 'lost' : 'pass';
    });
    const bytes = new Uint8Array(objectInPartsBytesMin + 10).fill(9);
    await store.put('parts/again', bytes);
    expect(uploads.filter((upload) => upload.startsWith('PUT')).toSorted()).toEqual([
      'PUT 1',
      'PUT 2',
      'PUT 2',
      'PUT 3',
    ]);
    expect(await bucket.store.head('parts/again')).toBe(bytes.length);
  });

  it('put() drops the parts of an upload that it gives up', async () => {
    const methods: string[] = [];
    const store = await storeBehind(bucket, (request) => {
      methods.push(`${request.method} ${partOf(request)}`);
      return partOf(request) === '3' ? 403 : 'pass';
    });
    const error = await errorOf(
      store.put('parts/refused', new Uint8Array(objectInPartsBytesMin + 10)),
    );
    expect(error).toMatchObject({ code: 'OBJECT_STORE', retryable: false });
    expect(methods.at(-1)).toBe('DELETE none');
    expect(await bucket.store.head('parts/refused')).toBeUndefined();
  });

  it('put() of parts is done when the last answer was lost', async () => {
    let lost = false;
    const store = await storeBehind(bucket, (request) => {
      const isLast = request.method === 'POST' && (request.url ?? '').includes('uploadId=');
      if (!isLast || lost) return 'pass';
      lost = true;
      return 'lost';
    });
    const bytes = new Uint8Array(objectInPartsBytesMin + 10).fill(8);
    await store.put('parts/lost', bytes);
    expect(lost).toBe(true);
    expect(await bucket.store.head('parts/lost')).toBe(bytes.length);
  });
});
