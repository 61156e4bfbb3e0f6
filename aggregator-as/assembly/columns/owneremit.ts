/** Writes a block's columns that all signals have: of resources, of scopes, of where items are from. */
import { itemAt } from './block';
import * as at from './layout';
import { appendJoined, appendRaw, setBit } from './node';
import { Item, Request, Resource, Scope } from '../otlp/record';

// @ts-ignore: decorator
@inline
function dataOf(index: i32): usize {
  return at.dataOf(at.ownersColumn + index);
}

/** Writes the rows from `from` to `to`. */
export function emitOwners(from: u32, to: u32): void {
  emitResources(from, to);
  emitScopes(from, to);
  emitProvenance(from, to);
}

function emitResources(from: u32, to: u32): void {
  const services = at.dataOf(at.serviceColumn);
  const dropped = dataOf(at.resourceDropped);
  const urls = dataOf(at.resourceUrl);
  for (let row = from; row < to; row++) {
    const resource = changetype<Resource>(changetype<Item>(itemAt(row)).resource);
    const fourth = <usize>row << 2;
    store<u32>(at.resources + fourth, changetype<usize>(resource));
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
  const names = dataOf(at.scopeName);
  const versions = dataOf(at.scopeVersion);
  const dropped = dataOf(at.scopeDropped);
  const urls = dataOf(at.scopeUrl);
  for (let row = from; row < to; row++) {
    const scope = changetype<Scope>(changetype<Item>(itemAt(row)).scope);
    const fourth = <usize>row << 2;
    store<u32>(at.scopes + fourth, changetype<usize>(scope));
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
  const tenants = dataOf(at.tenant);
  const ingested = dataOf(at.ingested);
  const topics = dataOf(at.topic);
  const partitions = dataOf(at.partition);
  const offsets = dataOf(at.offset);
  const itemIndexes = dataOf(at.itemIndex);
  const quarantined = dataOf(at.quarantined);
  for (let row = from; row < to; row++) {
    const item = changetype<Item>(itemAt(row));
    const request = changetype<Request>(item.request);
    const fourth = <usize>row << 2;
    const eighth = <usize>row << 3;
    store<i32>(tenants + fourth, request.tenantCode);
    store<i64>(ingested + eighth, request.receivedMs);
    store<i32>(topics + fourth, request.topicCode);
    store<i32>(partitions + fourth, request.partition);
    store<i64>(offsets + eighth, request.offset);
    store<u32>(itemIndexes + fourth, item.itemIndex);
    if (item.quarantined) setBit(quarantined, row);
  }
}
