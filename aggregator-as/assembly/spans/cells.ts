/**
 * From the dictionary codes of a row group to cells: which group a row belongs to, and whether it is an
 * error. Five codes of a row become one number, and a table knows the cell of each such number. A
 * block has at most 65,535 rows, so that two numbers without gaps make one of 32 bits.
 */
import { giveRoom, takeRoom } from '../memory/rooms';
import { findGroup } from './group';
import {
  entryCount,
  groupColumns,
  kinds,
  nameColumns,
  nameOf,
  operations,
  services,
  statuses,
  tenants,
} from './names';

/** Past a column's codes, vectors may read this much. */
const spareBytes: usize = 16;
/** Combined numbers below this are looked up in a table without a hash. */
const plainMax: u32 = 1 << 18;
const slotCount: u32 = 1 << 17;
const noSlot: u32 = 0xffff_ffff;

/** Codes of each column, then the combined numbers; bytes of each, and of all. */
let codes: usize = 0;
let codeBytes: usize = 0;
let combined: usize = 0;
/** Cells by combined number, or slots of (number, dense number) for too many. */
let table: usize = 0;
let tableBytes: usize = 0;
let slots: usize = 0;

/** Forgets the memory that row groups share. */
export function clearCells(): void {
  codes = 0;
  codeBytes = 0;
  table = 0;
  tableBytes = 0;
  slots = 0;
}

/** Makes room for the codes of so many rows. False without room. */
export function makeCodes(rows: u32): bool {
  const bytes = (<usize>rows << 2) + spareBytes;
  if (bytes <= codeBytes) return true;
  const columns: usize = nameColumns + 1;
  if (codeBytes > 0) giveRoom(codes, codeBytes * columns);
  codeBytes = 0;
  codes = takeRoom(bytes * columns);
  if (codes == 0) return false;
  codeBytes = bytes;
  combined = codes + bytes * nameColumns;
  return true;
}

function makeTable(size: u32): bool {
  const bytes = <usize>size << 2;
  if (bytes > tableBytes) {
    if (tableBytes > 0) giveRoom(table, tableBytes);
    tableBytes = 0;
    table = takeRoom(bytes);
    if (table == 0) return false;
    tableBytes = bytes;
  }
  memory.fill(table, 0, bytes);
  return true;
}

/** Where the codes of a column's rows go. */
export function codesAt(column: u32): usize {
  return codes + <usize>column * codeBytes;
}

/** Writes the cells of `rows` rows at `out`. False without room. */
export function writeCells(rows: u32, out: usize): bool {
  let size: u32 = 1;
  memory.fill(combined, 0, <usize>rows << 2);
  for (let column: u32 = 0; column < groupColumns; column++) {
    const entries = entryCount(column);
    if (entries == 1) continue;
    if (<u64>size * entries > 0xffff_ffff) {
      size = compact(rows);
      if (size == 0) return false;
    }
    combine(codesAt(column), entries, rows);
    size *= entries;
  }
  if (size > plainMax) {
    size = compact(rows);
    if (size == 0) return false;
  }
  if (!makeTable(size)) return false;
  for (let row: usize = 0; row < <usize>rows << 2; row += 4) {
    const place = table + (<usize>load<u32>(combined + row) << 2);
    let cell = load<u32>(place);
    if (cell == 0) {
      cell = findCell(row);
      if (cell == 0) return false;
      store<u32>(place, cell);
    }
    store<u32>(out + row, cell);
  }
  return true;
}

/** combined = combined * size + codes, of all rows. */
function combine(from: usize, size: u32, rows: u32): void {
  const factor = i32x4.splat(size);
  const bytes = <usize>rows << 2;
  for (let at: usize = 0; at < bytes; at += 16) {
    const before = i32x4.mul(v128.load(combined + at), factor);
    v128.store(combined + at, i32x4.add(before, v128.load(from + at)));
  }
}

/** `row` is four times the row's number. */
function findCell(row: usize): u32 {
  const group = findGroup(
    nameIn(tenants, row),
    nameIn(services, row),
    nameIn(operations, row),
    nameIn(kinds, row),
  );
  // The host names the status of an error first.
  const isError = nameIn(statuses, row) == 0;
  return group == 0 ? 0 : <u32>group | <u32>isError;
}

function nameIn(column: u32, row: usize): u32 {
  return nameOf(column, load<u32>(codesAt(column) + row));
}

/** Gives the combined numbers new ones that have no gaps. Returns how many; 0 without room. */
function compact(rows: u32): u32 {
  if (slots == 0) slots = takeRoom(<usize>slotCount << 3);
  if (slots == 0) return 0;
  memory.fill(slots, 0xff, <usize>slotCount << 3);
  let count: u32 = 0;
  const end = combined + (<usize>rows << 2);
  for (let at = combined; at < end; at += 4) {
    const number = load<u32>(at);
    let slot = (number * 0x9e37_79b9) >> 15;
    let place = slots + (<usize>slot << 3);
    while (load<u32>(place, 4) != noSlot && load<u32>(place) != number) {
      slot = (slot + 1) & (slotCount - 1);
      place = slots + (<usize>slot << 3);
    }
    if (load<u32>(place, 4) == noSlot) {
      store<u32>(place, number);
      store<u32>(place, count++, 4);
    }
    store<u32>(at, load<u32>(place, 4));
  }
  return max(count, 1);
}
