/**
 * Reads what a partial's header says of the buckets of a group, one by one: the way of the few that need them
 * so. The merge has its kernel for it. Reads no run.
 */
import { bucketCount } from './histogram.ts';
import {
  GroupCursor,
  groupBytesMin,
  runWidth,
  spanPreamble,
  type PartialHeaderGroup,
} from './spans.ts';
import { VarintReader } from './varint.ts';

/** Buckets of a group that are not empty, ascending. */
export interface Buckets {
  readonly buckets: Uint16Array;
  /** Durations in each of them. */
  readonly bucketCounts: Float64Array;
  /** 1 for the buckets whose runs are hot. */
  readonly hot: Uint8Array;
}

export type BucketedHeaderGroup = PartialHeaderGroup & Buckets;

export interface PartialHeader {
  readonly headerBytes: number;
  readonly byteLength: number;
  readonly groups: readonly BucketedHeaderGroup[];
}

/**
 * The header of a partial, from at least its header's bytes. Throws `TidemarkError`
 * CORRUPT_ARCHIVE for whatever `encodePartial` could not have written.
 */
export function decodePartialHeader(bytes: Uint8Array): PartialHeader {
  const { reader, entries, ...sizes } = spanPreamble.open(bytes, groupBytesMin);
  const cursor = new GroupCursor(reader, sizes);
  const groups = Array.from({ length: entries }, () => withBuckets(cursor.read(reader)));
  cursor.end(reader);
  const { headerBytes, bodyBytes } = sizes;
  return { headerBytes, byteLength: headerBytes + bodyBytes, groups };
}

/** The group with its buckets. Throws CORRUPT_ARCHIVE when they are not what its totals say. */
export function withBuckets(group: PartialHeaderGroup): BucketedHeaderGroup {
  const { bucketsFilled, bucketBytes, count, hotBytes, coldBytes } = group;
  const reader = new VarintReader(bucketBytes, 0);
  if (bucketsFilled * 2 > bucketBytes.length) reader.fail('a count passes the end');
  const buckets = new Uint16Array(bucketsFilled);
  const bucketCounts = new Float64Array(bucketsFilled);
  const hot = new Uint8Array(bucketsFilled);
  const sums = { count: 0, hotBytes: 0, coldBytes: 0 };
  let bucket = 0;
  for (let i = 0; i < bucketsFilled; i++) {
    const step = reader.varint();
    const countAndHot = reader.varint();
    bucket += step;
    if ((step === 0 && i > 0) || bucket >= bucketCount) reader.fail('a bucket is out of order');
    const isHot = countAndHot % 2;
    const here = (countAndHot - isHot) / 2;
    buckets[i] = bucket;
    bucketCounts[i] = here;
    hot[i] = isHot;
    sums.count += here;
    sums[isHot === 1 ? 'hotBytes' : 'coldBytes'] += here * runWidth(bucket);
  }
  const areWhole = reader.rest === 0 && sums.count === count;
  if (areWhole && sums.hotBytes === hotBytes && sums.coldBytes === coldBytes) {
    return { ...group, buckets, bucketCounts, hot };
  }
  return reader.fail('the buckets do not add up to their sums');
}

/**
 * The bytes [start, end) of the object that hold the durations of `group` in `bucket`, of
 * `runWidth(bucket)` bytes each. An empty range for a bucket without durations or without width.
 */
export function runRange(
  group: BucketedHeaderGroup,
  bucket: number,
): { start: number; end: number } {
  const { buckets, bucketCounts, hot } = group;
  const place = buckets.indexOf(bucket);
  if (place === -1) return { start: 0, end: 0 };
  const isHot = hot[place] ?? 0;
  let start = isHot === 1 ? group.hotStart : group.coldStart;
  for (let i = 0; i < place; i += 1) {
    if (hot[i] === isHot) start += (bucketCounts[i] ?? 0) * runWidth(buckets[i] ?? 0);
  }
  return { start, end: start + (bucketCounts[place] ?? 0) * runWidth(bucket) };
}
