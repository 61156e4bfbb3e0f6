/**
 * Adds up the histograms of a series by hour: deltas as they are, totals by their differences. Buckets
 * are added only where bounds are equal; where they differ within an hour it says so, and has none.
 */
import { HourSums, lacksMax, lacksMin, lacksSum } from './hoursums';
import { allocate } from './memory';

/** A point's histogram. Behind it: `boundCount` doubles, then `boundCount + 1` counts of 64 bits. */
@unmanaged
export class Payload {
  count: u64;
  sum: f64;
  min: f64;
  max: f64;
  /** Bits as in `HourSums.marks`. */
  marks: u32;
  boundCount: u32;
}

export const payloadBytes: usize = 40;

export const noBuckets: u32 = 0;
export const hasBuckets: u32 = 1;
export const mixedBuckets: u32 = 2;

function boundsOf(payload: Payload): usize {
  return changetype<usize>(payload) + payloadBytes;
}

function countsOf(payload: Payload): usize {
  return boundsOf(payload) + ((<usize>payload.boundCount) << 3);
}

/** Whether two histograms say the same, to the bit. */
export function isSame(a: Payload, b: Payload): bool {
  if (a.boundCount != b.boundCount) return false;
  const bytes = payloadBytes + (((<usize>a.boundCount) * 2 + 1) << 3);
  return memory.compare(changetype<usize>(a), changetype<usize>(b), bytes) == 0;
}

function hasBoundsOf(a: Payload, bounds: usize, count: u32): bool {
  return a.boundCount == count && memory.compare(boundsOf(a), bounds, (<usize>count) << 3) == 0;
}

/** Whether `now` cannot be a later total of what `before` is one of. */
export function isLower(now: Payload, before: Payload): bool {
  if (now.count < before.count) return true;
  if (!hasBoundsOf(now, boundsOf(before), before.boundCount)) return false;
  for (let i: usize = 0; i <= <usize>now.boundCount; i++) {
    if (load<u64>(countsOf(now) + (i << 3)) < load<u64>(countsOf(before) + (i << 3))) return true;
  }
  return false;
}

/** Adds all of a histogram. False when there is no room for buckets. */
export function addHistogram(into: HourSums, payload: Payload, hasExtremes: bool): bool {
  addTotals(into, payload.count, payload.sum, payload.marks & lacksSum);
  addExtremes(into, payload, hasExtremes);
  if (!makeBuckets(into, payload)) return false;
  if (into.bucketState == hasBuckets) addCounts(into, countsOf(payload), 0);
  return true;
}

/** Adds what `now` has more than `before`, an earlier total. False when there is no room. */
export function addDifference(into: HourSums, now: Payload, before: Payload): bool {
  const marks = (now.marks | before.marks) & lacksSum;
  addTotals(into, now.count - before.count, now.sum - before.sum, marks);
  into.marks |= lacksMin | lacksMax;
  if (!makeBuckets(into, now)) return false;
  if (!hasBoundsOf(before, boundsOf(now), now.boundCount)) into.bucketState = mixedBuckets;
  if (into.bucketState == hasBuckets) addCounts(into, countsOf(now), countsOf(before));
  return true;
}

function addTotals(into: HourSums, count: u64, sum: f64, marks: u32): void {
  into.histogramCount += count;
  into.histogramSum += sum;
  into.marks |= marks;
}

/** Least and greatest values of a total are those since its start, of no hour. */
function addExtremes(into: HourSums, payload: Payload, hasExtremes: bool): void {
  const isFirst = into.added++ == 0;
  if (!hasExtremes) into.marks |= lacksMin | lacksMax;
  into.marks |= payload.marks;
  if (isFirst || payload.min < into.histogramMin) into.histogramMin = payload.min;
  if (isFirst || payload.max > into.histogramMax) into.histogramMax = payload.max;
}

/** Makes the hour's buckets like those of its first histogram, or sees that these are others. */
function makeBuckets(into: HourSums, payload: Payload): bool {
  if (into.bucketState == noBuckets) {
    const bytes = (<usize>payload.boundCount + 1) << 3;
    const at = allocate(bytes);
    if (at == 0) return false;
    memory.fill(at, 0, bytes);
    into.boundsAt = <u32>boundsOf(payload);
    into.boundCount = payload.boundCount;
    into.bucketsAt = <u32>at;
    into.bucketState = hasBuckets;
  } else if (!hasBoundsOf(payload, into.boundsAt, into.boundCount)) {
    into.bucketState = mixedBuckets;
  }
  return true;
}

/** Adds the counts at `now`, less those at `before` if that is not 0. */
function addCounts(into: HourSums, now: usize, before: usize): void {
  for (let i: usize = 0; i <= <usize>into.boundCount; i++) {
    const at = <usize>into.bucketsAt + (i << 3);
    const less = before == 0 ? 0 : load<u64>(before + (i << 3));
    store<u64>(at, load<u64>(at) + load<u64>(now + (i << 3)) - less);
  }
}
