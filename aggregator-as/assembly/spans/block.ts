/**
 * Blocks: the rows of one row group that a shard wants, as the merge reads them: traces, and for each row
 * span id, duration and cell. A cell is the address of the row's group, and its lowest bit is the error.
 * For the service graph there are also the parent's id, the peer, and the links of consumers.
 */
import { giveRoom, takeRoom } from '../memory/rooms';

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
  /** Numbers as span ids are, 0 where there is no parent; absent without a graph, as what follows. */
  parents: u32;
  /** 4 * the number of the peer's name + its kind, or 0. */
  peers: u32;
  /** For each row the index behind its last link, or 0 where no row has any. */
  linkEnds: u32;
  /** One `Link` each. */
  links: u32;
  linkBytes: u32;
}

/** The span that a link names. */
@unmanaged
export class Link {
  high: u64;
  low: u64;
  spanId: u64;
}

export const linkBytes: usize = 24;

/** Rows with one trace id: from `row` on to the next trace's. */
@unmanaged
export class Trace {
  high: u64;
  low: u64;
  row: u32;
  spare: u32;
}

export const traceBytes: usize = 24;
const headBytes: usize = 64;
const rowBytes: usize = 20;
const graphRowBytes: usize = 32;
/** Where a row was received: ingested, offset; partition, item index. */
export const placeRowBytes: usize = 24;

/** Address of a block without content, with the columns of a graph or without. 0 without room. */
export function makeBlock(rows: u32, traceCount: u32, withGraph: bool): usize {
  const traces = <usize>(traceCount + 1) * traceBytes;
  // Vectors write up to 15 bytes past a column.
  const bytes = headBytes + traces + <usize>rows * (withGraph ? graphRowBytes : rowBytes) + 16;
  const at = takeRoom(bytes);
  if (at == 0) return 0;
  const block = changetype<Block>(at);
  block.traces = <u32>(at + headBytes);
  block.traceCount = traceCount;
  block.rows = rows;
  block.spanIds = <u32>(at + headBytes + traces);
  block.durations = block.spanIds + (rows << 3);
  block.parents = withGraph ? block.durations + (rows << 3) : 0;
  block.cells = block.durations + (rows << (withGraph ? 4 : 3));
  block.peers = withGraph ? block.cells + (rows << 2) : 0;
  block.linkEnds = 0;
  block.links = 0;
  block.linkBytes = 0;
  block.places = 0;
  block.next = 0;
  block.bytes = <u32>bytes;
  return at;
}

export function giveBlock(block: Block): void {
  if (block.places != 0) giveRoom(block.places, <usize>block.rows * placeRowBytes + 16);
  if (block.linkEnds != 0) giveRoom(block.linkEnds, <usize>block.rows << 2);
  if (block.links != 0) giveRoom(block.links, block.linkBytes);
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

// @ts-ignore: decorator
@inline
export function parentOf(block: Block, row: u32): u64 {
  return load<u64>(block.parents + (<usize>row << 3));
}

// @ts-ignore: decorator
@inline
export function peerOf(block: Block, row: u32): u32 {
  return load<u32>(block.peers + (<usize>row << 2));
}

/** Address of the row's first link. */
// @ts-ignore: decorator
@inline
export function linksOf(block: Block, row: u32): usize {
  if (block.linkEnds == 0 || row == 0) return block.links;
  return block.links + <usize>load<u32>(block.linkEnds + (<usize>(row - 1) << 2)) * linkBytes;
}

/** Where the row's links end. */
// @ts-ignore: decorator
@inline
export function linksEnd(block: Block, row: u32): usize {
  if (block.linkEnds == 0) return block.links;
  return block.links + <usize>load<u32>(block.linkEnds + (<usize>row << 2)) * linkBytes;
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
