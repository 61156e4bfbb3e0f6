/**
 * An open-addressing table of rows, probed linearly: two slots for each row, each of a 32-bit hash
 * and the row's address (0 = empty). What makes two rows equal is the caller's matter.
 */
import { finishRowBytes, rowCount } from './shard';

const slotBytes: usize = 8;
let first: usize = 0;
let end: usize = 0;
let slotCount: u64 = 0;

/** Lays the table at `at`, which has `finishRowBytes` for each row and one slot more. */
export function placeSlots(at: usize): void {
  slotCount = <u64>rowCount * (finishRowBytes / slotBytes) + 1;
  first = at;
  end = at + <usize>slotCount * slotBytes;
}

/** Empties the whole table. */
export function emptySlots(): void {
  memory.fill(first, 0, end - first);
}

/** The slot at which the probe for `hash` begins. */
export function slotFor(hash: u32): usize {
  return first + <usize>((<u64>hash * slotCount) >> 32) * slotBytes;
}

/** The slot to probe after `slot`. */
export function nextSlot(slot: usize): usize {
  return slot + slotBytes == end ? first : slot + slotBytes;
}

export function slotHash(slot: usize): u32 {
  return load<u32>(slot);
}

export function slotRow(slot: usize): usize {
  return load<u32>(slot, 4);
}

export function storeSlot(slot: usize, hash: u32, row: usize): void {
  store<u32>(slot, hash);
  store<u32>(slot, <u32>row, 4);
}
