/**
 * Repetition and definition levels of Parquet data pages (Dremel), from Arrow's offsets and validity.
 * Lists and maps are never null themselves. Writes at the arena's top and moves it.
 */
import { allocate, reserve, slack, top } from '../memory/memory';
import { copyBits, packLevels, repeatLevel } from './packing';

/** Levels of the page: its values and its empty lists and nulls. */
export let levelCount: u32 = 0;
/** Values that are not null, of the page last given to `levelsOptional`. */
export let presentCount: u32 = 0;

const ones: u64 = 0x0101_0101_0101_0101;

/** Room for two runs of levels, above what will be written. */
function takeLevels(count: usize): usize {
  const at = top + 2 * count + 4 * slack;
  return reserve(4 * count + 8 * slack) ? at : 0;
}

/** Of a nullable column, `rows` rows whose validity begins at `validity`, a whole byte. */
export function levelsOptional(validity: usize, rows: u32): bool {
  levelCount = rows;
  presentCount = countBits(validity, rows);
  if (presentCount == 0 || presentCount == rows) return repeatLevel(presentCount != 0, rows);
  return copyBits(validity, rows);
}

/** Bits that are set of the first `count`; behind them there are none in their last byte. */
function countBits(at: usize, count: u32): u32 {
  const end = at + ((count + 7) >> 3);
  let set: u32 = 0;
  for (; at + 8 <= end; at += 8) set += <u32>popcnt(load<u64>(at));
  for (; at < end; at++) set += popcnt(<u32>load<u8>(at));
  return set;
}

/** Of lists that are all empty. */
function levelsEmpty(rows: u32): bool {
  levelCount = rows;
  return repeatLevel(0, rows) && repeatLevel(0, rows);
}

/** Of a column of lists, `rows` rows whose offsets begin at `offsets`. */
export function levelsList(offsets: usize, rows: u32): bool {
  const values = load<u32>(offsets + (<usize>rows << 2)) - load<u32>(offsets);
  if (values == 0) return levelsEmpty(rows);
  const room = <usize>values + rows + slack;
  const repetitions = takeLevels(room);
  if (repetitions == 0) return false;
  const definitions = repetitions + room;
  let count: u32 = 0;
  let from = load<u32>(offsets);
  for (let row: u32 = 0; row < rows; row++) {
    offsets += 4;
    const to = load<u32>(offsets);
    const length = to - from;
    from = to;
    for (let done: u32 = 0; done < length; done += 8) {
      store<u64>(repetitions + count + done, ones);
      store<u64>(definitions + count + done, ones);
    }
    store<u8>(repetitions + count, 0);
    if (length == 0) store<u8>(definitions + count, 0);
    count += max(length, 1);
  }
  levelCount = count;
  return packLevels(repetitions, count, 1) && packLevels(definitions, count, 1);
}

/** Of a column of lists of lists; `inner` is where the inner lists' offsets begin, that of list 0. */
export function levelsNested(offsets: usize, inner: usize, rows: u32): bool {
  const first = load<u32>(offsets);
  const last = load<u32>(offsets + (<usize>rows << 2));
  if (first == last) return levelsEmpty(rows);
  const values = load<u32>(inner + (<usize>last << 2)) - load<u32>(inner + (<usize>first << 2));
  const room = <usize>values + (last - first) + rows + slack;
  const repetitions = takeLevels(room);
  if (repetitions == 0) return false;
  const definitions = repetitions + room;
  let count: u32 = 0;
  for (let row: u32 = 0; row < rows; row++, offsets += 4) {
    const from = load<u32>(offsets);
    const to = load<u32>(offsets, 4);
    if (from == to) {
      store<u8>(repetitions + count, 0);
      store<u8>(definitions + count++, 0);
    }
    for (let list = from; list < to; list++) {
      const at = inner + (<usize>list << 2);
      const length = load<u32>(at, 4) - load<u32>(at);
      const start = count;
      for (let item: u32 = 0; item < max(length, 1); item++) {
        store<u8>(repetitions + count, 2);
        store<u8>(definitions + count++, length == 0 ? 1 : 2);
      }
      store<u8>(repetitions + start, list == from ? 0 : 1);
    }
  }
  levelCount = count;
  return packLevels(repetitions, count, 2) && packLevels(definitions, count, 2);
}

/** Levels of a page whose column is neither nullable nor a list: none. */
export function levelsNone(rows: u32): void {
  levelCount = rows;
}

export let denseCount: u32 = 0;

/** The values of a nullable column without its nulls, 4, 8 or 16 bytes each. 0 without room. */
export function denseFixed(validity: usize, data: usize, rows: u32, width: u32): usize {
  denseCount = countBits(validity, rows);
  // Where there are no nulls, they are as they are wanted.
  if (denseCount == rows) return data;
  const dense = allocate(<usize>rows * width + slack);
  if (dense == 0 || denseCount == 0) return dense;
  if (width == 16) copyPresent<v128>(validity, data, rows, dense);
  else if (width == 8) copyPresent<u64>(validity, data, rows, dense);
  else copyPresent<u32>(validity, data, rows, dense);
  return dense;
}

/** Writes nulls too, and then over them. */
function copyPresent<T>(validity: usize, data: usize, rows: u32, out: usize): void {
  let bits: u32 = 0;
  for (let row: u32 = 0; row < rows; row++, data += sizeof<T>()) {
    bits = (row & 7) == 0 ? <u32>load<u8>(validity + (row >> 3)) : bits >> 1;
    store<T>(out, load<T>(data));
    out += (bits & 1) * sizeof<T>();
  }
}

/** The offsets of a nullable column of texts without its nulls, which have no bytes. 0 without room. */
export function denseOffsets(validity: usize, offsets: usize, rows: u32): usize {
  denseCount = countBits(validity, rows);
  const dense = allocate((<usize>rows + 1) * 4 + slack);
  if (dense == 0) return 0;
  if (denseCount != 0) copyPresent<u32>(validity, offsets, rows, dense);
  store<u32>(dense + (<usize>denseCount << 2), load<u32>(offsets + (<usize>rows << 2)));
  return dense;
}
