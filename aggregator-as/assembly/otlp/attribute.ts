/**
 * Attributes: each value in the string form of the Collector's AsString, keys and values checked
 * UTF-8, and the sums of their sizes, so that writers know their room beforehand.
 */
import {
  allocateAttrs,
  appendScalar,
  arrayKind,
  boolKind,
  bytesKind,
  doubleKind,
  emptyKind,
  intKind,
  readKeyValue,
  readMember,
  stringKind,
} from './anyvalue';
import { writeDouble, writeInt64 } from '../memory/double';
import { appendNested, childrenOf } from './json';
import { reserve, setTop, top } from '../memory/memory';
import { attrBytes, Attr } from './record';
import { checkText, markInexact, text, textBytes } from '../memory/text';
import { isAscii } from '../memory/utf8';
import { skipValue, slice, sliceBytes, varint, wideTag, word } from './wire';

/** Sums of sizes over the attributes read since `clearSums`. */
export let keyBytes: u32 = 0;
export let valueBytes: u32 = 0;

// @ts-ignore: decorator
@inline
export function clearSums(): void {
  keyBytes = 0;
  valueBytes = 0;
}

/** Reads one KeyValue message. False after a fault. */
export function readAttribute(p: usize, end: usize, attr: Attr): bool {
  return readPlain(p, end, attr) ? true : readAny(p, end, attr);
}

/**
 * The common shape: a key, then a value of one member, each shorter than 128 bytes, all text ASCII.
 * Tags and lengths are below 0x80 too then, so one look at a whole message with a string suffices.
 */
// @ts-ignore: decorator
@inline
function readPlain(p: usize, end: usize, attr: Attr): bool {
  if (end - p < 6 || load<u8>(p) != 0x0a) return false;
  const name = <usize>load<u8>(p, 1);
  const value = p + 2 + name;
  if (name > 127 || value + 4 > end || load<u8>(value) != 0x12) return false;
  const size = <usize>load<u8>(value, 1);
  if (size > 127 || value + 2 + size != end) return false;
  attr.key = p + 2;
  attr.keyBytes = name;
  if (load<u8>(value, 2) != 0x0a) return readPlainNumber(value + 2, end, attr);
  if (<usize>load<u8>(value, 3) + 2 != size || !isAscii(p, end - p)) return false;
  attr.value = value + 4;
  attr.valueBytes = size - 2;
  attr.kind = stringKind;
  keyBytes += name;
  valueBytes += size - 2;
  return true;
}

/** `false` at 0, `true` at 8. */
const boolTexts = memory.data<u8>([
  102, 97, 108, 115, 101, 0, 0, 0, 116, 114, 117, 101, 0, 0, 0, 0,
]);

/** A value that is one bool, int or double, of an attribute whose key is located. */
function readPlainNumber(p: usize, end: usize, attr: Attr): bool {
  if (!isAscii(attr.key, attr.keyBytes)) return false;
  const tag = load<u8>(p);
  if (tag == 0x10 && p + 2 == end && load<u8>(p, 1) < 2) {
    const isTrue = load<u8>(p, 1);
    attr.value = boolTexts + (<usize>isTrue << 3);
    attr.valueBytes = 5 - isTrue;
    attr.kind = boolKind;
  } else {
    const start = top;
    if (!reserve(64)) return false;
    if (tag == 0x18) {
      if (varint(p + 1) != end) return false;
      setTop(writeInt64(start, <i64>word));
      attr.kind = intKind;
    } else if (tag == 0x21 && p + 9 == end) {
      const number = load<f64>(p, 1);
      if (number != number) return false;
      setTop(writeDouble(start, number));
      attr.kind = doubleKind;
    } else {
      return false;
    }
    attr.value = start;
    attr.valueBytes = top - start;
  }
  keyBytes += attr.keyBytes;
  valueBytes += attr.valueBytes;
  return true;
}

function readAny(p: usize, end: usize, attr: Attr): bool {
  if (!readKeyValue(p, end, attr)) return false;
  if (!checkText(attr.key, attr.keyBytes)) return false;
  attr.key = text;
  attr.keyBytes = textBytes;
  if (!renderValue(attr, p)) return false;
  keyBytes += attr.keyBytes;
  valueBytes += attr.valueBytes;
  return true;
}

/** Reads an AnyValue message in its string form, and its kind. False after a fault. */
export function readValue(p: usize, end: usize, attr: Attr): bool {
  return readMember(p, end, attr) && renderValue(attr, p);
}

/** Replaces the member by its string form. */
function renderValue(attr: Attr, p: usize): bool {
  const kind = attr.kind;
  if (kind == stringKind) {
    if (!checkText(attr.value, attr.valueBytes)) return false;
    attr.value = text;
    attr.valueBytes = textBytes;
    return true;
  }
  if (kind == emptyKind) return true;
  if (kind >= arrayKind && kind != bytesKind) return renderNested(attr, p);
  const start = top;
  if (!appendScalar(attr, p)) return false;
  attr.value = start;
  attr.valueBytes = top - start;
  return true;
}

/** Builds the tree of a nested value, writes its JSON, then moves the JSON over the tree. */
function renderNested(attr: Attr, p: usize): bool {
  markInexact();
  const tree = top;
  if (!childrenOf(attr, 1)) return false;
  const start = top;
  if (!appendNested(attr, p)) return false;
  const size = top - start;
  memory.copy(tree, start, size);
  attr.value = tree;
  attr.valueBytes = size;
  return setTop(tree + size);
}

/**
 * Reads the `count` KeyValues with this tag from a message whose fields have been walked once. 0
 * after a fault.
 */
export function readAttributes(p: usize, end: usize, wanted: u32, count: u32): usize {
  const attrs = allocateAttrs(count, p);
  if (attrs == 0 || count == 0) return attrs;
  let attr = attrs;
  while (p < end) {
    let tag = <u32>load<u8>(p++);
    if (tag > 127) {
      p = wideTag(p - 1);
      tag = <u32>word;
    }
    if (tag != wanted) {
      p = skipValue(p, end, tag);
      continue;
    }
    p = slice(p, end);
    const next = p + sliceBytes;
    if (!readAttribute(p, next, changetype<Attr>(attr))) return 0;
    attr += attrBytes;
    p = next;
  }
  return attrs;
}
