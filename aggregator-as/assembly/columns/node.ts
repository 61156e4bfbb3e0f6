/**
 * The buffers of an hour's columns, and the table of nodes that tells the host where they are: one
 * node for each Arrow array, parents before children, in the order of the signal's columns.
 */
import { put } from '../memory/bytes';
import { allocate, slack } from '../memory/memory';
import { attrBytes, Attr } from '../otlp/record';

/** An Arrow array: addresses of its buffers, 0 for those that it does not have. */
@unmanaged
export class Node {
  length: u32;
  nullCount: u32;
  validity: u32;
  offsets: u32;
  data: u32;
  dataBytes: u32;
}

/** More than the columns of any signal have: a test counts them. */
const nodesMax: i32 = 320;
const nodes = memory.data(7680, 8);
let nodeCount: i32 = 0;
/** False once a buffer found no room. */
export let hasRoom = true;

export function startNodes(): usize {
  nodeCount = 0;
  hasRoom = true;
  return nodes;
}

/** Adds a node; its other fields are 0. */
export function addNode(length: u32, offsets: usize, data: usize, dataBytes: usize): Node {
  assert(nodeCount < nodesMax);
  const node = changetype<Node>(nodes + <usize>nodeCount * offsetof<Node>());
  nodeCount++;
  node.length = length;
  node.nullCount = 0;
  node.validity = 0;
  node.offsets = <u32>offsets;
  node.data = <u32>data;
  node.dataBytes = <u32>dataBytes;
  return node;
}

/** Takes a buffer with room for copies that write past its end. 0 when there is none. */
export function takeBuffer(bytes: usize): usize {
  if (!hasRoom) return 0;
  const at = allocate(bytes + slack);
  if (at == 0) hasRoom = false;
  return at;
}

/** Takes a buffer and clears it: for bits. */
export function takeBits(count: u32): usize {
  const bytes = (<usize>count + 7) >> 3;
  const at = takeBuffer(bytes);
  if (at != 0) memory.fill(at, 0, bytes);
  return at;
}

// @ts-ignore: decorator
@inline
export function setBit(bits: usize, index: u32): void {
  const at = bits + (index >> 3);
  store<u8>(at, <u8>(<u32>load<u8>(at) | (1 << (index & 7))));
}

/** Takes the offsets of an array of variable-length items, and writes the first. */
export function takeOffsets(count: u32): usize {
  const at = takeBuffer((<usize>count + 1) * 4);
  if (at != 0) store<i32>(at, 0);
  return at;
}

/** A column of texts or bytes being written. */
@unmanaged
export class Texts {
  offsets: u32;
  /** Address of the last offset written. */
  offset: u32;
  data: u32;
  next: u32;
}

/** Takes the buffers of `count` texts of `bytes` in sum, and adds their node. */
export function takeTexts(texts: Texts, count: u32, bytes: usize): Node {
  texts.offsets = <u32>takeOffsets(count);
  texts.offset = texts.offsets;
  texts.data = <u32>takeBuffer(bytes);
  texts.next = texts.data;
  return addNode(count, texts.offsets, texts.data, bytes);
}

// @ts-ignore: decorator
@inline
export function appendText(texts: Texts, from: usize, bytes: usize): void {
  const next = put(texts.next, from, bytes);
  texts.next = <u32>next;
  texts.offset += 4;
  store<i32>(texts.offset, next - texts.data);
}

/** Appends a raw message, or null where `raw` is 0. */
// @ts-ignore: decorator
@inline
export function appendRaw(texts: Texts, validity: usize, row: u32, raw: usize, bytes: u32): void {
  if (raw != 0) setBit(validity, row);
  appendText(texts, raw, bytes);
}

/** A column of attribute maps, and that of their kinds, being written. */
@unmanaged
export class Maps {
  offsets: u32;
  offset: u32;
  /** Entries so far. */
  count: u32;
  keyOffsets: u32;
  keyOffset: u32;
  keys: u32;
  key: u32;
  valueOffsets: u32;
  valueOffset: u32;
  values: u32;
  value: u32;
  kinds: u32;
  kind: u32;
}

/** Takes the buffers of `count` maps with `entries` entries in sum. */
export function takeMaps(
  maps: Maps,
  count: u32,
  entries: u32,
  keyBytes: u32,
  valueBytes: u32
): void {
  maps.offsets = <u32>takeOffsets(count);
  maps.offset = maps.offsets;
  maps.count = 0;
  maps.keyOffsets = <u32>takeOffsets(entries);
  maps.keyOffset = maps.keyOffsets;
  maps.keys = <u32>takeBuffer(keyBytes);
  maps.key = maps.keys;
  maps.valueOffsets = <u32>takeOffsets(entries);
  maps.valueOffset = maps.valueOffsets;
  maps.values = <u32>takeBuffer(valueBytes);
  maps.value = maps.values;
  maps.kinds = <u32>takeBuffer(entries);
  maps.kind = maps.kinds;
}

/** Adds a map's nodes: itself, its struct, keys, values. */
export function addMaps(
  maps: Maps,
  count: u32,
  entries: u32,
  keyBytes: u32,
  valueBytes: u32
): void {
  addNode(count, maps.offsets, 0, 0);
  addNode(entries, 0, 0, 0);
  addNode(entries, maps.keyOffsets, maps.keys, keyBytes);
  addNode(entries, maps.valueOffsets, maps.values, valueBytes);
}

/** Adds the nodes of the maps' kinds: a list and its bytes. */
export function addKinds(maps: Maps, count: u32, entries: u32): void {
  addNode(count, maps.offsets, 0, 0);
  addNode(entries, 0, maps.kinds, entries);
}

/** Appends one map. */
export function appendMap(maps: Maps, attrs: usize, count: u32): void {
  let key = <usize>maps.key;
  let value = <usize>maps.value;
  let kind = <usize>maps.kind;
  let keyOffset = <usize>maps.keyOffset;
  let valueOffset = <usize>maps.valueOffset;
  const keys = <usize>maps.keys;
  const values = <usize>maps.values;
  const end = attrs + <usize>count * attrBytes;
  for (; attrs < end; attrs += attrBytes) {
    const attr = changetype<Attr>(attrs);
    key = put(key, attr.key, attr.keyBytes);
    value = put(value, attr.value, attr.valueBytes);
    keyOffset += 4;
    valueOffset += 4;
    store<i32>(keyOffset, key - keys);
    store<i32>(valueOffset, value - values);
    store<u8>(kind++, attr.kind);
  }
  maps.key = <u32>key;
  maps.value = <u32>value;
  maps.kind = <u32>kind;
  maps.keyOffset = <u32>keyOffset;
  maps.valueOffset = <u32>valueOffset;
  endMap(maps, count);
}

/** Appends one map whose keys lie one after the other at `texts`, and then its values. */
export function appendJoined(
  maps: Maps,
  attrs: usize,
  count: u32,
  texts: usize,
  keyBytes: u32,
  valueBytes: u32,
): void {
  let key: u32 = maps.key - maps.keys;
  let value: u32 = maps.value - maps.values;
  put(maps.key, texts, keyBytes);
  put(maps.value, texts + keyBytes, valueBytes);
  let kind = <usize>maps.kind;
  let keyOffset = <usize>maps.keyOffset;
  let valueOffset = <usize>maps.valueOffset;
  const end = attrs + <usize>count * attrBytes;
  for (; attrs < end; attrs += attrBytes) {
    const attr = changetype<Attr>(attrs);
    key += attr.keyBytes;
    value += attr.valueBytes;
    keyOffset += 4;
    valueOffset += 4;
    store<u32>(keyOffset, key);
    store<u32>(valueOffset, value);
    store<u8>(kind++, attr.kind);
  }
  maps.key += keyBytes;
  maps.value += valueBytes;
  maps.kind = <u32>kind;
  maps.keyOffset = <u32>keyOffset;
  maps.valueOffset = <u32>valueOffset;
  endMap(maps, count);
}

// @ts-ignore: decorator
@inline
function endMap(maps: Maps, count: u32): void {
  maps.count += count;
  maps.offset += 4;
  store<u32>(maps.offset, maps.count);
}
