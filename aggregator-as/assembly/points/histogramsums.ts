/**
 * Adds up the histograms of a series by hour: deltas as they are, totals by their differences. Buckets
 * are added only where bounds are equal; where they differ within an hour it says so, and has none.
 * Of exponential histograms and summaries the totals are added here, and of the latter nothing else.
 */
import { HourSums, lacksMax, lacksMin, lacksSum } from './hoursums';
import { allocate } from '../memory/memory';
import { boundsOf, countsOf, Payload } from './payload';

export const noBuckets: u32 = 0;
export const hasBuckets: u32 = 1;
export const mixedBuckets: u32 = 2;
export const exponentialBuckets: u32 = 3;
export const lastQuantiles: u32 = 4;

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
  addWhole(into, payload, hasExtremes);
  if (!makeBuckets(into, payload)) return false;
  if (into.bucketState == hasBuckets) addCounts(into, countsOf(payload), 0);
  return true;
}

/** Adds what `now` has more than `before`, an earlier total. False when there is no room. */
export function addDifference(into: HourSums, now: Payload, before: Payload): bool {
  addMore(into, now, before);
  if (!makeBuckets(into, now)) return false;
  if (!hasBoundsOf(before, boundsOf(now), now.boundCount)) into.bucketState = mixedBuckets;
  if (into.bucketState == hasBuckets) addCounts(into, countsOf(now), countsOf(before));
  return true;
}

/** Adds the totals of a payload, which has extremes of its own when it is no total itself. */
export function addWhole(into: HourSums, payload: Payload, hasExtremes: bool): void {
  addTotals(into, payload.count, payload.sum, payload.marks & lacksSum);
  addExtremes(into, payload, hasExtremes);
}

/** Adds what the totals of `now` have more than those of `before`. */
export function addMore(into: HourSums, now: Payload, before: Payload): void {
  const marks = (now.marks | before.marks) & lacksSum;
  addTotals(into, now.count - before.count, now.sum - before.sum, marks);
  into.marks |= lacksMin | lacksMax;
}

/** Takes the quantiles of a summary, the latest of the hour so far, as they are. */
export function takeSummary(into: HourSums, payload: Payload, timeNs: u64, startNs: u64): void {
  const isLater =
    timeNs > into.lastTimeNs || (timeNs == into.lastTimeNs && startNs >= into.lastStartNs);
  if (into.bucketState == lastQuantiles && !isLater) return;
  into.bucketState = lastQuantiles;
  into.boundsAt = <u32>boundsOf(payload);
  into.boundCount = payload.boundCount;
  into.bucketsAt = <u32>countsOf(payload);
  into.lastTimeNs = timeNs;
  into.lastStartNs = startNs;
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
