/**
 * From the durations of a group to what a partial keeps of them (schemas/partials/spans.ts): the sparse histogram,
 * and for each bucket its durations, sorted, as distances from the bucket's least.
 */
import { allocate } from '../memory/memory';
import { giveRoom, takeRoom } from '../memory/rooms';
import { sortValues } from '../memory/sort';
import { chunkEnd, chunkStart, nextChunk, SpanGroup } from './group';

/** As in schemas/partials/histogram.ts. */
const subBucketBits: u64 = 6;
const bucketCount: u32 = 3776;
const counts = memory.data(15_104, 8);
const quantilesMax: u32 = 64;
/** The quantiles that decide which runs are hot, as doubles, and the band of ranks of each. */
const quantiles = memory.data(512, 8);
const bandFrom = memory.data(512, 8);
const bandTo = memory.data(512, 8);
let quantileCount: u32 = 0;
/** Standard deviations around a shard's own quantile within which the merged one is expected. */
const hotDeviations: f64 = 4;

/** Of the group last written: buckets, each a step and a doubled count + hot; then the stretches. */
let header: usize = 0;
export let headerBytes: u32 = 0;
export let bucketsFound: u32 = 0;
/** Sizes of the stretches of runs, in turn cold and hot, beginning with cold; 4 bytes each. */
let stretches: usize = 0;
export let stretchCount: u32 = 0;
export let runsAt: usize = 0;
let runsRoom: usize = 0;
/** Buckets that the group has durations in: from the first to the last. */
let firstBucket: u32 = 0;
let lastBucket: u32 = 0;
let least: u64 = 0;
let greatest: u64 = 0;
let sumLow: u64 = 0;
let sumHigh: u64 = 0;

/** Takes the memory that all groups share. False without room. */
export function startDurations(): bool {
  // A bucket takes two varints of at most 5 bytes, and begins at most one stretch.
  header = allocate(<usize>bucketCount * 10 + 16);
  stretches = header == 0 ? 0 : allocate(<usize>(bucketCount + 2) * 4);
  runsRoom = 0;
  memory.fill(counts, 0, bucketCount << 2);
  firstBucket = 0;
  lastBucket = 0;
  return stretches != 0;
}

export function headerAt(): usize {
  return header;
}

export function stretchesAt(): usize {
  return stretches;
}

export function leastDuration(): u64 {
  return least;
}

export function greatestDuration(): u64 {
  return greatest;
}

export function durationSumLow(): u64 {
  return sumLow;
}

export function durationSumHigh(): u64 {
  return sumHigh;
}

/** Where the host puts so many quantiles; 0 when they are too many. */
export function roomForQuantiles(count: u32): usize {
  if (count > quantilesMax) return 0;
  quantileCount = count;
  return quantiles;
}

// @ts-ignore: decorator
@inline
function bucketOf(duration: u64): u32 {
  if (duration < 128) return <u32>duration;
  const bits = 63 - clz(duration) - subBucketBits;
  return <u32>((bits << subBucketBits) + (duration >> bits));
}

// @ts-ignore: decorator
@inline
function bitsOf(bucket: u32): u32 {
  return bucket < 128 ? 0 : (bucket >> 6) - 1;
}

/** Writes what is kept of the group's durations. False without room. Its chunks are void afterwards. */
export function writeDurations(group: SpanGroup): bool {
  const count = group.raw - group.dropped;
  if (runsRoom > 0) giveRoom(runsAt, runsRoom);
  runsRoom = <usize>count * 8 + 16;
  runsAt = takeRoom(runsRoom);
  if (runsAt == 0) {
    runsRoom = 0;
    return false;
  }
  countBuckets(group);
  findBands(count);
  const most = scatter(group);
  const scratch = takeRoom(<usize>most << 3);
  if (scratch == 0) return false;
  writeRuns(scratch);
  giveRoom(scratch, <usize>most << 3);
  return true;
}

/** Counts the durations by bucket; least, greatest and sum on the way. */
function countBuckets(group: SpanGroup): void {
  // The group before has left its own.
  memory.fill(counts + (<usize>firstBucket << 2), 0, <usize>(lastBucket - firstBucket + 1) << 2);
  least = group.firstChunk == 0 ? 0 : u64.MAX_VALUE;
  greatest = 0;
  sumLow = 0;
  sumHigh = 0;
  for (let chunk: usize = group.firstChunk; chunk != 0; chunk = nextChunk(chunk)) {
    const end = chunkEnd(group, chunk);
    for (let at = chunkStart(chunk); at < end; at += 8) {
      const duration = load<u64>(at);
      least = min(least, duration);
      greatest = max(greatest, duration);
      sumLow += duration;
      sumHigh += <u64>(sumLow < duration);
      const place = counts + (<usize>bucketOf(duration) << 2);
      store<u32>(place, load<u32>(place) + 1);
    }
  }
  firstBucket = bucketOf(least);
  lastBucket = bucketOf(greatest);
}

/** Ranks that the merged quantiles are likely to fall on. */
function findBands(count: u32): void {
  const total = <f64>count;
  for (let index: usize = 0; index < <usize>quantileCount << 3; index += 8) {
    const quantile = load<f64>(quantiles + index);
    const reach = hotDeviations * Math.sqrt(quantile * (1 - quantile) * total) + 1;
    const rank = quantile * (total - 1);
    store<f64>(bandFrom + index, rank - reach);
    store<f64>(bandTo + index, rank + reach);
  }
}

function isHot(first: u32, end: u32): bool {
  for (let index: usize = 0; index < <usize>quantileCount << 3; index += 8) {
    if (<f64>first <= load<f64>(bandTo + index) && load<f64>(bandFrom + index) <= <f64>end) {
      return true;
    }
  }
  return false;
}

/** Brings the durations of each bucket together. Returns the size of the largest bucket. */
function scatter(group: SpanGroup): u32 {
  let place = runsAt;
  let most: u32 = 1;
  for (let bucket = firstBucket; bucket <= lastBucket; bucket++) {
    const counter = counts + (<usize>bucket << 2);
    const count = load<u32>(counter);
    most = max(most, count);
    store<u32>(counter, <u32>place);
    place += <usize>count << 3;
  }
  for (let chunk: usize = group.firstChunk; chunk != 0; chunk = nextChunk(chunk)) {
    const end = chunkEnd(group, chunk);
    for (let at = chunkStart(chunk); at < end; at += 8) {
      const duration = load<u64>(at);
      const counter = counts + (<usize>bucketOf(duration) << 2);
      const to: usize = load<u32>(counter);
      store<u64>(to, duration);
      store<u32>(counter, <u32>(to + 8));
    }
  }
  return most;
}

/** Sorts each bucket and writes its run, in place; each counter holds the end of its bucket. */
function writeRuns(scratch: usize): void {
  let start = runsAt;
  let out = runsAt;
  let at = header;
  let last: u32 = 0;
  let rank: u32 = 0;
  let stretch = stretches;
  let wasHot: u32 = 0;
  let stretchStart = out;
  bucketsFound = 0;
  for (let bucket = firstBucket; bucket <= lastBucket; bucket++) {
    const end: usize = load<u32>(counts + (<usize>bucket << 2));
    if (end == start) continue;
    const count = <u32>((end - start) >> 3);
    const hot: u32 = <u32>isHot(rank, rank + count);
    if (hot != wasHot) {
      store<u32>(stretch, <u32>(out - stretchStart));
      stretch += 4;
      stretchStart = out;
      wasHot = hot;
    }
    at = varint(varint(at, bucket - last), (<u64>count << 1) | hot);
    out = writeRun(start, end, bucket, scratch, out);
    last = bucket;
    rank += count;
    start = end;
    bucketsFound++;
  }
  store<u32>(stretch, <u32>(out - stretchStart));
  stretchCount = <u32>((stretch + 4 - stretches) >> 2);
  headerBytes = <u32>(at - header);
}

function writeRun(start: usize, end: usize, bucket: u32, scratch: usize, out: usize): usize {
  const bits = bitsOf(bucket);
  if (bits == 0) return out;
  const lowest = load<u64>(start) & ~((<u64>1 << bits) - 1);
  const mask = (<u64>1 << bits) - 1;
  sortValues(start, <u32>((end - start) >> 3), scratch, lowest, lowest | mask);
  const width: usize = (bits + 7) >> 3;
  // A run takes no more bytes than its durations do: what is overwritten has been read.
  for (let from = start; from < end; from += 8, out += width) {
    store<u64>(out, load<u64>(from) & mask);
  }
  return out;
}

function varint(out: usize, value: u64): usize {
  for (; value > 127; value >>= 7) store<u8>(out++, <u8>value | 0x80);
  store<u8>(out, <u8>value);
  return out + 1;
}
