/** Codecs of record batches, on what Kafka's own Java code has compressed. */
import { randomBytes } from 'node:crypto';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { beforeAll, describe, expect, it } from 'vitest';
import { kafkaInflatedBytesMax } from '../../../../schemas/limits/kafka.ts';
import { gzip, lz4, snappy, zstd } from '../../../../workers/clients/codecs/codecs.ts';
import { runPeer } from '../../../support/java.ts';
import { noKafka } from '../../../support/kafka.ts';
import { seededRandom } from '../../../support/random.ts';

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

describe('decompress()', () => {
  it.each([
    ['gzip', gzip, gzipSync],
    ['zstd', zstd, zstdCompressSync],
  ] as const)('holds hardly more memory than bytes (%s)', async (_, codec, compress) => {
    for (const bytes of [1000, 100_000, 300_000, 1_000_000]) {
      const { buffer } = await codec.decompress(compress(Buffer.alloc(bytes, 'tidemark')));
      expect(buffer.byteLength, `${bytes}`).toBeLessThanOrEqual(
        Math.max(Buffer.poolSize, bytes * 1.13),
      );
    }
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
