/**
 * Finds the rows that are one span, and keeps one of them: the least by (ingested, partition,
 * offset, item index). Which one is kept never depends on the order of the rows.
 */
import { conflictsAt, operationAt, serviceAt, tenantAt } from './group';
import { hash24 } from '../memory/hash';
import {
  droppedAt,
  durationAt,
  errorAt,
  groupAt,
  ingestedAt,
  itemIndexAt,
  kindAt,
  offsetAt,
  partitionAt,
  rowAddress,
  rowCount,
  spanIdAt,
} from '../memory/shard';
import { emptySlots, nextSlot, slotFor, slotHash, slotRow, storeSlot } from '../memory/slots';

let kindMask: u32 = 0xff;

/** Marks every row but the kept one of each span. `byKind`: a span's kind is part of its identity. */
export function dropDuplicates(byKind: bool): void {
  kindMask = byKind ? 0xff : 0;
  emptySlots();
  for (let i: u32 = 0; i < rowCount; i++) {
    const row = rowAddress(i);
    const hash = hashSpan(row);
    const slot = findSpan(row, hash);
    const kept = slotRow(slot);
    if (kept == 0) {
      storeSlot(slot, hash, row);
    } else if (precedes(row, kept)) {
      store<u8>(kept, 1, droppedAt);
      storeSlot(slot, hash, row);
    } else {
      store<u8>(row, 1, droppedAt);
    }
  }
}

/** Counts the dropped `row` as a conflict of its group if it says otherwise than the kept one. */
export function countConflict(row: usize): void {
  const kept = slotRow(findSpan(row, hashSpan(row)));
  const group = load<u32>(row, groupAt);
  const same =
    load<u32>(kept, groupAt) == group &&
    load<u64>(kept, durationAt) == load<u64>(row, durationAt) &&
    load<u8>(kept, errorAt) == load<u8>(row, errorAt);
  if (!same) store<u32>(group, load<u32>(group, conflictsAt) + 1, conflictsAt);
}

function tenantOf(row: usize): u32 {
  return load<u32>(load<u32>(row, groupAt), tenantAt);
}

function hashSpan(row: usize): u32 {
  return hash24(row, tenantOf(row), load<u8>(row, kindAt) & kindMask);
}

/** The slot that holds a row of the same span, or the empty one where it belongs. */
function findSpan(row: usize, hash: u32): usize {
  let slot = slotFor(hash);
  while (true) {
    const other = slotRow(slot);
    if (other == 0 || (slotHash(slot) == hash && isSameSpan(row, other))) return slot;
    slot = nextSlot(slot);
  }
}

function isSameSpan(a: usize, b: usize): bool {
  return (
    load<u64>(a) == load<u64>(b) &&
    load<u64>(a, 8) == load<u64>(b, 8) &&
    load<u64>(a, spanIdAt) == load<u64>(b, spanIdAt) &&
    ((load<u8>(a, kindAt) ^ load<u8>(b, kindAt)) & kindMask) == 0 &&
    tenantOf(a) == tenantOf(b)
  );
}

/** Whether `a` is kept rather than `b`. Content decides between copies of one and the same place. */
function precedes(a: usize, b: usize): bool {
  if (load<i64>(a, ingestedAt) != load<i64>(b, ingestedAt))
    return load<i64>(a, ingestedAt) < load<i64>(b, ingestedAt);
  if (load<i32>(a, partitionAt) != load<i32>(b, partitionAt))
    return load<i32>(a, partitionAt) < load<i32>(b, partitionAt);
  if (load<i64>(a, offsetAt) != load<i64>(b, offsetAt))
    return load<i64>(a, offsetAt) < load<i64>(b, offsetAt);
  if (load<u32>(a, itemIndexAt) != load<u32>(b, itemIndexAt))
    return load<u32>(a, itemIndexAt) < load<u32>(b, itemIndexAt);
  if (load<u64>(a, durationAt) != load<u64>(b, durationAt))
    return load<u64>(a, durationAt) < load<u64>(b, durationAt);
  if (load<u8>(a, errorAt) != load<u8>(b, errorAt))
    return load<u8>(a, errorAt) < load<u8>(b, errorAt);
  const groupA: usize = load<u32>(a, groupAt);
  const groupB: usize = load<u32>(b, groupAt);
  if (load<u32>(groupA, serviceAt) != load<u32>(groupB, serviceAt))
    return load<u32>(groupA, serviceAt) < load<u32>(groupB, serviceAt);
  if (load<u32>(groupA, operationAt) != load<u32>(groupB, operationAt))
    return load<u32>(groupA, operationAt) < load<u32>(groupB, operationAt);
  return load<u8>(a, kindAt) < load<u8>(b, kindAt);
}
