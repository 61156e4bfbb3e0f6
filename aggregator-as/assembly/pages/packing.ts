/**
 * Parquet's RLE and bit-packing hybrid (parquet-format, Encodings.md), as one run: repeated when all
 * numbers are equal, else bit-packed. Writes at the arena's top and moves it.
 */
import { putVarint } from '../memory/bytes';
import { reserve, setTop, slack, top } from '../memory/memory';

/** Bits that numbers below `count` need; at least one, as some readers take no less. */
export function widthOf(count: u32): u32 {
  return count <= 2 ? 1 : 32 - clz(count - 1);
}

/** Appends `count` 32-bit numbers at `at` in `width` bits each. False when there is no room. */
export function packWords(at: usize, count: u32, width: u32): bool {
  if (!reserve(<usize>count * 4 + slack)) return false;
  if (areEqualWords(at, count)) {
    let out = putVarint(top, count << 1);
    store<u32>(out, count == 0 ? 0 : load<u32>(at));
    return setTop(out + ((width + 7) >> 3));
  }
  const groups = (count + 7) >> 3;
  const start = putVarint(top, (groups << 1) | 1);
  let out = start;
  const end = at + (<usize>count << 2);
  let bits: u64 = 0;
  let filled: u64 = 0;
  for (; at < end; at += 4) {
    bits |= <u64>load<u32>(at) << filled;
    filled += width;
    if (filled >= 32) {
      store<u32>(out, <u32>bits);
      out += 4;
      bits >>= 32;
      filled -= 32;
    }
  }
  store<u64>(out, bits);
  out += 8;
  const finish = start + <usize>groups * width;
  if (out < finish) memory.fill(out, 0, finish - out);
  return setTop(finish);
}

function areEqualWords(at: usize, count: u32): bool {
  const end = at + (<usize>count << 2);
  for (let next = at + 4; next < end; next += 4) {
    if (load<u32>(next) != load<u32>(at)) return false;
  }
  return true;
}

/**
 * Appends `count` levels, a byte each and below 4, after their length as 4 bytes; past their end
 * 15 bytes must be readable. False when there is no room.
 */
export function packLevels(at: usize, count: u32, width: u32): bool {
  if (!reserve(<usize>count + slack)) return false;
  const section = top;
  let out: usize;
  if (areEqualLevels(at, count)) {
    out = putVarint(section + 4, count << 1);
    store<u8>(out++, count == 0 ? 0 : load<u8>(at));
  } else {
    const groups = (count + 7) >> 3;
    out = putVarint(section + 4, (groups << 1) | 1);
    memory.fill(at + count, 0, 16);
    out = width == 1 ? packBits(at, groups, out) : packPairs(at, groups, out);
  }
  store<u32>(section, <u32>(out - section - 4));
  return setTop(out);
}

/** Appends `count` levels that are all the same, as `packLevels` does. */
export function repeatLevel(level: u32, count: u32): bool {
  if (!reserve(slack)) return false;
  const section = top;
  const out = putVarint(section + 4, count << 1);
  store<u8>(out, level);
  store<u32>(section, <u32>(out - section - 3));
  return setTop(out + 1);
}

/** Appends levels that are bits already, as `packLevels` does; behind them their last byte has none. */
export function copyBits(at: usize, count: u32): bool {
  const bytes = (count + 7) >> 3;
  if (!reserve(<usize>bytes + slack)) return false;
  const section = top;
  const out = putVarint(section + 4, (bytes << 1) | 1);
  memory.copy(out, at, bytes);
  store<u32>(section, <u32>(out - section - 4) + bytes);
  return setTop(out + bytes);
}

function areEqualLevels(at: usize, count: u32): bool {
  const end = at + count;
  const first = load<u8>(at);
  const all = i8x16.splat(first);
  for (; at + 16 <= end; at += 16) {
    if (v128.any_true(v128.xor(v128.load(at), all))) return false;
  }
  for (; at < end; at++) {
    if (load<u8>(at) != first) return false;
  }
  return true;
}

/** Eight levels of one bit make a byte. */
function packBits(at: usize, groups: u32, out: usize): usize {
  const end = out + groups;
  for (; out < end; out += 2, at += 16) {
    const ones = i8x16.ne(v128.load(at), i8x16.splat(0));
    store<u16>(out, <u16>i8x16.bitmask(ones));
  }
  return end;
}

/** Eight levels of two bits make two bytes. */
function packPairs(at: usize, groups: u32, out: usize): usize {
  for (let group: u32 = 0; group < groups; group++, at += 8, out += 2) {
    // Each byte of the word has two bits: bring neighbours together, then these.
    let word = load<u64>(at);
    word = (word | (word >> 6)) & 0x000f_000f_000f_000f;
    word = (word | (word >> 12)) & 0x0000_00ff_0000_00ff;
    store<u16>(out, <u16>(word | (word >> 24)));
  }
  return out;
}
