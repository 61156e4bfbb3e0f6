/** Writes an hour's spans into the columns that `laySpans` laid out. */
import { blockRows, fetchBlock, itemAt } from './block';
import { dataOf } from './layout';
import { appendMap, appendRaw, appendText, setBit } from './node';
import { emitOwners } from './owneremit';
import { Event, Link, sizeOf, Span } from '../otlp/record';
import * as at from './spanlayout';
import { hasParent } from './spansums';

/** Events and links so far. */
let eventCount: u32 = 0;
let linkCount: u32 = 0;

/** Writes all rows. */
export function emitSpans(first: usize, rows: u32): void {
  eventCount = 0;
  linkCount = 0;
  for (let from: u32 = 0; from < rows; from += blockRows) {
    const to = min(from + blockRows, rows);
    fetchBlock(first, from, to, sizeOf<Span>());
    emitIds(from, to);
    emitNumbers(from, to);
    emitTexts(from, to);
    emitEvents(from, to);
    emitLinks(from, to);
    emitOwners(from, to);
  }
}

// @ts-ignore: decorator
@inline
function spanAt(row: u32): Span {
  return changetype<Span>(itemAt(row));
}

function emitIds(from: u32, to: u32): void {
  const traceIds = dataOf(at.traceIdColumn);
  const spanIds = dataOf(at.spanIdColumn);
  const parents = dataOf(at.parentColumn);
  const starts = dataOf(at.startColumn);
  const ends = dataOf(at.endColumn);
  const durations = dataOf(at.durationColumn);
  for (let row = from; row < to; row++) {
    const span = spanAt(row);
    const eighth = <usize>row << 3;
    v128.store(traceIds + (<usize>row << 4), v128.load(span.traceId));
    store<u64>(spanIds + eighth, load<u64>(span.spanId));
    if (hasParent(span)) {
      store<u64>(parents + eighth, load<u64>(span.parent));
      setBit(at.parentValidity, row);
    }
    const start = span.timeNs;
    const end = span.endNs;
    store<u64>(starts + eighth, start);
    store<u64>(ends + eighth, end);
    store<u64>(durations + eighth, end < start ? 0 : end - start);
  }
}

function emitNumbers(from: u32, to: u32): void {
  const flags = dataOf(at.flagsColumn);
  const names = dataOf(at.nameColumn);
  const kinds = dataOf(at.kindColumn);
  const kindNumbers = dataOf(at.kindNumberColumn);
  const statuses = dataOf(at.statusColumn);
  const statusNumbers = dataOf(at.statusNumberColumn);
  const dropped = dataOf(at.droppedColumn);
  const eventsDropped = dataOf(at.eventsDroppedColumn);
  const linksDropped = dataOf(at.linksDroppedColumn);
  const peerKinds = dataOf(at.peerKindColumn);
  const peerNames = dataOf(at.peerNameColumn);
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
    store<u32>(peerKinds + fourth, span.peerKind);
    store<i32>(peerNames + fourth, span.peerCode);
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

function emitEvents(from: u32, to: u32): void {
  const times = dataOf(at.eventTimeColumn);
  const dropped = dataOf(at.eventDroppedColumn);
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
  const traceIds = dataOf(at.linkTraceIdColumn);
  const spanIds = dataOf(at.linkSpanIdColumn);
  const dropped = dataOf(at.linkDroppedColumn);
  const flags = dataOf(at.linkFlagsColumn);
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
