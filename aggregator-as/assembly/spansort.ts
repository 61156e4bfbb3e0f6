/**
 * Sorts an hour's entries by (trace id, span id, arrival): a radix sort by the first half of the
 * trace id, least byte first, then each run of equal halves by the rest.
 */
import { allocate } from './memory';
import { Entry, entryBytes, Index } from './order';

/** Counts of 256 values for each of 8 bytes. */
const counts = memory.data(8192, 8);
const spare = memory.data(16, 8);

/** Sorts `count` entries in place, with as much room at the arena's top. False without it. */
export function sortEntries(first: usize, count: u32): bool {
  const room = allocate(<usize>count * entryBytes);
  if (room == 0) return false;
  if (radixSort(first, room, count)) memory.copy(first, room, <usize>count * entryBytes);
  sortRuns(first, count);
  return true;
}

/** Returns whether the sorted entries are in `room`. */
function radixSort(first: usize, room: usize, count: u32): bool {
  countBytes(first, count);
  let from = first;
  let to = room;
  for (let byte = 0; byte < 8; byte++) {
    const table = counts + (<usize>byte << 10);
    if (isOneValue(table, from, byte, count)) continue;
    let sum: u32 = 0;
    for (let value: usize = 0; value < 1024; value += 4) {
      const own = load<u32>(table + value);
      store<u32>(table + value, sum);
      sum += own;
    }
    const end = from + <usize>count * entryBytes;
    for (let at = from; at < end; at += entryBytes) {
      const slot = table + (<usize>load<u8>(at + byte) << 2);
      const index = load<u32>(slot);
      store<u32>(slot, index + 1);
      v128.store(to + <usize>index * entryBytes, v128.load(at));
    }
    const swapped = from;
    from = to;
    to = swapped;
  }
  return from == room;
}

function countBytes(first: usize, count: u32): void {
  memory.fill(counts, 0, 8192);
  const end = first + <usize>count * entryBytes;
  for (let at = first; at < end; at += entryBytes) {
    for (let byte: usize = 0; byte < 8; byte++) {
      const slot = counts + (byte << 10) + (<usize>load<u8>(at + byte) << 2);
      store<u32>(slot, load<u32>(slot) + 1);
    }
  }
}

/** Whether all entries have the same byte there: such a pass would move nothing. */
function isOneValue(table: usize, from: usize, byte: i32, count: u32): bool {
  return load<u32>(table + (<usize>load<u8>(from + byte) << 2)) == count;
}

function sortRuns(first: usize, count: u32): void {
  const end = first + <usize>count * entryBytes;
  for (let at = first; at < end; ) {
    const key = load<u64>(at);
    let runEnd = at + entryBytes;
    while (runEnd < end && load<u64>(runEnd) == key) runEnd += entryBytes;
    const size = <u32>((runEnd - at) / entryBytes);
    if (size > 64) heapSort(at, size);
    else if (size > 1) sortRun(at, runEnd);
    at = runEnd;
  }
}

/** A run is mostly one trace: then span ids become the keys, and the sort looks nowhere else. */
function sortRun(first: usize, end: usize): void {
  const traceLow = changetype<Index>(changetype<Entry>(first).index).traceLow;
  let isOneTrace = true;
  for (let at = first; at < end; at += entryBytes) {
    const entry = changetype<Entry>(at);
    const index = changetype<Index>(entry.index);
    if (index.traceLow != traceLow) isOneTrace = false;
    entry.key = index.spanId;
  }
  if (isOneTrace) sortByKeys(first, end);
  else insertionSort(first, end);
}

/** Stable: entries of equal keys stay in the order of their arrival. */
function sortByKeys(first: usize, end: usize): void {
  for (let at = first + entryBytes; at < end; at += entryBytes) {
    const entry = v128.load(at);
    const key = load<u64>(at);
    let p = at;
    for (; p > first && key < load<u64>(p - entryBytes); p -= entryBytes) {
      v128.store(p, v128.load(p - entryBytes));
    }
    v128.store(p, entry);
  }
}

function insertionSort(first: usize, end: usize): void {
  for (let at = first + entryBytes; at < end; at += entryBytes) {
    const entry = v128.load(at);
    v128.store(spare, entry);
    let p = at;
    for (; p > first && isBefore(spare, p - entryBytes); p -= entryBytes) {
      v128.store(p, v128.load(p - entryBytes));
    }
    v128.store(p, entry);
  }
}

function heapSort(first: usize, count: u32): void {
  for (let root = <i32>(count / 2) - 1; root >= 0; root--) siftDown(first, root, count);
  for (let last: u32 = count - 1; last > 0; last--) {
    swap(first, first + <usize>last * entryBytes);
    siftDown(first, 0, last);
  }
}

function siftDown(first: usize, root: u32, count: u32): void {
  for (;;) {
    let child: u32 = 2 * root + 1;
    if (child >= count) return;
    let larger = first + <usize>child * entryBytes;
    if (child + 1 < count && isBefore(larger, larger + entryBytes)) {
      child++;
      larger += entryBytes;
    }
    const parent = first + <usize>root * entryBytes;
    if (!isBefore(parent, larger)) return;
    swap(parent, larger);
    root = child;
  }
}

// @ts-ignore: decorator
@inline
function swap(a: usize, b: usize): void {
  const entry = v128.load(a);
  v128.store(a, v128.load(b));
  v128.store(b, entry);
}

/** Order of entries with equal first halves of their trace ids; total, as addresses differ. */
function isBefore(a: usize, b: usize): bool {
  const left = changetype<Index>(changetype<Entry>(a).index);
  const right = changetype<Index>(changetype<Entry>(b).index);
  if (left.traceLow != right.traceLow) return left.traceLow < right.traceLow;
  if (left.spanId != right.spanId) return left.spanId < right.spanId;
  // Index entries lie in the order in which the spans came.
  return changetype<usize>(left) < changetype<usize>(right);
}
