/**
 * Attributes of the common shape, straight from the wire into a RowBinary map: a key, then a value of
 * one member, each shorter than 128 bytes, all text ASCII. Lengths of both forms are one byte then,
 * so a text is copied with its own. Whatever is of another shape is left to attribute.ts.
 */
import { put } from '../memory/bytes';
import { writeDouble, writeInt64 } from '../memory/double';
import { isAscii } from '../memory/utf8';
import { varint, word } from './wire';

/** Writes a KeyValue message as key and value. Returns its end, or 0 when it has another shape. */
// @ts-ignore: decorator
@inline
export function putPlain(out: usize, p: usize, end: usize): usize {
  if (end - p < 6 || load<u8>(p) != 0x0a) return 0;
  const name = <usize>load<u8>(p, 1);
  const value = p + 2 + name;
  if (name > 127 || value + 4 > end || load<u8>(value) != 0x12) return 0;
  const size = <usize>load<u8>(value, 1);
  if (size > 127 || value + 2 + size != end) return 0;
  if (load<u8>(value, 2) != 0x0a) return putNumber(out, p, name, value + 2, end);
  if (<usize>load<u8>(value, 3) + 2 != size || !isAscii(p, end - p)) return 0;
  out = put(out, p + 1, name + 1);
  return put(out, value + 3, size - 1);
}

/** A value that is one bool, int or double. */
function putNumber(out: usize, key: usize, name: usize, p: usize, end: usize): usize {
  if (!isAscii(key, name + 2)) return 0;
  out = put(out, key + 1, name + 1);
  const tag = load<u8>(p);
  let next = out + 1;
  if (tag == 0x18) {
    if (varint(p + 1) != end) return 0;
    next = writeInt64(next, <i64>word);
  } else if (tag == 0x21 && p + 9 == end) {
    const number = load<f64>(p, 1);
    if (number != number) return 0;
    next = writeDouble(next, number);
  } else if (tag == 0x10 && p + 2 == end && load<u8>(p, 1) < 2) {
    // 'true', or 'fals' and 'e'.
    const isTrue = load<u8>(p, 1) != 0;
    store<u32>(next, isTrue ? 0x6575_7274 : 0x736c_6166);
    store<u8>(next, 0x65, 4);
    next += isTrue ? 4 : 5;
  } else {
    return 0;
  }
  store<u8>(out, next - out - 1);
  return next;
}
