/**
 * Counts the rows of one trace: finds the copies of a span, keeps one of them, and adds what is kept to its
 * group. Which copy is kept never depends on the order of the runs: the one that was received first.
 */
import { addNode, beginNodes, joinTrace } from '../graph/trace';
import { allocate } from '../memory/memory';
import {
  Block,
  cellOf,
  comparePlaces,
  durationOf,
  giveBlock,
  linksEnd,
  linksOf,
  parentOf,
  peerOf,
  spanIdOf,
} from './block';
import { keepDuration, SpanGroup } from './group';
import { compareNames, kinds, operations, services } from './names';
import { comparePeers } from './peers';
import { giveRoom, takeRoom } from '../memory/rooms';

/** A part of the trace: rows [from, to) of a block. */
@unmanaged
class Part {
  block: u32;
  from: u32;
  to: u32;
}

/** A row, while the trace's rows are sorted. */
@unmanaged
class Entry {
  spanId: u64;
  block: u32;
  row: u32;
}

const partBytes: usize = 12;
const entryBytes: usize = 16;
const insertionMax: u32 = 24;

export const traceDone: i32 = 0;
export const traceFull: i32 = 1;
/** The block in `unplaced` has no places yet, and a choice depends on them. */
export const traceUnplaced: i32 = 2;
export let unplaced: usize = 0;

let byKind: bool = true;
/** Whether traces are joined to a service graph as well. */
export let withGraph: bool = false;
/** The trace that is counted. */
let traceHigh: u64 = 0;
let traceLow: u64 = 0;
/** Traces are numbered from 1, so that a group sees whether it has counted this one. */
let traceNumber: u32 = 0;
let parts: usize = 0;
let partRoom: u32 = 0;
export let partCount: u32 = 0;
let rowCount: u32 = 0;
/** Blocks that only the open trace still needs. */
let leaving: usize = 0;

/** Begins a shard. `withKind`: a span's kind is part of its identity. False without room. */
export function startTraces(withKind: bool, graph: bool): bool {
  byKind = withKind;
  withGraph = graph;
  traceNumber = 0;
  partCount = 0;
  rowCount = 0;
  leaving = 0;
  partRoom = 64;
  parts = allocate(<usize>partRoom * partBytes);
  return parts != 0;
}

/** Adds a part to the open trace. False without room. */
export function addPart(block: Block, from: u32, to: u32): bool {
  if (partCount == partRoom && !growParts()) return false;
  const part = changetype<Part>(parts + <usize>partCount * partBytes);
  part.block = <u32>changetype<usize>(block);
  part.from = from;
  part.to = to;
  partCount++;
  rowCount += to - from;
  return true;
}

function growParts(): bool {
  const made = allocate(<usize>partRoom * 2 * partBytes);
  if (made == 0) return false;
  memory.copy(made, parts, <usize>partRoom * partBytes);
  parts = made;
  partRoom *= 2;
  return true;
}

/** Gives the block back once the open trace is counted. */
export function leaveBlock(block: Block): void {
  block.next = <u32>leaving;
  leaving = changetype<usize>(block);
}

/** Says which trace is counted next. */
// @ts-ignore: decorator
@inline
export function nameTrace(high: u64, low: u64): void {
  traceHigh = high;
  traceLow = low;
}

/** Counts the open trace and closes it. After `traceUnplaced` it is still open. */
export function closeTrace(): i32 {
  const only = changetype<Part>(parts);
  const fine =
    partCount == 1
      ? countTrace(changetype<Block>(only.block), only.from, only.to)
      : countMany();
  if (fine != traceDone) return fine;
  partCount = 0;
  rowCount = 0;
  while (leaving != 0) {
    const block = changetype<Block>(leaving);
    leaving = block.next;
    giveBlock(block);
  }
  return traceDone;
}

/** Counts a trace whose rows all lie in one block. */
export function countTrace(block: Block, from: u32, to: u32): i32 {
  for (let row = from + 1; row < to; row++) {
    if (spanIdOf(block, row - 1) >= spanIdOf(block, row)) return countAlone(block, from, to);
  }
  traceNumber++;
  for (let row = from; row < to; row++) {
    if (!countRow(cellOf(block, row), durationOf(block, row))) return traceFull;
  }
  if (!withGraph) return traceDone;
  if (!beginNodes(to - from)) return traceFull;
  for (let row = from; row < to; row++) addNode(block, row);
  return joinTrace(traceHigh, traceLow) ? traceDone : traceFull;
}

// @ts-ignore: decorator
@inline
function countRow(cell: u32, duration: u64): bool {
  const group = changetype<SpanGroup>(cell & ~1);
  group.raw++;
  group.errors += cell & 1;
  if (group.lastTrace != traceNumber) {
    group.lastTrace = traceNumber;
    group.traces++;
  }
  return keepDuration(group, duration);
}

/** Counts a trace of one block that is not open, and has copies or is not sorted. */
function countAlone(block: Block, from: u32, to: u32): i32 {
  const isOpen = partCount > 0;
  if (!isOpen && !addPart(block, from, to)) return traceFull;
  const fine = countMany();
  if (!isOpen) {
    partCount = 0;
    rowCount = 0;
  }
  return fine;
}

function countMany(): i32 {
  const bytes = <usize>rowCount * entryBytes;
  const entries = takeRoom(2 * bytes);
  if (entries == 0) return traceFull;
  const end = entries + bytes;
  fillEntries(entries);
  sortEntries(entries, end);
  let fine = findPlaces(entries, end);
  if (fine == traceDone) {
    traceNumber++;
    fine = countEntries(entries, end);
  }
  giveRoom(entries, 2 * bytes);
  return fine;
}

function fillEntries(at: usize): void {
  for (let index: u32 = 0; index < partCount; index++) {
    const part = changetype<Part>(parts + <usize>index * partBytes);
    const block = changetype<Block>(part.block);
    for (let row = part.from; row < part.to; row++, at += entryBytes) {
      const entry = changetype<Entry>(at);
      entry.spanId = spanIdOf(block, row);
      entry.block = part.block;
      entry.row = row;
    }
  }
}

// @ts-ignore: decorator
@inline
function groupOf(entry: Entry): SpanGroup {
  return changetype<SpanGroup>(cellOf(changetype<Block>(entry.block), entry.row) & ~1);
}

/** Orders by identity: span id, tenant, and kind if it counts. */
function compareIds(a: Entry, b: Entry): i32 {
  if (a.spanId != b.spanId) return a.spanId < b.spanId ? -1 : 1;
  const groupA = groupOf(a);
  const groupB = groupOf(b);
  if (groupA.tenant != groupB.tenant) return groupA.tenant < groupB.tenant ? -1 : 1;
  if (!byKind || groupA.kind == groupB.kind) return 0;
  return groupA.kind < groupB.kind ? -1 : 1;
}

/** Merge sort, of pieces that insertion has sorted; behind the entries is room for as many. */
function sortEntries(first: usize, end: usize): void {
  const bytes = end - first;
  const piece = <usize>insertionMax * entryBytes;
  for (let at = first; at < end; at += piece) insert(at, min(at + piece, end));
  let from = first;
  let to = end;
  for (let width = piece; width < bytes; width <<= 1) {
    for (let at: usize = 0; at < bytes; at += 2 * width) {
      const middle = min(at + width, bytes);
      mergeEntries(from + at, from + middle, from + min(middle + width, bytes), to + at);
    }
    const swap = from;
    from = to;
    to = swap;
  }
  if (from != first) memory.copy(first, from, bytes);
}

function insert(first: usize, end: usize): void {
  for (let next = first + entryBytes; next < end; next += entryBytes) {
    const spanId = load<u64>(next);
    const place = load<u64>(next, 8);
    let hole = next;
    for (; hole > first; hole -= entryBytes) {
      store<u64>(hole, spanId);
      store<u64>(hole, place, 8);
      const before = changetype<Entry>(hole - entryBytes);
      if (compareIds(before, changetype<Entry>(hole)) <= 0) break;
      memory.copy(hole, hole - entryBytes, entryBytes);
    }
    store<u64>(hole, spanId);
    store<u64>(hole, place, 8);
  }
}

function mergeEntries(a: usize, middle: usize, end: usize, out: usize): void {
  let b = middle;
  while (a < middle && b < end) {
    if (compareIds(changetype<Entry>(a), changetype<Entry>(b)) <= 0) {
      memory.copy(out, a, entryBytes);
      a += entryBytes;
    } else {
      memory.copy(out, b, entryBytes);
      b += entryBytes;
    }
    out += entryBytes;
  }
  memory.copy(out, a, middle - a);
  memory.copy(out + (middle - a), b, end - b);
}

/** End of the copies of the span that begin at `at`. */
function copiesEnd(at: usize, end: usize): usize {
  let next = at + entryBytes;
  while (next < end && compareIds(changetype<Entry>(at), changetype<Entry>(next)) == 0) {
    next += entryBytes;
  }
  return next;
}

/** Whether two copies say the same: service, operation, kind, error and duration. */
function isSame(a: Entry, b: Entry): bool {
  const blockA = changetype<Block>(a.block);
  const blockB = changetype<Block>(b.block);
  return (
    cellOf(blockA, a.row) == cellOf(blockB, b.row) &&
    durationOf(blockA, a.row) == durationOf(blockB, b.row)
  );
}

/** Whether two copies say the same of calls: parent, peer and links. */
function isSameCall(a: Entry, b: Entry): bool {
  return compareCalls(a, b) == 0;
}

function compareCalls(a: Entry, b: Entry): i32 {
  const blockA = changetype<Block>(a.block);
  const blockB = changetype<Block>(b.block);
  const parentA = parentOf(blockA, a.row);
  const parentB = parentOf(blockB, b.row);
  if (parentA != parentB) return parentA < parentB ? -1 : 1;
  const peer = comparePeers(peerOf(blockA, a.row), peerOf(blockB, b.row));
  if (peer != 0) return peer;
  const linksA = linksOf(blockA, a.row);
  const linksB = linksOf(blockB, b.row);
  const bytesA = linksEnd(blockA, a.row) - linksA;
  const bytesB = linksEnd(blockB, b.row) - linksB;
  return bytesA != bytesB ? <i32>bytesA - <i32>bytesB : memory.compare(linksA, linksB, bytesA);
}

/** Whether it does not matter which of the copies is kept. */
function areSame(at: usize, end: usize): bool {
  const first = changetype<Entry>(at);
  for (let next = at + entryBytes; next < end; next += entryBytes) {
    const other = changetype<Entry>(next);
    if (!isSame(first, other) || (withGraph && !isSameCall(first, other))) return false;
  }
  return true;
}

/** Whether the places of all copies that differ are known; otherwise names a block without. */
function findPlaces(first: usize, end: usize): i32 {
  for (let at = first; at < end; ) {
    const next = copiesEnd(at, end);
    if (next - at > entryBytes && !areSame(at, next)) {
      for (; at < next; at += entryBytes) {
        const block = changetype<Block>(changetype<Entry>(at).block);
        if (block.places != 0) continue;
        unplaced = changetype<usize>(block);
        return traceUnplaced;
      }
    }
    at = next;
  }
  return traceDone;
}

function countEntries(first: usize, end: usize): i32 {
  if (withGraph && !beginNodes(rowCount)) return traceFull;
  for (let at = first; at < end; ) {
    const next = copiesEnd(at, end);
    const kept = next - at > entryBytes ? keepOne(at, next) : changetype<Entry>(at);
    const block = changetype<Block>(kept.block);
    if (!countRow(cellOf(block, kept.row), durationOf(block, kept.row))) return traceFull;
    if (withGraph) addNode(block, kept.row);
    at = next;
  }
  return !withGraph || joinTrace(traceHigh, traceLow) ? traceDone : traceFull;
}

/** The copy that is kept; all others are counted as dropped. */
function keepOne(first: usize, end: usize): Entry {
  let kept = changetype<Entry>(first);
  if (!areSame(first, end)) {
    for (let at = first + entryBytes; at < end; at += entryBytes) {
      if (isEarlier(changetype<Entry>(at), kept)) kept = changetype<Entry>(at);
    }
  }
  for (let at = first; at < end; at += entryBytes) {
    const entry = changetype<Entry>(at);
    if (entry == kept) continue;
    const group = groupOf(entry);
    group.raw++;
    group.dropped++;
    if (!isSame(entry, kept)) group.conflicts++;
  }
  return kept;
}

/** Whether `a` is kept rather than `b`. Content decides between copies of one and the same place. */
function isEarlier(a: Entry, b: Entry): bool {
  const blockA = changetype<Block>(a.block);
  const blockB = changetype<Block>(b.block);
  const place = comparePlaces(blockA, a.row, blockB, b.row);
  if (place != 0) return place < 0;
  const durationA = durationOf(blockA, a.row);
  const durationB = durationOf(blockB, b.row);
  if (durationA != durationB) return durationA < durationB;
  const errorA = cellOf(blockA, a.row) & 1;
  const errorB = cellOf(blockB, b.row) & 1;
  if (errorA != errorB) return errorA < errorB;
  const groupA = groupOf(a);
  const groupB = groupOf(b);
  const service = compareNames(services, groupA.service, groupB.service);
  if (service != 0) return service < 0;
  const operation = compareNames(operations, groupA.operation, groupB.operation);
  if (operation != 0) return operation < 0;
  const kind = compareNames(kinds, groupA.kind, groupB.kind);
  return kind != 0 || !withGraph ? kind < 0 : compareCalls(a, b) < 0;
}
