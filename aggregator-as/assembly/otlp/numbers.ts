/**
 * Repeated numbers, packed or not, as arrays of 8 bytes each: where they lie when they came in one
 * packed run of such bytes, else collected in the arena. Their number is bounded by the input only.
 */
import { capacityFault, fail, truncatedFault, varintFault } from './fault';
import { allocate } from '../memory/memory';
import { skipValue, slice, sliceBytes, wideTag, word } from './wire';

/** A repeated field of a message as it is walked: its values so far, and its runs. */
@unmanaged
export class Numbers {
  /** Where the last run is. */
  at: u32;
  count: u32;
  runs: u32;
}

export function clearNumbers(numbers: Numbers): void {
  numbers.at = 0;
  numbers.count = 0;
  numbers.runs = 0;
}

/** Notes a packed run of fixed64 or double, whose length is at `p`. Returns its end. */
export function noteRun(p: usize, end: usize, numbers: Numbers): usize {
  p = slice(p, end);
  if (p == 0) return 0;
  const next = p + sliceBytes;
  if ((sliceBytes & 7) != 0) return fail(truncatedFault, next & ~7);
  numbers.at = p;
  numbers.count += sliceBytes >> 3;
  numbers.runs++;
  return next;
}

/** Notes a single fixed64 or double. */
// @ts-ignore: decorator
@inline
export function noteOne(p: usize, numbers: Numbers): usize {
  numbers.at = p;
  numbers.count++;
  numbers.runs++;
  return p + 8;
}

/** Where the values of `field` of the message lie one after the other. 0 after a fault. */
export function gather(p: usize, end: usize, field: u32, numbers: Numbers): usize {
  if (numbers.runs <= 1) return numbers.at == 0 ? p : numbers.at;
  // No more than the input's bytes.
  const values = allocate(<usize>numbers.count << 3);
  if (values == 0) return fail(capacityFault, p);
  let out = values;
  while (p < end) {
    let tag = <u32>load<u8>(p++);
    if (tag > 127) {
      p = wideTag(p - 1);
      tag = <u32>word;
    }
    if (tag == ((field << 3) | 2)) {
      p = slice(p, end);
      memory.copy(out, p, sliceBytes);
      out += sliceBytes;
      p += sliceBytes;
    } else if (tag == ((field << 3) | 1)) {
      store<u64>(out, load<u64>(p));
      out += 8;
      p += 8;
    } else {
      p = skipValue(p, end, tag);
    }
  }
  return values;
}

/** Number of varints in the bytes, none of which is judged: each ends in a byte below 0x80. */
export function countVarints(p: usize, bytes: usize): u32 {
  const end = p + bytes;
  let count: u32 = 0;
  for (; p + 16 <= end; p += 16) count += 16 - popcnt(i8x16.bitmask(v128.load(p)));
  for (; p < end; p++) count += <u32>(load<u8>(p) < 0x80);
  return count;
}

/** Writes the varints of the bytes as 8 bytes each. Returns the end of what it wrote, or 0. */
export function writeVarints(out: usize, p: usize, end: usize): usize {
  // Most counts of buckets are small: sixteen of one byte each.
  for (; p + 16 <= end && i8x16.bitmask(v128.load(p)) == 0; p += 16, out += 128) {
    for (let i: usize = 0; i < 16; i += 2) {
      const pair = i16x8.extend_low_i8x16_u(v128.load16_splat(p + i));
      v128.store(out + (i << 3), i64x2.extend_low_i32x4_u(i32x4.extend_low_i16x8_u(pair)));
    }
  }
  while (p < end) {
    let value = <u64>load<u8>(p++);
    if (value > 127) {
      const start = p - 1;
      value &= 127;
      let shift: u64 = 7;
      for (;;) {
        if (p >= end) return fail(truncatedFault, start);
        const byte = <u64>load<u8>(p++);
        value |= (byte & 127) << shift;
        if (byte < 0x80) break;
        shift += 7;
        if (shift == 70) return fail(varintFault, start);
      }
    }
    store<u64>(out, value);
    out += 8;
  }
  return out;
}
