/**
 * Lays out columns at the arena's top: takes every buffer at its exact size, and fills the node
 * table. A signal's layout calls these in the order of its `archiveColumns` in schemas/archive.ts.
 * Writing the rows cannot fail after it.
 */
import {
  dictionaryOf,
  resourceUrls,
  scopeNames,
  scopeUrls,
  scopeVersions,
  serviceNames,
  tenantIds,
  topicNames,
} from './codes';
import {
  addKinds,
  addMaps,
  addNode,
  hasRoom,
  Maps,
  startNodes,
  takeBits,
  takeBuffer,
  takeMaps,
  takeTexts,
  Texts,
} from './node';
import { Sums } from './sums';

/** Buffers of the columns that have one of fixed size, by the column's number; at most 96. */
const data = memory.data(384, 8);
/** Number of the column that is laid next. */
let column: i32 = 0;

/** Address of a column's buffer. */
// @ts-ignore: decorator
@inline
export function dataOf(index: i32): usize {
  return load<u32>(data + (<usize>index << 2));
}

/** Sets the buffer of the next column. */
function setData(at: usize): void {
  store<u32>(data + (<usize>column << 2), <u32>at);
  column++;
}

let nodes: usize = 0;

/** Begins. */
export function startColumns(): void {
  nodes = startNodes();
  column = 0;
}

/** Returns the node table's address, or 0 when a buffer found no room. */
export function endColumns(): usize {
  return hasRoom ? nodes : 0;
}

/** A column, or a list's items, of `count` values of `width` bytes. */
export function layFixed(count: u32, width: u32): usize {
  const bytes = <usize>count * width;
  const at = takeBuffer(bytes);
  addNode(count, 0, at, bytes);
  setData(at);
  return at;
}

/** A nullable column, of zeros and nulls until written. Returns its validity bits. */
export function layNullable(count: u32, width: u32, nulls: u32): usize {
  const bytes = <usize>count * width;
  const at = takeBuffer(bytes);
  const node = addNode(count, 0, at, bytes);
  setData(at);
  if (at != 0) memory.fill(at, 0, bytes);
  const validity = takeBits(count);
  node.validity = <u32>validity;
  node.nullCount = nulls;
  return validity;
}

/** A column of bools, all false until written. */
export function layBits(rows: u32): void {
  const bits = takeBits(rows);
  addNode(rows, 0, bits, (rows + 7) >> 3);
  setData(bits);
}

/** A list column of fixed-size items. */
export function layList(rows: u32, offsets: usize, count: u32, width: u32): void {
  addNode(rows, offsets, 0, 0);
  layFixed(count, width);
}

/** Columns that are written by appending have no buffer of fixed size. */
export function layOther(count: i32): void {
  column += count;
}

/** A column of texts. */
export function layTexts(texts: Texts, rows: u32, bytes: u32): void {
  takeTexts(texts, rows, bytes);
  layOther(1);
}

/** A column of codes of the dictionary with this number. */
export function layCodes(rows: u32, index: i32): void {
  const dictionary = dictionaryOf(index);
  layFixed(rows, 4);
  addNode(dictionary.count, dictionary.offsets, dictionary.values, dictionary.textBytes);
}

/** A nullable column of raw messages. Returns its validity bits. */
export function layRaws(texts: Texts, rows: u32, bytes: u32, nulls: u32): usize {
  const node = takeTexts(texts, rows, bytes);
  layOther(1);
  node.nullCount = nulls;
  const validity = takeBits(rows);
  node.validity = <u32>validity;
  return validity;
}

/** A map column and the column of its kinds. */
export function layMaps(
  maps: Maps,
  rows: u32,
  entries: u32,
  keyBytes: u32,
  valueBytes: u32,
): void {
  takeMaps(maps, rows, entries, keyBytes, valueBytes);
  addMaps(maps, rows, entries, keyBytes, valueBytes);
  addKinds(maps, rows, entries);
  layOther(2);
}

/** Numbers of the columns that all signals have: where `ServiceName` is, and `ResourceAttributes`. */
export let serviceColumn: i32 = 0;
export let ownersColumn: i32 = 0;

/** From `ownersColumn`: the columns of fixed size. */
export const resourceDropped: i32 = 2;
export const resourceUrl: i32 = 3;
export const scopeName: i32 = 5;
export const scopeVersion: i32 = 6;
export const scopeDropped: i32 = 9;
export const scopeUrl: i32 = 10;
export const tenant: i32 = 12;
export const ingested: i32 = 13;
export const topic: i32 = 14;
export const partition: i32 = 15;
export const offset: i32 = 16;
export const itemIndex: i32 = 17;
export const quarantined: i32 = 18;

export const resourceMaps = changetype<Maps>(memory.data(56, 8));
export const scopeMaps = changetype<Maps>(memory.data(56, 8));
export const resourceRaws = changetype<Texts>(memory.data(16, 8));
export const scopeRaws = changetype<Texts>(memory.data(16, 8));
/** Bits of the rows whose value is not null. */
export let resourceRawValidity: usize = 0;
export let scopeRawValidity: usize = 0;
/** Each row's resource and scope, by their addresses. */
export let resources: usize = 0;
export let scopes: usize = 0;

/** `ServiceName`. */
export function layService(rows: u32): void {
  serviceColumn = column;
  layCodes(rows, serviceNames);
}

/** From `ResourceAttributes` to `Quarantined`: a signal's last columns. */
export function layOwners(sums: Sums, rows: u32): void {
  ownersColumn = column;
  resources = takeBuffer(<usize>rows << 2);
  scopes = takeBuffer(<usize>rows << 2);
  layMaps(resourceMaps, rows, sums.resourceAttrs, sums.resourceKeyBytes, sums.resourceValueBytes);
  layFixed(rows, 4);
  layCodes(rows, resourceUrls);
  const bytes = sums.resourceRawBytes;
  resourceRawValidity = layRaws(resourceRaws, rows, bytes, sums.noResourceRaws);
  layCodes(rows, scopeNames);
  layCodes(rows, scopeVersions);
  layMaps(scopeMaps, rows, sums.scopeAttrs, sums.scopeKeyBytes, sums.scopeValueBytes);
  layFixed(rows, 4);
  layCodes(rows, scopeUrls);
  scopeRawValidity = layRaws(scopeRaws, rows, sums.scopeRawBytes, sums.noScopeRaws);
  layProvenance(rows);
}

function layProvenance(rows: u32): void {
  layCodes(rows, tenantIds);
  layFixed(rows, 8);
  layCodes(rows, topicNames);
  layFixed(rows, 4);
  layFixed(rows, 8);
  layFixed(rows, 4);
  layBits(rows);
}
