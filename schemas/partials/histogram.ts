/**
 * The log-linear histogram of durations: each octave of nanoseconds has 64 buckets of equal width,
 * and whole numbers below 128 have a bucket each. Every 64-bit duration has its place; counts of
 * equal buckets add up over shards, days and services.
 */

const subBucketBits = 6;
const subBuckets = 1 << subBucketBits;

/** Buckets that there are; indexes ascend with the durations and fit into 16 bits. */
export const bucketCount = 59 * subBuckets;

/**
 * A bucket's middle is off from any duration in it by less than this fraction of the duration; for
 * durations below 128 ns it is exact. So is a quantile read off the histogram, against a true
 * order statistic.
 */
export const relativeErrorMax = 1 / 128;

/** Index of the bucket of `durationNs`, which is in [0, 2^64). */
export function bucketOf(durationNs: bigint): number {
  return bucketOfWords(Number(durationNs >> 32n), Number(durationNs & 0xffff_ffffn));
}

/** Index of the bucket of the duration `high * 2^32 + low`, both unsigned 32-bit. */
export function bucketOfWords(high: number, low: number): number {
  if (high === 0) {
    if (low < 2 * subBuckets) return low;
    const bits = 31 - Math.clz32(low) - subBucketBits;
    return bits * subBuckets + (low >>> bits);
  }
  const bits = 63 - Math.clz32(high) - subBucketBits;
  const top = bits >= 32 ? high >>> (bits - 32) : high * 2 ** (32 - bits) + (low >>> bits);
  return bits * subBuckets + top;
}

/** A bucket holds 2^bits different durations: those from its least on. From 0 to 57. */
export function bucketBits(bucket: number): number {
  return Math.max(0, (bucket >> subBucketBits) - 1);
}

/** Least duration of a bucket, nanoseconds. */
export function bucketMinNs(bucket: number): bigint {
  const bits = bucketBits(bucket);
  return BigInt(bucket - bits * subBuckets) << BigInt(bits);
}

/** Greatest duration of a bucket, nanoseconds. */
export function bucketMaxNs(bucket: number): bigint {
  return bucketMinNs(bucket) + (1n << BigInt(bucketBits(bucket))) - 1n;
}
