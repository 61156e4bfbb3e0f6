/** Sizes on the command line. */
import { describe, expect, it } from 'vitest';
import { sizeBytes } from '../../bin/size.ts';

describe('sizeBytes()', () => {
  it.each([
    ['67108864', 67_108_864],
    ['512MiB', 536_870_912],
    ['1GiB', 1_073_741_824],
    ['1.5GiB', 1_610_612_736],
    ['2GB', 2_000_000_000],
    ['64kB', 64_000],
  ])('reads %s', (text, bytes) => {
    expect(sizeBytes(text)).toBe(bytes);
  });

  it.each(['', '0', '0GiB', '-1', '1 GiB', '1gib', 'GiB', '1TB', '1e9'])('refuses "%s"', (text) => {
    expect(() => sizeBytes(text)).toThrow('It is not a size such as');
  });
});
