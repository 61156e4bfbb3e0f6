/**
 * Attributes: each value in the string form of the Collector's AsString, keys and values checked
 * UTF-8, and the sums of their sizes, so that writers know their room beforehand.
 */
import {
  allocateAttrs,
  appendScalar,
  arrayKind,
  bytesKind,
  emptyKind,
  readKeyValue,
  stringKind,
} from './anyvalue';
import { appendNested, childrenOf } from './json';
import { setTop, top } from './memory';
import { attrBytes, Attr } from './record';
import { checkText, markInexact, text, textBytes } from './text';
import { isAscii } from './utf8';
import { skipValue, slice, sliceBytes, wideTag, word } from './wire';

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
 * The common shape: a key, then a value that is a string, all ASCII, each shorter than 128 bytes.
 * Tags and lengths are below 0x80 too then, so one look at the whole message suffices.
 */
// @ts-ignore: decorator
@inline
function readPlain(p: usize, end: usize, attr: Attr): bool {
  if (end - p < 6 || load<u8>(p) != 0x0a) return false;
  const name = <usize>load<u8>(p, 1);
  const value = p + 2 + name;
  if (name > 127 || value + 4 > end) return false;
  if (load<u8>(value) != 0x12 || load<u8>(value, 2) != 0x0a) return false;
  const bytes = <usize>load<u8>(value, 3);
  if (value + 4 + bytes != end || <usize>load<u8>(value, 1) != bytes + 2) return false;
  if (!isAscii(p, end - p)) return false;
  attr.key = p + 2;
  attr.keyBytes = name;
  attr.value = value + 4;
  attr.valueBytes = bytes;
  attr.kind = stringKind;
  keyBytes += name;
  valueBytes += bytes;
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
