/** Snappy by hand; what Java writes is in codecs.test.ts. */
import { describe, expect, it } from 'vitest';
import { inflateSnappy } from '../../../../workers/clients/codecs/snappy.ts';

describe('inflateSnappy()', () => {
  // Snappy format description: length 4, a literal of 4 bytes.
  const block = Buffer.from([4, 3 << 2, 0x61, 0x62, 0x63, 0x64]);

  it('reads a plain block, as librdkafka writes it, up to its bound', () => {
    expect(inflateSnappy(block, 4).toString()).toBe('abcd');
    expect(() => inflateSnappy(block, 3)).toThrow('limit is 3');
  });

  it('reads the blocks of a xerial stream, up to its bound', () => {
    const magic = [0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1];
    const framed = [0, 0, 0, block.length, ...block];
    const stream = Buffer.from([...magic, ...framed, ...framed]);
    expect(inflateSnappy(stream, 8).toString()).toBe('abcdabcd');
    expect(() => inflateSnappy(stream, 7)).toThrow('limit is 3');
    expect(inflateSnappy(Buffer.from(magic), 8).length).toBe(0);
  });
});
