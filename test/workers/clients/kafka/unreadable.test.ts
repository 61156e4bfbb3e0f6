/** Batches that cannot be read; with a real broker in feed.test.ts. */
import { describe, expect, it } from 'vitest';
import { crc32c } from '../../../../workers/clients/codecs/crc32c.ts';

describe('crc32c()', () => {
  // RFC 3720, appendix B.4, and the check value of the catalogue of parametrised CRC algorithms.
  it.each([
    ['32 bytes of zeros', Buffer.alloc(32), 0x8a9136aa],
    ['32 bytes of ones', Buffer.alloc(32, 0xff), 0x62a8ab43],
    ['32 ascending bytes', Buffer.from(Array.from({ length: 32 }, (_, i) => i)), 0x46dd794e],
    ['32 descending bytes', Buffer.from(Array.from({ length: 32 }, (_, i) => 31 - i)), 0x113fdb5c],
    ['"123456789"', Buffer.from('123456789'), 0xe3069283],
    ['nothing', Buffer.of(), 0],
  ])('of %s', (_name, bytes, checksum) => {
    expect(crc32c(bytes)).toBe(checksum);
  });
});
