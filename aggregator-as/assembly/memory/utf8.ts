/**
 * UTF-8: checks strings, and copies what is not UTF-8 with U+FFFD for each maximal subpart, as the
 * WHATWG Encoding Standard's decoder does. May read 16 bytes past a string, never judges them.
 */

/** Whether `bytes` from `p` are all ASCII. */
// @ts-ignore: decorator
@inline
export function isAscii(p: usize, bytes: usize): bool {
  if (bytes <= 16) return (i8x16.bitmask(v128.load(p)) & ((1 << <i32>bytes) - 1)) == 0;
  if (bytes > 32) return isLongAscii(p, bytes);
  return i8x16.bitmask(v128.or(v128.load(p), v128.load(p + bytes - 16))) == 0;
}

function isLongAscii(p: usize, bytes: usize): bool {
  const last = p + bytes - 16;
  let seen = v128.or(v128.load(last), v128.load(p));
  p += 16;
  for (; p < last; p += 16) seen = v128.or(seen, v128.load(p));
  return i8x16.bitmask(seen) == 0;
}

/** Whether `bytes` from `p` are UTF-8. */
export function isUtf8(p: usize, bytes: usize): bool {
  const end = p + bytes;
  while (p < end) {
    if (end - p >= 16 && i8x16.bitmask(v128.load(p)) == 0) {
      p += 16;
      continue;
    }
    const size = sequence(p, end);
    if (size < 0) return false;
    p += size;
  }
  return true;
}

/** Writes the string with replacement characters; `out` must have room for three times its size. */
export function writeRepaired(out: usize, p: usize, bytes: usize): usize {
  const end = p + bytes;
  while (p < end) {
    const size = sequence(p, end);
    if (size < 0) {
      out = writeReplacement(out);
      p -= size;
      continue;
    }
    for (let i = 0; i < size; i++) store<u8>(out + i, load<u8>(p + i));
    out += size;
    p += size;
  }
  return out;
}

// @ts-ignore: decorator
@inline
function writeReplacement(out: usize): usize {
  store<u16>(out, 0xbfef);
  store<u8>(out, 0xbd, 2);
  return out + 3;
}

/**
 * Size of the well-formed sequence at `p` (Unicode, table 3-7), or, negative, that of the maximal
 * subpart of an ill-formed one.
 */
export function sequence(p: usize, end: usize): i32 {
  const lead = <u32>load<u8>(p);
  if (lead < 0x80) return 1;
  if (lead < 0xc2 || lead > 0xf4) return -1;
  let least: u32 = 0x80;
  let greatest: u32 = 0xbf;
  if (lead == 0xe0) least = 0xa0;
  else if (lead == 0xed) greatest = 0x9f;
  else if (lead == 0xf0) least = 0x90;
  else if (lead == 0xf4) greatest = 0x8f;
  const size = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  for (let i = 1; i < size; i++) {
    if (p + i >= end) return -i;
    const next = <u32>load<u8>(p + i);
    if (next < least || next > greatest) return -i;
    least = 0x80;
    greatest = 0xbf;
  }
  return size;
}
