/**
 * The event hours of the kept items: for each its sums, and how many items it has. Hours past the
 * bound are not opened: their items go with the quarantined ones, under their receive hour.
 */
import { sizeOf } from '../otlp/record';
import { startSums, Sums } from './sums';

@unmanaged
export class Hour {
  hourMs: i64;
  quarantined: u32;
  rows: u32;
  /** Its items as entries of a sort, and where the next one goes; see `order.ts`. */
  entries: u32;
  next: u32;
}

/** `openHoursMax` of schemas/limits.ts; quarantined hours have as many places again. */
const openHoursMax: u32 = 1024;
const hoursMax: u32 = 2048;
const slotCount: u32 = 4096;

/** Bytes of an hour with its sums, and of these. */
let hourBytes: usize = 0;
let sumsBytes: usize = 0;

/** Where the table is: slots with an index + 1 or 0, then the hours. */
let slots: usize = 0;
let hours: usize = 0;
export let hourCount: u32 = 0;
let openCount: u32 = 0;

/** Bytes that the table takes with sums of `bytes`, a multiple of 8. */
export function tableBytes(bytes: usize): usize {
  return <usize>slotCount * 4 + <usize>hoursMax * (sizeOf<Hour>() + bytes);
}

/** Begins with no hours, in `tableBytes` at this address. */
export function startHours(at: usize, bytes: usize): void {
  sumsBytes = bytes;
  hourBytes = sizeOf<Hour>() + bytes;
  slots = at;
  hours = at + <usize>slotCount * 4;
  hourCount = 0;
  openCount = 0;
  memory.fill(slots, 0, <usize>slotCount * 4);
}

// @ts-ignore: decorator
@inline
export function hourAt(index: u32): Hour {
  return changetype<Hour>(hours + <usize>index * hourBytes);
}

// @ts-ignore: decorator
@inline
export function sumsOf(hour: Hour): Sums {
  return changetype<Sums>(changetype<usize>(hour) + sizeOf<Hour>());
}

/** Finds or opens an hour. Returns its address, or 0 when there is no place left. */
export function findHour(hourMs: i64, quarantined: u32): usize {
  const mixed = <u64>(hourMs / 3_600_000) * 0x9e37_79b9_7f4a_7c15;
  let slot = <u32>((mixed >> 32) + quarantined) & (slotCount - 1);
  for (;;) {
    const found = load<u32>(slots + (<usize>slot << 2));
    if (found == 0) break;
    const hour = hourAt(found - 1);
    if (hour.hourMs == hourMs && hour.quarantined == quarantined) return changetype<usize>(hour);
    slot = (slot + 1) & (slotCount - 1);
  }
  if (hourCount == hoursMax || (!quarantined && openCount == openHoursMax)) return 0;
  const hour = hourAt(hourCount);
  hour.hourMs = hourMs;
  hour.quarantined = quarantined;
  hour.rows = 0;
  startSums(sumsOf(hour), sumsBytes);
  if (!quarantined) openCount++;
  hourCount++;
  store<u32>(slots + (<usize>slot << 2), hourCount);
  return changetype<usize>(hour);
}
