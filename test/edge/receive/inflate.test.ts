/** Checks decompression against the runtime's own compressors, on bombs and on damage. */
import * as zlib from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { concatenate } from '../../../edge/concatenate.ts';
import { encodingOf, inflate } from '../../../edge/receive/inflate.ts';
import type { Encoding } from '../../../edge/receive/inflate.ts';
import { random } from '../random.ts';

const mib = 1 << 20;
const plain = new TextEncoder().encode('resourceSpans and more of it '.repeat(100));
const compressed: [Encoding, Uint8Array][] = [
  ['gzip', zlib.gzipSync(plain)],
  ['deflate', zlib.deflateSync(plain)],
  ['deflate', zlib.deflateRawSync(plain)],
  ['zstd', zlib.zstdCompressSync(plain)],
];

/** An array, because two views of unlike buffers are not equal to the test framework. */
function joined(...parts: Uint8Array[]): Uint8Array {
  return concatenate(parts);
}

function codeOf(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return (error as { code: unknown }).code;
  }
  return 'accepted';
}

/** 1 GiB of zeros as one gzip member of 1 MiB: one flushed block, repeated. */
function gzipBomb(): Uint8Array {
  const finishFlush = zlib.constants.Z_FULL_FLUSH;
  const block = zlib.deflateRawSync(new Uint8Array(mib), { finishFlush });
  const header = Uint8Array.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]);
  return joined(header, ...Array.from({ length: 1024 }, () => block));
}

/** 1 GiB of zeros as one zstd frame of 32 KiB: blocks of 128 KiB that repeat one byte. */
function zstdBomb(): Uint8Array {
  const header = Uint8Array.from([0x28, 0xb5, 0x2f, 0xfd, 0, (23 - 10) << 3]);
  const size = (131_072 << 3) | (1 << 1);
  const block = Uint8Array.from([size & 255, (size >> 8) & 255, size >> 16, 0]);
  return joined(header, ...Array.from({ length: 8192 }, () => block));
}

describe('inflate()', () => {
  it.each(compressed)('inflate() returns the plain bytes of %s', (encoding, body) => {
    expect(new Uint8Array(inflate(body, encoding, mib))).toEqual(plain);
    expect(inflate(plain, 'identity', mib)).toBe(plain);
  });

  it.each(compressed)(
    'row 30: %s at the limit is taken, one byte over is not',
    (encoding, body) => {
      expect(inflate(body, encoding, plain.length).length).toBe(plain.length);
      expect(codeOf(() => inflate(body, encoding, plain.length - 1))).toBe('BODY_TOO_LARGE');
      expect(codeOf(() => inflate(plain, 'identity', plain.length - 1))).toBe('BODY_TOO_LARGE');
    },
  );

  it.each(compressed)('every truncation of %s is BAD_ENCODING', (encoding, body) => {
    for (let length = 0; length < body.length; length += 1) {
      expect(codeOf(() => inflate(body.subarray(0, length), encoding, mib))).toBe('BAD_ENCODING');
    }
  });

  it.each(compressed)('row 22: bytes after %s are BAD_ENCODING', (encoding, body) => {
    for (const tail of [
      [0],
      [1, 2, 3],
      [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ]) {
      const longer = joined(body, Uint8Array.from(tail));
      expect(codeOf(() => inflate(longer, encoding, mib))).toBe('BAD_ENCODING');
    }
  });

  it('row 22: several gzip members, and several zstd frames, are one body', () => {
    const gzip = zlib.gzipSync(plain);
    const zstd = zlib.zstdCompressSync(plain);
    const skippable = Uint8Array.from([0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 9, 9]);
    const both = joined(plain, plain);
    expect(new Uint8Array(inflate(joined(gzip, gzip), 'gzip', mib))).toEqual(both);
    const frames = joined(zstd, skippable, zstd);
    expect(new Uint8Array(inflate(frames, 'zstd', mib))).toEqual(both);
    expect(codeOf(() => inflate(frames, 'zstd', both.length - 1))).toBe('BODY_TOO_LARGE');
  });

  it('more than 1,024 zstd frames are BAD_ENCODING', () => {
    const empty = zlib.zstdCompressSync(new Uint8Array(0));
    const frames = (count: number) => joined(...Array.from({ length: count }, () => empty));
    expect(inflate(frames(1024), 'zstd', mib).length).toBe(0);
    expect(codeOf(() => inflate(frames(1025), 'zstd', mib))).toBe('BAD_ENCODING');
  });

  // RFC 8878, section 3.1.1.1: Frame_Content_Size in 1, 2, 4 and 8 bytes, in a single segment.
  it.each([
    [0, 200],
    [1, 300],
    [2, 100_000],
    [3, 5],
  ])('a zstd frame that tells its size in the form %d is inflated into that', (form, length) => {
    const content = Uint8Array.from({ length }, (_value, index) => index & 255);
    const size = new DataView(new ArrayBuffer(8));
    size.setBigUint64(0, BigInt(form === 1 ? length - 256 : length), true);
    const sizeBytes = new Uint8Array(size.buffer, 0, [1, 2, 4, 8][form]);
    const header = Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, (form << 6) | 32);
    // Section 3.1.1.2: the last block, raw.
    const block = (length << 3) | 1;
    const blockHeader = Uint8Array.of(block & 255, (block >> 8) & 255, block >> 16);
    const frame = joined(header, sizeBytes, blockHeader, content);
    const inflated = inflate(frame, 'zstd', mib);
    expect([...inflated]).toEqual([...content]);
    expect(inflated.buffer.byteLength).toBeLessThanOrEqual(2 * Math.max(64, length));
    expect(codeOf(() => inflate(frame, 'zstd', length - 1))).toBe('BODY_TOO_LARGE');
  });

  it('row 22: members of other sizes than the last one says keep little memory', () => {
    const small = new Uint8Array(10).fill(1);
    const large = new Uint8Array(300_000).fill(2);
    for (const members of [
      [small, large, small],
      [large, small, large],
    ]) {
      const body = joined(...members.map((member) => zlib.gzipSync(member)));
      const inflated = inflate(body, 'gzip', mib);
      expect([...inflated]).toEqual([...joined(...members)]);
      expect(inflated.buffer.byteLength).toBeLessThanOrEqual(2 * inflated.length);
    }
    const claims = zlib.gzipSync(small);
    new DataView(claims.buffer, claims.byteOffset).setUint32(claims.length - 4, mib, true);
    expect(codeOf(() => inflate(claims, 'gzip', mib))).toBe('BAD_ENCODING');
  });

  it('seeded damage is BAD_ENCODING, other bytes or too large, never a crash', () => {
    const seed = 20_261_126;
    const next = random(seed);
    for (let count = 0; count < 2000; count += 1) {
      const [encoding, body] = compressed[count % compressed.length] ?? ['gzip', plain];
      const damaged = Uint8Array.from(body);
      damaged[Math.floor(next() * damaged.length)] = Math.floor(next() * 256);
      const code = codeOf(() => inflate(damaged, encoding, mib));
      expect(['BAD_ENCODING', 'BODY_TOO_LARGE', 'accepted'], `seed ${seed}`).toContain(code);
    }
  });
});

describe('inflate() on bombs', () => {
  it('row 27: a 1 GiB gzip bomb stops at the limit', () => {
    const bomb = gzipBomb();
    expect(bomb.length).toBeLessThan(1.2 * mib);
    expect(codeOf(() => inflate(bomb, 'gzip', 16 * mib))).toBe('BODY_TOO_LARGE');
  });

  it('row 27: a 1 GiB gzip bomb of many members stops at the limit', () => {
    const member = zlib.gzipSync(new Uint8Array(mib));
    const bomb = joined(...Array.from({ length: 1024 }, () => member));
    expect(codeOf(() => inflate(bomb, 'gzip', 16 * mib))).toBe('BODY_TOO_LARGE');
  });

  it('row 27: a 1 GiB zstd bomb stops at the limit', () => {
    expect(codeOf(() => inflate(zstdBomb(), 'zstd', 16 * mib))).toBe('BODY_TOO_LARGE');
  });

  it('row 27: a gzip in a gzip is inflated once', () => {
    const nested = zlib.gzipSync(gzipBomb());
    expect(inflate(nested, 'gzip', 16 * mib).length).toBe(gzipBomb().length);
  });

  it.each([
    ['2 GiB', [0x28, 0xb5, 0x2f, 0xfd, 0x00, (31 - 10) << 3, 0x01, 0, 0]],
    ['16 MiB', [0x28, 0xb5, 0x2f, 0xfd, 0x00, (24 - 10) << 3, 0x01, 0, 0]],
    ['1 TiB of content', [0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 1, 0, 0, 0x01, 0, 0]],
  ])('row 27: a zstd frame that declares a window of %s is BAD_ENCODING', (_what, bytes) => {
    expect(codeOf(() => inflate(Uint8Array.from(bytes), 'zstd', 16 * mib))).toBe('BAD_ENCODING');
  });
});

describe('encodingOf()', () => {
  it.each([
    [null, 'identity'],
    [' GZip ', 'gzip'],
    ['zlib', 'deflate'],
  ])('encodingOf(%s) is %s', (header, encoding) => {
    expect(encodingOf(header)).toBe(encoding);
  });

  it('encodingOf() throws UNSUPPORTED_ENCODING for others', () => {
    expect(codeOf(() => encodingOf('br'))).toBe('UNSUPPORTED_ENCODING');
    expect(codeOf(() => encodingOf('gzip, gzip'))).toBe('UNSUPPORTED_ENCODING');
  });
});
