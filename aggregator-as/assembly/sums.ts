/** Sizes of an hour: what its spans need of each buffer, summed before any is taken. */
import { Entry, entryBytes } from './order';
import { Resource, Scope, Span } from './record';

/** Sizes of an hour, summed over its spans. */
@unmanaged
export class Sums {
  timeMin: i64;
  timeMax: i64;
  noParents: u32;
  traceStateBytes: u32;
  messageBytes: u32;
  attrs: u32;
  keyBytes: u32;
  valueBytes: u32;
  events: u32;
  eventNameBytes: u32;
  eventAttrs: u32;
  eventKeyBytes: u32;
  eventValueBytes: u32;
  links: u32;
  linkStateBytes: u32;
  linkAttrs: u32;
  linkKeyBytes: u32;
  linkValueBytes: u32;
  rawBytes: u32;
  noRaws: u32;
  resourceAttrs: u32;
  resourceKeyBytes: u32;
  resourceValueBytes: u32;
  resourceRawBytes: u32;
  noResourceRaws: u32;
  scopeAttrs: u32;
  scopeKeyBytes: u32;
  scopeValueBytes: u32;
  scopeRawBytes: u32;
  noScopeRaws: u32;
}

const sumBytes: usize = 136;
const sumSpace = memory.data(136, 8);
export const sums = changetype<Sums>(sumSpace);

/** Least and greatest start time of the hour laid out last. */
export function timeMin(): i64 {
  return sums.timeMin;
}

export function timeMax(): i64 {
  return sums.timeMax;
}

/** Whether the parent id is set: 8 bytes, not all zero. */
// @ts-ignore: decorator
@inline
export function hasParent(span: Span): bool {
  return span.parentBytes != 0 && load<u64>(span.parent) != 0;
}

/** Sums the sizes. False when a sum passes what an Arrow offset can count. */
export function addUp(entries: usize, rows: u32): bool {
  memory.fill(sumSpace, 0, sumBytes);
  sums.timeMin = i64.MAX_VALUE;
  sums.timeMax = i64.MIN_VALUE;
  let total: u64 = 0;
  const end = entries + <usize>rows * entryBytes;
  for (let at = entries; at < end; at += entryBytes) {
    const span = changetype<Span>(changetype<Entry>(at).span);
    const resource = changetype<Resource>(span.resource);
    const scope = changetype<Scope>(span.scope);
    addSpan(span);
    addResource(resource);
    addScope(scope);
    total += <u64>resource.keyBytes + resource.valueBytes + resource.attrCount + resource.rawBytes;
    total += <u64>scope.keyBytes + scope.valueBytes + scope.attrCount + scope.rawBytes;
  }
  // A span's own sizes are those of bytes in memory; only what is repeated can pass 2^31.
  return total < 0x7fff_ffff;
}

function addSpan(span: Span): void {
  sums.timeMin = min(sums.timeMin, <i64>span.startNs);
  sums.timeMax = max(sums.timeMax, <i64>span.startNs);
  if (!hasParent(span)) sums.noParents++;
  sums.traceStateBytes += span.traceStateBytes;
  sums.messageBytes += span.statusMessageBytes;
  sums.attrs += span.attrCount;
  sums.keyBytes += span.keyBytes;
  sums.valueBytes += span.valueBytes;
  if (span.eventCount != 0) {
    sums.events += span.eventCount;
    sums.eventNameBytes += span.eventNameBytes;
    sums.eventAttrs += span.eventAttrCount;
    sums.eventKeyBytes += span.eventKeyBytes;
    sums.eventValueBytes += span.eventValueBytes;
  }
  if (span.linkCount != 0) {
    sums.links += span.linkCount;
    sums.linkStateBytes += span.linkStateBytes;
    sums.linkAttrs += span.linkAttrCount;
    sums.linkKeyBytes += span.linkKeyBytes;
    sums.linkValueBytes += span.linkValueBytes;
  }
  sums.rawBytes += span.rawBytes;
  if (span.raw == 0) sums.noRaws++;
}

function addResource(resource: Resource): void {
  sums.resourceAttrs += resource.attrCount;
  sums.resourceKeyBytes += resource.keyBytes;
  sums.resourceValueBytes += resource.valueBytes;
  sums.resourceRawBytes += resource.rawBytes;
  if (resource.raw == 0) sums.noResourceRaws++;
}

function addScope(scope: Scope): void {
  sums.scopeAttrs += scope.attrCount;
  sums.scopeKeyBytes += scope.keyBytes;
  sums.scopeValueBytes += scope.valueBytes;
  sums.scopeRawBytes += scope.rawBytes;
  if (scope.raw == 0) sums.noScopeRaws++;
}
