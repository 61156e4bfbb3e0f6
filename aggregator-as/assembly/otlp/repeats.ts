/**
 * What a piece of a log request that was split says of the pieces before it: at its start, in a field that
 * no OTLP message has, the indexes of records whose content came before, and how often. So a record is
 * the how manieth of its content in the whole request. What is not well formed says nothing.
 */

/** Key of the field, as its three bytes: `repeatsField` of schemas/archive.ts, a length follows. */
const key: u32 = 0x0e_c6_ca;

let at: usize = 0;
let listEnd: usize = 0;
let index: u32 = 0;
let count: u32 = 0;
let number: u32 = 0;

/** Begins with a request from `p` to `end`. */
export function startRepeats(p: usize, end: usize): void {
  at = p + 3;
  listEnd = end;
  index = u32.MAX_VALUE;
  if (end - p < 4 || (load<u32>(p) & 0x00ff_ffff) != key || !read()) return;
  if (<usize>number > end - at) return;
  listEnd = at + number;
  next();
}

/** Reads the next record's index and count. */
function next(): void {
  index = u32.MAX_VALUE;
  if (!read()) return;
  const found = number;
  if (!read()) return;
  index = found;
  count = number;
}

/** Reads a varint of up to 32 bits into `number`. */
function read(): bool {
  number = 0;
  for (let shift: u32 = 0; at < listEnd && shift < 32; shift += 7) {
    const byte = <u32>load<u8>(at++);
    number |= (byte & 0x7f) << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

/** How many of its content came in pieces before the record of this index; indexes ascend. */
// @ts-ignore: decorator
@inline
export function repeatsBefore(itemIndex: u32): u32 {
  return itemIndex < index ? 0 : take(itemIndex);
}

function take(itemIndex: u32): u32 {
  while (index < itemIndex) next();
  if (index != itemIndex) return 0;
  const found = count;
  next();
  return found;
}
