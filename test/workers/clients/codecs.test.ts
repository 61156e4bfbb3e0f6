/** Codecs of record batches, on what Kafka's own Java code has compressed. */
import { randomBytes } from 'node:crypto';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { beforeAll, describe, expect, it } from 'vitest';
import { kafkaInflatedBytesMax } from '../../../schemas/limits/kafka.ts';
import { gzip, lz4, snappy, zstd } from '../../../workers/clients/codecs.ts';
import { runPeer } from '../../support/java.ts';
import { noKafka } from '../../support/kafka.ts';
import { seededRandom } from '../../support/random.ts';

const corrupt = { kafkaType: 'CORRUPT_MESSAGE', retryable: false, retriable: false };
const codecs = { gzip, snappy, lz4, zstd };
const names = ['gzip', 'snappy', 'lz4', 'zstd'] as const;

describe.skipIf(noKafka).each(names)('%s, as Java writes it', (name) => {
  // Runs, text, and what does not compress; more than a block of snappy (32 KiB) and LZ4 (64 KiB).
  const text = Buffer.concat([
    Buffer.alloc(100_000, 'tidemark '),
    Buffer.alloc(70_000),
    randomBytes(150_000),
    Buffer.from('end'),
  ]);
  const short = Buffer.from('tidemark tidemark tidemark tidemark');
  let written: Buffer;
  let shortWritten: Buffer;

  beforeAll(async () => {
    [written, shortWritten] = await Promise.all([
      runPeer(['compress', name], text),
      runPeer(['compress', name], short),
    ]);
  }, 360_000);

  it('decompress() gives every byte back', async () => {
    expect((await codecs[name].decompress(written)).equals(text)).toBe(true);
    expect((await codecs[name].decompress(shortWritten)).equals(short)).toBe(true);
  });

  it('decompress() refuses every truncation and takes the next batch', async () => {
    for (let end = 0; end < shortWritten.length; end += 1) {
      const cut = await codecs[name].decompress(shortWritten.subarray(0, end)).catch((e) => e);
      // An xerial stream may end behind its head, and an LZ4 frame lose its end mark unseen.
      if (Buffer.isBuffer(cut)) expect(cut.equals(short), `${end}`).toBe(false);
      else expect(cut, `${end}`).toMatchObject(corrupt);
    }
    expect((await codecs[name].decompress(shortWritten)).equals(short)).toBe(true);
  });

  it('decompress() throws nothing but its own error for flipped bits', async () => {
    const seed = 20_261_123;
    console.info(`seed ${seed}`);
    const random = seededRandom(seed);
    for (let round = 0; round < 300; round += 1) {
      const flipped = Buffer.from(written);
      const at = Math.floor(random() * flipped.length);
      flipped[at] = (flipped[at] ?? 0) ^ (1 << Math.floor(random() * 8));
      const result = await codecs[name].decompress(flipped).catch((error: unknown) => error);
      if (!Buffer.isBuffer(result)) expect(result).toMatchObject(corrupt);
    }
    expect((await codecs[name].decompress(written)).equals(text)).toBe(true);
  });
});

describe.skipIf(noKafka)('a batch at the bound', () => {
  it.each(names)(
    'is taken, and one byte more is refused (%s)',
    async (name) => {
      const compress = async (size: number): Promise<Buffer> => {
        if (name === 'zstd') return zstdCompressSync(Buffer.alloc(size));
        if (name === 'gzip') return gzipSync(Buffer.alloc(size), { level: 1 });
        return runPeer(['compress', name], Buffer.alloc(size));
      };
      const fits = await compress(kafkaInflatedBytesMax);
      expect((await codecs[name].decompress(fits)).length).toBe(kafkaInflatedBytesMax);
      const bomb = await compress(kafkaInflatedBytesMax + 1);
      await expect(codecs[name].decompress(bomb)).rejects.toMatchObject(corrupt);
    },
    60_000,
  );
});

describe('lz4', () => {
  // LZ4 frame format description, "Frame Descriptor"; blocks are linked, with all checksums.
  const head = [0x04, 0x22, 0x4d, 0x18];

  it('reads stored blocks, linked blocks, a content size, checksums and skippable frames', async () => {
    const skippable = [0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 9, 9];
    // Version 1, linked, block checksums, content size, content checksum; 64 KiB.
    const descriptor = [...head, 0b0101_1100, 0x40, 12, 0, 0, 0, 0, 0, 0, 0, 0xaa];
    // Stored: "abcd".
    const stored = [4, 0, 0, 0x80, 0x61, 0x62, 0x63, 0x64, 1, 2, 3, 4];
    // No literal, a match of 7 at distance 4, then one literal: "abcdabc" and "!".
    const block = [5, 0, 0, 0, 0x03, 4, 0, 0x10, 0x21, 1, 2, 3, 4];
    const end = [0, 0, 0, 0, 5, 6, 7, 8];
    const frame = Buffer.from([...skippable, ...descriptor, ...stored, ...block, ...end]);
    expect((await lz4.decompress(frame)).toString()).toBe('abcdabcdabc!');
  });

  it('refuses a match that begins before its block, where blocks are not linked', async () => {
    const block = [5, 0, 0, 0, 0x03, 4, 0, 0x10, 0x21];
    const stored = [4, 0, 0, 0x80, 0x61, 0x62, 0x63, 0x64];
    const frame = Buffer.from([...head, 0b0110_0000, 0x40, 0xaa, ...stored, ...block, 0, 0, 0, 0]);
    await expect(lz4.decompress(frame)).rejects.toMatchObject(corrupt);
  });
});

describe('snappy', () => {
  it('reads a plain block, as librdkafka writes it', async () => {
    // Snappy format description: length 4, a literal of 4 bytes.
    const block = Buffer.from([4, 3 << 2, 0x61, 0x62, 0x63, 0x64]);
    expect((await snappy.decompress(block)).toString()).toBe('abcd');
  });
});

describe('compress()', () => {
  it.each([
    ['snappy', snappy],
    ['lz4', lz4],
  ])('names the codec that it does not write (%s)', async (name, codec) => {
    await expect(codec.compress({ buffer: Buffer.of() })).rejects.toThrow(name);
  });
});
