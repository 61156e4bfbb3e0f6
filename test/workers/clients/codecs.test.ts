import { zstdCompressSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { kafkaInflatedBytesMax } from '../../../schemas/limits/kafka.ts';
import { missingCodec, zstd } from '../../../workers/clients/codecs.ts';

describe('zstd', () => {
  it('refuses a batch that inflates past its bound, and takes one that just fits', async () => {
    const fits = zstdCompressSync(Buffer.alloc(kafkaInflatedBytesMax));
    expect((await zstd.decompress(fits)).length).toBe(kafkaInflatedBytesMax);
    const bomb = zstdCompressSync(Buffer.alloc(kafkaInflatedBytesMax + 1));
    await expect(zstd.decompress(bomb)).rejects.toMatchObject({ kafkaType: 'CORRUPT_MESSAGE' });
  });

  it('refuses every truncation, and tells the library not to try again', async () => {
    const frame = zstdCompressSync(Buffer.from('tidemark tidemark tidemark'));
    for (let end = 1; end < frame.length; end += 1) {
      const cut = zstd.decompress(frame.subarray(0, end));
      await expect(cut, `${end}`).rejects.toMatchObject({ retryable: false, retriable: false });
    }
  });
});

describe('missingCodec()', () => {
  it('names the codec', async () => {
    await expect(missingCodec('lz4').decompress(Buffer.of())).rejects.toThrow('with lz4');
  });
});
