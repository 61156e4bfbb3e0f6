/** Lays out one hour's columns of spans, in the order of `traceColumns` in schemas/archive.ts. */
import { peerNames, spanNames } from './codes';
import {
  endColumns,
  layCodes,
  layFixed,
  layList,
  layMaps,
  layNullable,
  layOther,
  layOwners,
  layRaws,
  layService,
  layTexts,
  startColumns,
} from './layout';
import {
  addKinds,
  addMaps,
  addNode,
  Maps,
  takeBuffer,
  takeMaps,
  takeOffsets,
  takeTexts,
  Texts,
} from './node';
import { peerKindBytes, peerKindNames, peerKinds } from '../otlp/peer';
import { kindName, statusName } from '../rows/spans';
import { SpanSums } from './spansums';

/** Columns, in order: the numbers of those that have one fixed-size buffer written by `emit`. */
export const traceIdColumn: i32 = 0;
export const spanIdColumn: i32 = 1;
export const parentColumn: i32 = 2;
export const flagsColumn: i32 = 4;
export const nameColumn: i32 = 5;
export const kindColumn: i32 = 6;
export const kindNumberColumn: i32 = 7;
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
export const peerKindColumn: i32 = 33;
export const peerNameColumn: i32 = 34;

/** Offsets of each row's events and links. */
export let eventOffsets: usize = 0;
export let linkOffsets: usize = 0;
/** Bits of the rows whose value is not null. */
export let parentValidity: usize = 0;
export let spanRawValidity: usize = 0;

export const traceStates = changetype<Texts>(memory.data(16, 8));
export const messages = changetype<Texts>(memory.data(16, 8));
export const eventNames = changetype<Texts>(memory.data(16, 8));
export const linkStates = changetype<Texts>(memory.data(16, 8));
export const spanRaws = changetype<Texts>(memory.data(16, 8));
export const spanMaps = changetype<Maps>(memory.data(56, 8));
export const eventMaps = changetype<Maps>(memory.data(56, 8));
export const linkMaps = changetype<Maps>(memory.data(56, 8));

let sums: SpanSums = changetype<SpanSums>(0);

/** Lays out an hour of `rows` spans. Returns the node table's address, or 0 without room. */
export function laySpans(hourSums: SpanSums, rows: u32): usize {
  sums = hourSums;
  startColumns();
  laySpan(rows);
  layEvents(rows);
  layLinks(rows);
  layPeer(rows);
  layOwners(sums, rows);
  return endColumns();
}

function laySpan(rows: u32): void {
  layFixed(rows, 16);
  layFixed(rows, 8);
  parentValidity = layNullable(rows, 8, sums.noParents);
  layTexts(traceStates, rows, sums.traceStateBytes);
  layFixed(rows, 4);
  layCodes(rows, spanNames);
  layFixed(rows, 4);
  addNames(7, kindName(0), 16);
  layFixed(rows, 4);
  layService(rows);
  layFixed(rows, 8);
  layFixed(rows, 8);
  layFixed(rows, 8);
  layFixed(rows, 4);
  addNames(4, statusName(0), 16);
  layFixed(rows, 4);
  layTexts(messages, rows, sums.messageBytes);
  layMaps(spanMaps, rows, sums.attrs, sums.keyBytes, sums.valueBytes);
  layFixed(rows, 4);
}

/** A dictionary of names that stand from `at` on, `stride` bytes each, the first of them their length. */
function addNames(count: i32, at: usize, stride: usize): void {
  const offsets = takeOffsets(count);
  const values = takeBuffer(128);
  if (values == 0) return;
  let next = values;
  for (let code = 0; code < count; code++) {
    const name = at + <usize>code * stride;
    const bytes = <usize>load<u8>(name);
    memory.copy(next, name + 1, bytes);
    next += bytes;
    store<i32>(offsets + (<usize>(code + 1) << 2), next - values);
  }
  addNode(count, offsets, values, next - values);
}

function layPeer(rows: u32): void {
  layFixed(rows, 4);
  addNames(peerKinds, peerKindNames, peerKindBytes);
  layCodes(rows, peerNames);
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
