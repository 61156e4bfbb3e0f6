/** Copies of short runs. They write, and read, up to 15 bytes past the run: keep slack there. */
import { attrBytes, Attr } from '../otlp/record';

/** Copies `bytes`; the runs must not overlap. Returns the end of the copy. */
// @ts-ignore: decorator
@inline
export function put(out: usize, from: usize, bytes: usize): usize {
  v128.store(out, v128.load(from));
  if (bytes > 16) {
    v128.store(out, v128.load(from, 16), 16);
    if (bytes > 32) putMore(out, from, bytes);
  }
  return out + bytes;
}

function putMore(out: usize, from: usize, bytes: usize): void {
  if (bytes > 512) {
    memory.copy(out, from, bytes);
    return;
  }
  for (let done: usize = 32; done < bytes; done += 16) {
    v128.store(out + done, v128.load(from + done));
  }
}

/** As `put`, of some hundred bytes; writes, and reads, up to 63 bytes past the run. */
// @ts-ignore: decorator
@inline
export function putLong(out: usize, from: usize, bytes: usize): usize {
  for (let done: usize = 0; done < bytes; done += 64) {
    const a = v128.load(from + done);
    const b = v128.load(from + done, 16);
    const c = v128.load(from + done, 32);
    const d = v128.load(from + done, 48);
    v128.store(out + done, a);
    v128.store(out + done, b, 16);
    v128.store(out + done, c, 32);
    v128.store(out + done, d, 48);
  }
  return out + bytes;
}

/** Writes an unsigned LEB128 number. */
// @ts-ignore: decorator
@inline
export function putVarint(out: usize, value: u32): usize {
  if (value > 127) return putWide(out, value);
  store<u8>(out, value);
  return out + 1;
}

function putWide(out: usize, value: u32): usize {
  for (; value > 127; value >>= 7) store<u8>(out++, value | 0x80);
  store<u8>(out, value);
  return out + 1;
}

/** Writes a string as RowBinary does: its length as a varint, then its bytes. */
// @ts-ignore: decorator
@inline
export function putString(out: usize, from: usize, bytes: usize): usize {
  return put(putVarint(out, bytes), from, bytes);
}

/** Writes attributes as RowBinary does a map: their number, then keys and values in turn. */
// @ts-ignore: decorator
@inline
export function putMap(out: usize, attrs: usize, count: u32): usize {
  out = putVarint(out, count);
  const end = attrs + <usize>count * attrBytes;
  for (; attrs < end; attrs += attrBytes) {
    const attr = changetype<Attr>(attrs);
    out = putString(out, attr.key, attr.keyBytes);
    out = putString(out, attr.value, attr.valueBytes);
  }
  return out;
}

const digits = memory.data<u8>([
  48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 97, 98, 99, 100, 101, 102,
]);

/** Writes 16 bytes as 32 lower-case hexadecimal digits. */
// @ts-ignore: decorator
@inline
export function putHex16(out: usize, from: usize): usize {
  const id = v128.load(from);
  const table = v128.load(digits);
  const high = i8x16.swizzle(table, i8x16.shr_u(id, 4));
  const low = i8x16.swizzle(table, v128.and(id, i8x16.splat(15)));
  v128.store(out, pairLow(high, low));
  v128.store(out, pairHigh(high, low), 16);
  return out + 32;
}

/** Writes 8 bytes as 16 lower-case hexadecimal digits. */
// @ts-ignore: decorator
@inline
export function putHex8(out: usize, from: usize): usize {
  const id = v128.load64_zero(from);
  const table = v128.load(digits);
  const high = i8x16.swizzle(table, i8x16.shr_u(id, 4));
  const low = i8x16.swizzle(table, v128.and(id, i8x16.splat(15)));
  v128.store(out, pairLow(high, low));
  return out + 16;
}

// @ts-ignore: decorator
@inline
function pairLow(a: v128, b: v128): v128 {
  return v128.shuffle<i8>(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}

// @ts-ignore: decorator
@inline
function pairHigh(a: v128, b: v128): v128 {
  return v128.shuffle<i8>(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}
