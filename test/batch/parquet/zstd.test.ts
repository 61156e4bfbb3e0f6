import { zstdCompressSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { inflateZstd } from '../../../batch/parquet/zstd.ts';
import { seededRandom } from '../../support/random.ts';

const seed = 20_261_125;

/** Bytes that are half noise, half repeated. */
function bytesOf(length: number, random: () => number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at += 1) bytes[at] = at % 16 < 8 ? random() * 256 : at >> 8;
  return bytes;
}

/** What is inflated to as many bytes; `undefined` for what it refuses. */
function inflated(stored: Uint8Array, length: number): Buffer | undefined {
  const to = Buffer.alloc(length);
  try {
    return inflateZstd(stored, to) ? to : undefined;
  } catch {
    return undefined;
  }
}

describe('inflateZstd()', () => {
  it(`gives the bytes of frames of any length, one after the other (seed ${seed})`, () => {
    const random = seededRandom(seed);
    for (const length of [1, 7, 100, 4096, 65_537, 160_000, 1, 3_000_000, 64]) {
      const bytes = bytesOf(length, random);
      expect(inflated(zstdCompressSync(bytes), length)?.equals(bytes)).toBe(true);
    }
  });

  it('fills a part of a memory and no more', () => {
    const bytes = bytesOf(5000, seededRandom(seed));
    const memory = new Uint8Array(6000).fill(7);
    expect(inflateZstd(zstdCompressSync(bytes), memory.subarray(500, 5500))).toBe(true);
    expect(Buffer.from(memory.subarray(500, 5500)).equals(bytes)).toBe(true);
    expect(memory.subarray(0, 500)).toEqual(new Uint8Array(500).fill(7));
    expect(memory.subarray(5500)).toEqual(new Uint8Array(500).fill(7));
  });

  it('refuses another length, every cut and what is no frame, and goes on with the next', () => {
    const bytes = bytesOf(300, seededRandom(seed));
    const stored = zstdCompressSync(bytes);
    expect(inflated(stored, 299)).toBeUndefined();
    expect(inflated(stored, 301)).toBeUndefined();
    for (let length = 0; length < stored.length; length += 1) {
      expect(inflated(stored.subarray(0, length), 300)).toBeUndefined();
      expect(inflated(stored, 300)?.equals(bytes)).toBe(true);
    }
    expect(inflated(new Uint8Array(100), 300)).toBeUndefined();
    expect(inflated(stored, 300)?.equals(bytes)).toBe(true);
  });
});
