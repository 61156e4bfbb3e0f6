/** Sizes of an hour: what its spans need of each buffer, added up as they come. */
import { Resource, Scope, Span } from './record';

/** Sums over an hour's spans. */
@unmanaged
export class Sums {
  timeMin: i64;
  timeMax: i64;
  /** Bytes and entries of what rows repeat: the one sum that can pass what an offset counts. */
  repeated: u64;
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

/** Sets the sums to those of no span. */
export function startSums(sums: Sums): void {
  memory.fill(changetype<usize>(sums), 0, offsetof<Sums>());
  sums.timeMin = i64.MAX_VALUE;
  sums.timeMax = i64.MIN_VALUE;
}

/** Whether the parent id is set: 8 bytes, not all zero. */
// @ts-ignore: decorator
@inline
export function hasParent(span: Span): bool {
  return span.parentBytes != 0 && load<u64>(span.parent) != 0;
}

/** Adds a span and its owners. */
export function addUp(sums: Sums, span: Span): void {
  const resource = changetype<Resource>(span.resource);
  const scope = changetype<Scope>(span.scope);
  addSpan(sums, span);
  addResource(sums, resource);
  addScope(sums, scope);
  sums.repeated += <u64>resource.keyBytes + resource.valueBytes + resource.attrCount;
  sums.repeated += <u64>scope.keyBytes + scope.valueBytes + scope.attrCount;
  sums.repeated += <u64>resource.rawBytes + scope.rawBytes;
}

function addSpan(sums: Sums, span: Span): void {
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

function addResource(sums: Sums, resource: Resource): void {
  sums.resourceAttrs += resource.attrCount;
  sums.resourceKeyBytes += resource.keyBytes;
  sums.resourceValueBytes += resource.valueBytes;
  sums.resourceRawBytes += resource.rawBytes;
  if (resource.raw == 0) sums.noResourceRaws++;
}

function addScope(sums: Sums, scope: Scope): void {
  sums.scopeAttrs += scope.attrCount;
  sums.scopeKeyBytes += scope.keyBytes;
  sums.scopeValueBytes += scope.valueBytes;
  sums.scopeRawBytes += scope.rawBytes;
  if (scope.raw == 0) sums.noScopeRaws++;
}
