/** Counts the distinct trace ids of each group's kept rows, exactly. */
import { uniqueTracesAt } from './group';
import { hash16 } from './hash';
import { droppedAt, groupAt, rowAddress, rowCount } from './shard';
import { emptySlots, nextSlot, slotFor, slotHash, slotRow, storeSlot } from './slots';

/** Sets `uniqueTraces` of every group. */
export function countTraces(): void {
  emptySlots();
  for (let i: u32 = 0; i < rowCount; i++) {
    const row = rowAddress(i);
    if (load<u8>(row, droppedAt) == 0) countTrace(row);
  }
}

function countTrace(row: usize): void {
  const group = load<u32>(row, groupAt);
  const hash = hash16(row, group);
  let slot = slotFor(hash);
  while (true) {
    const other = slotRow(slot);
    if (other == 0) break;
    if (slotHash(slot) == hash && isSameTrace(row, other)) return;
    slot = nextSlot(slot);
  }
  storeSlot(slot, hash, row);
  store<u32>(group, load<u32>(group, uniqueTracesAt) + 1, uniqueTracesAt);
}

function isSameTrace(a: usize, b: usize): bool {
  return (
    load<u64>(a) == load<u64>(b) &&
    load<u64>(a, 8) == load<u64>(b, 8) &&
    load<u32>(a, groupAt) == load<u32>(b, groupAt)
  );
}
