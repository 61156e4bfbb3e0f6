/**
 * The kernel of the merge of partials of spans (schemas/partials/spans.ts). Of one group at a time it adds the
 * histograms of all partials, and says which buckets hold the wanted ranks and where their runs lie; of runs
 * that were read it finds the durations at ranks. It trusts no byte. Its host is `mergekernel.ts`.
 */
import { allocate, arenaBase, bound, setTop, slack } from './memory/memory';
import { sortValues } from './memory/sort';

/** As in schemas/partials/histogram.ts. */
const bucketCount: u32 = 3776;
/** What no varint of a partial says. */
const notWell: u64 = u64.MAX_VALUE;

/** Durations by bucket of the group that is merged; 0 outside of [firstBucket, bucketsEnd). */
const counts = memory.data(30_208, 8);
let firstBucket: u32 = bucketCount;
let bucketsEnd: u32 = 0;
/** The merged histogram: buckets that are not empty, 2 bytes each, and their counts as doubles. */
const buckets = memory.data(7552, 8);
const bucketCounts = memory.data(30_208, 8);
let found: u32 = 0;

/** Wanted ranks, doubles. */
let ranks: usize = 0;
/** For each bucket that holds any: its number, how many ranks, and the durations before it; doubles. */
let plans: usize = 0;
let planCount: u32 = 0;
/** For each of these where its run begins in the partial looked at last, and its durations; doubles. */
let runs: usize = 0;
const planBytes: usize = 24;
const runBytes: usize = 16;

/** Where the next varint begins. */
let next: usize = 0;

/** To be called first: the memory is bounded by 4 GiB. */
export function start(): void {
  bound(65_536);
}

/**
 * Begins a group of which so many ranks are wanted, and whose partials say `bytes` of their buckets. Returns
 * the address of room for these; 0 without room.
 */
export function begin(bytes: usize, rankCount: u32): usize {
  if (firstBucket < bucketsEnd) {
    memory.fill(counts + (<usize>firstBucket << 3), 0, <usize>(bucketsEnd - firstBucket) << 3);
  }
  firstBucket = bucketCount;
  bucketsEnd = 0;
  setTop(arenaBase());
  const at = allocate(bytes + slack);
  ranks = allocate(<usize>rankCount << 3);
  plans = allocate(<usize>rankCount * planBytes);
  runs = allocate(<usize>rankCount * runBytes);
  return runs == 0 ? 0 : at;
}

// @ts-ignore: decorator
@inline
function widthOf(bucket: u32): u64 {
  return bucket < 128 ? 0 : <u64>(((bucket >> 6) + 6) >> 3);
}

/** A whole number below 2^53; `notWell` for anything else. */
// @ts-ignore: decorator
@inline
function varint(end: usize): u64 {
  if (next < end) {
    const byte: u64 = load<u8>(next);
    if (byte < 128) {
      next++;
      return byte;
    }
  }
  return longVarint(end);
}

function longVarint(end: usize): u64 {
  let value: u64 = 0;
  for (let shift: u64 = 0; shift < 56 && next < end; shift += 7) {
    const byte: u64 = load<u8>(next++);
    value |= (byte & 127) << shift;
    if (byte < 128) return value >> 53 == 0 ? value : notWell;
  }
  return notWell;
}

/**
 * Adds what one partial says of its `filled` buckets in [at, end). False when that is not well formed, or does
 * not add up to so many durations, and bytes of hot and of cold runs.
 */
export function add(
  at: usize,
  end: usize,
  filled: u32,
  count: f64,
  hotBytes: f64,
  coldBytes: f64,
): bool {
  next = at;
  let bucket: u32 = 0;
  let sum: u64 = 0;
  let hot: u64 = 0;
  let cold: u64 = 0;
  for (let index: u32 = 0; index < filled; index++) {
    const step = varint(end);
    const countAndHot = varint(end);
    if (step >= bucketCount - bucket || countAndHot == notWell) return false;
    if (step == 0 && index > 0) return false;
    bucket += <u32>step;
    if (index == 0) firstBucket = min(firstBucket, bucket);
    const here = countAndHot >> 1;
    const place = counts + (<usize>bucket << 3);
    store<u64>(place, load<u64>(place) + here);
    sum += here;
    if ((countAndHot & 1) == 1) hot += here * widthOf(bucket);
    else cold += here * widthOf(bucket);
  }
  if (filled > 0) bucketsEnd = max(bucketsEnd, bucket + 1);
  return next == end && <f64>sum == count && <f64>hot == hotBytes && <f64>cold == coldBytes;
}

/** Makes the merged histogram, and finds the buckets of the ranks, which ascend. Returns how many. */
export function plan(rankCount: u32): u32 {
  let rank = ranks;
  const ranksEnd = ranks + (<usize>rankCount << 3);
  let before: u64 = 0;
  let at = plans;
  found = 0;
  for (let bucket = firstBucket; bucket < bucketsEnd; bucket++) {
    const count = load<u64>(counts + (<usize>bucket << 3));
    if (count == 0) continue;
    store<u16>(buckets + (<usize>found << 1), <u16>bucket);
    store<f64>(bucketCounts + (<usize>found << 3), <f64>count);
    found++;
    const end = before + count;
    const first = rank;
    while (rank < ranksEnd && load<f64>(rank) < <f64>end) rank += 8;
    if (rank > first) {
      store<f64>(at, <f64>bucket);
      store<f64>(at, <f64>((rank - first) >> 3), 8);
      store<f64>(at, <f64>before, 16);
      at += planBytes;
    }
    before = end;
  }
  planCount = <u32>((at - plans) / planBytes);
  return planCount;
}

/** Finds the runs of the planned buckets in a partial: what `add` has been given of it, and where they begin. */
export function locate(at: usize, end: usize, hotStart: f64, coldStart: f64): void {
  next = at;
  let bucket: u32 = 0;
  let hot = <u64>hotStart;
  let cold = <u64>coldStart;
  let planned = plans;
  const last = plans + <usize>planCount * planBytes;
  memory.fill(runs, 0, <usize>planCount * runBytes);
  for (let out = runs; planned < last && next < end; ) {
    bucket += <u32>varint(end);
    const countAndHot = varint(end);
    const count = countAndHot >> 1;
    const isHot = (countAndHot & 1) == 1;
    for (; planned < last && <u32>load<f64>(planned) <= bucket; planned += planBytes) {
      if (<u32>load<f64>(planned) == bucket) {
        store<f64>(out, <f64>(isHot ? hot : cold));
        store<f64>(out, <f64>count, 8);
      }
      out += runBytes;
    }
    if (isHot) hot += count * widthOf(bucket);
    else cold += count * widthOf(bucket);
  }
}

export function ranksAt(): usize {
  return ranks;
}

export function plansAt(): usize {
  return plans;
}

export function runsAt(): usize {
  return runs;
}

export function bucketsAt(): usize {
  return buckets;
}

export function bucketCountsAt(): usize {
  return bucketCounts;
}

export function bucketsFound(): u32 {
  return found;
}

/** Durations of runs, 8 bytes each; room to sort the most; and the bytes of a run, on their way in. */
let values: usize = 0;
let scratch: usize = 0;
let page: usize = 0;

/** Room for so many durations, of `most` at once, and for runs of so many bytes. Its address, or 0. */
export function room(count: u32, most: u32, pageBytes: u32): usize {
  setTop(arenaBase());
  values = allocate(<usize>count << 3);
  scratch = allocate(<usize>most << 3);
  page = allocate(<usize>pageBytes + slack);
  return values == 0 || scratch == 0 ? 0 : page;
}

/**
 * Takes a run of `count` durations of `width` bytes each from the page, as those from `place` on. False when
 * they do not ascend, or are not below 2^bits.
 */
export function take(place: u32, count: u32, width: u32, bits: u32): bool {
  const mask = u64.MAX_VALUE >> (64 - (<u64>width << 3));
  let out = values + (<usize>place << 3);
  const end = page + <usize>count * width;
  let before: u64 = 0;
  let ascends = true;
  for (let at = page; at < end; at += width, out += 8) {
    const value = load<u64>(at) & mask;
    ascends = ascends && value >= before;
    before = value;
    store<u64>(out, value);
  }
  return ascends && before >> (<u64>bits) == 0;
}

/** Sorts the durations [place, place + count), which are below 2^bits. */
export function sort(place: u32, count: u32, bits: u32): void {
  sortValues(values + (<usize>place << 3), count, scratch, 0, (<u64>1 << (<u64>bits)) - 1);
}

export function valueAt(place: u32): u64 {
  return load<u64>(values + (<usize>place << 3));
}
