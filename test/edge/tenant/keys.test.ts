/** Checks where key records are found and how long they are believed, on Workers KV in workerd. */
import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { KeyRing } from '../../../edge/tenant/keys.ts';
import type { KeyStore } from '../../../edge/tenant/keys.ts';
import { recordName } from '../../../schemas/key.ts';
import { keyFreshMs, keyMissingMs, keysCachedMax, keyStaleMsMax } from '../../../schemas/limits.ts';
import { keySettings, testKey } from '../key.ts';

/** A ring over `store` with a clock that the test moves. */
function ringOf(
  store: KeyStore | undefined,
  setting = '',
  timeout = (ms: number) => AbortSignal.timeout(ms),
) {
  const warnings: string[] = [];
  const clock = { nowMs: 0 };
  const ring = new KeyRing(setting, store, {
    now: () => clock.nowMs,
    timeout,
    warn: (message) => warnings.push(message),
  });
  return { ring, clock, warnings };
}

/** A store that counts its reads, and gives what `records` hold. */
function counting(records: Map<string, string>) {
  const reads: string[] = [];
  const get = (name: string) => {
    reads.push(name);
    return Promise.resolve(records.get(name) ?? null);
  };
  return { reads, store: { get } };
}

function madeUp(index: number): string {
  return index.toString(16).padStart(16, '0');
}

describe('KeyRing', () => {
  it('find() reads a record from Workers KV', async () => {
    const { id, record } = await testKey(1, 'shop');
    await env.KEYS.put(recordName(id), JSON.stringify(record));
    const { ring } = ringOf(env.KEYS);
    expect(await ring.find(id)).toEqual(record);
    expect(await ring.find('0'.repeat(16))).toBeUndefined();
  });

  it('find() prefers the setting, and asks nobody for its keys', async () => {
    const key = await testKey(1, 'shop');
    const { store, reads } = counting(new Map());
    const { ring } = ringOf(store, keySettings(key)['TIDEMARK_KEYS']);
    expect(await ring.find(key.id)).toEqual(key.record);
    expect(reads).toEqual([]);
  });

  it('find() reads a record again when it is not fresh any more', async () => {
    const { id, record } = await testKey(1, 'shop');
    const records = new Map([[recordName(id), JSON.stringify(record)]]);
    const { store, reads } = counting(records);
    const { ring, clock } = ringOf(store);
    await ring.find(id);
    clock.nowMs = keyFreshMs - 1;
    const revoked = { ...record, revoked: '2026-11-20T00:00:00.000Z' };
    records.set(recordName(id), JSON.stringify(revoked));
    expect(await ring.find(id)).toEqual(record);
    expect(reads).toHaveLength(1);
    clock.nowMs = keyFreshMs;
    expect(await ring.find(id)).toEqual(revoked);
    expect(reads).toHaveLength(2);
  });

  it('find() remembers for a short time that there is no record', async () => {
    const { id, record } = await testKey(1, 'shop');
    const records = new Map<string, string>();
    const { store, reads } = counting(records);
    const { ring, clock } = ringOf(store);
    expect(await ring.find(id)).toBeUndefined();
    records.set(recordName(id), JSON.stringify(record));
    expect(await ring.find(id)).toBeUndefined();
    expect(reads).toHaveLength(1);
    clock.nowMs = keyMissingMs;
    expect(await ring.find(id)).toEqual(record);
    records.clear();
    clock.nowMs += keyFreshMs;
    expect(await ring.find(id), 'deleted').toBeUndefined();
  });

  it('find() remembers a bounded number, and made-up ids drive out no real one', async () => {
    const { id, record } = await testKey(1, 'shop');
    const { store, reads } = counting(new Map([[recordName(id), JSON.stringify(record)]]));
    const { ring } = ringOf(store);
    await ring.find(id);
    for (let index = 0; index <= keysCachedMax; index += 1) await ring.find(madeUp(index));
    expect(reads).toHaveLength(keysCachedMax + 2);
    await ring.find(id);
    await ring.find(madeUp(keysCachedMax));
    expect(reads, 'both are remembered').toHaveLength(keysCachedMax + 2);
    await ring.find(madeUp(0));
    expect(reads, 'the oldest is not').toHaveLength(keysCachedMax + 3);
  });

  it('find() goes on with a known record for a while when Workers KV fails', async () => {
    const { id, record } = await testKey(1, 'shop');
    let isDown = false;
    const { ring, clock } = ringOf({
      get: () =>
        isDown ? Promise.reject(new Error('down')) : Promise.resolve(JSON.stringify(record)),
    });
    await ring.find(id);
    isDown = true;
    clock.nowMs = keyStaleMsMax - 1;
    expect(await ring.find(id)).toEqual(record);
    clock.nowMs = keyStaleMsMax;
    await expect(ring.find(id)).rejects.toMatchObject({ code: 'KEY_STORE', retryable: true });
    const unknown = ring.find('0'.repeat(16));
    await expect(unknown).rejects.toMatchObject({ code: 'KEY_STORE', retryable: true });
  });

  it('find() does not wait for ever', async () => {
    const { ring } = ringOf({ get: () => new Promise(() => undefined) }, '', () =>
      AbortSignal.timeout(1),
    );
    await expect(ring.find('0'.repeat(16))).rejects.toMatchObject({ code: 'KEY_STORE' });
  });

  it.each(['', '{', '{}', '[]', '{"version":2}', 'null'])(
    'find() takes the malformed record %j for none, and says so without its text',
    async (text) => {
      const { ring, warnings } = ringOf({ get: () => Promise.resolve(text) });
      expect(await ring.find('0'.repeat(16))).toBeUndefined();
      expect(warnings).toEqual([expect.stringContaining('malformed')]);
    },
  );

  it.each(['{', '[]', 'null', '"x"', '{"x":{}}', `{"${'0'.repeat(16)}":{}}`])(
    'new KeyRing() refuses TIDEMARK_KEYS %j',
    (setting) => {
      expect(() => ringOf(undefined, setting)).toThrow(
        expect.objectContaining({ code: 'BAD_SETTING', setting: 'TIDEMARK_KEYS' }),
      );
    },
  );
});
