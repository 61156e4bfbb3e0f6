/**
 * Span, Event, Link and Status (opentelemetry/proto/trace/v1/trace.proto) as records in the arena.
 * Two passes over a span: the first takes the scalars and counts the repeated fields, the second
 * reads those into arrays. Ids are only located here; judging them is the walk's.
 */
import { readEvent, readLink } from './annotation';
import { allocateAttrs } from './anyvalue';
import { clearSums, keyBytes, readAttribute, valueBytes } from './attribute';
import { capacityFault, fail } from './fault';
import { allocate } from '../memory/memory';
import { attrBytes, Attr, clear, Event, Link, sizeOf, Span } from './record';
import { checkText, clearMarks, inexact, invalidUtf8, markInexact, text, textBytes } from '../memory/text';
import {
  ended,
  skipValue,
  slice,
  sliceBytes,
  spanMessage,
  statusMessage,
  varint,
  wideTag,
  word,
  wrongType,
} from './wire';

/** Reads the span from `p` to `end`. 0 after a fault. */
export function readSpan(p: usize, end: usize): usize {
  const at = allocate(sizeOf<Span>());
  if (at == 0) return fail(capacityFault, p);
  clear(at, sizeOf<Span>());
  const span = changetype<Span>(at);
  span.at = p;
  span.bytes = end - p;
  clearMarks();
  const rest = readScalars(readHead(p, end, span), end, span);
  if (rest == 0 || !checkTexts(span)) return 0;
  if (span.attrCount + span.eventCount + span.linkCount != 0) {
    if (!readRepeated(rest, end, span)) return 0;
  }
  span.invalidUtf8 = invalidUtf8;
  // A parent id of zeros is taken for none.
  if (span.parentBytes == 8 && load<u64>(span.parent) == 0) markInexact();
  if (inexact) {
    span.raw = p;
    span.rawBytes = end - p;
  }
  return at;
}

/** The strings that stand after the last field of their kind. */
function checkTexts(span: Span): bool {
  if (span.traceStateBytes != 0) {
    if (!checkText(span.traceState, span.traceStateBytes)) return false;
    span.traceState = text;
    span.traceStateBytes = textBytes;
  }
  if (!checkText(span.name, span.nameBytes)) return false;
  span.name = text;
  span.nameBytes = textBytes;
  if (span.statusMessageBytes != 0) {
    if (!checkText(span.statusMessage, span.statusMessageBytes)) return false;
    span.statusMessage = text;
    span.statusMessageBytes = textBytes;
  }
  return true;
}

/**
 * Takes the fields that nearly every span begins with, when they come in the order of their numbers
 * and have their usual sizes. Returns where the first other one is; nothing is a fault here.
 */
function readHead(p: usize, end: usize, span: Span): usize {
  if (end - p < 64) return p;
  if (load<u16>(p) == 0x100a) {
    span.traceId = p + 2;
    span.traceIdBytes = 16;
    p += 18;
  }
  if (load<u16>(p) == 0x0812) {
    span.spanId = p + 2;
    span.spanIdBytes = 8;
    p += 10;
  }
  if (load<u16>(p) == 0x0822) {
    span.parent = p + 2;
    span.parentBytes = 8;
    p += 10;
  }
  const nameBytes = <usize>load<u8>(p, 1);
  if (load<u8>(p) != 0x2a || nameBytes > 127 || nameBytes + 22 > end - p) return p;
  span.name = p + 2;
  span.nameBytes = nameBytes;
  p += 2 + nameBytes;
  if (load<u8>(p) == 0x30 && load<u8>(p, 1) < 128) {
    span.kind = load<u8>(p, 1);
    p += 2;
  }
  if (load<u8>(p) == 0x39 && load<u8>(p, 9) == 0x41) {
    span.timeNs = load<u64>(p, 1);
    span.endNs = load<u64>(p, 10);
    p += 18;
  }
  return p;
}

/** Returns where the first repeated field is, or `end`, or 0 after a fault. */
function readScalars(p: usize, end: usize, span: Span): usize {
  let first: usize = 0;
  let hasStatus = false;
  while (p < end) {
    const at = p;
    let tag = <u32>load<u8>(p++);
    if (tag > 127) {
      p = wideTag(at);
      if (p == 0) return 0;
      tag = <u32>word;
    }
    switch (tag) {
      case 0x4a:
      case 0x5a:
      case 0x6a:
        if (first == 0) first = at;
        if (tag == 0x4a) span.attrCount++;
        else if (tag == 0x5a) span.eventCount++;
        else span.linkCount++;
        p = slice(p, end) + sliceBytes;
        if (p == sliceBytes) return 0;
        // Attributes follow one another.
        while (p < end && load<u8>(p) == 0x4a) {
          const bytes = <usize>load<u8>(p, 1);
          if (bytes > 127 || bytes + 2 > end - p) break;
          p += bytes + 2;
          span.attrCount++;
        }
        break;
      case 0x39:
        span.timeNs = load<u64>(p);
        p += 8;
        break;
      case 0x41:
        span.endNs = load<u64>(p);
        p += 8;
        break;
      case 0x85:
        span.flags = load<u32>(p);
        p += 4;
        break;
      case 0x7a:
        p = slice(p, end);
        if (p == 0) return 0;
        if (hasStatus) markInexact();
        hasStatus = true;
        if (!readStatus(p, p + sliceBytes, span)) return 0;
        p = statusEnd;
        break;
      default:
        p = tag & 7 ? readSlice(p, end, tag, span) : readNumber(p, end, tag, span);
        if (p == 0) return 0;
    }
  }
  if (!ended(p, end)) return 0;
  return first == 0 ? end : first;
}

function readSlice(p: usize, end: usize, tag: u32, span: Span): usize {
  const field = tag >> 3;
  if ((tag & 7) != 2 || field == 0 || field > 5) return readUnknown(p, end, tag);
  p = slice(p, end);
  if (p == 0) return 0;
  const bytes = sliceBytes;
  switch (field) {
    case 1:
      span.traceId = p;
      span.traceIdBytes = bytes;
      break;
    case 2:
      span.spanId = p;
      span.spanIdBytes = bytes;
      break;
    case 3:
      span.traceState = p;
      span.traceStateBytes = bytes;
      break;
    case 4:
      span.parent = p;
      span.parentBytes = bytes;
      break;
    default:
      span.name = p;
      span.nameBytes = bytes;
  }
  return p + bytes;
}

function readNumber(p: usize, end: usize, tag: u32, span: Span): usize {
  const field = tag >> 3;
  if (field != 6 && field != 10 && field != 12 && field != 14) return readUnknown(p, end, tag);
  p = varint(p);
  if (p == 0) return 0;
  const value = <u32>word;
  if (field == 6) span.kind = <i32>value;
  else if (field == 10) span.dropped = value;
  else if (field == 12) span.eventsDropped = value;
  else span.linksDropped = value;
  return p;
}

function readUnknown(p: usize, end: usize, tag: u32): usize {
  const field = tag >> 3;
  if (field >= 1 && field <= 16) return wrongType(p, spanMessage, tag);
  markInexact();
  return skipValue(p, end, tag);
}

/** Where the status that was read last ends. */
let statusEnd: usize = 0;

/** A second status replaces the first. */
function readStatus(p: usize, end: usize, span: Span): bool {
  statusEnd = end;
  span.statusCode = 0;
  span.statusMessageBytes = 0;
  while (p < end) {
    let tag = <u32>load<u8>(p++);
    if (tag > 127) {
      p = wideTag(p - 1);
      if (p == 0) return false;
      tag = <u32>word;
    }
    if (tag == 0x18) {
      p = varint(p);
      if (p == 0) return false;
      span.statusCode = <i32>word;
    } else if (tag == 0x12) {
      p = slice(p, end);
      if (p == 0) return false;
      span.statusMessage = p;
      span.statusMessageBytes = sliceBytes;
      p += sliceBytes;
    } else {
      if (tag >> 3 == 2 || tag >> 3 == 3) return wrongType(p, statusMessage, tag) != 0;
      markInexact();
      p = skipValue(p, end, tag);
      if (p == 0) return false;
    }
  }
  return ended(p, end);
}

/** Second pass, from the first repeated field on: attributes, events and links into arrays. */
function readRepeated(p: usize, end: usize, span: Span): bool {
  let attr = allocateAttrs(span.attrCount, p);
  if (attr == 0) return false;
  let event = attr;
  let link = attr;
  let rest = span.attrCount;
  if (span.eventCount + span.linkCount != 0) {
    event = allocateArray(span.eventCount, sizeOf<Event>(), p);
    if (event == 0) return false;
    link = allocateArray(span.linkCount, sizeOf<Link>(), p);
    if (link == 0) return false;
    rest += span.eventCount + span.linkCount;
  }
  span.attrs = attr;
  span.events = event;
  span.links = link;
  clearSums();
  while (rest > 0) {
    let tag = <u32>load<u8>(p++);
    if (tag > 127) {
      p = wideTag(p - 1);
      tag = <u32>word;
    }
    if (tag != 0x4a && tag != 0x5a && tag != 0x6a) {
      p = skipValue(p, end, tag);
      continue;
    }
    p = slice(p, end);
    const next = p + sliceBytes;
    rest--;
    if (tag == 0x4a) {
      if (!readAttribute(p, next, changetype<Attr>(attr))) return false;
      attr += attrBytes;
    } else if (tag == 0x5a) {
      if (!readEvent(p, next, changetype<Event>(event), span)) return false;
      event += sizeOf<Event>();
    } else {
      if (!readLink(p, next, changetype<Link>(link), span)) return false;
      link += sizeOf<Link>();
    }
    p = next;
  }
  span.keyBytes = keyBytes - span.eventKeyBytes - span.linkKeyBytes;
  span.valueBytes = valueBytes - span.eventValueBytes - span.linkValueBytes;
  return true;
}

function allocateArray(count: u32, bytes: usize, p: usize): usize {
  if (count > 0x0200_0000) return fail(capacityFault, p);
  const at = allocate(<usize>count * bytes);
  if (at == 0) return fail(capacityFault, p);
  clear(at, <usize>count * bytes);
  return at;
}
