/**
 * The encoder's entry: base64 (RFC 4648, section 4) of a window of bytes, twelve at a time. The
 * host copies a window in; it copies its text out, or has a whole body put together here. The memory
 * never grows.
 */

/** Bytes of a window, a multiple of three; `base64WindowBytes` of schemas/limits.ts. */
const windowBytes: usize = 49_152;
/** Vectors read four bytes more than they use: the window has 16 to spare. */
const input = memory.data(49_168, 16);
/** `lentBytesMax` of schemas/limits.ts, and as much that one vector may write too far. */
const output = memory.data(524_304, 16);

/** Where the window goes. */
export function inputAt(): usize {
  return input;
}

/** Where texts are. */
export function outputAt(): usize {
  return output;
}

/**
 * Encodes `bytes` of the window to where `at` bytes of texts end, padding the last group; there must
 * be room for it. Returns the length of the text.
 */
export function encode(bytes: u32, at: u32): u32 {
  const end = input + <usize>min(bytes, <u32>windowBytes);
  const start = output + at;
  let from = input;
  let to = start;
  const whole = (<usize>(end - from) / 12) * 12;
  encodeGroups(from, from + whole, to);
  from += whole;
  to += whole / 3 << 2;
  for (; from + 3 <= end; from += 3, to += 4) {
    put(to, <u32>load<u8>(from), <u32>load<u8>(from, 1), <u32>load<u8>(from, 2));
  }
  const left = end - from;
  if (left == 0) return <u32>(to - start);
  const second: u32 = left == 2 ? load<u8>(from, 1) : 0;
  put(to, <u32>load<u8>(from), second, 0);
  store<u8>(to, 0x3d, 3);
  if (left == 1) store<u8>(to, 0x3d, 2);
  return <u32>(to + 4 - start);
}

/** Writes the four letters of three bytes. */
function put(to: usize, a: u32, b: u32, c: u32): void {
  const bits = (a << 16) | (b << 8) | c;
  store<u8>(to, letter(bits >> 18));
  store<u8>(to, letter((bits >> 12) & 63), 1);
  store<u8>(to, letter((bits >> 6) & 63), 2);
  store<u8>(to, letter(bits & 63), 3);
}

function letter(value: u32): u8 {
  if (value < 26) return <u8>(value + 0x41);
  if (value < 52) return <u8>(value + 0x61 - 26);
  if (value < 62) return <u8>(value + 0x30 - 52);
  return value == 62 ? 0x2b : 0x2f;
}

/**
 * What the letters are made with. The compiler makes a constant anew wherever it is used, in as many
 * instructions as the rest of the loop has; what it loads before the loop it keeps.
 */
const order = memory.data<u8>([1, 0, 2, 1, 4, 3, 5, 4, 7, 6, 8, 7, 10, 9, 11, 10], 16);
const firstMask = memory.data<u32>([0x3f, 0x3f, 0x3f, 0x3f], 16);
const thirdMask = memory.data<u32>([0x3f_0000, 0x3f_0000, 0x3f_0000, 0x3f_0000], 16);
const evenMask = memory.data<u32>([0x3f_03f0, 0x3f_03f0, 0x3f_03f0, 0x3f_03f0], 16);
const factors = memory.data<u32>([0x100_0010, 0x100_0010, 0x100_0010, 0x100_0010], 16);
const last = memory.data<u8>(
  [51, 51, 51, 51, 51, 51, 51, 51, 51, 51, 51, 51, 51, 51, 51, 51],
  16,
);
const small = memory.data<u8>(
  [26, 26, 26, 26, 26, 26, 26, 26, 26, 26, 26, 26, 26, 26, 26, 26],
  16,
);
const capital = memory.data<u8>(
  [13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13],
  16,
);
const shifts = memory.data<i8>(
  [71, -4, -4, -4, -4, -4, -4, -4, -4, -4, -4, -19, -16, 65, 0, 0],
  16,
);

/**
 * Encodes groups of twelve bytes (after Muła and Lemire, "Faster Base64 Encoding and
 * Decoding using AVX2 Instructions", 2018, with shifts where WebAssembly has no such multiply).
 */
function encodeGroups(from: usize, end: usize, to: usize): void {
  const orders = v128.load(order);
  const firsts = v128.load(firstMask);
  const thirds = v128.load(thirdMask);
  const evens = v128.load(evenMask);
  const products = v128.load(factors);
  const lasts = v128.load(last);
  const smalls = v128.load(small);
  const capitals = v128.load(capital);
  const letters = v128.load(shifts);
  for (; from < end; from += 12, to += 16) {
    const groups = i8x16.swizzle(v128.load(from), orders);
    const first = v128.and(i32x4.shr_u(groups, 10), firsts);
    const third = v128.and(i32x4.shr_u(groups, 6), thirds);
    const others = i16x8.mul(v128.and(groups, evens), products);
    const values = v128.or(v128.or(first, third), others);
    // 0 for 26..51, 1..10 for digits, 11 and 12 for the signs, 13 for capitals.
    const over = i8x16.sub_sat_u(values, lasts);
    const kinds = v128.or(over, v128.and(i8x16.lt_s(values, smalls), capitals));
    v128.store(to, i8x16.add(i8x16.swizzle(letters, kinds), values));
  }
}
