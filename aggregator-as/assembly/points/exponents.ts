/**
 * Adds up the exponential histograms of a series by hour. All that an hour adds, and takes away, is brought
 * to one scale: the coarsest of them, or coarser still until the buckets are within their limit. A bucket
 * of a finer scale lies whole in one of a coarser scale, index >> difference, so counts stay exact. Where
 * thresholds of zero differ the largest counts, and the buckets up to it join the zero bucket
 * (OpenTelemetry's metrics data model, "Exponential Histograms").
 */
import { hours } from './hoursums';
import { allocate } from '../memory/memory';
import { Exponents, negativesOf, positivesOf } from './payload';

/** Buckets of one sign: their indexes at the hour's scale, and, once they are made, their counts. */
@unmanaged
class Side {
  low: i64;
  high: i64;
  at: u32;
  count: u32;
}

/** The host reads these fields by their order. */
@unmanaged
class Hour {
  zeroCount: u64;
  zeroThreshold: f64;
  scale: i64;
  positiveLow: i64;
  positiveHigh: i64;
  positiveAt: u32;
  positives: u32;
  negativeLow: i64;
  negativeHigh: i64;
  negativeAt: u32;
  negatives: u32;
  /** The bucket that the threshold lies in; buckets up to it are zero if `isUneven`. */
  zeroIndex: i64;
  /** Whether that bucket itself had counts. */
  isWidened: u32;
  isUneven: u32;
  // From here on for the kernel only.
  isSome: u32;
}

const hourBytes: usize = 96;
const sums = memory.data(2304, 8);
let bucketsMax: i64 = 0;

/** Whether any hour has any. */
export let areSome: bool = false;

export function limitBuckets(max: u32): void {
  bucketsMax = max;
}

// @ts-ignore: decorator
@inline
function hourAt(hour: u32): Hour {
  return changetype<Hour>(sums + <usize>hour * hourBytes);
}

function positiveOf(hour: Hour): Side {
  return changetype<Side>(changetype<usize>(hour) + offsetof<Hour>('positiveLow'));
}

function negativeOf(hour: Hour): Side {
  return changetype<Side>(changetype<usize>(hour) + offsetof<Hour>('negativeLow'));
}

export function hoursOfExponents(): usize {
  return sums;
}

export function clear(): void {
  if (areSome) memory.fill(sums, 0, <usize>hours * hourBytes);
  areSome = false;
}

/** An index of a scale that is finer by `difference`, which is not negative. */
// @ts-ignore: decorator
@inline
function coarser(index: i64, difference: i64): i64 {
  return index >> min<i64>(difference, 63);
}

/** Notes that the hour has to do with this histogram. */
export function note(number: u32, payload: Exponents): void {
  const hour = hourAt(number);
  const threshold = payload.zeroThreshold;
  if (hour.isSome == 0) {
    hour.scale = payload.scale;
    hour.zeroThreshold = threshold;
    startSide(positiveOf(hour));
    startSide(negativeOf(hour));
    hour.isSome = 1;
    areSome = true;
  }
  if (threshold != hour.zeroThreshold) hour.isUneven = 1;
  hour.zeroThreshold = max(hour.zeroThreshold, threshold);
  if (payload.scale < hour.scale) lower(hour, hour.scale - payload.scale);
  const by = payload.scale - hour.scale;
  noteSide(positiveOf(hour), positivesOf(payload), payload.positives, payload.positiveOffset, by);
  noteSide(negativeOf(hour), negativesOf(payload), payload.negatives, payload.negativeOffset, by);
}

function startSide(side: Side): void {
  side.low = i64.MAX_VALUE;
  side.high = i64.MIN_VALUE;
}

function lower(hour: Hour, difference: i64): void {
  hour.scale -= difference;
  lowerSide(positiveOf(hour), difference);
  lowerSide(negativeOf(hour), difference);
}

function lowerSide(side: Side, difference: i64): void {
  if (side.low > side.high) return;
  side.low = coarser(side.low, difference);
  side.high = coarser(side.high, difference);
}

/** Widens the indexes to those of the buckets that have counts. */
function noteSide(side: Side, at: usize, count: u32, offset: i64, by: i64): void {
  let end = count;
  while (end > 0 && countAt(at, end - 1) == 0) end--;
  if (end == 0) return;
  let first: u32 = 0;
  while (countAt(at, first) == 0) first++;
  side.low = min(side.low, coarser(offset + first, by));
  side.high = max(side.high, coarser(offset + end - 1, by));
}

// @ts-ignore: decorator
@inline
function countAt(at: usize, index: u32): u64 {
  return load<u64>(at + ((<usize>index) << 3));
}

/** Settles each hour's scale and makes its buckets, empty. False when there is no room. */
export function makeBuckets(): bool {
  for (let number: u32 = 0; number < hours; number++) {
    const hour = hourAt(number);
    if (hour.isSome == 0) continue;
    while (!isWithin(positiveOf(hour)) || !isWithin(negativeOf(hour))) lower(hour, 1);
    if (hour.isUneven != 0) hour.zeroIndex = bucketOf(hour.zeroThreshold, hour.scale);
    if (!makeSide(positiveOf(hour)) || !makeSide(negativeOf(hour))) return false;
  }
  return true;
}

function isWithin(side: Side): bool {
  return side.low > side.high || side.high - side.low < bucketsMax;
}

function makeSide(side: Side): bool {
  side.count = side.low > side.high ? 0 : <u32>(side.high - side.low + 1);
  const bytes = (<usize>side.count) << 3;
  const at = allocate(bytes);
  if (at == 0) return false;
  memory.fill(at, 0, bytes);
  side.at = <u32>at;
  return true;
}

/** Adds the histogram's buckets to the hour's, or takes them away. */
export function add(number: u32, payload: Exponents, isLess: bool): void {
  const hour = hourAt(number);
  addZero(hour, payload.zeroCount, isLess);
  const by = payload.scale - hour.scale;
  const up = positiveOf(hour);
  const down = negativeOf(hour);
  addSide(hour, up, positivesOf(payload), payload.positives, payload.positiveOffset, by, isLess);
  addSide(hour, down, negativesOf(payload), payload.negatives, payload.negativeOffset, by, isLess);
}

// @ts-ignore: decorator
@inline
function addZero(hour: Hour, count: u64, isLess: bool): void {
  hour.zeroCount += isLess ? 0 - count : count;
}

function addSide(
  hour: Hour,
  side: Side,
  at: usize,
  count: u32,
  offset: i64,
  by: i64,
  isLess: bool,
): void {
  for (let i: u32 = 0; i < count; i++) {
    const own = countAt(at, i);
    if (own == 0) continue;
    const index = coarser(offset + i, by);
    if (hour.isUneven != 0 && index <= hour.zeroIndex) {
      addZero(hour, own, isLess);
      if (index == hour.zeroIndex) hour.isWidened = 1;
      continue;
    }
    const to = <usize>side.at + (<usize>(index - side.low) << 3);
    store<u64>(to, load<u64>(to) + (isLess ? 0 - own : own));
  }
}

/** Leaves out empty buckets at both ends. False when the hour has no exponential histogram. */
export function finishHour(number: u32): bool {
  const hour = hourAt(number);
  if (hour.isSome == 0) return false;
  trim(positiveOf(hour));
  trim(negativeOf(hour));
  return true;
}

function trim(side: Side): void {
  while (side.count > 0 && countAt(side.at, side.count - 1) == 0) side.count--;
  while (side.count > 0 && countAt(side.at, 0) == 0) {
    side.at += 8;
    side.low++;
    side.count--;
  }
  if (side.count == 0) side.low = 0;
}

/**
 * Whether `now` cannot be a later total of what `before` is one of: a bucket has less than before, the
 * two brought to one scale and one threshold.
 */
export function isLower(now: Exponents, before: Exponents): bool {
  const scale = min(now.scale, before.scale);
  zeroUpTo = i64.MIN_VALUE;
  if (now.zeroThreshold != before.zeroThreshold) {
    zeroUpTo = bucketOf(max(now.zeroThreshold, before.zeroThreshold), scale);
  }
  const by = <i64>now.scale - scale;
  const byBefore = <i64>before.scale - scale;
  if (zeroOf(now, by) < zeroOf(before, byBefore)) return true;
  startReading(positivesOf(now), now.positives, now.positiveOffset, by);
  if (isSideLower(positivesOf(before), before.positives, before.positiveOffset, byBefore)) {
    return true;
  }
  startReading(negativesOf(now), now.negatives, now.negativeOffset, by);
  return isSideLower(negativesOf(before), before.negatives, before.negativeOffset, byBefore);
}

/** Buckets up to this index are part of zero while two histograms are compared. */
let zeroUpTo: i64 = 0;

function zeroOf(payload: Exponents, by: i64): u64 {
  if (zeroUpTo == i64.MIN_VALUE) return payload.zeroCount;
  return (
    payload.zeroCount +
    sumUpTo(positivesOf(payload), payload.positives, payload.positiveOffset, by) +
    sumUpTo(negativesOf(payload), payload.negatives, payload.negativeOffset, by)
  );
}

function sumUpTo(at: usize, count: u32, offset: i64, by: i64): u64 {
  let sum: u64 = 0;
  for (let i: u32 = 0; i < count && coarser(offset + i, by) <= zeroUpTo; i++) sum += countAt(at, i);
  return sum;
}

let readAt: usize = 0;
let readCount: u32 = 0;
let readOffset: i64 = 0;
let readBy: i64 = 0;
let readNext: u32 = 0;

/** Begins reading the buckets of a side by index. */
function startReading(at: usize, count: u32, offset: i64, by: i64): void {
  readAt = at;
  readCount = count;
  readOffset = offset;
  readBy = by;
  readNext = 0;
}

/** Sum of the buckets of that index, which is greater than that of the call before. */
function readIndex(index: i64): u64 {
  let sum: u64 = 0;
  for (; readNext < readCount; readNext++) {
    const own = coarser(readOffset + readNext, readBy);
    if (own > index) break;
    if (own == index) sum += countAt(readAt, readNext);
  }
  return sum;
}

function isSideLower(at: usize, count: u32, offset: i64, by: i64): bool {
  for (let i: u32 = 0; i < count; ) {
    const index = coarser(offset + i, by);
    let sum: u64 = 0;
    for (; i < count && coarser(offset + i, by) == index; i++) sum += countAt(at, i);
    if (index > zeroUpTo && sum != 0 && readIndex(index) < sum) return true;
  }
  return false;
}

/** Past every index that a histogram can have. */
const farIndex: f64 = 4_611_686_018_427_387_904;

/**
 * Index of the bucket (base^index, base^(index + 1)], base = 2^(2^-scale), that a positive number lies
 * in. Bounds are no doubles, mostly: a number that is one but for rounding is taken for the bound.
 */
function bucketOf(value: f64, scale: i64): i64 {
  // Scales further out have no other bounds between doubles than these.
  const perPower = Math.pow(2, <f64>max<i64>(min<i64>(scale, 1000), -60));
  const index = Math.log2(value) * perPower;
  if (!(abs(index) < farIndex)) return index > 0 ? i64.MAX_VALUE : i64.MIN_VALUE + 1;
  const bound = nearest(index);
  if (abs(index - bound) < 1e-6 * min(1.0, perPower)) return <i64>bound - 1;
  return <i64>Math.floor(index);
}
