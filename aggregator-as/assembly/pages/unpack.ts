/**
 * Reads Parquet's RLE and bit-packing hybrid (parquet-format, Encodings.md) into numbers of 32 bits, from
 * any value on. What does not fit its page or its dictionary is said, never read past.
 */

/** Where a page's numbers end is known from outside: none is read past `end`. */
let at: usize = 0;

/**
 * Writes values [skip, skip + count) of the hybrid at [p, end), of `width` bits each and below `limit`,
 * from `out` on. Past `end` 8 bytes must be readable. False when the bytes hold anything else.
 */
export function unpack(
  p: usize,
  end: usize,
  width: u32,
  skip: u32,
  count: u32,
  out: usize,
  limit: u32,
): bool {
  at = p;
  if (width > 24) return false;
  const last = out + (<usize>count << 2);
  while (out < last) {
    const header = readHeader(end);
    if (header == 0) return false;
    const isPacked = (header & 1) == 1;
    const values = isPacked ? (header >> 1) << 3 : header >> 1;
    const bytes: usize = isPacked ? <usize>(header >> 1) * width : (width + 7) >> 3;
    if (values == 0 || bytes > end - at) return false;
    if (skip < values) {
      const taken = min(values - skip, <u32>((last - out) >> 2));
      const fine = isPacked
        ? unpackBits(at, width, skip, taken, out, limit)
        : repeat(at, width, taken, out, limit);
      if (!fine) return false;
      out += <usize>taken << 2;
      skip = 0;
    } else {
      skip -= values;
    }
    at += bytes;
  }
  return true;
}

/** The next run's header; 0 where there is none. */
function readHeader(end: usize): u32 {
  let header: u32 = 0;
  for (let shift: u32 = 0; shift < 32 && at < end; shift += 7) {
    const byte: u32 = load<u8>(at++);
    header |= (byte & 127) << shift;
    if (byte < 128) return header;
  }
  return 0;
}

function repeat(p: usize, width: u32, count: u32, out: usize, limit: u32): bool {
  const value = load<u32>(p) & ((1 << width) - 1);
  if (value >= limit) return false;
  const end = out + (<usize>count << 2);
  const all = i32x4.splat(value);
  for (; out + 16 <= end; out += 16) v128.store(out, all);
  for (; out < end; out += 4) store<u32>(out, value);
  return true;
}

/** Numbers of up to 24 bits: any begins in the first byte of a word that has all of it. */
function unpackBits(
  p: usize,
  width: u32,
  skip: u32,
  count: u32,
  out: usize,
  limit: u32,
): bool {
  const mask: u32 = (1 << width) - 1;
  let bit = <usize>skip * width;
  let most: u32 = 0;
  const end = out + (<usize>count << 2);
  for (; out < end; out += 4) {
    const value = (load<u32>(p + (bit >> 3)) >> (<u32>bit & 7)) & mask;
    most = max(most, value);
    store<u32>(out, value);
    bit += width;
  }
  return most < limit;
}
