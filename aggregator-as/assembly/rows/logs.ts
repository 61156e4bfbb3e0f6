/** Rows of `otel_logs`, in the order of `speedTables.otel_logs` in schemas/tables.ts. */
import { put, putHex16, putHex8, putMap, putString } from '../memory/bytes';
import { slack } from '../memory/memory';
import { putPlain } from '../otlp/plain';
import { Log, Resource, Scope } from '../otlp/record';
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
  rowsEnd,
  run,
  runBytes,
  startRun,
  tailBytes,
} from './rows';
import { slice, sliceBytes } from '../otlp/wire';

/** ServiceName in the row before: how far it begins before the row's run, and its size. */
let serviceBack: usize = 0;
let serviceBytes: usize = 0;

/** Writes the log record's row. False when there is no room. */
export function writeLog(log: Log, resource: Resource, scope: Scope, records: usize): bool {
  const start = placeRow(rowBytesMax(log, resource, scope), records, log.at);
  if (start == 0) return false;
  endRow(start, writeRow(start, log, resource, scope));
  return true;
}

/**
 * Writes the row of a record whose attributes, the first of which is at `p`, are still to be read: all of
 * them are plain, and follow one another. False, and nothing is written, when they are not, or when
 * there might be no room.
 */
export function writePlainLog(
  log: Log,
  resource: Resource,
  scope: Scope,
  records: usize,
  p: usize,
): bool {
  if (!hasScopeRun || log.attrCount > 127) return false;
  // A plain attribute becomes less than twice as long.
  const texts = <usize>log.severityTextBytes + log.bodyBytes + log.eventNameBytes;
  const most = 256 + slack + tailBytes + runBytes + serviceBytes + texts + 2 * <usize>log.bytes;
  if (rowsEnd + most > records) return false;
  const runBefore = run;
  const backBefore = serviceBack;
  const start = rowsEnd;
  let out = writeHead(start, log, resource, scope);
  store<u8>(out, log.attrCount);
  out = putAttributes(out + 1, p, <usize>log.at + log.bytes, log.attrCount);
  if (out == 0) {
    startRun(runBefore);
    serviceBack = backBefore;
    return false;
  }
  endRow(start, putTail(putString(out, log.eventName, log.eventNameBytes)));
  return true;
}

/** Writes attributes as keys and values. 0 when one is not plain, or is not where it should be. */
// @ts-ignore: decorator
@inline
function putAttributes(out: usize, p: usize, end: usize, count: u32): usize {
  for (; count > 0; count--) {
    if (p >= end || load<u8>(p) != 0x32) return 0;
    p = slice(p + 1, end);
    const next = p + sliceBytes;
    out = putPlain(out, p, next);
    if (out == 0) return 0;
    p = next;
  }
  return out;
}

/** A bound on the row's size, with slack for copies that write past their end. */
function rowBytesMax(log: Log, resource: Resource, scope: Scope): usize {
  let bytes: usize = 256 + slack + tailBytes + log.severityTextBytes + log.bodyBytes;
  bytes += log.eventNameBytes + log.keyBytes + log.valueBytes + log.attrCount * 10;
  if (hasScopeRun) return bytes + runBytes + serviceBytes;
  bytes += scope.schemaUrlBytes + scope.nameBytes + scope.versionBytes;
  bytes += scope.keyBytes + scope.valueBytes + scope.attrCount * 10;
  if (hasResourceRun) return bytes + resourceRunBytes + serviceBytes;
  bytes += resource.serviceBytes + resource.schemaUrlBytes + resource.attrCount * 10;
  return bytes + resource.keyBytes + resource.valueBytes;
}

function writeRow(out: usize, log: Log, resource: Resource, scope: Scope): usize {
  out = writeHead(out, log, resource, scope);
  out = putMap(out, log.attrs, log.attrCount);
  out = putString(out, log.eventName, log.eventNameBytes);
  return putTail(out);
}

/** The columns before LogAttributes. */
// @ts-ignore: decorator
@inline
function writeHead(out: usize, log: Log, resource: Resource, scope: Scope): usize {
  store<u64>(out, log.timeNs);
  out = putIds(out + 8, log);
  // Bits 0-7 are the W3C trace flags; the others must not be assumed to be zero.
  store<u8>(out, <u8>log.flags);
  out = putString(out + 1, log.severityText, log.severityTextBytes);
  // Numbers that the column cannot hold are none of the specification's 0 to 24.
  store<u8>(out, <u32>log.severity > 255 ? 0 : <u8>log.severity);
  const service = out + 1;
  out = putService(service, resource);
  out = putString(out, log.body, log.bodyBytes);
  const runAt = out;
  out = putRun(out, resource, scope);
  serviceBack = runAt - service;
  return out;
}

// @ts-ignore: decorator
@inline
function putIds(out: usize, log: Log): usize {
  if (log.hasTraceId) {
    store<u8>(out, 32);
    out = putHex16(out + 1, log.traceId);
  } else {
    store<u8>(out++, 0);
  }
  if (log.hasSpanId) {
    store<u8>(out, 16);
    return putHex8(out + 1, log.spanId);
  }
  store<u8>(out, 0);
  return out + 1;
}

/** The resource's record lasts only until its first row is written: then that is copied from. */
// @ts-ignore: decorator
@inline
function putService(out: usize, resource: Resource): usize {
  if (hasResourceRun) return put(out, run - serviceBack, serviceBytes);
  const end = putString(out, resource.service, resource.serviceBytes);
  serviceBytes = end - out;
  return end;
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
    out = putString(out, resource.schemaUrl, resource.schemaUrlBytes);
    out = putMap(out, resource.attrs, resource.attrCount);
    endResourceRun(out);
  }
  out = putString(out, scope.schemaUrl, scope.schemaUrlBytes);
  out = putString(out, scope.name, scope.nameBytes);
  out = putString(out, scope.version, scope.versionBytes);
  out = putMap(out, scope.attrs, scope.attrCount);
  endRun(out);
  return out;
}
