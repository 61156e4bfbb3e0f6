/**
 * The kept items by hour: an index entry for each item, written while the item is at hand, and for
 * each hour an array of small entries to sort. Hours are given in ascending order.
 */
import { Hour, hourAt, hourCount } from './hour';
import { allocate } from '../memory/memory';

/** What sorting needs of an item: three numbers, the first of which matters most. */
@unmanaged
export class Index {
  high: u64;
  low: u64;
  third: u64;
  item: u32;
  hour: u32;
}

export const indexBytes: usize = 32;

/** The index entries of one request. */
@unmanaged
class Chunk {
  next: u32;
  count: u32;
}

const chunkBytes: usize = 8;
let firstChunk: usize = 0;
let lastChunk: usize = 0;
let total: u32 = 0;

/** What a sort moves: a number to sort by, and the index entry. */
@unmanaged
export class Entry {
  key: u64;
  index: u32;
}

export const entryBytes: usize = 16;

export function startIndex(): void {
  firstChunk = 0;
  lastChunk = 0;
  total = 0;
}

/** Takes room for the entries of `count` items, not yet part of the index. 0 without room. */
export function takeChunk(count: u32): usize {
  const at = allocate(chunkBytes + <usize>count * indexBytes);
  if (at == 0) return 0;
  const chunk = changetype<Chunk>(at);
  chunk.next = 0;
  chunk.count = count;
  return at;
}

/** Makes the chunk part of the index. Returns where its first entry goes. */
export function keepChunk(at: usize): usize {
  if (lastChunk == 0) firstChunk = at;
  else changetype<Chunk>(lastChunk).next = <u32>at;
  lastChunk = at;
  total += changetype<Chunk>(at).count;
  return at + chunkBytes;
}

/** Addresses of the hours that have rows, ascending, quarantined ones after their namesakes. */
let sorted: usize = 0;
export let sortedCount: u32 = 0;

/** An hour by its place in time. */
// @ts-ignore: decorator
@inline
export function sortedHour(place: u32): Hour {
  return changetype<Hour>(load<u32>(sorted + (<usize>place << 2)));
}

/** Groups the items by hour, at the arena's top. False when there is no room. */
export function groupByHour(): bool {
  sorted = allocate(<usize>hourCount * 4);
  if (sorted == 0) return false;
  let entries = allocate(<usize>total * entryBytes);
  if (entries == 0) return false;
  sortHours();
  for (let place: u32 = 0; place < sortedCount; place++) {
    const hour = sortedHour(place);
    hour.entries = <u32>entries;
    hour.next = <u32>entries;
    entries += <usize>hour.rows * entryBytes;
  }
  for (let at = firstChunk; at != 0; at = changetype<Chunk>(at).next) spread(at);
  return true;
}

/** Gives the items of a chunk to their hours. */
function spread(at: usize): void {
  const first = at + chunkBytes;
  const end = first + <usize>changetype<Chunk>(at).count * indexBytes;
  for (let p = first; p < end; p += indexBytes) {
    const index = changetype<Index>(p);
    const hour = changetype<Hour>(index.hour);
    const entry = changetype<Entry>(hour.next);
    entry.key = index.high;
    entry.index = <u32>p;
    hour.next += <u32>entryBytes;
  }
}

/** Shell sort of the hours that have rows: they are few. */
function sortHours(): void {
  sortedCount = 0;
  for (let i: u32 = 0; i < hourCount; i++) {
    const hour = hourAt(i);
    if (hour.rows != 0) setPlace(sortedCount++, hour);
  }
  for (let gap = sortedCount >> 1; gap > 0; gap >>= 1) {
    for (let i = gap; i < sortedCount; i++) {
      const hour = sortedHour(i);
      let place = i;
      for (; place >= gap && isEarlier(hour, sortedHour(place - gap)); place -= gap) {
        setPlace(place, sortedHour(place - gap));
      }
      setPlace(place, hour);
    }
  }
}

function setPlace(place: u32, hour: Hour): void {
  store<u32>(sorted + (<usize>place << 2), <u32>changetype<usize>(hour));
}

function isEarlier(a: Hour, b: Hour): bool {
  return a.hourMs != b.hourMs ? a.hourMs < b.hourMs : a.quarantined < b.quarantined;
}
