/**
 * Writes numbers as ASCII: doubles with the shortest digits that read back to the same double, in
 * the layout of ECMAScript's Number::toString, and 64-bit integers in decimal. It never allocates.
 *
 * Digits: Schubfach (R. Giulietti, "The Schubfach way to render doubles", 2020). The 617 powers of
 * ten that it multiplies by are worked out exactly, once, when the first double needs them.
 */

/** Least and greatest k of the table: 10^k scales every finite double to an integer of 17 digits. */
const powerMin: i32 = -292;
const powerMax: i32 = 324;
const powers = memory.data((powerMax - powerMin + 1) * 16, 8);

/** Limbs of the integer that the table is worked out in: 10^324 has 1077 bits, and 128 more. */
const limbCount: i32 = 40;
const limbs = memory.data(limbCount * 4, 8);
let powersReady = false;

const mantissaBits: i32 = 52;
const mantissaMask: u64 = 0x000f_ffff_ffff_ffff;
const hiddenBit: u64 = 0x0010_0000_0000_0000;

/** Writes `value`, at most 20 bytes, at `out`. Returns the end of what it wrote. */
export function writeInt64(out: usize, value: i64): usize {
  if (<u64>value < 1000) return writeSmall(out, <u32>value);
  if (value >= 0) return writeUint64(out, <u64>value);
  store<u8>(out, 0x2d);
  return writeUint64(out + 1, 0 - <u64>value);
}

/** Writes `value`, at most 20 bytes, at `out`. Returns the end of what it wrote. */
export function writeUint64(out: usize, value: u64): usize {
  const end = out + digitCount(value);
  writeDigits(end, value);
  return end;
}

/**
 * Writes `value`, at most 25 bytes, at `out`: `0.1`, `-0`, `1e+21`, `NaN`, `-Infinity`. Returns the
 * end of what it wrote. Differs from ECMAScript in one thing: negative zero keeps its sign.
 */
export function writeDouble(out: usize, value: f64): usize {
  const bits = reinterpret<u64>(value);
  const exponent = <i32>((bits >> mantissaBits) & 0x7ff);
  const mantissa = bits & mantissaMask;
  if (exponent == 0x7ff && mantissa != 0) return writeNaN(out);
  if (<i64>bits < 0) store<u8>(out++, 0x2d);
  if (exponent == 0x7ff) return writeInfinity(out);
  if (bits << 1 == 0) {
    store<u8>(out, 0x30);
    return out + 1;
  }
  if (exponent >= 1023 && exponent <= 1023 + mantissaBits) {
    const shift = 1023 + mantissaBits - exponent;
    const whole = (mantissa | hiddenBit) >> shift;
    if (whole << shift == (mantissa | hiddenBit)) return writeUint64(out, whole);
  }
  return writeShortest(out, mantissa, exponent);
}

/** Writes the finite double that is not zero and has these fields, without its sign. */
function writeShortest(out: usize, mantissa: u64, exponent: i32): usize {
  if (!powersReady) fillPowers();
  const normal = exponent != 0;
  const c = normal ? mantissa | hiddenBit : mantissa;
  const q = (normal ? exponent : 1) - 1075;
  // At a power of two the neighbour below is half as far away as the one above.
  const uneven = mantissa == 0 && exponent > 1;
  // k = floor(log10(2^q)), or of 3/4 * 2^q when uneven; h aligns the product to an integer.
  const k = (q * 1_262_611 - (uneven ? 524_031 : 0)) >> 22;
  const h = <u64>(q + ((-k * 1_741_647) >> 19) + 1);
  const power = powers + ((-k - powerMin) << 4);
  const high = load<u64>(power);
  const low = load<u64>(power, 8);
  const centre = scale(high, low, (c << 2) << h);
  // A double with an even mantissa also owns the two ends of its rounding interval.
  const open = c & 1;
  const lower = scale(high, low, ((c << 2) - (uneven ? 1 : 2)) << h) + open;
  const upper = scale(high, low, ((c << 2) + 2) << h) - open;

  const s = centre >> 2;
  if (s >= 10) {
    const tens = s / 10;
    const belowFits = lower <= tens * 40;
    const aboveFits = tens * 40 + 40 <= upper;
    if (belowFits != aboveFits) return writeDecimal(out, tens + u64(aboveFits), k + 1);
  }
  const downFits = lower <= s << 2;
  const upFits = (s << 2) + 4 <= upper;
  if (downFits != upFits) return writeDecimal(out, s + u64(upFits), k);
  const middle = (s << 2) + 2;
  const up = centre > middle || (centre == middle && (s & 1) != 0);
  return writeDecimal(out, s + u64(up), k);
}

/** floor(g * factor / 2^128) for g = high:low, with its last bit set if anything was cut off. */
function scale(high: u64, low: u64, factor: u64): u64 {
  const carry = multiplyHigh(low, factor);
  const middle = high * factor + carry;
  return (multiplyHigh(high, factor) + u64(middle < carry)) | u64(middle > 1);
}

/** The upper half of the 128-bit product. */
function multiplyHigh(a: u64, b: u64): u64 {
  const a0 = a & 0xffff_ffff;
  const a1 = a >> 32;
  const b0 = b & 0xffff_ffff;
  const b1 = b >> 32;
  const cross = a1 * b0 + ((a0 * b0) >> 32);
  const cross2 = a0 * b1 + (cross & 0xffff_ffff);
  return a1 * b1 + (cross >> 32) + (cross2 >> 32);
}

/** Writes digits * 10^exponent in the layout of Number::toString (ECMA-262, 6.1.6.1.20). */
function writeDecimal(out: usize, digits: u64, exponent: i32): usize {
  while (digits % 10 == 0) {
    digits /= 10;
    exponent++;
  }
  const count = digitCount(digits);
  const point = count + exponent;
  if (point > 21 || point <= -6) return writeScientific(out, digits, count, point - 1);
  if (exponent >= 0) {
    writeDigits(out + count, digits);
    memory.fill(out + count, 0x30, exponent);
    return out + point;
  }
  if (point > 0) {
    // Digits go one to the right of their place; the whole part then moves back over the gap.
    writeDigits(out + count + 1, digits);
    memory.copy(out, out + 1, point);
    store<u8>(out + point, 0x2e);
    return out + count + 1;
  }
  memory.fill(out, 0x30, 2 - point);
  store<u8>(out, 0x2e, 1);
  writeDigits(out + 2 - point + count, digits);
  return out + 2 - point + count;
}

function writeScientific(out: usize, digits: u64, count: i32, exponent: i32): usize {
  writeDigits(out + count + 1, digits);
  store<u8>(out, load<u8>(out, 1));
  if (count > 1) {
    store<u8>(out, 0x2e, 1);
    out += count + 1;
  } else {
    out += 1;
  }
  store<u8>(out, 0x65);
  store<u8>(out, exponent < 0 ? 0x2d : 0x2b, 1);
  return writeUint64(out + 2, <u64>abs(exponent));
}

/** Writes a value below 1000: most that are counted in attributes. */
function writeSmall(out: usize, value: u32): usize {
  if (value >= 100) {
    store<u8>(out, 0x30 + value / 100);
    writePair(out + 1, value % 100);
    return out + 3;
  }
  if (value < 10) {
    store<u8>(out, 0x30 + value);
    return out + 1;
  }
  writePair(out, value);
  return out + 2;
}

/** Writes all digits of `value` so that they end before `end`. */
function writeDigits(end: usize, value: u64): void {
  while (value >= 10_000) {
    const rest = value / 10_000;
    end -= 4;
    writePair(end, <u32>(value - rest * 10_000) / 100);
    writePair(end + 2, <u32>(value - rest * 10_000) % 100);
    value = rest;
  }
  let small = <u32>value;
  while (small >= 100) {
    end -= 2;
    writePair(end, small % 100);
    small /= 100;
  }
  if (small >= 10) writePair(end - 2, small);
  else store<u8>(end - 1, 0x30 + small);
}

function writePair(out: usize, value: u32): void {
  store<u16>(out, 0x3030 + value / 10 + ((value % 10) << 8));
}

/** Decimal digits of `value`; 1 for zero. */
function digitCount(value: u64): i32 {
  let count: i32 = 1;
  while (value >= 10_000) {
    value /= 10_000;
    count += 4;
  }
  const small = <u32>value;
  return count + i32(small >= 10) + i32(small >= 100) + i32(small >= 1000);
}

function writeNaN(out: usize): usize {
  store<u8>(out, 0x4e);
  store<u8>(out, 0x61, 1);
  store<u8>(out, 0x4e, 2);
  return out + 3;
}

function writeInfinity(out: usize): usize {
  store<u64>(out, 0x7974_696e_6966_6e49); // 'Infinity'
  return out + 8;
}

/**
 * Fills the table: 10^k rounded up to 128 significant bits, for each k. Up by multiplying an exact
 * integer; down by dividing 2^1279, for which cutting off at each step cuts off the same in the end.
 */
function fillPowers(): void {
  memory.fill(limbs, 0, limbCount * 4);
  store<u32>(limbs, 1);
  storePower(0, false);
  for (let k = 1; k <= powerMax; k++) {
    let carry: u64 = 0;
    for (let i = 0; i < limbCount; i++) {
      carry += <u64>load<u32>(limbs + (i << 2)) * 10;
      store<u32>(limbs + (i << 2), <u32>carry);
      carry >>= 32;
    }
    storePower(k, false);
  }
  memory.fill(limbs, 0, limbCount * 4);
  store<u32>(limbs + ((limbCount - 1) << 2), 0x8000_0000);
  for (let k = -1; k >= powerMin; k--) {
    let rest: u64 = 0;
    for (let i = limbCount - 1; i >= 0; i--) {
      rest = (rest << 32) | load<u32>(limbs + (i << 2));
      store<u32>(limbs + (i << 2), <u32>(rest / 10));
      rest %= 10;
    }
    storePower(k, true);
  }
  powersReady = true;
}

/** Stores the upper 128 bits of the limbs, plus one if bits below them (or `inexact`) remain. */
function storePower(k: i32, inexact: bool): void {
  let top = limbCount - 1;
  while (load<u32>(limbs + (top << 2)) == 0) top--;
  const shift = clz<u32>(load<u32>(limbs + (top << 2)));
  const high = (limbPair(top, shift) << 32) | limbPair(top - 1, shift);
  const low = (limbPair(top - 2, shift) << 32) | limbPair(top - 3, shift);
  let more = inexact || <u32>(limbOrZero(top - 4) << shift) != 0;
  for (let i = top - 5; i >= 0 && !more; i--) more = limbOrZero(i) != 0;
  const entry = powers + ((k - powerMin) << 4);
  store<u64>(entry, high + u64(more && low == u64.MAX_VALUE));
  store<u64>(entry, low + u64(more), 8);
}

/** 32 bits of the limbs from `index` down, `shift` bits further down. */
function limbPair(index: i32, shift: u32): u64 {
  const pair = ((<u64>limbOrZero(index)) << 32) | limbOrZero(index - 1);
  return (pair << shift) >> 32;
}

function limbOrZero(index: i32): u32 {
  return index < 0 ? 0 : load<u32>(limbs + (index << 2));
}
