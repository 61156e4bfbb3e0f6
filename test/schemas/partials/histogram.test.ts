import { describe, expect, it } from 'vitest';
import {
  bucketBits,
  bucketCount,
  bucketMaxNs,
  bucketMinNs,
  bucketOf,
  bucketOfWords,
  relativeErrorMax,
} from '../../../schemas/partials/histogram.ts';

const max = 2n ** 64n - 1n;

describe('bucketOf()', () => {
  it('puts the ends of every bucket into it, and leaves no gap between buckets', () => {
    let next = 0n;
    for (let bucket = 0; bucket < bucketCount; bucket++) {
      expect(bucketMinNs(bucket)).toBe(next);
      expect(bucketOf(bucketMinNs(bucket))).toBe(bucket);
      expect(bucketOf(bucketMaxNs(bucket))).toBe(bucket);
      expect(bucketMaxNs(bucket) - bucketMinNs(bucket)).toBe(2n ** BigInt(bucketBits(bucket)) - 1n);
      next = bucketMaxNs(bucket) + 1n;
    }
    expect(next).toBe(max + 1n);
  });

  it('has 64 buckets of equal width in each octave from 64 ns on', () => {
    for (let octave = 6n; octave < 64n; octave++) {
      const first = bucketOf(2n ** octave);
      for (let i = 0n; i < 64n; i++) {
        const least = 2n ** octave + (i * 2n ** octave) / 64n;
        expect(bucketMinNs(first + Number(i))).toBe(least);
      }
    }
  });

  it('agrees with bucketOfWords() on the words of a duration', () => {
    for (let bit = 0n; bit < 64n; bit++) {
      for (const value of [2n ** bit, 2n ** bit - 1n, max >> bit, max - 2n ** bit]) {
        const high = Number(value >> 32n);
        expect(bucketOfWords(high, Number(value & 0xffff_ffffn))).toBe(bucketOf(value));
      }
    }
  });
});

describe('relativeErrorMax', () => {
  it('bounds the distance of every bucket’s middle from its ends', () => {
    for (let bucket = 1; bucket < bucketCount; bucket++) {
      const least = bucketMinNs(bucket);
      const twice = bucketMaxNs(bucket) - least;
      // |middle - least| / least < 1/128, in whole numbers; least is the worst place.
      expect(twice * BigInt(1 / relativeErrorMax) < 2n * least).toBe(true);
    }
  });
});
