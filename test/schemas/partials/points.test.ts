import { describe, expect, it } from 'vitest';
import {
  decodePointPartial,
  encodePointPartial,
  firstSeriesOf,
  pointOrderBytes,
  pointPreamble,
  type PointPartial,
  type Series,
} from '../../../schemas/partials/points.ts';

const corrupt = expect.objectContaining({ code: 'CORRUPT_ARCHIVE' });

const series: Series = {
  name: {
    tenantId: 't',
    serviceName: 'ü',
    metricName: 'm',
    metricType: 'Histogram',
    unit: 's',
    temporality: 2,
    isMonotonic: true,
    scopeName: '',
    scopeVersion: '1',
    attributes: [
      ['__proto__', 'ü'],
      ['b', ''],
    ],
    resourceAttributes: [],
  },
  hash: '00ff00000000000080000000000000f1',
  hours: [
    {
      hourMs: 3_600_000 * 490_000,
      points: 2 ** 40,
      duplicates: 1,
      conflicts: 0,
      unrecorded: 3,
      nans: 4,
      bases: 5,
      resets: 6,
      increase: NaN,
      values: [-Infinity, Infinity, 0.1, -1e-300, 5, 6, 7],
      histogram: {
        count: 2n ** 64n - 1n,
        sum: 0.1,
        min: NaN,
        max: 1,
        hasMixedBounds: true,
        bounds: [0, 1],
        buckets: [1n, 2n ** 63n, 0n],
        exponential: {
          scale: -(2 ** 31),
          zeroCount: 2n ** 64n - 1n,
          zeroThreshold: 0.1,
          zeroIndex: -3,
          positiveOffset: -(2 ** 31),
          positives: [1n, 0n, 2n ** 63n],
          negativeOffset: 2 ** 32,
          negatives: [],
        },
      },
      summary: { count: 2n ** 63n, sum: -0.5, quantiles: [0, 1], values: [-Infinity, 5] },
    },
  ],
};

const partial: PointPartial = {
  series: [series, { ...series, hash: 'f'.repeat(32) }],
  overflow: [
    {
      tenantId: 't',
      serviceName: 'other',
      hourMs: 0,
      series: 1,
      points: 2,
      duplicates: 3,
      conflicts: 4,
    },
  ],
};

describe('encodePointPartial()', () => {
  it('gives back what it was given, and which series is the first', () => {
    const bytes = encodePointPartial(partial);
    expect(decodePointPartial(bytes)).toEqual(partial);
    expect(firstSeriesOf(bytes.subarray(0, pointOrderBytes))).toBe(BigInt(`0x${series.hash}`));
    expect(pointPreamble.headerBytes(bytes)).toBe(bytes.length);
    const empty = encodePointPartial({ series: [], overflow: [] });
    expect(decodePointPartial(empty)).toEqual({ series: [], overflow: [] });
    expect(firstSeriesOf(empty)).toBe(0n);
  });
});

describe('decodePointPartial()', () => {
  it('refuses every truncation and every changed byte', () => {
    const bytes = encodePointPartial(partial);
    for (let end = 0; end < bytes.length; end += 1) {
      expect(() => decodePointPartial(bytes.subarray(0, end))).toThrow(corrupt);
    }
    for (let at = 0; at < bytes.length; at += 1) {
      const damaged = bytes.slice();
      damaged[at] = (damaged[at] ?? 0) ^ 1;
      expect(() => decodePointPartial(damaged)).toThrow(corrupt);
    }
    expect(() => firstSeriesOf(bytes.subarray(0, 40))).toThrow(corrupt);
  });

  it('refuses well-sealed nonsense', () => {
    const bytes = encodePointPartial(partial);
    for (let at = pointOrderBytes; at < bytes.length; at += 1) {
      const damaged = bytes.slice();
      damaged[at] = 0xff;
      pointPreamble.write(damaged, damaged.length, 3, 0);
      // Whatever it says then, it ends, and either is refused or has as many series as it says.
      try {
        expect(decodePointPartial(damaged).series.length).toBeLessThan(100);
      } catch (error) {
        expect(error).toEqual(corrupt);
      }
    }
  });
});
