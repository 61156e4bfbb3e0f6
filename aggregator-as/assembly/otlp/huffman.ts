/**
 * Decoding tables of the codes of DEFLATE (RFC 1951, section 3.2.2). A table has an entry for every
 * value of its first bits; what is longer goes on in a table of its own behind it. Incomplete codes are
 * refused, but for one distance, or none.
 */

/** Codes of literals and lengths are found by so many bits at once, those of distances by so many. */
export const letterBits: u32 = 11;
export const distanceBits: u32 = 8;

/**
 * An entry. Bits 0 to 5: how many bits it uses, extra ones included; 8 to 11: those of the code alone;
 * from 16: the literal, the least length or distance, or where the table goes on.
 */
export const literal: u32 = 0x8000_0000;
/** Of letters: no literal and no length; of distances: no distance. */
export const letterOther: u32 = 0x4000_0000;
export const distanceOther: u32 = 0x8000_0000;
/** Of what is none: the table goes on, after the bits 8 to 11 more. Otherwise the block ends. */
const deeper: u32 = 0x0000_8000;
/** Of a letter that is none of these: a code without a meaning. */
const nothing: u32 = 0x0001_0000;

const longest: u32 = 15;
/** At most 143 codes of letters and 15 of distances begin longer ones, of up to 4 and 7 bits more. */
const letterRoom: u32 = 2048 + 143 * 16;
const distanceRoom: u32 = 256 + 15 * 128;

export const letters = memory.data(17344, 16);
export const distances = memory.data(8704, 16);

/** Code lengths of the letters, then of the distances, one byte each. */
export const lengths = memory.data(320, 16);
export const lettersMax: u32 = 286;
export const distancesMax: u32 = 30;

const lengthBases = memory.data<u16>([
  3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131,
  163, 195, 227, 258,
]);
const lengthExtras = memory.data<u8>([
  0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0,
]);
const distanceBases = memory.data<u16>([
  1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049,
  3073, 4097, 6145, 8193, 12289, 16385, 24577,
]);

const endOfBlock: u32 = 256;

/** Whether an entry that is none of the usual says where the table goes on. */
// @ts-ignore: decorator
@inline
export function goesOn(entry: u32): bool {
  return (entry & deeper) != 0;
}

/** Whether an entry that is neither literal nor length, and does not go on, ends the block. */
// @ts-ignore: decorator
@inline
export function endsBlock(entry: u32): bool {
  return (entry & nothing) == 0;
}

/** The entry behind `entry`, by the bits that follow. */
// @ts-ignore: decorator
@inline
export function follow(table: usize, entry: u32, bits: u64): u32 {
  const index = ((entry >> 16) & 0x3fff) + (<u32>bits & ((1 << ((entry >> 8) & 15)) - 1));
  return load<u32>(table + (<usize>index << 2));
}

/** Makes the table of letters of the first `count` lengths. False for a code that is not complete. */
export function makeLetters(count: u32): bool {
  if (load<u8>(lengths + endOfBlock) == 0) return false;
  return countLengths(lengths, count) == 1 << longest && fill(letters, lengths, count, true);
}

/** Makes the table of distances of `count` lengths at `at`. */
export function makeDistances(at: usize, count: u32): bool {
  const share = countLengths(at, count);
  // One code of one bit, or none at all: the other is no distance, and entry 0 says so.
  const isAlone = share == 0 || (share == 1 << (longest - 1) && load<u16>(counts, 2) == 1);
  return (share == 1 << longest || isAlone) && fill(distances, at, count, false);
}

/** A small code, for the lengths themselves: symbol << 16 and its bits, by seven bits. */
export const small = memory.data(512, 16);
export const smallBits: u32 = 7;

/** Makes the table of the code of lengths. False for a code that is not complete. */
export function makeSmall(at: usize, count: u32): bool {
  if (countLengths(at, count) != 1 << longest) return false;
  for (let symbol: u32 = 0; symbol < count; symbol++) {
    const bits = <u32>load<u8>(at + symbol);
    if (bits == 0) continue;
    const entry = (symbol << 16) | bits;
    for (let code = nextCode(bits); code < 1 << smallBits; code += 1 << bits) {
      store<u32>(small + (<usize>code << 2), entry);
    }
  }
  return true;
}

/** How many codes have each length, and the next code of each. */
const counts = memory.data(32, 8);
const codes = memory.data(64, 8);

/** Counts the lengths. Returns the share of all codes that they use, in 2^-15. */
function countLengths(at: usize, count: u32): u32 {
  memory.fill(counts, 0, 32);
  for (let symbol: u32 = 0; symbol < count; symbol++) {
    const place = counts + (<usize>load<u8>(at + symbol) << 1);
    store<u16>(place, load<u16>(place) + 1);
  }
  let share: u32 = 0;
  let code: u32 = 0;
  for (let bits: u32 = 1; bits <= longest; bits++) {
    const having = <u32>load<u16>(counts + (<usize>bits << 1));
    store<u32>(codes + (<usize>bits << 2), code);
    code = (code + having) << 1;
    share += having << (longest - bits);
  }
  return share;
}

/** The next code of so many bits, its first bit lowest: that is how they are read. */
function nextCode(bits: u32): u32 {
  const place = codes + (<usize>bits << 2);
  let code = load<u32>(place);
  store<u32>(place, code + 1);
  code = ((code & 0x5555) << 1) | ((code >> 1) & 0x5555);
  code = ((code & 0x3333) << 2) | ((code >> 2) & 0x3333);
  code = ((code & 0x0f0f) << 4) | ((code >> 4) & 0x0f0f);
  code = ((code & 0x00ff) << 8) | (code >> 8);
  return code >> (16 - bits);
}

function fill(table: usize, at: usize, count: u32, areLetters: bool): bool {
  const firstBits = areLetters ? letterBits : distanceBits;
  const first: u32 = 1 << firstBits;
  const moreBits = longest - firstBits;
  const room = areLetters ? letterRoom : distanceRoom;
  const marks = deeper | (moreBits << 8) | firstBits | (areLetters ? letterOther : distanceOther);
  memory.fill(table, 0, <usize>first << 2);
  let used = first;
  for (let symbol: u32 = 0; symbol < count; symbol++) {
    const bits = <u32>load<u8>(at + symbol);
    if (bits == 0) continue;
    const entry = (areLetters ? letterOf(symbol) : distanceOf(symbol)) + (bits << 8) + bits;
    const code = nextCode(bits);
    if (bits <= firstBits) {
      spread(table, entry, code, bits, first);
      continue;
    }
    const place = table + (<usize>(code & (first - 1)) << 2);
    if (load<u32>(place) == 0) {
      if (used + (1 << moreBits) > room) return false;
      store<u32>(place, marks | (used << 16));
      used += 1 << moreBits;
    }
    const behind = table + (<usize>((load<u32>(place) >> 16) & 0x3fff) << 2);
    const own = bits - firstBits;
    // What is behind the first bits uses the others alone.
    const rest = entry - (firstBits << 8) - firstBits;
    spread(behind, rest, code >> firstBits, own, 1 << moreBits);
  }
  return true;
}

/** Writes an entry wherever the first bits are `code`. */
function spread(table: usize, entry: u32, code: u32, bits: u32, size: u32): void {
  for (let index = code; index < size; index += 1 << bits) {
    store<u32>(table + (<usize>index << 2), entry);
  }
}

/** RFC 1951, section 3.2.5. */
function letterOf(symbol: u32): u32 {
  if (symbol < endOfBlock) return literal | (symbol << 16);
  if (symbol == endOfBlock) return letterOther;
  if (symbol >= lettersMax) return letterOther | nothing;
  const index = <usize>(symbol - endOfBlock - 1);
  const base = <u32>load<u16>(lengthBases + (index << 1));
  return (base << 16) | <u32>load<u8>(lengthExtras + index);
}

function distanceOf(symbol: u32): u32 {
  if (symbol >= distancesMax) return distanceOther;
  const base = <u32>load<u16>(distanceBases + (<usize>symbol << 1));
  return (base << 16) | (symbol < 4 ? 0 : (symbol >> 1) - 1);
}
