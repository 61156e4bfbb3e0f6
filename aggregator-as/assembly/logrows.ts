/** Rows of `otel_logs`, in the order of `speedTables.otel_logs` in schemas/tables.ts. */
import { put, putHex16, putHex8, putMap, putString } from './bytes';
import { slack } from './memory';
import { Log, Resource, Scope } from './record';
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
  run,
  runBytes,
  startRun,
  tailBytes,
} from './rows';

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
  out = putMap(out, log.attrs, log.attrCount);
  out = putString(out, log.eventName, log.eventNameBytes);
  return putTail(out);
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
