/**
 * AnyValue and KeyValue (opentelemetry/proto/common/v1/common.proto) as they are on the wire: which
 * member, where its bytes are. Of a oneof's members, and of repeated ones, the last counts.
 */
import { capacityFault, fail } from './fault';
import { allocate } from '../memory/memory';
import { attrBytes, Attr } from './record';
import { appendBase64, appendDouble, appendInt, appendWord, markInexact } from '../memory/text';
import {
  anyValueMessage,
  ended,
  keyValueMessage,
  skipValue,
  slice,
  sliceBytes,
  varint,
  wideTag,
  word,
  wrongType,
} from './wire';

/** Kinds: field numbers of AnyValue's oneof. */
export const emptyKind: u32 = 0;
export const stringKind: u32 = 1;
export const boolKind: u32 = 2;
export const intKind: u32 = 3;
export const doubleKind: u32 = 4;
export const arrayKind: u32 = 5;
export const listKind: u32 = 6;
export const bytesKind: u32 = 7;

const trueWord: u64 = 0x6575_7274;
const falseWord: u64 = 0x65_736c_6166;
const canonicalNan: u64 = 0x7ff8_0000_0000_0000;

/** Takes room for `count` attributes. 0 after a fault, and for none of them the arena's top. */
export function allocateAttrs(count: u32, p: usize): usize {
  if (count > 0x0400_0000) return fail(capacityFault, p);
  const at = allocate(<usize>count * attrBytes);
  return at == 0 ? fail(capacityFault, p) : at;
}

/** Reads the key's bytes and the value's member, neither checked nor made text yet. */
export function readKeyValue(p: usize, end: usize, attr: Attr): bool {
  attr.key = p;
  attr.keyBytes = 0;
  let value: usize = 0;
  let size: usize = 0;
  while (p < end) {
    let tag = <u32>load<u8>(p++);
    if (tag > 127) {
      p = wideTag(p - 1);
      if (p == 0) return false;
      tag = <u32>word;
    }
    if (tag == 0x0a) {
      p = slice(p, end);
      attr.key = p;
      attr.keyBytes = sliceBytes;
      p += sliceBytes;
      if (attr.key == 0) return false;
    } else if (tag == 0x12) {
      if (value != 0) markInexact();
      p = slice(p, end);
      if (p == 0) return false;
      value = p;
      size = sliceBytes;
      p += size;
    } else {
      if (tag >> 3 == 1 || tag >> 3 == 2) return wrongType(p, keyValueMessage, tag) != 0;
      markInexact();
      p = skipValue(p, end, tag);
      if (p == 0) return false;
    }
  }
  if (!ended(p, end)) return false;
  return readMember(value, value + size, attr);
}

/**
 * Reads an AnyValue: sets `kind`, and `value`, `valueBytes` to a slice or, for numbers, together to
 * the 64 bits of the number.
 */
export function readMember(p: usize, end: usize, attr: Attr): bool {
  attr.kind = emptyKind;
  attr.value = 0;
  attr.valueBytes = 0;
  while (p < end) {
    let tag = <u32>load<u8>(p++);
    if (tag > 127) {
      p = wideTag(p - 1);
      if (p == 0) return false;
      tag = <u32>word;
    }
    switch (tag) {
      case 0x0a:
      case 0x2a:
      case 0x32:
      case 0x3a:
        p = slice(p, end);
        if (p == 0) return false;
        attr.value = p;
        attr.valueBytes = sliceBytes;
        p += sliceBytes;
        break;
      case 0x10:
        p = varint(p);
        if (p == 0) return false;
        setBits(attr, word != 0 ? 1 : 0);
        break;
      case 0x18:
        p = varint(p);
        if (p == 0) return false;
        setBits(attr, word);
        break;
      case 0x21:
        setBits(attr, load<u64>(p));
        p += 8;
        break;
      default:
        p = readOther(p, end, tag, attr);
        if (p == 0) return false;
        continue;
    }
    attr.kind = tag >> 3;
  }
  return ended(p, end);
}

/** A member that traces do not use (8, string_value_strindex) leaves the value empty. */
function readOther(p: usize, end: usize, tag: u32, attr: Attr): usize {
  const field = tag >> 3;
  if (field >= 1 && field <= 7) return wrongType(p, anyValueMessage, tag);
  markInexact();
  if (field == 8) {
    attr.kind = emptyKind;
    setBits(attr, 0);
  }
  return skipValue(p, end, tag);
}

// @ts-ignore: decorator
@inline
function setBits(attr: Attr, bits: u64): void {
  attr.value = <u32>bits;
  attr.valueBytes = <u32>(bits >> 32);
}

/** The 64 bits of a number's member. */
// @ts-ignore: decorator
@inline
export function bitsOf(attr: Attr): u64 {
  return <u64>attr.value | (<u64>attr.valueBytes << 32);
}

/** Appends a bool, a number or bytes in their string forms. */
export function appendScalar(attr: Attr, p: usize): bool {
  const bits = bitsOf(attr);
  switch (attr.kind) {
    case boolKind:
      return bits != 0 ? appendWord(trueWord, 4, p) : appendWord(falseWord, 5, p);
    case intKind:
      return appendInt(<i64>bits, p);
    case doubleKind: {
      const value = reinterpret<f64>(bits);
      // A NaN's payload does not survive in the text.
      if (value != value && bits != canonicalNan) markInexact();
      return appendDouble(value, p);
    }
    default:
      return appendBase64(attr.value, attr.valueBytes);
  }
}
