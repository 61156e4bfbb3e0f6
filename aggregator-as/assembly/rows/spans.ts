/** Rows of `otel_traces`, in the order of `speedTables.otel_traces` in schemas/tables.ts. */
import { put, putHex16, putHex8, putMap, putString, putVarint } from '../memory/bytes';
import { slack } from '../memory/memory';
import { Event, Link, Resource, Scope, sizeOf, Span } from '../otlp/record';
import {
  copyResourceRun,
  copyRun,
  endResourceRun,
  endRow,
  endRun,
  hasResourceRun,
  hasScopeRun,
  placeRow,
  putTail,
  resourceRunBytes,
  runBytes,
  startRun,
  tailBytes,
} from './rows';

/** Writes the span's row. False when there is no room. */
export function writeSpan(span: Span, resource: Resource, scope: Scope, records: usize): bool {
  const start = placeRow(rowBytesMax(span, resource, scope), records, span.at);
  if (start == 0) return false;
  endRow(start, writeRow(start, span, resource, scope));
  return true;
}

/** A bound on the row's size, with slack for copies that write past their end. */
function rowBytesMax(span: Span, resource: Resource, scope: Scope): usize {
  let bytes: usize = 256 + slack + tailBytes + span.traceStateBytes + span.nameBytes;
  bytes += span.statusMessageBytes + span.keyBytes + span.valueBytes + span.attrCount * 10;
  bytes += span.eventCount * 18 + span.eventNameBytes + span.eventAttrCount * 10;
  bytes += span.eventKeyBytes + span.eventValueBytes;
  bytes += span.linkCount * 60 + span.linkStateBytes + span.linkAttrCount * 10;
  bytes += span.linkKeyBytes + span.linkValueBytes;
  if (hasScopeRun) return bytes + runBytes;
  bytes += scope.nameBytes + scope.versionBytes + 10;
  if (hasResourceRun) return bytes + resourceRunBytes;
  bytes += 10 + resource.serviceBytes + resource.attrCount * 10;
  return bytes + resource.keyBytes + resource.valueBytes;
}

function writeRow(out: usize, span: Span, resource: Resource, scope: Scope): usize {
  store<u64>(out, span.timeNs);
  store<u8>(out, 32, 8);
  out = putHex16(out + 9, span.traceId);
  store<u8>(out, 16);
  out = putHex8(out + 1, span.spanId);
  out = putParent(out, span);
  out = putString(out, span.traceState, span.traceStateBytes);
  out = putString(out, span.name, span.nameBytes);
  out = putKind(out, span.kind);
  out = putRun(out, resource, scope);
  out = putMap(out, span.attrs, span.attrCount);
  store<u64>(out, span.endNs < span.timeNs ? 0 : span.endNs - span.timeNs);
  out = putStatus(out + 8, span.statusCode);
  out = putString(out, span.statusMessage, span.statusMessageBytes);
  out = putEvents(out, span);
  out = putLinks(out, span);
  return putTail(out);
}

/** An all-zero parent id is no parent. */
// @ts-ignore: decorator
@inline
function putParent(out: usize, span: Span): usize {
  if (span.parentBytes == 0 || load<u64>(span.parent) == 0) {
    store<u8>(out, 0);
    return out + 1;
  }
  store<u8>(out, 16);
  return putHex8(out + 1, span.parent);
}

// Names with their lengths, 16 bytes each, as pdata's String() gives them; the last is of numbers
// that have no name.
// prettier-ignore
const kindNames = memory.data<u8>([
  11, 85, 110, 115, 112, 101, 99, 105, 102, 105, 101, 100, 0, 0, 0, 0, // Unspecified
  8, 73, 110, 116, 101, 114, 110, 97, 108, 0, 0, 0, 0, 0, 0, 0, // Internal
  6, 83, 101, 114, 118, 101, 114, 0, 0, 0, 0, 0, 0, 0, 0, 0, // Server
  6, 67, 108, 105, 101, 110, 116, 0, 0, 0, 0, 0, 0, 0, 0, 0, // Client
  8, 80, 114, 111, 100, 117, 99, 101, 114, 0, 0, 0, 0, 0, 0, 0, // Producer
  8, 67, 111, 110, 115, 117, 109, 101, 114, 0, 0, 0, 0, 0, 0, 0, // Consumer
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
]);
// prettier-ignore
const statusNames = memory.data<u8>([
  5, 85, 110, 115, 101, 116, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, // Unset
  2, 79, 107, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, // Ok
  5, 69, 114, 114, 111, 114, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, // Error
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
]);

/** Address of the kind's name, its length in the first byte, among `kindCount` of 16 bytes. */
export function kindName(kind: i32): usize {
  return kindNames + (<usize>min(<u32>kind, 6) << 4);
}

/** Address of the status code's name, its length in the first byte. */
export function statusName(code: i32): usize {
  return statusNames + (<usize>min(<u32>code, 3) << 4);
}

// @ts-ignore: decorator
@inline
function putKind(out: usize, kind: i32): usize {
  const name = kindName(kind);
  return put(out, name, 1 + load<u8>(name));
}

// @ts-ignore: decorator
@inline
function putStatus(out: usize, code: i32): usize {
  const name = statusName(code);
  return put(out, name, 1 + load<u8>(name));
}

// @ts-ignore: decorator
@inline
function putRun(out: usize, resource: Resource, scope: Scope): usize {
  return hasScopeRun ? copyRun(out) : putNewRun(out, resource, scope);
}

function putNewRun(out: usize, resource: Resource, scope: Scope): usize {
  if (hasResourceRun) {
    out = copyResourceRun(out);
  } else {
    startRun(out);
    out = putString(out, resource.service, resource.serviceBytes);
    out = putMap(out, resource.attrs, resource.attrCount);
    endResourceRun(out);
  }
  out = putString(out, scope.name, scope.nameBytes);
  out = putString(out, scope.version, scope.versionBytes);
  endRun(out);
  return out;
}

/** Events.Timestamp, Events.Name, Events.Attributes: arrays of the same length. */
function putEvents(out: usize, span: Span): usize {
  const count = span.eventCount;
  if (count == 0) {
    store<u32>(out, 0);
    return out + 3;
  }
  const first = <usize>span.events;
  const end = first + <usize>count * sizeOf<Event>();
  out = putVarint(out, count);
  for (let at = first; at < end; at += sizeOf<Event>(), out += 8) {
    store<u64>(out, changetype<Event>(at).timeNs);
  }
  out = putVarint(out, count);
  for (let at = first; at < end; at += sizeOf<Event>()) {
    const event = changetype<Event>(at);
    out = putString(out, event.name, event.nameBytes);
  }
  out = putVarint(out, count);
  for (let at = first; at < end; at += sizeOf<Event>()) {
    const event = changetype<Event>(at);
    out = putMap(out, event.attrs, event.attrCount);
  }
  return out;
}

/** Links.TraceId, Links.SpanId, Links.TraceState, Links.Attributes. */
function putLinks(out: usize, span: Span): usize {
  const count = span.linkCount;
  if (count == 0) {
    store<u32>(out, 0);
    return out + 4;
  }
  const first = <usize>span.links;
  const end = first + <usize>count * sizeOf<Link>();
  out = putVarint(out, count);
  for (let at = first; at < end; at += sizeOf<Link>()) {
    store<u8>(out, 32);
    out = putHex16(out + 1, changetype<Link>(at).traceId);
  }
  out = putVarint(out, count);
  for (let at = first; at < end; at += sizeOf<Link>()) {
    store<u8>(out, 16);
    out = putHex8(out + 1, changetype<Link>(at).spanId);
  }
  out = putVarint(out, count);
  for (let at = first; at < end; at += sizeOf<Link>()) {
    const link = changetype<Link>(at);
    out = putString(out, link.traceState, link.traceStateBytes);
  }
  out = putVarint(out, count);
  for (let at = first; at < end; at += sizeOf<Link>()) {
    const link = changetype<Link>(at);
    out = putMap(out, link.attrs, link.attrCount);
  }
  return out;
}
