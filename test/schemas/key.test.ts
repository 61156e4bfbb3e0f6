/** Checks the text of API keys and the form of their records. */
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { digest, hex, keyOf, keyPattern, keyRandomBytes, toKeyRecord } from '../../schemas/key.ts';

const record = {
  version: 1,
  hash: 'ab'.repeat(32),
  tenant: 'shop',
  signals: ['traces', 'logs'],
  created: '2026-11-22T00:00:00.000Z',
};

describe('keyOf()', () => {
  it('keyOf() puts every random byte into the key', () => {
    const random = Uint8Array.from({ length: keyRandomBytes }, (_, index) => index * 8);
    const { id, key } = keyOf(random);
    expect(key).toBe(`tm_${id}_${Buffer.from(random.subarray(8)).toString('hex')}`);
    expect(id).toBe('0008101820283038');
    expect(keyPattern.exec(key)?.[1]).toBe(id);
  });
});

describe('digest()', () => {
  it('digest() is the SHA-256 of the key as text', async () => {
    const { key } = keyOf(new Uint8Array(keyRandomBytes));
    expect(hex(await digest(key))).toBe(createHash('sha256').update(key).digest('hex'));
  });
});

describe('toKeyRecord()', () => {
  it.each([
    {},
    { metrics: true, origins: ['https://shop.example', 'capacitor://localhost'] },
    { rate: 'none', bytesPerMinute: 1, itemsPerMinute: 9_000_000 },
    { expires: '2027-01-01T00:00:00.000Z', revoked: '2026-12-01T00:00:00Z', note: 'x' },
    { signals: [] },
  ])('toKeyRecord() takes %j', (fields) => {
    expect(toKeyRecord({ ...record, ...fields })).toEqual({ ...record, ...fields });
  });

  it.each([
    { version: 2 },
    { hash: 'AB'.repeat(32) },
    { hash: 'ab' },
    { tenant: "a'b" },
    { tenant: 'a/b' },
    { tenant: '' },
    { signals: ['spans'] },
    { signals: undefined },
    { origins: [] },
    { origins: ['https://shop.example/'] },
    { origins: ['*'] },
    { origins: Array.from({ length: 17 }, (_, index) => `https://${index}.example`) },
    { rate: 'fast' },
    { bytesPerMinute: 0 },
    { bytesPerMinute: 1.5 },
    { expires: 'tomorrow' },
    { created: 0 },
    { note: 'x'.repeat(101) },
    { sekret: 'x' },
  ])('toKeyRecord() refuses %j', (fields) => {
    expect(toKeyRecord({ ...record, ...fields })).toBeUndefined();
  });
});
