/** Text in the arena: bytes appended at `top`, and the string forms of single values. */
import { writeDouble, writeInt64 } from './double';
import { capacityFault, fail } from '../otlp/fault';
import { reserve, setTop, top } from './memory';
import { isAscii, isUtf8, writeRepaired } from './utf8';

/** Strings of the current call that were not UTF-8. */
export let invalidUtf8: u32 = 0;
/** Whether something was read that the columns alone cannot give back. */
export let inexact: bool = false;

/** The string that `checkText` judged: its own bytes, or a repaired copy in the arena. */
export let text: usize = 0;
export let textBytes: usize = 0;

export function clearMarks(): void {
  invalidUtf8 = 0;
  inexact = false;
}

// @ts-ignore: decorator
@inline
export function markInexact(): void {
  inexact = true;
}

/** Adds a bad string to the tally. */
export function markInvalid(): void {
  invalidUtf8++;
  inexact = true;
}

/** Sets `text` and `textBytes` to the string as UTF-8. False when there is no room to repair it. */
// @ts-ignore: decorator
@inline
export function checkText(p: usize, bytes: usize): bool {
  text = p;
  textBytes = bytes;
  return isAscii(p, bytes) ? true : checkWide(p, bytes);
}

function checkWide(p: usize, bytes: usize): bool {
  if (isUtf8(p, bytes)) return true;
  markInvalid();
  if (bytes > 0x2000_0000 || !room(bytes * 3, p)) return noRoom(p);
  text = top;
  const end = writeRepaired(top, p, bytes);
  textBytes = end - text;
  return setTop(end);
}

/** Whether `bytes` can be written at `top`; else the fault is recorded. */
// @ts-ignore: decorator
@inline
export function room(bytes: usize, p: usize): bool {
  return reserve(bytes) ? true : noRoom(p);
}

function noRoom(p: usize): bool {
  fail(capacityFault, p);
  return false;
}

/** Appends an int64 in decimal. */
export function appendInt(value: i64, p: usize): bool {
  return room(32, p) ? setTop(writeInt64(top, value)) : false;
}

/** Appends a double as ECMAScript writes it, with `-0` for negative zero. */
export function appendDouble(value: f64, p: usize): bool {
  return room(48, p) ? setTop(writeDouble(top, value)) : false;
}

/** Appends ASCII bytes given as a little-endian word. */
export function appendWord(value: u64, bytes: usize, p: usize): bool {
  if (!room(8, p)) return false;
  store<u64>(top, value);
  return setTop(top + bytes);
}

const alphabet = memory.data<u8>([
  65, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79, 80, 81, 82, 83, 84, 85, 86, 87, 88,
  89, 90, 97, 98, 99, 100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111, 112, 113, 114,
  115, 116, 117, 118, 119, 120, 121, 122, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 43, 47,
]);

// @ts-ignore: decorator
@inline
function letter(index: u32): u8 {
  return load<u8>(alphabet + (index & 63));
}

/** Appends bytes in standard base64 with padding (RFC 4648, section 4). */
export function appendBase64(p: usize, bytes: usize): bool {
  if (bytes > 0x4000_0000 || !room((bytes / 3) * 4 + 4, p)) return noRoom(p);
  let out = top;
  const whole = p + (bytes / 3) * 3;
  const end = p + bytes;
  for (; p < whole; p += 3) {
    const bits =
      (<u32>load<u8>(p) << 16) | (<u32>load<u8>(p, 1) << 8) | <u32>load<u8>(p, 2);
    store<u8>(out, letter(bits >> 18));
    store<u8>(out, letter(bits >> 12), 1);
    store<u8>(out, letter(bits >> 6), 2);
    store<u8>(out, letter(bits), 3);
    out += 4;
  }
  if (p < end) {
    const two = end - p == 2;
    const bits = (<u32>load<u8>(p) << 16) | (two ? <u32>load<u8>(p, 1) << 8 : 0);
    store<u8>(out, letter(bits >> 18));
    store<u8>(out, letter(bits >> 12), 1);
    store<u8>(out, two ? letter(bits >> 6) : 0x3d, 2);
    store<u8>(out, 0x3d, 3);
    out += 4;
  }
  return setTop(out);
}
