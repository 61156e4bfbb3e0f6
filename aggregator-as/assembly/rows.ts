/**
 * Rows of `otel_traces` as RowBinary, in the order of `speedTables.otel_traces` in schemas/tables.ts.
 *
 * The memory: input, finished rows, a gap for the next row, then the records of the span being
 * read. What all rows of a resource and scope share (ServiceName to ScopeVersion, a run of the row)
 * is written once and copied from the row before.
 */
import { put, putHex16, putHex8, putString, putVarint } from './bytes';
import { capacityFault, fail } from './fault';
import { align, reserve, setTop, slack, top } from './memory';
import { attrBytes, Attr, Event, Link, Resource, Scope, sizeOf, Span } from './record';

/** Where the finished rows begin and end, and how many they are. */
export let rowsStart: usize = 0;
export let rowsEnd: usize = 0;
export let rowCount: u32 = 0;

/** TenantId and IngestedAt, the same in every row. */
let tail: usize = 0;
let tailBytes: usize = 0;

/** The run of the last row, and how much of it is the resource's. */
let run: usize = 0;
let runBytes: usize = 0;
let resourceRunBytes: usize = 0;
let hasResourceRun = false;
let hasScopeRun = false;
/** First free byte above the records of a resource and scope that have no row yet. */
let scratch: usize = 0;

/** Rows larger than this are written above the records and moved down. */
const gapMax: usize = 65536;

/** Begins: rows go to the arena's top. */
export function startRows(tailAt: usize, bytes: usize): void {
  tail = tailAt;
  tailBytes = bytes;
  rowsStart = align(top);
  rowsEnd = rowsStart;
  rowCount = 0;
}

/** Before a resource is read. */
export function startResource(): bool {
  hasResourceRun = false;
  hasScopeRun = false;
  return placeTop(rowsEnd);
}

/** Before a scope is read. */
export function startScope(): bool {
  hasScopeRun = false;
  return hasResourceRun ? placeTop(rowsEnd) : true;
}

/** After a scope was read. */
export function endScope(): void {
  scratch = top;
}

/** Before a span of `bytes` is read. */
export function startSpan(bytes: usize): bool {
  if (!hasScopeRun) return placeTop(scratch);
  return placeTop(rowsEnd + runBytes + tailBytes + min(bytes * 3, gapMax) + 1024);
}

function placeTop(at: usize): bool {
  return setTop(at) ? true : fail(capacityFault, 0) != 0;
}

/** Writes the span's row. False when there is no room. */
export function writeSpan(span: Span, resource: Resource, scope: Scope, records: usize): bool {
  const most = rowBytesMax(span, resource, scope);
  const inPlace = hasScopeRun && rowsEnd + most <= records;
  if (!inPlace && !reserve(most)) return fail(capacityFault, span.at) != 0;
  const start = inPlace ? rowsEnd : align(top);
  const end = writeRow(start, span, resource, scope);
  if (!inPlace) {
    memory.copy(rowsEnd, start, end - start);
    run -= start - rowsEnd;
  }
  rowsEnd += end - start;
  rowCount++;
  hasResourceRun = true;
  hasScopeRun = true;
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
  store<u64>(out, span.startNs);
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
  store<u64>(out, span.endNs < span.startNs ? 0 : span.endNs - span.startNs);
  out = putStatus(out + 8, span.statusCode);
  out = putString(out, span.statusMessage, span.statusMessageBytes);
  out = putEvents(out, span);
  out = putLinks(out, span);
  return put(out, tail, tailBytes);
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
  const start = out;
  const from = run;
  run = start;
  if (hasScopeRun) return put(out, from, runBytes);
  if (hasResourceRun) {
    out = put(out, from, resourceRunBytes);
  } else {
    out = putString(out, resource.service, resource.serviceBytes);
    out = putMap(out, resource.attrs, resource.attrCount);
    resourceRunBytes = out - start;
  }
  out = putString(out, scope.name, scope.nameBytes);
  out = putString(out, scope.version, scope.versionBytes);
  runBytes = out - start;
  return out;
}

// @ts-ignore: decorator
@inline
export function putMap(out: usize, attrs: usize, count: u32): usize {
  out = putVarint(out, count);
  const end = attrs + <usize>count * attrBytes;
  for (; attrs < end; attrs += attrBytes) {
    const attr = changetype<Attr>(attrs);
    out = putString(out, attr.key, attr.keyBytes);
    out = putString(out, attr.value, attr.valueBytes);
  }
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
