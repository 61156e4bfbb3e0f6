/**
 * Reads numbers from ASCII bytes without losing a digit: 64-bit integers into two halves, doubles
 * correctly rounded. It never goes through a JavaScript number where that would round.
 */

const digit0 = 48;
const minus = 45;
const point = 46;
const twoTo32 = 4_294_967_296;

/** Exact powers of ten; `10 ** n` is not guaranteed to round well. */
const powersOfTen = [
  1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
];

/** Integers with a point or an exponent, such as 1.0 or 1e3, may be written in this many bytes. */
const scientificBytesMax = 64;

/** A 64-bit integer as two unsigned halves; `readInteger` fills one that its caller keeps. */
export interface Halves {
  low: number;
  high: number;
  /** Whether the text had a minus sign. Halves are of the absolute value until `negate`. */
  negative: boolean;
}

/**
 * Reads `bytes[from, to)` as a whole decimal number into `into` (absolute value and sign). Takes
 * what proto3 JSON takes: also `1.0` and `1e3`, when the value is whole. Returns false when it is
 * no number, not whole, or past 64 bits.
 */
export function readInteger(bytes: Uint8Array, from: number, to: number, into: Halves): boolean {
  into.negative = bytes[from] === minus;
  const start = into.negative ? from + 1 : from;
  if (start >= to) return false;
  for (let at = start; at < to; at += 1) {
    const digit = (bytes[at] ?? 0) - digit0;
    if (digit < 0 || digit > 9) return readScientific(bytes, start, to, into);
  }
  return readDigits(bytes, start, to, into);
}

/** Turns the absolute value in `halves` into two's complement when it is negative. */
export function negate(halves: Halves): void {
  if (!halves.negative) return;
  halves.low = (~halves.low + 1) >>> 0;
  halves.high = (~halves.high + (halves.low === 0 ? 1 : 0)) >>> 0;
}

/** Six digits at a time: 2^32 times 10^6 stays below 2^53, so every step is exact. */
function readDigits(bytes: Uint8Array, from: number, to: number, into: Halves): boolean {
  let low = 0;
  let high = 0;
  let at = from;
  while (at < to) {
    let chunk = 0;
    let scale = 1;
    for (const end = Math.min(at + 6, to); at < end; at += 1) {
      chunk = chunk * 10 + (bytes[at] ?? 0) - digit0;
      scale *= 10;
    }
    const product = low * scale + chunk;
    low = product >>> 0;
    high = high * scale + Math.floor(product / twoTo32);
    if (high >= twoTo32) return false;
  }
  into.low = low;
  into.high = high;
  return true;
}

function readScientific(bytes: Uint8Array, from: number, to: number, into: Halves): boolean {
  if (to - from > scientificBytesMax) return false;
  const match = /^(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d{1,4}))?$/.exec(ascii(bytes, from, to));
  if (match === null) return false;
  const [, whole = '', fraction = '', exponentText = '0'] = match;
  const digits = `${whole}${fraction}`.replace(/^0+/, '');
  const exponent = Number(exponentText) - fraction.length;
  if (digits === '') return readDigits(bytes, 0, 0, into);
  if (digits.length + exponent > 20) return false;
  const dropped = exponent < 0 ? digits.slice(exponent) : '';
  if (/[1-9]/.test(dropped)) return false;
  const kept =
    exponent < 0 ? digits.slice(0, exponent) : digits.padEnd(digits.length + exponent, '0');
  const plain = new TextEncoder().encode(kept);
  return readDigits(plain, 0, plain.length, into);
}

/**
 * Reads `bytes[from, to)`, which must be a JSON number, as the nearest double. Returns NaN when
 * it is past the largest.
 */
export function readDouble(bytes: Uint8Array, from: number, to: number): number {
  const start = bytes[from] === minus ? from + 1 : from;
  let mantissa = 0;
  let fractionDigits = -1;
  if (to - start > 15) return readDoubleText(bytes, from, to);
  for (let at = start; at < to; at += 1) {
    const digit = (bytes[at] ?? 0) - digit0;
    if (digit >= 0 && digit <= 9) {
      mantissa = mantissa * 10 + digit;
      if (fractionDigits >= 0) fractionDigits += 1;
    } else if (bytes[at] === point && fractionDigits < 0) {
      fractionDigits = 0;
    } else {
      return readDoubleText(bytes, from, to);
    }
  }
  // At most 15 digits over a power of ten up to 10^22, both exact: one rounding (Clinger 1990).
  const value = mantissa / (powersOfTen[Math.max(0, fractionDigits)] ?? 1);
  return start === from ? value : -value;
}

function readDoubleText(bytes: Uint8Array, from: number, to: number): number {
  const value = Number(ascii(bytes, from, to));
  return Number.isFinite(value) ? value : Number.NaN;
}

/** `bytes[from, to)` as text, one character a byte. */
export function ascii(bytes: Uint8Array, from: number, to: number): string {
  let text = '';
  for (let at = from; at < to; at += 1) text += String.fromCharCode(bytes[at] ?? 0);
  return text;
}
