/**
 * Columns whose values are not one for each row: definition levels say which rows have a parent, and
 * repetition levels which links belong to the same row. Levels come unpacked, as 32-bit numbers.
 */
import { codesAt } from './cells';
import { consumerKind } from '../graph/node';
import { giveRoom, takeRoom } from '../memory/rooms';
import { Block, Link, linkBytes } from './block';
import { kinds, nameOf } from './names';

/** Levels of a page, and its values once they have been looked up. */
let levels: usize = 0;
let levelRoom: usize = 0;

/** The block whose links are read: rows [rowsFrom, rowsTo) of its row group. */
let block: Block = changetype<Block>(0);
let rowsFrom: u32 = 0;
let rowsTo: u32 = 0;
/** Rows that have begun, of the row group; links that the block has, and those that were stored. */
export let rowsBegun: u32 = 0;
export let linkTotal: u32 = 0;
export let linksTaken: u32 = 0;

/** Forgets the memory that row groups share. */
export function clearLevels(): void {
  levels = 0;
  levelRoom = 0;
}

/** Address of room for so many bytes of levels, the same one as long as it is enough. 0 without room. */
export function roomForLevels(bytes: usize): usize {
  if (bytes > levelRoom) {
    if (levelRoom > 0) giveRoom(levels, levelRoom);
    levelRoom = 0;
    levels = takeRoom(bytes);
    if (levels != 0) levelRoom = bytes;
  }
  return levels;
}

/** How many of the `count` definition levels say that there is a value, which is level `most`. */
export function countPresent(definitions: usize, count: u32, most: u32): u32 {
  let present: u32 = 0;
  const end = definitions + (<usize>count << 2);
  for (; definitions < end; definitions += 4) present += u32(load<u32>(definitions) == most);
  return present;
}

/**
 * Writes ids as numbers at `out` for the rows [skip, skip + count) of a page, 0 for none. The page's ids
 * that there are stand at `values`. False when they end too soon.
 */
export function takeParents(
  definitions: usize,
  skip: u32,
  count: u32,
  values: usize,
  end: usize,
  out: usize,
): bool {
  values += <usize>countPresent(definitions, skip, 1) << 3;
  let at = definitions + (<usize>skip << 2);
  const last = at + (<usize>count << 2);
  for (; at < last; at += 4, out += 8) {
    if (load<u32>(at) == 0) {
      store<u64>(out, 0);
      continue;
    }
    if (values + 8 > end) return false;
    store<u64>(out, bswap(load<u64>(values)));
    values += 8;
  }
  return true;
}

/** Begins with the links of the rows [from, to) of a row group, which are the block's. False without room. */
export function beginLinks(at: usize, from: u32, to: u32): bool {
  block = changetype<Block>(at);
  rowsFrom = from;
  rowsTo = to;
  rowsBegun = 0;
  linkTotal = 0;
  const bytes = <usize>(to - from) << 2;
  block.linkEnds = <u32>takeRoom(bytes);
  if (block.linkEnds == 0) return false;
  memory.fill(block.linkEnds, 0, bytes);
  return true;
}

/** Whether the row's links are kept: those of consumers are, others mean nothing to the graph. */
// @ts-ignore: decorator
@inline
function isKept(row: u32): bool {
  if (row < rowsFrom || row >= rowsTo) return false;
  return nameOf(kinds, load<u32>(codesAt(kinds) + (<usize>(row - rowsFrom) << 2))) == consumerKind;
}

/** Counts the links of a page's rows. The codes of kinds must be there. False for levels that cannot be. */
export function countLinks(repetitions: usize, definitions: usize, count: u32, most: u32): bool {
  for (let at: usize = 0; at < <usize>count << 2; at += 4) {
    if (load<u32>(repetitions + at) == 0) rowsBegun++;
    else if (rowsBegun == 0) return false;
    const row = rowsBegun - 1;
    if (load<u32>(definitions + at) != most || !isKept(row)) continue;
    const place = block.linkEnds + (<usize>(row - rowsFrom) << 2);
    store<u32>(place, load<u32>(place) + 1);
  }
  return true;
}

/** Makes room for the links that were counted, and says where each row's end. False without room. */
export function makeLinks(): bool {
  const bytes = <usize>block.rows << 2;
  for (let at: usize = block.linkEnds; at < block.linkEnds + bytes; at += 4) {
    linkTotal += load<u32>(at);
    store<u32>(at, linkTotal);
  }
  if (linkTotal == 0) {
    giveRoom(block.linkEnds, bytes);
    block.linkEnds = 0;
    return true;
  }
  return makeRoom();
}

function makeRoom(): bool {
  block.linkBytes = <u32>(<usize>linkTotal * linkBytes);
  block.links = <u32>takeRoom(block.linkBytes);
  return block.links != 0;
}

/** Address of room for the links of a block whose rows' ends the host has put there. 0 without room. */
export function roomForLinks(at: usize, count: u32): usize {
  block = changetype<Block>(at);
  linkTotal = count;
  return makeRoom() ? block.links : 0;
}

/** Begins to store one of the two halves of the links. */
export function beginHalves(): void {
  rowsBegun = 0;
  linksTaken = 0;
}

/**
 * Stores a page's trace ids (of 16 bytes) or span ids (of 8) in the links that were counted. False when they
 * are not those links'.
 */
export function takeHalves(
  repetitions: usize,
  definitions: usize,
  count: u32,
  most: u32,
  values: usize,
  end: usize,
  width: u32,
): bool {
  for (let at: usize = 0; at < <usize>count << 2; at += 4) {
    if (load<u32>(repetitions + at) == 0) rowsBegun++;
    else if (rowsBegun == 0) return false;
    if (load<u32>(definitions + at) != most) continue;
    if (values + width > end) return false;
    if (isKept(rowsBegun - 1)) {
      const place = block.linkEnds + (<usize>(rowsBegun - 1 - rowsFrom) << 2);
      const first: u32 = rowsBegun - 1 == rowsFrom ? 0 : load<u32>(place - 4);
      if (linksTaken < first || linksTaken >= load<u32>(place)) return false;
      storeHalf(block.links + <usize>linksTaken * linkBytes, values, width);
      linksTaken++;
    }
    values += width;
  }
  return true;
}

function storeHalf(at: usize, value: usize, width: u32): void {
  const link = changetype<Link>(at);
  if (width == 8) {
    link.spanId = bswap(load<u64>(value));
  } else {
    link.high = bswap(load<u64>(value));
    link.low = bswap(load<u64>(value, 8));
  }
}
