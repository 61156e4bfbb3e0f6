/**
 * Repetition and definition levels of Parquet data pages (Dremel), from Arrow's offsets and validity.
 * Lists and maps are never null themselves. Writes at the arena's top and moves it.
 */
import { allocate, reserve, slack, top } from './memory';
import { packLevels } from './packing';

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
  const levels = takeLevels(rows);
  if (levels == 0) return false;
  let present: u32 = 0;
  for (let row: u32 = 0; row < rows; row++) {
    const bit = (load<u8>(validity + (row >> 3)) >> <u8>(row & 7)) & 1;
    store<u8>(levels + row, bit);
    present += bit;
  }
  levelCount = rows;
  presentCount = present;
  return packLevels(levels, rows, 1);
}

/** Of a column of lists, `rows` rows whose offsets begin at `offsets`. */
export function levelsList(offsets: usize, rows: u32): bool {
  const values = load<u32>(offsets + (<usize>rows << 2)) - load<u32>(offsets);
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

/** The values of a nullable column without its nulls, `width` bytes each. 0 without room. */
export function denseFixed(validity: usize, data: usize, rows: u32, width: u32): usize {
  const dense = allocate(<usize>rows * width + slack);
  if (dense == 0) return 0;
  let out = dense;
  for (let row: u32 = 0; row < rows; row++, data += width) {
    if (((load<u8>(validity + (row >> 3)) >> <u8>(row & 7)) & 1) == 0) continue;
    for (let done: u32 = 0; done < width; done += 4) store<u32>(out + done, load<u32>(data + done));
    out += width;
  }
  denseCount = <u32>(out - dense) / width;
  return dense;
}

/** The offsets of a nullable column of texts without its nulls, which have no bytes. 0 without room. */
export function denseOffsets(validity: usize, offsets: usize, rows: u32): usize {
  const dense = allocate((<usize>rows + 1) * 4 + slack);
  if (dense == 0) return 0;
  let out = dense;
  for (let row: u32 = 0; row < rows; row++) {
    if (((load<u8>(validity + (row >> 3)) >> <u8>(row & 7)) & 1) == 0) continue;
    store<u32>(out, load<u32>(offsets + (<usize>row << 2)));
    out += 4;
  }
  store<u32>(out, load<u32>(offsets + (<usize>rows << 2)));
  denseCount = <u32>(out - dense) >> 2;
  return dense;
}
