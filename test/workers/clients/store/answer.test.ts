/** What a store's bad answers, and a network's, come to: requests that are sent again, or errors. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ConflictError } from '../../../../schemas/errors.ts';
import { requestTriesMax } from '../../../../schemas/limits.ts';
import { openStore } from '../../../../workers/clients/store/objects.ts';
import { startBucket } from '../../../support/objects.ts';
import type { Bucket } from '../../../support/objects.ts';
import type { Weather } from '../../../support/outage.ts';
import { closeAfterwards, errorOf, storeIn, storeOf } from '../../../support/unwell.ts';

let bucket: Bucket;

beforeAll(async () => {
  bucket = await startBucket();
});

afterAll(async () => bucket.close());

closeAfterwards();

describe('tried()', () => {
  it('delete() throws when the store says that a key of many could not be deleted', async () => {
    const partial = await storeOf((request, response) => {
      request.resume();
      response.writeHead(200, { 'content-type': 'application/xml' });
      response.end(
        '<DeleteResult><Error><Key>a</Key><Code>InternalError</Code></Error></DeleteResult>',
      );
    });
    const error = await errorOf(partial.delete(['a', 'b']));
    expect(error).toMatchObject({ code: 'OBJECT_STORE', retryable: true });
    expect(error.message).toContain('"a"');
  });

  it('get() tries again after 503, as often as requestTriesMax says, then is retryable', async () => {
    let tries = 0;
    const failing = await storeOf((_, response) => {
      tries += 1;
      response.writeHead(503).end();
    });
    expect(await errorOf(failing.get('key'))).toMatchObject({
      code: 'OBJECT_STORE',
      retryable: true,
    });
    expect(tries).toBe(requestTriesMax);
  });

  it('get() tries again when the body breaks off', async () => {
    let tries = 0;
    const breaking = await storeOf((_, response) => {
      tries += 1;
      response.writeHead(200, { 'content-length': '5' });
      if (tries === 1) response.write('wh', () => response.destroy());
      else response.end('whole');
    });
    expect(new TextDecoder().decode(await breaking.get('key'))).toBe('whole');
    expect(tries).toBe(2);
  });

  it('put() tries again after 409, which S3 gives to racing conditional writes', async () => {
    let tries = 0;
    const racing = await storeOf((_, response) => {
      tries += 1;
      response.writeHead(tries === 1 ? 409 : 412).end();
    });
    const error = await errorOf(racing.put('key', 'x', { ifNoneMatch: '*' }));
    expect(error).toBeInstanceOf(ConflictError);
    expect(tries).toBe(2);
  });

  it('put() says that a refused key is not retryable', async () => {
    const refusing = openStore({ ...bucket.settings, S3_SECRET_ACCESS_KEY: 'wrong' });
    const error = await errorOf(refusing.put('key', 'x'));
    expect(error).toMatchObject({ code: 'OBJECT_STORE', retryable: false });
    expect(error.message).toContain('Cannot write "key"');
    expect(error.message).toContain('403');
  });

  it('get() ends when its signal does', async () => {
    const silent = await storeOf(() => undefined);
    const error = await errorOf(silent.get('key', { signal: AbortSignal.timeout(50) }));
    expect(error.code).toBe('OBJECT_STORE');
  });

  it.for<Weather>([500, 502, 503, 504, 429, 408, 'reset', 'lost', 'silent', 'mute'])(
    'put() and head() get through when the first try meets %s',
    async (weather) => {
      const settings = { S3_TIMEOUT_MS: 300 };
      const writer = await storeIn(bucket, 'PUT', [weather], settings);
      await writer.put(`weather/${weather}`, 'body');
      expect(writer.tries()).toBe(2);
      const reader = await storeIn(bucket, 'HEAD', [weather], settings);
      expect(await reader.head(`weather/${weather}`)).toBe(4);
      expect(reader.tries()).toBe(2);
    },
  );

  it.for<Weather>(['lost', 'mute'])(
    'put() with ifNoneMatch throws ConflictError when its own first try was stored and the answer %s',
    async (weather) => {
      const writer = await storeIn(bucket, 'PUT', [weather], { S3_TIMEOUT_MS: 300 });
      const key = `conditional/${weather}`;
      const error = await errorOf(writer.put(key, 'own', { ifNoneMatch: '*' }));
      expect(error).toBeInstanceOf(ConflictError);
      expect(new TextDecoder().decode(await bucket.store.get(key))).toBe('own');
    },
  );

  it.for<Weather>(['cut', 'reset', 'silent'])(
    'get() of a large object survives %s',
    async (weather) => {
      const bytes = new Uint8Array(3_000_000).fill(5);
      await bucket.store.put('weather/large', bytes);
      const reader = await storeIn(bucket, 'GET', [weather, weather], { S3_TIMEOUT_MS: 500 });
      expect(Buffer.compare((await reader.get('weather/large')) ?? new Uint8Array(), bytes)).toBe(
        0,
      );
      expect(reader.tries()).toBe(3);
    },
  );

  it('get() does not believe a body that differs from its checksum', async () => {
    let tries = 0;
    // CRC-32 of `123456789` is cbf43926 (the check value of its catalogues).
    const sum = Buffer.from('cbf43926', 'hex').toString('base64');
    const flipping = await storeOf((_, response) => {
      tries += 1;
      response.writeHead(200, { 'x-amz-checksum-crc32': sum });
      response.end(tries === 1 ? '123456780' : '123456789');
    });
    expect(new TextDecoder().decode(await flipping.get('key'))).toBe('123456789');
    expect(tries).toBe(2);
  });

  it('put() sends the checksum of the body', async () => {
    const headers: unknown[] = [];
    const taking = await storeOf((request, response) => {
      headers.push(request.headers['x-amz-checksum-crc32']);
      request.resume().once('end', () => response.writeHead(200).end());
    });
    await taking.put('key', '123456789');
    expect(headers).toEqual([Buffer.from('cbf43926', 'hex').toString('base64')]);
  });

  it('put() tries again when the store says that the body differs from its checksum', async () => {
    let tries = 0;
    const body = '<Error><Code>BadDigest</Code><Message>no</Message></Error>';
    const doubting = await storeOf((request, response) => {
      tries += 1;
      request.resume().once('end', () => {
        response.writeHead(tries === 1 ? 400 : 200).end(tries === 1 ? body : '');
      });
    });
    await doubting.put('key', 'x');
    expect(tries).toBe(2);
  });

  it('ends in the pause before another try when its signal does', async () => {
    const failing = await storeOf((_, response) => response.writeHead(503).end());
    const startMs = performance.now();
    const signal = AbortSignal.timeout(150);
    const error = await errorOf(failing.put('key', 'x', { signal }));
    expect(error).toMatchObject({ code: 'OBJECT_STORE', retryable: true });
    // The pauses of all tries together are at least 1.5 s.
    expect(performance.now() - startMs).toBeLessThan(1400);
  });

  it('get() ends in the middle of a body when its signal does', async () => {
    const stalling = await storeOf((_, response) => {
      response.writeHead(200, { 'content-length': '10' }).write('half');
    });
    const error = await errorOf(stalling.get('key', { signal: AbortSignal.timeout(100) }));
    expect(error.code).toBe('OBJECT_STORE');
  });

  it('sends the bucket in the path and a session token', async () => {
    const seen: unknown[] = [];
    const settings = { S3_SESSION_TOKEN: 'temporary' };
    const taking = await storeOf(({ url, headers }, response) => {
      seen.push(url, headers['x-amz-security-token']);
      response.writeHead(200, { 'content-length': '0' }).end();
    }, settings);
    await taking.head('key');
    expect(seen).toEqual(['/tidemark/key', 'temporary']);
  });

  it('names the bucket in the host where the setting says so', async () => {
    const settings = { S3_ENDPOINT: 'http://s3.invalid', S3_ADDRESSING: 'host' };
    const store = openStore({ ...bucket.settings, ...settings });
    expect((await errorOf(store.head('key'))).message).toContain('tidemark.s3.invalid');
    store.close();
  });
});
