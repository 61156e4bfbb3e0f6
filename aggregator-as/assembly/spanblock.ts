/**
 * Blocks: the rows of one row group that a shard wants, as the merge reads them: traces, and for each row
 * span id, duration and cell. A cell is the address of the row's group, and its lowest bit is the error.
 */
import { giveRoom, takeRoom } from './rooms';

@unmanaged
export class Block {
  /** One `Trace` each, and one more that ends the last. */
  traces: u32;
  traceCount: u32;
  rows: u32;
  /** Numbers whose order is that of the ids' bytes. */
  spanIds: u32;
  durations: u32;
  cells: u32;
  /** Where the rows were received, or 0 as long as nobody has asked. */
  places: u32;
  /** The host's number for it. */
  tag: u32;
  run: u32;
  /** Of the blocks that are to be given back. */
  next: u32;
  bytes: u32;
  spare: u32;
}

/** Rows with one trace id: from `row` on to the next trace's. */
@unmanaged
export class Trace {
  high: u64;
  low: u64;
  row: u32;
  spare: u32;
}

export const traceBytes: usize = 24;
const headBytes: usize = 48;
const rowBytes: usize = 20;
/** Where a row was received: ingested, offset; partition, item index. */
export const placeRowBytes: usize = 24;

/** Address of a block without content. 0 without room. */
export function makeBlock(rows: u32, traceCount: u32): usize {
  const traces = <usize>(traceCount + 1) * traceBytes;
  // Vectors write up to 15 bytes past a column.
  const bytes = headBytes + traces + <usize>rows * rowBytes + 16;
  const at = takeRoom(bytes);
  if (at == 0) return 0;
  const block = changetype<Block>(at);
  block.traces = <u32>(at + headBytes);
  block.traceCount = traceCount;
  block.rows = rows;
  block.spanIds = <u32>(at + headBytes + traces);
  block.durations = block.spanIds + (rows << 3);
  block.cells = block.durations + (rows << 3);
  block.places = 0;
  block.next = 0;
  block.bytes = <u32>bytes;
  return at;
}

export function giveBlock(block: Block): void {
  if (block.places != 0) giveRoom(block.places, <usize>block.rows * placeRowBytes + 16);
  giveRoom(changetype<usize>(block), block.bytes);
}

/** Address of room for the places of all rows, as columns. 0 without room. */
export function makePlaces(block: Block): usize {
  const at = takeRoom(<usize>block.rows * placeRowBytes + 16);
  block.places = <u32>at;
  return at;
}

// @ts-ignore: decorator
@inline
export function traceOf(block: Block, index: u32): Trace {
  return changetype<Trace>(block.traces + <usize>index * traceBytes);
}

// @ts-ignore: decorator
@inline
export function spanIdOf(block: Block, row: u32): u64 {
  return load<u64>(block.spanIds + (<usize>row << 3));
}

// @ts-ignore: decorator
@inline
export function durationOf(block: Block, row: u32): u64 {
  return load<u64>(block.durations + (<usize>row << 3));
}

// @ts-ignore: decorator
@inline
export function cellOf(block: Block, row: u32): u32 {
  return load<u32>(block.cells + (<usize>row << 2));
}

/** Whether row `a` was received before row `b`: by time, partition, offset, item index. */
export function comparePlaces(a: Block, rowA: u32, b: Block, rowB: u32): i32 {
  const longA = a.places + (<usize>rowA << 3);
  const longB = b.places + (<usize>rowB << 3);
  const ingested = order<i64>(load<i64>(longA), load<i64>(longB));
  if (ingested != 0) return ingested;
  const wordA = a.places + (<usize>a.rows << 4) + (<usize>rowA << 2);
  const wordB = b.places + (<usize>b.rows << 4) + (<usize>rowB << 2);
  const partition = order<i32>(load<i32>(wordA), load<i32>(wordB));
  if (partition != 0) return partition;
  const offsetA = load<i64>(longA + (<usize>a.rows << 3));
  const offset = order<i64>(offsetA, load<i64>(longB + (<usize>b.rows << 3)));
  if (offset != 0) return offset;
  const itemA = load<u32>(wordA + (<usize>a.rows << 2));
  return order<u32>(itemA, load<u32>(wordB + (<usize>b.rows << 2)));
}

// @ts-ignore: decorator
@inline
function order<T>(a: T, b: T): i32 {
  return <i32>(a > b) - <i32>(a < b);
}
