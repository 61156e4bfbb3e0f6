/**
 * Lays out one hour's columns at the arena's top: sums what its spans need, takes every buffer at
 * its exact size, and fills the node table. The order is that of `traceColumns` in
 * schemas/archive.ts. Writing the rows cannot fail after it.
 */
import {
  dictionaryOf,
  resourceUrls,
  scopeNames,
  scopeUrls,
  scopeVersions,
  serviceNames,
  spanNames,
  tenantIds,
  topicNames,
} from './columns';
import { Dictionary } from './dictionary';
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
  takeOffsets,
  takeTexts,
  Texts,
} from './node';
import { kindName, statusName } from './rows';
import { Sums } from './sums';

/** Columns, in order: the numbers of those that have one fixed-size buffer written by `emit`. */
export const traceIdColumn: i32 = 0;
export const spanIdColumn: i32 = 1;
export const parentColumn: i32 = 2;
export const flagsColumn: i32 = 4;
export const nameColumn: i32 = 5;
export const kindColumn: i32 = 6;
export const kindNumberColumn: i32 = 7;
export const serviceColumn: i32 = 8;
export const startColumn: i32 = 9;
export const endColumn: i32 = 10;
export const durationColumn: i32 = 11;
export const statusColumn: i32 = 12;
export const statusNumberColumn: i32 = 13;
export const droppedColumn: i32 = 17;
export const eventTimeColumn: i32 = 18;
export const eventDroppedColumn: i32 = 22;
export const eventsDroppedColumn: i32 = 23;
export const linkTraceIdColumn: i32 = 24;
export const linkSpanIdColumn: i32 = 25;
export const linkDroppedColumn: i32 = 29;
export const linkFlagsColumn: i32 = 30;
export const linksDroppedColumn: i32 = 31;
export const resourceDroppedColumn: i32 = 35;
export const resourceUrlColumn: i32 = 36;
export const scopeNameColumn: i32 = 38;
export const scopeVersionColumn: i32 = 39;
export const scopeDroppedColumn: i32 = 42;
export const scopeUrlColumn: i32 = 43;
export const tenantColumn: i32 = 45;
export const ingestedColumn: i32 = 46;
export const topicColumn: i32 = 47;
export const partitionColumn: i32 = 48;
export const offsetColumn: i32 = 49;
export const itemIndexColumn: i32 = 50;
export const quarantinedColumn: i32 = 51;
const columnCount: i32 = 52;

const data = memory.data(208, 8);
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

/** Offsets of each row's events and links. */
export let eventOffsets: usize = 0;
export let linkOffsets: usize = 0;
/** Bits of the rows whose value is not null. */
export let parentValidity: usize = 0;
export let spanRawValidity: usize = 0;
export let resourceRawValidity: usize = 0;
export let scopeRawValidity: usize = 0;

export const traceStates = changetype<Texts>(memory.data(16, 8));
export const messages = changetype<Texts>(memory.data(16, 8));
export const eventNames = changetype<Texts>(memory.data(16, 8));
export const linkStates = changetype<Texts>(memory.data(16, 8));
export const spanRaws = changetype<Texts>(memory.data(16, 8));
export const resourceRaws = changetype<Texts>(memory.data(16, 8));
export const scopeRaws = changetype<Texts>(memory.data(16, 8));
export const spanMaps = changetype<Maps>(memory.data(56, 8));
export const eventMaps = changetype<Maps>(memory.data(56, 8));
export const linkMaps = changetype<Maps>(memory.data(56, 8));
export const resourceMaps = changetype<Maps>(memory.data(56, 8));
export const scopeMaps = changetype<Maps>(memory.data(56, 8));

let sums: Sums = changetype<Sums>(0);

/** Lays out an hour of `rows` spans. Returns the node table's address, or 0 without room. */
export function layOut(hourSums: Sums, rows: u32): usize {
  // A span's own sizes are those of bytes in memory; only what is repeated can pass 2^31.
  if (hourSums.repeated > 0x7fff_ffff) return 0;
  sums = hourSums;
  const nodes = startNodes();
  column = 0;
  laySpan(rows);
  layEvents(rows);
  layLinks(rows);
  layOwners(rows);
  layProvenance(rows);
  assert(column == columnCount);
  return hasRoom ? nodes : 0;
}

/** A column, or a list's items, of `count` values of `width` bytes. */
function layFixed(count: u32, width: u32): usize {
  const bytes = <usize>count * width;
  const at = takeBuffer(bytes);
  addNode(count, 0, at, bytes);
  setData(at);
  return at;
}

/** A list column of fixed-size items. */
function layList(rows: u32, offsets: usize, count: u32, width: u32): void {
  addNode(rows, offsets, 0, 0);
  layFixed(count, width);
}

/** Columns that are written by appending have no buffer of fixed size. */
function layOther(count: i32): void {
  column += count;
}

function layCodes(rows: u32, dictionary: Dictionary): void {
  layFixed(rows, 4);
  addNode(dictionary.count, dictionary.offsets, dictionary.values, dictionary.textBytes);
}

/** A nullable column of raw messages. Returns its validity bits. */
function layRaws(texts: Texts, rows: u32, bytes: u32, nulls: u32): usize {
  const node = takeTexts(texts, rows, bytes);
  layOther(1);
  node.nullCount = nulls;
  const validity = takeBits(rows);
  node.validity = <u32>validity;
  return validity;
}

function laySpan(rows: u32): void {
  layFixed(rows, 16);
  layFixed(rows, 8);
  layParent(rows);
  takeTexts(traceStates, rows, sums.traceStateBytes);
  layOther(1);
  layFixed(rows, 4);
  layCodes(rows, dictionaryOf(spanNames));
  layFixed(rows, 4);
  addNames(7, true);
  layFixed(rows, 4);
  layCodes(rows, dictionaryOf(serviceNames));
  layFixed(rows, 8);
  layFixed(rows, 8);
  layFixed(rows, 8);
  layFixed(rows, 4);
  addNames(4, false);
  layFixed(rows, 4);
  takeTexts(messages, rows, sums.messageBytes);
  layOther(1);
  layMaps(spanMaps, rows, sums.attrs, sums.keyBytes, sums.valueBytes);
  layFixed(rows, 4);
}

/** Zeros stand where there is no parent. */
function layParent(rows: u32): void {
  const bytes = <usize>rows * 8;
  const at = takeBuffer(bytes);
  const node = addNode(rows, 0, at, bytes);
  setData(at);
  if (at != 0) memory.fill(at, 0, bytes);
  parentValidity = takeBits(rows);
  node.validity = <u32>parentValidity;
  node.nullCount = sums.noParents;
}

/** A map column and the column of its kinds. */
function layMaps(maps: Maps, rows: u32, entries: u32, keyBytes: u32, valueBytes: u32): void {
  takeMaps(maps, rows, entries, keyBytes, valueBytes);
  addMaps(maps, rows, entries, keyBytes, valueBytes);
  addKinds(maps, rows, entries);
  layOther(2);
}

/** The dictionary of kinds or of status codes: the names, with that of unknown numbers. */
function addNames(count: i32, areKinds: bool): void {
  const offsets = takeOffsets(count);
  const values = takeBuffer(128);
  if (values == 0) return;
  let next = values;
  for (let code = 0; code < count; code++) {
    const name = areKinds ? kindName(code) : statusName(code);
    const bytes = <usize>load<u8>(name);
    memory.copy(next, name + 1, bytes);
    next += bytes;
    store<i32>(offsets + (<usize>(code + 1) << 2), next - values);
  }
  addNode(count, offsets, values, next - values);
}

function layEvents(rows: u32): void {
  const count = sums.events;
  eventOffsets = takeOffsets(rows);
  layList(rows, eventOffsets, count, 8);
  addNode(rows, eventOffsets, 0, 0);
  takeTexts(eventNames, count, sums.eventNameBytes);
  layOther(1);
  const attrs = sums.eventAttrs;
  takeMaps(eventMaps, count, attrs, sums.eventKeyBytes, sums.eventValueBytes);
  addNode(rows, eventOffsets, 0, 0);
  addMaps(eventMaps, count, attrs, sums.eventKeyBytes, sums.eventValueBytes);
  addNode(rows, eventOffsets, 0, 0);
  addKinds(eventMaps, count, attrs);
  layOther(2);
  layList(rows, eventOffsets, count, 4);
  layFixed(rows, 4);
}

function layLinks(rows: u32): void {
  const count = sums.links;
  linkOffsets = takeOffsets(rows);
  layList(rows, linkOffsets, count, 16);
  layList(rows, linkOffsets, count, 8);
  addNode(rows, linkOffsets, 0, 0);
  takeTexts(linkStates, count, sums.linkStateBytes);
  layOther(1);
  const attrs = sums.linkAttrs;
  takeMaps(linkMaps, count, attrs, sums.linkKeyBytes, sums.linkValueBytes);
  addNode(rows, linkOffsets, 0, 0);
  addMaps(linkMaps, count, attrs, sums.linkKeyBytes, sums.linkValueBytes);
  addNode(rows, linkOffsets, 0, 0);
  addKinds(linkMaps, count, attrs);
  layOther(2);
  layList(rows, linkOffsets, count, 4);
  layList(rows, linkOffsets, count, 4);
  layFixed(rows, 4);
  spanRawValidity = layRaws(spanRaws, rows, sums.rawBytes, sums.noRaws);
}

function layOwners(rows: u32): void {
  layMaps(resourceMaps, rows, sums.resourceAttrs, sums.resourceKeyBytes, sums.resourceValueBytes);
  layFixed(rows, 4);
  layCodes(rows, dictionaryOf(resourceUrls));
  const bytes = sums.resourceRawBytes;
  resourceRawValidity = layRaws(resourceRaws, rows, bytes, sums.noResourceRaws);
  layCodes(rows, dictionaryOf(scopeNames));
  layCodes(rows, dictionaryOf(scopeVersions));
  layMaps(scopeMaps, rows, sums.scopeAttrs, sums.scopeKeyBytes, sums.scopeValueBytes);
  layFixed(rows, 4);
  layCodes(rows, dictionaryOf(scopeUrls));
  scopeRawValidity = layRaws(scopeRaws, rows, sums.scopeRawBytes, sums.noScopeRaws);
}

function layProvenance(rows: u32): void {
  layCodes(rows, dictionaryOf(tenantIds));
  layFixed(rows, 8);
  layCodes(rows, dictionaryOf(topicNames));
  layFixed(rows, 4);
  layFixed(rows, 8);
  layFixed(rows, 4);
  const bits = takeBits(rows);
  addNode(rows, 0, bits, (rows + 7) >> 3);
  setData(bits);
}
