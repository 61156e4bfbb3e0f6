/** Sizes of frames that libzstd has written; what they inflate to is in codecs.test.ts. */
import { constants, zstdCompressSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { inflatedRoom } from '../../../../workers/clients/codecs/zstd.ts';
import { seededRandom } from '../../../support/random.ts';

const block = 128 * 1024;

/** A frame whose size is not stated unless `stated`, with a checksum or without. */
function frame(content: Buffer, { stated = false, checksum = false } = {}): Buffer {
  const params = {
    [constants.ZSTD_c_contentSizeFlag]: Number(stated),
    [constants.ZSTD_c_checksumFlag]: Number(checksum),
  };
  return zstdCompressSync(content, { params, ...(stated && { pledgedSrcSize: content.length }) });
}

/** Words in a random order, then runs, then what does not compress. */
function contentOf(bytes: number): Buffer {
  const random = seededRandom(20_261_123);
  const words = Array.from({ length: bytes / 8 }, () => `w${Math.floor(random() * 500)} `);
  const noise = Buffer.from(Array.from({ length: bytes / 4 }, () => Math.floor(random() * 256)));
  return Buffer.concat([Buffer.from(words.join('')), Buffer.alloc(bytes / 4), noise]);
}

describe('inflatedRoom()', () => {
  const content = contentOf(600_000);

  it('is the size that a frame states, of any width', () => {
    for (const bytes of [100, 255, 256, 257, 65_535, 65_792, content.length]) {
      const part = content.subarray(0, bytes);
      expect(inflatedRoom(frame(part, { stated: true }))).toBe(bytes);
    }
  });

  it('is hardly more than the content where no size is stated', () => {
    for (const bytes of [50_000, block, block + 1, content.length]) {
      const room = inflatedRoom(frame(content.subarray(0, bytes)));
      expect(room, `${bytes}`).toBeGreaterThanOrEqual(bytes);
      expect(room, `${bytes}`).toBeLessThan(bytes + 2 * block);
    }
  });

  it('adds up frames, with checksums and without', () => {
    const frames = [{ stated: true }, { checksum: true }, { stated: true, checksum: true }, {}];
    const written = frames.map((how) => frame(content, how));
    const rooms = written.map(inflatedRoom);
    expect(inflatedRoom(Buffer.concat(written))).toBe(rooms.reduce((sum, room) => sum + room, 0));
  });

  it('throws nothing for what is cut off or no frame, and counts no more than there may be', () => {
    const written = frame(content, { checksum: true });
    const whole = inflatedRoom(written);
    for (let end = 0; end < written.length; end += end < 100 ? 1 : 997) {
      expect(inflatedRoom(written.subarray(0, end))).toBeLessThanOrEqual(whole);
    }
    expect(inflatedRoom(Buffer.alloc(1000))).toBe(0);
    expect(inflatedRoom(Buffer.alloc(1000, 0xff))).toBe(0);
  });
});
