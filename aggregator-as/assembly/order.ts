/**
 * The kept spans by hour, and within an hour by (trace id, span id, arrival). Arrival needs no key
 * of its own: records lie in the order in which they came.
 */
import { firstSpan, spanCount } from './columns';
import { allocate } from './memory';
import { sizeOf, Span } from './record';

@unmanaged
export class Hour {
  hourMs: i64;
  quarantined: u32;
  rows: u32;
  /** Address of its first entry. */
  entries: u32;
  next: u32;
}

/** A span and the first half of its trace id as a number. */
@unmanaged
export class Entry {
  key: u64;
  span: u32;
  hour: u32;
}

export const entryBytes: usize = 16;

/** The hours, ascending, quarantined ones after their namesakes. */
export let hours: usize = 0;
export let hourCount: u32 = 0;

/** Groups the spans by hour, at the arena's top. False when there is no room. */
export function groupByHour(): bool {
  hourCount = 0;
  const entries = allocate(<usize>spanCount * entryBytes);
  const scratch = entries == 0 ? 0 : allocate(<usize>spanCount * entryBytes);
  if (scratch == 0 || !findHours(scratch)) return false;
  sortHours();
  let start = entries;
  for (let i: u32 = 0; i < hourCount; i++) {
    const hour = hourAt(i);
    hour.entries = <u32>start;
    hour.next = <u32>start;
    start += <usize>hour.rows * entryBytes;
  }
  // The hours have moved: their old places, still in the entries, hold where they are now.
  for (let i: u32 = 0; i < spanCount; i++) {
    const entry = changetype<Entry>(scratch + <usize>i * entryBytes);
    const hour = changetype<Hour>(load<u32>(moved + (<usize>entry.hour << 2)));
    v128.store(hour.next, v128.load(changetype<usize>(entry)));
    hour.next += <u32>entryBytes;
  }
  return true;
}

// @ts-ignore: decorator
@inline
export function hourAt(index: u32): Hour {
  return changetype<Hour>(hours + <usize>index * sizeOf<Hour>());
}

/** Slots of a hash table of hours: index + 1, or 0. */
let slots: usize = 0;
let slotMask: u32 = 0;

/** Writes an entry for each span, with the index of its hour. */
function findHours(scratch: usize): bool {
  let slotCount: u32 = 64;
  while (slotCount < spanCount * 2 && slotCount < 0x10000) slotCount *= 2;
  slotMask = slotCount - 1;
  slots = allocate(<usize>slotCount * 4);
  if (slots == 0) return false;
  memory.fill(slots, 0, <usize>slotCount * 4);
  hours = allocate(0);
  let entry = scratch;
  let hour: u32 = 0;
  for (let at = firstSpan; at != 0; entry += entryBytes) {
    const span = changetype<Span>(at);
    if (hourCount == 0 || !isIn(hour, span)) {
      hour = findHour(span);
      if (hour == noHour) return false;
    }
    hourAt(hour).rows++;
    const record = changetype<Entry>(entry);
    record.key = bswap(load<u64>(span.traceId));
    record.span = <u32>at;
    record.hour = hour;
    at = span.next;
  }
  return true;
}

const noHour: u32 = 0xffff_ffff;
/** Distinct hours of one flush: as many as half the slots of the largest table. */
const hoursMax: u32 = 0x8000;

// @ts-ignore: decorator
@inline
function isIn(hour: u32, span: Span): bool {
  const record = hourAt(hour);
  return record.hourMs == span.hourMs && record.quarantined == span.quarantined;
}

function findHour(span: Span): u32 {
  const mixed = <u64>(span.hourMs / 3_600_000) * 0x9e37_79b9_7f4a_7c15;
  let slot = <u32>((mixed >> 32) + span.quarantined) & slotMask;
  for (;;) {
    const found = load<u32>(slots + (<usize>slot << 2));
    if (found == 0) break;
    if (isIn(found - 1, span)) return found - 1;
    slot = (slot + 1) & slotMask;
  }
  // Records of hours follow one another: nothing else is allocated meanwhile.
  if (hourCount == hoursMax || allocate(sizeOf<Hour>()) == 0) return noHour;
  const hour = hourAt(hourCount);
  hour.hourMs = span.hourMs;
  hour.quarantined = span.quarantined;
  hour.rows = 0;
  hour.next = hourCount;
  store<u32>(slots + (<usize>slot << 2), ++hourCount);
  return hourCount - 1;
}

/** For each hour by its first index, its address after sorting: over the slots, done with. */
let moved: usize = 0;

/** Shell sort: hours are few. */
function sortHours(): void {
  moved = slots;
  for (let gap = hourCount >> 1; gap > 0; gap >>= 1) {
    for (let i = gap; i < hourCount; i++) {
      for (let j = i; j >= gap && isEarlier(hourAt(j), hourAt(j - gap)); j -= gap) {
        swapHours(hourAt(j), hourAt(j - gap));
      }
    }
  }
  for (let i: u32 = 0; i < hourCount; i++) {
    const hour = hourAt(i);
    store<u32>(moved + (<usize>hour.next << 2), <u32>changetype<usize>(hour));
  }
}

function isEarlier(a: Hour, b: Hour): bool {
  return a.hourMs != b.hourMs ? a.hourMs < b.hourMs : a.quarantined < b.quarantined;
}

function swapHours(a: Hour, b: Hour): void {
  const from = changetype<usize>(a);
  const to = changetype<usize>(b);
  const first = v128.load(from);
  const second = load<u64>(from, 16);
  v128.store(from, v128.load(to));
  store<u64>(from, load<u64>(to, 16), 16);
  v128.store(to, first);
  store<u64>(to, second, 16);
}
