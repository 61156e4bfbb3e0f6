/**
 * Writes an hour's rows into the columns that were laid out, in blocks of rows: within a block, one
 * group of columns after the other, while the block's records are in the cache.
 */
import { appendJoined, appendMap, appendText, setBit, Texts } from './node';
import * as at from './layout';
import { Entry, entryBytes, Index } from './order';
import { attrBytes, Event, Link, Request, Resource, Scope, sizeOf, Span } from './record';
import { hasParent } from './sums';

const blockRows: u32 = 32;

/** Addresses of the block's spans. */
const spans = memory.data(128, 8);
/** Events and links so far. */
let eventCount: u32 = 0;
let linkCount: u32 = 0;

/** Writes all rows. */
export function emitRows(first: usize, rows: u32): void {
  eventCount = 0;
  linkCount = 0;
  for (let from: u32 = 0; from < rows; from += blockRows) {
    const to = min(from + blockRows, rows);
    fetchBlock(first, from, to);
    emitIds(from, to);
    emitNumbers(from, to);
    emitTexts(from, to);
    emitEvents(from, to);
    emitLinks(from, to);
    emitResources(from, to);
    emitScopes(from, to);
    emitProvenance(from, to);
  }
}

// @ts-ignore: decorator
@inline
function spanAt(row: u32): Span {
  return changetype<Span>(load<u32>(spans + (<usize>(row % blockRows) << 2)));
}

/** Read by nobody: it keeps the reads of `fetchBlock` from being left out. */
export let fetched: u32 = 0;

/**
 * Reads a byte of each cache line that the block will need. Sorted spans lie anywhere: here their
 * lines are on their way all at once, while the writers would wait for one after the other.
 */
function fetchBlock(first: usize, from: u32, to: u32): void {
  let sum: u32 = 0;
  for (let row = from; row < to; row++) {
    const entry = changetype<Entry>(first + <usize>row * entryBytes);
    const span = changetype<Index>(entry.index).span;
    store<u32>(spans + (<usize>(row % blockRows) << 2), span);
    for (let line: usize = 0; line < sizeOf<Span>(); line += 64) sum += load<u8>(span + line);
  }
  for (let row = from; row < to; row++) {
    const span = spanAt(row);
    sum += fetchLines(span.at, span.bytes);
    sum += fetchLines(span.attrs, span.attrCount * <u32>attrBytes);
  }
  fetched = sum;
}

// @ts-ignore: decorator
@inline
function fetchLines(at: usize, bytes: u32): u32 {
  let sum: u32 = 0;
  const end = at + bytes;
  for (let line = at; line < end; line += 64) sum += load<u8>(line);
  return sum;
}

function emitIds(from: u32, to: u32): void {
  const traceIds = at.dataOf(at.traceIdColumn);
  const spanIds = at.dataOf(at.spanIdColumn);
  const parents = at.dataOf(at.parentColumn);
  const starts = at.dataOf(at.startColumn);
  const ends = at.dataOf(at.endColumn);
  const durations = at.dataOf(at.durationColumn);
  for (let row = from; row < to; row++) {
    const span = spanAt(row);
    const eighth = <usize>row << 3;
    v128.store(traceIds + (<usize>row << 4), v128.load(span.traceId));
    store<u64>(spanIds + eighth, load<u64>(span.spanId));
    if (hasParent(span)) {
      store<u64>(parents + eighth, load<u64>(span.parent));
      setBit(at.parentValidity, row);
    }
    const start = span.startNs;
    const end = span.endNs;
    store<u64>(starts + eighth, start);
    store<u64>(ends + eighth, end);
    store<u64>(durations + eighth, end < start ? 0 : end - start);
  }
}

function emitNumbers(from: u32, to: u32): void {
  const flags = at.dataOf(at.flagsColumn);
  const names = at.dataOf(at.nameColumn);
  const kinds = at.dataOf(at.kindColumn);
  const kindNumbers = at.dataOf(at.kindNumberColumn);
  const statuses = at.dataOf(at.statusColumn);
  const statusNumbers = at.dataOf(at.statusNumberColumn);
  const dropped = at.dataOf(at.droppedColumn);
  const eventsDropped = at.dataOf(at.eventsDroppedColumn);
  const linksDropped = at.dataOf(at.linksDroppedColumn);
  const itemIndexes = at.dataOf(at.itemIndexColumn);
  for (let row = from; row < to; row++) {
    const span = spanAt(row);
    const fourth = <usize>row << 2;
    store<u32>(flags + fourth, span.flags);
    store<i32>(names + fourth, span.nameCode);
    store<u32>(kinds + fourth, min(<u32>span.kind, 6));
    store<i32>(kindNumbers + fourth, span.kind);
    store<u32>(statuses + fourth, min(<u32>span.statusCode, 3));
    store<i32>(statusNumbers + fourth, span.statusCode);
    store<u32>(dropped + fourth, span.dropped);
    store<u32>(eventsDropped + fourth, span.eventsDropped);
    store<u32>(linksDropped + fourth, span.linksDropped);
    store<u32>(itemIndexes + fourth, span.itemIndex);
  }
}

function emitTexts(from: u32, to: u32): void {
  for (let row = from; row < to; row++) {
    const span = spanAt(row);
    appendText(at.traceStates, span.traceState, span.traceStateBytes);
    appendText(at.messages, span.statusMessage, span.statusMessageBytes);
    appendRaw(at.spanRaws, at.spanRawValidity, row, span.raw, span.rawBytes);
    appendMap(at.spanMaps, span.attrs, span.attrCount);
  }
}

// @ts-ignore: decorator
@inline
function appendRaw(texts: Texts, validity: usize, row: u32, raw: usize, bytes: u32): void {
  if (raw != 0) setBit(validity, row);
  appendText(texts, raw, bytes);
}

function emitEvents(from: u32, to: u32): void {
  const times = at.dataOf(at.eventTimeColumn);
  const dropped = at.dataOf(at.eventDroppedColumn);
  for (let row = from; row < to; row++) {
    const span = spanAt(row);
    const end = <usize>span.events + <usize>span.eventCount * sizeOf<Event>();
    for (let p = <usize>span.events; p < end; p += sizeOf<Event>()) {
      const event = changetype<Event>(p);
      store<u64>(times + (<usize>eventCount << 3), event.timeNs);
      store<u32>(dropped + (<usize>eventCount << 2), event.dropped);
      appendText(at.eventNames, event.name, event.nameBytes);
      appendMap(at.eventMaps, event.attrs, event.attrCount);
      eventCount++;
    }
    store<u32>(at.eventOffsets + (<usize>(row + 1) << 2), eventCount);
  }
}

function emitLinks(from: u32, to: u32): void {
  const traceIds = at.dataOf(at.linkTraceIdColumn);
  const spanIds = at.dataOf(at.linkSpanIdColumn);
  const dropped = at.dataOf(at.linkDroppedColumn);
  const flags = at.dataOf(at.linkFlagsColumn);
  for (let row = from; row < to; row++) {
    const span = spanAt(row);
    const end = <usize>span.links + <usize>span.linkCount * sizeOf<Link>();
    for (let p = <usize>span.links; p < end; p += sizeOf<Link>()) {
      const link = changetype<Link>(p);
      v128.store(traceIds + (<usize>linkCount << 4), v128.load(link.traceId));
      store<u64>(spanIds + (<usize>linkCount << 3), load<u64>(link.spanId));
      store<u32>(dropped + (<usize>linkCount << 2), link.dropped);
      store<u32>(flags + (<usize>linkCount << 2), link.flags);
      appendText(at.linkStates, link.traceState, link.traceStateBytes);
      appendMap(at.linkMaps, link.attrs, link.attrCount);
      linkCount++;
    }
    store<u32>(at.linkOffsets + (<usize>(row + 1) << 2), linkCount);
  }
}

function emitResources(from: u32, to: u32): void {
  const services = at.dataOf(at.serviceColumn);
  const dropped = at.dataOf(at.resourceDroppedColumn);
  const urls = at.dataOf(at.resourceUrlColumn);
  for (let row = from; row < to; row++) {
    const resource = changetype<Resource>(spanAt(row).resource);
    const fourth = <usize>row << 2;
    store<i32>(services + fourth, resource.serviceCode);
    store<u32>(dropped + fourth, resource.dropped);
    store<i32>(urls + fourth, resource.schemaUrlCode);
    appendJoined(
      at.resourceMaps,
      resource.attrs,
      resource.attrCount,
      resource.keys,
      resource.keyBytes,
      resource.valueBytes,
    );
    appendRaw(at.resourceRaws, at.resourceRawValidity, row, resource.raw, resource.rawBytes);
  }
}

function emitScopes(from: u32, to: u32): void {
  const names = at.dataOf(at.scopeNameColumn);
  const versions = at.dataOf(at.scopeVersionColumn);
  const dropped = at.dataOf(at.scopeDroppedColumn);
  const urls = at.dataOf(at.scopeUrlColumn);
  for (let row = from; row < to; row++) {
    const scope = changetype<Scope>(spanAt(row).scope);
    const fourth = <usize>row << 2;
    store<i32>(names + fourth, scope.nameCode);
    store<i32>(versions + fourth, scope.versionCode);
    store<u32>(dropped + fourth, scope.dropped);
    store<i32>(urls + fourth, scope.schemaUrlCode);
    appendJoined(
      at.scopeMaps,
      scope.attrs,
      scope.attrCount,
      scope.keys,
      scope.keyBytes,
      scope.valueBytes,
    );
    appendRaw(at.scopeRaws, at.scopeRawValidity, row, scope.raw, scope.rawBytes);
  }
}

function emitProvenance(from: u32, to: u32): void {
  const tenants = at.dataOf(at.tenantColumn);
  const ingested = at.dataOf(at.ingestedColumn);
  const topics = at.dataOf(at.topicColumn);
  const partitions = at.dataOf(at.partitionColumn);
  const offsets = at.dataOf(at.offsetColumn);
  const quarantined = at.dataOf(at.quarantinedColumn);
  for (let row = from; row < to; row++) {
    const span = spanAt(row);
    const request = changetype<Request>(span.request);
    const fourth = <usize>row << 2;
    const eighth = <usize>row << 3;
    store<i32>(tenants + fourth, request.tenantCode);
    store<i64>(ingested + eighth, request.receivedMs);
    store<i32>(topics + fourth, request.topicCode);
    store<i32>(partitions + fourth, request.partition);
    store<i64>(offsets + eighth, request.offset);
    if (span.quarantined) setBit(quarantined, row);
  }
}
