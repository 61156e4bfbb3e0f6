import { crc32 } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import {
  decodePartialHeader,
  runRange,
  type BucketedHeaderGroup,
} from '../../../schemas/partials/buckets.ts';
import { TidemarkError } from '../../../schemas/errors.ts';
import { bucketMinNs, bucketOf } from '../../../schemas/partials/histogram.ts';
import { encodePartial, runWidth, spanPreamble } from '../../../schemas/partials/spans.ts';
import { partialGroup } from '../../support/partials.ts';
import { seededRandom } from '../../support/random.ts';

const seed = 31;
const max = 2n ** 64n - 1n;
const corrupt = expect.objectContaining({ code: 'CORRUPT_ARCHIVE' });

/** Durations of a group, gathered from its runs in the way that the format is described. */
function durationsOf(bytes: Uint8Array, group: BucketedHeaderGroup): bigint[] {
  return [...group.buckets].flatMap((bucket, i) => {
    const width = runWidth(bucket);
    const { start, end } = runRange(group, bucket);
    expect(end - start).toBe((group.bucketCounts[i] ?? 0) * width);
    return Array.from({ length: group.bucketCounts[i] ?? 0 }, (_, at) => {
      const value = bytes.slice(start + at * width, start + (at + 1) * width).toReversed();
      return bucketMinNs(bucket) + BigInt(`0x0${Buffer.from(value).toString('hex')}`);
    });
  });
}

function randomDurations(count: number, random: () => number): BigUint64Array {
  return BigUint64Array.from({ length: count }, () => {
    const bits = Math.floor(random() * 65);
    const value =
      (BigInt(Math.floor(random() * 2 ** 32)) << 32n) + BigInt(Math.floor(random() * 2 ** 32));
    return bits === 64 ? max : value >> BigInt(bits);
  });
}

describe('encodePartial()', () => {
  it('lays one group out as the format says', () => {
    const bytes = encodePartial([
      {
        tenantId: 't',
        serviceName: 'ü',
        operationName: 't',
        spanKind: 'ü',
        rawCount: 300,
        count: 3,
        errorCount: 1,
        uniqueTraces: 2,
        conflicts: 4,
        durationMinNs: 5n,
        durationMaxNs: 0x1_0203n,
        durationSumNs: 2n ** 64n + 7n,
        durations: BigUint64Array.of(5n, 5n, 0x1_0203n),
      },
    ]);
    const body = [0x03, 0x02];
    // All runs are hot, as there are so few durations.
    const names = [...le(2n), 2, 1, 0x74, 2, 0xc3, 0xbc];
    const group = [0, 1, 1, 0x74, 1, 0xac, 0x02, 3, 1, 2, 4];
    const words = [...le(5n), ...le(0x1_0203n), ...le(7n), ...le(1n)];
    // 0x10203 = 2^16 + 515: octave 16, sub-bucket 0 of 64, 10 bits: bucket (16 - 6) * 64 + 64.
    const sizes = [2, 2, 0, 5];
    const buckets = [5, 2 * 2 + 1, 0x80 | ((704 - 5) & 127), (704 - 5) >> 7, 1 * 2 + 1];
    const header = [...names, ...group, ...words, ...sizes, ...buckets];
    const preamble = Buffer.alloc(32);
    preamble.write('TMKP');
    preamble.writeUInt32LE(4, 4);
    preamble.writeUInt32LE(32 + header.length, 8);
    preamble.writeUInt32LE(1, 12);
    preamble.writeBigUInt64LE(BigInt(body.length), 16);
    const checked = Buffer.from([...preamble.subarray(0, 24), 0, 0, 0, 0, ...header]);
    preamble.writeUInt32LE(crc32(checked), 24);
    expect(Buffer.from(bytes)).toEqual(Buffer.from([...preamble, ...header, ...body]));
  });

  it('gives the same bytes for the groups in any order', () => {
    const random = seededRandom(seed);
    const groups = Array.from({ length: 20 }, (_, i) =>
      partialGroup(`op ${i}`, randomDurations(i * 5, random)),
    );
    const bytes = encodePartial(groups);
    expect(encodePartial(groups.toReversed())).toEqual(bytes);
    const names = decodePartialHeader(bytes).groups.map((group) => group.operationName);
    expect(names).toEqual(groups.map((group) => group.operationName).toSorted());
  });

  it('refuses two groups of one key, which only a bug can make', () => {
    const group = partialGroup('op', BigUint64Array.of(1n));
    expect(() => encodePartial([group, group])).toThrow('same key');
  });
});

describe('decodePartialHeader()', () => {
  it(`gives back totals, histogram and every duration (seed ${seed})`, () => {
    const random = seededRandom(seed);
    const groups = [0, 1, 2, 100, 3000].map((count, i) =>
      partialGroup(`op ${i}`, randomDurations(count, random)),
    );
    const bytes = encodePartial(groups);
    const header = decodePartialHeader(bytes.slice(0, spanPreamble.headerBytes(bytes)));
    expect(header.byteLength).toBe(bytes.length);
    for (const [i, { durations, ...totals }] of groups.entries()) {
      const found = header.groups[i];
      expect(found).toMatchObject(totals);
      expect(durationsOf(bytes, found as BucketedHeaderGroup)).toEqual([...durations]);
      expect([...(found?.buckets ?? [])]).toEqual([...new Set(Array.from(durations, bucketOf))]);
    }
  });

  it('decodes a partial without groups, and names of all kinds', () => {
    expect(decodePartialHeader(encodePartial([])).groups).toEqual([]);
    const names = ['', '\0', '\uFEFF', 'a\nb', '\u{1F30A}', 'x'.repeat(100_000)];
    const groups = names.map((name) => partialGroup(name, BigUint64Array.of(1n)));
    const header = decodePartialHeader(encodePartial(groups));
    expect(header.groups.map((group) => group.operationName)).toEqual(names.toSorted());
  });

  it('lays the runs around the asked quantiles first, within a fraction of the bytes', () => {
    const random = seededRandom(seed);
    const durations = BigUint64Array.from({ length: 100_000 }, () =>
      BigInt(Math.floor(Math.exp(random() * 4 + 14))),
    );
    const bytes = encodePartial([partialGroup('op', durations)], [0.5, 0.99]);
    const { groups, headerBytes } = decodePartialHeader(bytes);
    const [group] = groups as [BucketedHeaderGroup];
    expect(group.hotStart).toBe(headerBytes);
    expect(group.coldStart - group.hotStart).toBeLessThan((bytes.length - headerBytes) / 10);
    const sorted = durations.toSorted();
    for (const quantile of [0.5, 0.99]) {
      const { end } = runRange(group, bucketOf(sorted[Math.floor(100_000 * quantile)] ?? 0n));
      expect(end).toBeLessThanOrEqual(group.coldStart);
    }
  });

  it('throws CORRUPT_ARCHIVE for every truncation and every changed byte of the header', () => {
    const random = seededRandom(seed);
    const bytes = encodePartial([partialGroup('op', randomDurations(20, random))]);
    const headerBytes = spanPreamble.headerBytes(bytes);
    for (let length = 0; length < headerBytes; length++) {
      expect(() => decodePartialHeader(bytes.slice(0, length))).toThrow(corrupt);
    }
    for (let at = 0; at < headerBytes; at++) {
      const changed = bytes.slice();
      changed[at] = (changed[at] ?? 0) ^ (1 + Math.floor(random() * 255));
      expect(() => decodePartialHeader(changed)).toThrow(corrupt);
    }
  });

  it('throws CORRUPT_ARCHIVE for headers of any bytes, checksum and all, but never hangs', () => {
    const random = seededRandom(seed);
    const good = encodePartial([partialGroup('op', randomDurations(20, random))]);
    let refused = 0;
    for (let i = 0; i < 20_000; i++) {
      const bytes = good.slice();
      const headerBytes = spanPreamble.headerBytes(bytes);
      for (let n = 0; n < 3; n++) {
        bytes[12 + Math.floor(random() * (headerBytes - 12))] = Math.floor(random() * 256);
      }
      bytes.set(new Uint8Array(4), 24);
      const crc = crc32(bytes.subarray(28, headerBytes), crc32(bytes.subarray(0, 24)));
      new DataView(bytes.buffer).setUint32(24, crc, true);
      try {
        decodePartialHeader(bytes);
      } catch (error) {
        // An expectation for each of so many takes longer than all the rest.
        if (!(error instanceof TidemarkError) || error.code !== 'CORRUPT_ARCHIVE') throw error;
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(1000);
  });
});

function le(value: bigint): Uint8Array {
  return new Uint8Array(BigUint64Array.of(value).buffer);
}
