/** LZ4 frames by hand; those that Java writes are in codecs.test.ts. */
import { describe, expect, it } from 'vitest';
import { inflateLz4 } from '../../../../workers/clients/codecs/lz4.ts';

describe('inflateLz4()', () => {
  // LZ4 frame format description, "Frame Descriptor"; blocks are linked, with all checksums.
  const head = [0x04, 0x22, 0x4d, 0x18];

  it('reads stored blocks, linked blocks, a content size, checksums and skippable frames', () => {
    const skippable = [0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 9, 9];
    // Version 1, linked, block checksums, content size, content checksum; 64 KiB.
    const descriptor = [...head, 0b0101_1100, 0x40, 12, 0, 0, 0, 0, 0, 0, 0, 0xaa];
    // Stored: "abcd".
    const stored = [4, 0, 0, 0x80, 0x61, 0x62, 0x63, 0x64, 1, 2, 3, 4];
    // No literal, a match of 7 at distance 4, then one literal: "abcdabc" and "!".
    const block = [5, 0, 0, 0, 0x03, 4, 0, 0x10, 0x21, 1, 2, 3, 4];
    const end = [0, 0, 0, 0, 5, 6, 7, 8];
    const frame = Buffer.from([...skippable, ...descriptor, ...stored, ...block, ...end]);
    expect(inflateLz4(frame, 100).toString()).toBe('abcdabcdabc!');
    expect(inflateLz4(frame, 12).length).toBe(12);
    expect(() => inflateLz4(frame, 11)).toThrow('past 11 bytes');
  });

  it('refuses a match that begins before its block, where blocks are not linked', () => {
    const block = [5, 0, 0, 0, 0x03, 4, 0, 0x10, 0x21];
    const stored = [4, 0, 0, 0x80, 0x61, 0x62, 0x63, 0x64];
    const frame = Buffer.from([...head, 0b0110_0000, 0x40, 0xaa, ...stored, ...block, 0, 0, 0, 0]);
    expect(() => inflateLz4(frame, 100)).toThrow('begins before the data');
  });
});
