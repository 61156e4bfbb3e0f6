/**
 * Nested AnyValues as JSON, as Go's encoder writes the Collector's AsRaw without HTML escapes: keys
 * sorted bytewise, of equal keys the last, bytes as base64 (null when there are none). Where Go
 * fails, at NaN and infinities, the number is a quoted string. First the tree, then its text.
 */
import {
  allocateAttrs,
  appendScalar,
  arrayKind,
  bitsOf,
  boolKind,
  bytesKind,
  doubleKind,
  emptyKind,
  intKind,
  listKind,
  readKeyValue,
  readMember,
  stringKind,
} from './anyvalue';
import { depthFault, fail } from './fault';
import { setTop, top } from '../memory/memory';
import { attrBytes, Attr } from './record';
import { sortByKey } from './keysort';
import { appendWord, markInvalid, room } from '../memory/text';
import { isAscii, isUtf8, sequence } from '../memory/utf8';
import {
  arrayValueMessage,
  depthMax,
  ended,
  keyValueListMessage,
  skipValue,
  slice,
  sliceBytes,
  wideTag,
  word,
  wrongType,
} from './wire';

const nullWord: u64 = 0x6c6c_756e;

/**
 * Reads the children of an array or key-value list: `value` becomes the first one's address and
 * `valueBytes` their number. False after a fault.
 */
export function childrenOf(node: Attr, depth: i32): bool {
  const p = <usize>node.value;
  const end = p + node.valueBytes;
  if (depth > depthMax) return fail(depthFault, p) != 0;
  const isList = node.kind == listKind;
  const count = countValues(p, end, isList ? keyValueListMessage : arrayValueMessage);
  if (count < 0) return false;
  const children = allocateAttrs(count, p);
  if (children == 0) return false;
  node.value = children;
  node.valueBytes = count;
  if (!readChildren(p, end, children, isList, depth)) return false;
  if (isList) sortByKey(children, count);
  return true;
}

/** Number of `values` (field 1 of both messages), or -1 after a fault. */
function countValues(p: usize, end: usize, message: u32): i32 {
  let count = 0;
  while (p < end) {
    let tag = <u32>load<u8>(p++);
    if (tag > 127) {
      p = wideTag(p - 1);
      if (p == 0) return -1;
      tag = <u32>word;
    }
    if (tag >> 3 == 1 && tag != 0x0a) {
      wrongType(p, message, tag);
      return -1;
    }
    p = skipValue(p, end, tag);
    if (p == 0) return -1;
    if (tag == 0x0a) count++;
  }
  return ended(p, end) ? count : -1;
}

function readChildren(p: usize, end: usize, child: usize, isList: bool, depth: i32): bool {
  while (p < end) {
    let tag = <u32>load<u8>(p++);
    if (tag > 127) {
      p = wideTag(p - 1);
      tag = <u32>word;
    }
    if (tag != 0x0a) {
      p = skipValue(p, end, tag);
      continue;
    }
    p = slice(p, end);
    const next = p + sliceBytes;
    if (!readChild(p, next, changetype<Attr>(child), isList, depth)) return false;
    p = next;
    child += attrBytes;
  }
  return true;
}

function readChild(p: usize, end: usize, child: Attr, isList: bool, depth: i32): bool {
  if (isList) {
    if (!readKeyValue(p, end, child)) return false;
    judge(child.key, child.keyBytes);
  } else if (!readMember(p, end, child)) {
    return false;
  }
  if (child.kind == stringKind) judge(child.value, child.valueBytes);
  return child.kind == arrayKind || child.kind == listKind ? childrenOf(child, depth + 1) : true;
}

function judge(p: usize, bytes: usize): void {
  if (!isAscii(p, bytes) && !isUtf8(p, bytes)) markInvalid();
}

/** Appends the JSON of a node whose tree has been read. */
export function appendNested(node: Attr, p: usize): bool {
  switch (node.kind) {
    case emptyKind:
      return appendWord(nullWord, 4, p);
    case stringKind:
      return appendQuoted(node.value, node.valueBytes);
    case boolKind:
    case intKind:
      return appendScalar(node, p);
    case doubleKind:
      return appendNumber(node, p);
    case bytesKind:
      if (node.valueBytes == 0) return appendWord(nullWord, 4, p);
      return appendByte(0x22, p) && appendScalar(node, p) && appendByte(0x22, p);
    case arrayKind:
      return appendArray(node, p);
    default:
      return appendObject(node, p);
  }
}

function appendNumber(node: Attr, p: usize): bool {
  const value = reinterpret<f64>(bitsOf(node));
  if (isFinite(value)) return appendScalar(node, p);
  return appendByte(0x22, p) && appendScalar(node, p) && appendByte(0x22, p);
}

function appendArray(node: Attr, p: usize): bool {
  if (!appendByte(0x5b, p)) return false;
  const end = <usize>node.value + <usize>node.valueBytes * attrBytes;
  for (let child = <usize>node.value; child < end; child += attrBytes) {
    if (child != node.value && !appendByte(0x2c, p)) return false;
    if (!appendNested(changetype<Attr>(child), p)) return false;
  }
  return appendByte(0x5d, p);
}

function appendObject(node: Attr, p: usize): bool {
  if (!appendByte(0x7b, p)) return false;
  const end = <usize>node.value + <usize>node.valueBytes * attrBytes;
  let isFirst = true;
  for (let at = <usize>node.value; at < end; at += attrBytes) {
    const child = changetype<Attr>(at);
    if (at + attrBytes < end && sameKey(child, changetype<Attr>(at + attrBytes))) continue;
    if (!isFirst && !appendByte(0x2c, p)) return false;
    isFirst = false;
    if (!appendQuoted(child.key, child.keyBytes) || !appendByte(0x3a, p)) return false;
    if (!appendNested(child, p)) return false;
  }
  return appendByte(0x7d, p);
}

function sameKey(a: Attr, b: Attr): bool {
  if (a.keyBytes != b.keyBytes) return false;
  return memory.compare(a.key, b.key, a.keyBytes) == 0;
}

function appendByte(byte: u8, p: usize): bool {
  if (!room(1, p)) return false;
  store<u8>(top, byte);
  return setTop(top + 1);
}

/** Appends a string in quotes with Go's escapes. No byte becomes more than 6. */
function appendQuoted(p: usize, bytes: usize): bool {
  if (!appendByte(0x22, p)) return false;
  const end = p + bytes;
  while (p < end) {
    // In runs, so that a long string does not ask for six times its size at once.
    const runEnd = min(end, p + 4096);
    if (!room((runEnd - p + 4) * 6, p)) return false;
    let out = top;
    while (p < runEnd) {
      const plain = plainBytes(p, runEnd);
      v128.store(out, v128.load(p));
      p += plain;
      out += plain;
      if (plain == 16 || p >= runEnd) continue;
      const size = sequence(p, end);
      out = writeEscaped(out, p, size);
      p += size < 0 ? -size : size;
    }
    setTop(out);
  }
  return appendByte(0x22, p);
}

/** How many of the next bytes, 16 at most, are ASCII that JSON has as it is. */
// @ts-ignore: decorator
@inline
function plainBytes(p: usize, end: usize): usize {
  const bytes = v128.load(p);
  // As signed numbers, bytes of other than ASCII are below the blank, too.
  let others = i8x16.lt_s(bytes, i8x16.splat(0x20));
  others = v128.or(others, i8x16.eq(bytes, i8x16.splat(0x22)));
  others = v128.or(others, i8x16.eq(bytes, i8x16.splat(0x5c)));
  return ctz(i8x16.bitmask(others) | (1 << min<i32>(<i32>(end - p), 16)));
}

/** Writes the sequence of `size` bytes, or, where it is negative, the escape of U+FFFD. */
function writeEscaped(out: usize, p: usize, size: i32): usize {
  if (size < 0) return writeUnicode(out, 0xfffd);
  const byte = load<u8>(p);
  if (size == 1) return writeAscii(out, byte);
  // U+2028 and U+2029 end lines in JavaScript: Go escapes them.
  if (byte == 0xe2 && load<u8>(p, 1) == 0x80 && (load<u8>(p, 2) & 0xfe) == 0xa8) {
    return writeUnicode(out, 0x2028 + <u32>(load<u8>(p, 2) & 1));
  }
  for (let i = 0; i < size; i++) store<u8>(out + i, load<u8>(p + i));
  return out + size;
}

function writeAscii(out: usize, byte: u8): usize {
  if (byte >= 0x20 && byte != 0x22 && byte != 0x5c) {
    store<u8>(out, byte);
    return out + 1;
  }
  const short = shortEscape(byte);
  if (short == 0) return writeUnicode(out, byte);
  store<u8>(out, 0x5c);
  store<u8>(out, short, 1);
  return out + 2;
}

/** The letter of a two-character escape, or 0. */
function shortEscape(byte: u8): u8 {
  switch (byte) {
    case 0x22:
    case 0x5c:
      return byte;
    case 0x08:
      return 0x62;
    case 0x09:
      return 0x74;
    case 0x0a:
      return 0x6e;
    case 0x0c:
      return 0x66;
    case 0x0d:
      return 0x72;
    default:
      return 0;
  }
}

function writeUnicode(out: usize, unit: u32): usize {
  store<u16>(out, 0x755c);
  for (let i = 0; i < 4; i++) {
    const digit = (unit >> (12 - 4 * i)) & 15;
    store<u8>(out + i, <u8>(digit < 10 ? 0x30 + digit : 0x57 + digit), 2);
  }
  return out + 6;
}
