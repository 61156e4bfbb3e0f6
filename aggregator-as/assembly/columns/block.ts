/**
 * The rows of an hour in blocks: within a block, a signal writes one group of columns after the
 * other, while the block's records are in the cache.
 */
import { Entry, entryBytes, Index } from './order';
import { attrBytes, Item } from '../otlp/record';

export const blockRows: u32 = 32;

/** Addresses of the block's items. */
const items = memory.data(128, 8);

/** Address of a row's item, which must be in the block that was fetched. */
// @ts-ignore: decorator
@inline
export function itemAt(row: u32): usize {
  return load<u32>(items + (<usize>(row % blockRows) << 2));
}

/** Read by nobody: it keeps the reads of `fetchBlock` from being left out. */
export let fetched: u32 = 0;

/**
 * Reads a byte of each cache line that the block will need, of records of `recordBytes`. Sorted
 * items lie anywhere: here their lines are on their way all at once, while the writers would wait
 * for one after the other.
 */
export function fetchBlock(first: usize, from: u32, to: u32, recordBytes: usize): void {
  let sum: u32 = 0;
  for (let row = from; row < to; row++) {
    const entry = changetype<Entry>(first + <usize>row * entryBytes);
    const item = <usize>changetype<Index>(entry.index).item;
    store<u32>(items + (<usize>(row % blockRows) << 2), <u32>item);
    for (let line: usize = 0; line < recordBytes; line += 64) sum += load<u8>(item + line);
  }
  for (let row = from; row < to; row++) {
    const item = changetype<Item>(itemAt(row));
    sum += fetchLines(item.at, item.bytes);
    sum += fetchLines(item.attrs, item.attrCount * <u32>attrBytes);
  }
  fetched = sum;
}

// @ts-ignore: decorator
@inline
function fetchLines(at: usize, bytes: u32): u32 {
  let sum: u32 = 0;
  const end = at + bytes;
  for (let line = at; line < end; line += 64) sum += load<u8>(line);
  return sum;
}
