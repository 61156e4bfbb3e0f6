/** Sizes of an hour: what its items need of each buffer, added up as they come. */
import { Item, Resource, Scope } from '../otlp/record';

/** Sums over an hour's items of any signal; each signal's own class begins with them. */
@unmanaged
export class Sums {
  timeMin: i64;
  timeMax: i64;
  /** Bytes and entries of what rows repeat: the one sum that can pass what an offset counts. */
  repeated: u64;
  attrs: u32;
  keyBytes: u32;
  valueBytes: u32;
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

/** Sets the sums, of `bytes`, to those of no item. */
export function startSums(sums: Sums, bytes: usize): void {
  memory.fill(changetype<usize>(sums), 0, bytes);
  sums.timeMin = i64.MAX_VALUE;
  sums.timeMax = i64.MIN_VALUE;
}

/** Adds what items of all signals have, and the item's owners. */
// @ts-ignore: decorator
@inline
export function addItem(sums: Sums, item: Item): void {
  const resource = changetype<Resource>(item.resource);
  const scope = changetype<Scope>(item.scope);
  sums.timeMin = min(sums.timeMin, <i64>item.timeNs);
  sums.timeMax = max(sums.timeMax, <i64>item.timeNs);
  sums.attrs += item.attrCount;
  sums.keyBytes += item.keyBytes;
  sums.valueBytes += item.valueBytes;
  sums.rawBytes += item.rawBytes;
  if (item.raw == 0) sums.noRaws++;
  addResource(sums, resource);
  addScope(sums, scope);
  sums.repeated += <u64>resource.keyBytes + resource.valueBytes + resource.attrCount;
  sums.repeated += <u64>scope.keyBytes + scope.valueBytes + scope.attrCount;
  sums.repeated += <u64>resource.rawBytes + scope.rawBytes;
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
