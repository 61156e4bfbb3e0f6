/**
 * Sorts an hour's entries by the three numbers of their index entries, then by arrival. Short runs
 * by insertion; long ones by a stable radix sort of one number, least byte first, and then each run
 * of equal numbers by the next. So no input costs more than linear time.
 */
import { allocate } from '../memory/memory';
import { Entry, entryBytes, Index } from './order';

/** Counts of 256 values for each of 8 bytes. */
const counts = memory.data(8192, 8);
const spare = memory.data(16, 8);
/** Room for as many entries as are being sorted. */
let room: usize = 0;

/** Runs up to this size are sorted by insertion. */
const runMax: u32 = 64;

/** Sorts `count` entries in place, with as much room at the arena's top. False without it. */
export function sortEntries(first: usize, count: u32): bool {
  room = allocate(<usize>count * entryBytes);
  if (room == 0) return false;
  sortByKeys(first, count);
  sortRuns(first, count, 0);
  return true;
}

/** Radix sort by the entries' keys. */
function sortByKeys(first: usize, count: u32): void {
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
  if (from == room) memory.copy(first, room, <usize>count * entryBytes);
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

/** Sorts each run of equal keys, which are the index entries' number `level`, by the next ones. */
function sortRuns(first: usize, count: u32, level: i32): void {
  const end = first + <usize>count * entryBytes;
  for (let at = first; at < end; ) {
    const key = load<u64>(at);
    let runEnd = at + entryBytes;
    while (runEnd < end && load<u64>(runEnd) == key) runEnd += entryBytes;
    const size = <u32>((runEnd - at) / entryBytes);
    if (size > runMax) sortLong(at, size, level + 1);
    else if (size > 1) sortRun(at, runEnd);
    at = runEnd;
  }
}

/** Sorts a long run by the index entries' number `level`, and then by those after it. */
function sortLong(first: usize, count: u32, level: i32): void {
  const end = first + <usize>count * entryBytes;
  for (let at = first; at < end; at += entryBytes) {
    const entry = changetype<Entry>(at);
    const index = changetype<Index>(entry.index);
    entry.key = level == 1 ? index.low : index.third;
  }
  sortByKeys(first, count);
  if (level == 1) sortRuns(first, count, level);
}

/** A run is mostly one id: then the third numbers become the keys, and the sort looks nowhere else. */
function sortRun(first: usize, end: usize): void {
  const low = changetype<Index>(changetype<Entry>(first).index).low;
  let isOneId = true;
  for (let at = first; at < end; at += entryBytes) {
    const entry = changetype<Entry>(at);
    const index = changetype<Index>(entry.index);
    if (index.low != low) isOneId = false;
    entry.key = index.third;
  }
  if (isOneId) insertByKeys(first, end);
  else insertByIndex(first, end);
}

/** Stable: entries of equal keys stay in the order of their arrival. */
function insertByKeys(first: usize, end: usize): void {
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

/** Stable, too. */
function insertByIndex(first: usize, end: usize): void {
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

/** Order of entries with equal first numbers. */
function isBefore(a: usize, b: usize): bool {
  const left = changetype<Index>(changetype<Entry>(a).index);
  const right = changetype<Index>(changetype<Entry>(b).index);
  return left.low != right.low ? left.low < right.low : left.third < right.third;
}
