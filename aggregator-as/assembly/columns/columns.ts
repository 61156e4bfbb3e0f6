/**
 * Requests kept for the archive: their bytes and the records of their items, in arrival order, with
 * the codes of their dictionary columns. A request is kept whole or not at all.
 */
import {
  clearCodes,
  codeResource,
  codeScope,
  dictionaryOf,
  makeRooms,
  tenantIds,
  topicNames,
} from './codes';
import { codeOf } from '../memory/dictionary';
import { capacityFault, fail } from '../otlp/fault';
import { findHour, Hour, startHours, sumsOf, tableBytes } from './hour';
import { allocate, arenaBase, setTop, top } from '../memory/memory';
import { Index, indexBytes, keepChunk, startIndex, takeChunk } from './order';
import { Item, Request, Resource, Scope, sizeOf } from '../otlp/record';
import { settle, startSettling, sumsBytes } from './settle';
import { countQuarantined } from '../otlp/verdict';

/** The items kept, as a list in arrival order, and how many they are. */
let firstItem: usize = 0;
export let itemCount: u32 = 0;
let lastItem: usize = 0;

/** First free byte above what is kept. */
let kept: usize = 0;

/** What the request being read began with, to go back to. */
let lastBefore: usize = 0;
let countBefore: u32 = 0;
let request: usize = 0;

/** Forgets all requests. False when the bound forbids even to begin. */
export function resetColumns(): bool {
  firstItem = 0;
  lastItem = 0;
  lastHour = 0;
  itemCount = 0;
  const table = arenaBase();
  kept = table;
  clearCodes();
  if (!setTop(table + tableBytes(sumsBytes()))) return false;
  kept = top;
  startHours(table, sumsBytes());
  startIndex();
  return true;
}

/** Sets the arena's top back to what is kept. */
export function toKept(): void {
  setTop(kept);
}

/** Begins a request whose bytes are in the arena already. False when there is no room. */
export function startRequest(receivedMs: i64, partition: i32, offset: i64): bool {
  lastBefore = lastItem;
  countBefore = itemCount;
  request = allocate(sizeOf<Request>());
  if (request == 0) return false;
  const record = changetype<Request>(request);
  record.receivedMs = receivedMs;
  record.partition = partition;
  record.offset = offset;
  return true;
}

/** Appends an item to the request being read. False when there is no place for its hour. */
export function keepItem(item: Item): bool {
  if (!placeItem(item)) return fail(capacityFault, item.at) != 0;
  const at = changetype<usize>(item);
  item.next = 0;
  item.request = <u32>request;
  if (lastItem == 0) firstItem = at;
  else changetype<Item>(lastItem).next = <u32>at;
  lastItem = at;
  itemCount++;
  return true;
}

const hourNs: u64 = 3_600_000_000_000;
/** The hour of the item before, which is mostly the next one's too, and when it begins. */
let lastHour: usize = 0;
let hourFromNs: u64 = 0;

/** Finds the item's hour; with too many open it is quarantined. */
function placeItem(item: Item): bool {
  if (!item.quarantined) {
    if (item.timeNs - hourFromNs < hourNs && lastHour != 0) {
      item.hour = <u32>lastHour;
      return true;
    }
    hourFromNs = item.timeNs - (item.timeNs % hourNs);
    lastHour = findHour(hourFromNs / 1_000_000, 0);
    item.hour = <u32>lastHour;
    if (lastHour != 0) return true;
    item.quarantined = 1;
    countQuarantined();
  }
  item.hour = <u32>findHour(hourOf(changetype<Request>(request).receivedMs), 1);
  return item.hour != 0;
}

/** Drops the items of the request being read. */
export function dropRequest(): void {
  lastItem = lastBefore;
  itemCount = countBefore;
  if (lastItem == 0) firstItem = 0;
  else changetype<Item>(lastItem).next = 0;
}

/**
 * Keeps the request that was read. Whatever needs memory comes before the first text gets a code,
 * so that a failure leaves the dictionaries as they were. False when there is no room.
 */
export function keepRequest(tenant: usize, tenantBytes: u32, topic: usize, topicBytes: u32): bool {
  const chunk = takeChunk(itemCount - countBefore);
  const hasRoom = chunk != 0 && makeRooms(itemCount - countBefore);
  // Dictionaries may have moved up here: from now on nothing below `top` may be given back.
  kept = top;
  if (!hasRoom || !startSettling(tenant, tenantBytes, itemCount - countBefore)) {
    return fail(capacityFault, 0) != 0;
  }
  const record = changetype<Request>(request);
  record.tenantCode = codeOf(dictionaryOf(tenantIds), tenant, tenantBytes);
  record.topicCode = codeOf(dictionaryOf(topicNames), topic, topicBytes);
  settleAll(keepChunk(chunk));
  return true;
}

/** Notes all items of the request; `indexAt` is where the entry of its first one goes. */
function settleAll(indexAt: usize): void {
  let resource: usize = 0;
  let scope: usize = 0;
  for (let at = firstNew(); at != 0; indexAt += indexBytes) {
    const item = changetype<Item>(at);
    if (item.resource != resource) {
      resource = item.resource;
      codeResource(changetype<Resource>(resource));
    }
    if (item.scope != scope) {
      scope = item.scope;
      codeScope(changetype<Scope>(scope));
    }
    const hour = changetype<Hour>(item.hour);
    const index = changetype<Index>(indexAt);
    hour.rows++;
    index.item = <u32>at;
    index.hour = item.hour;
    settle(item, sumsOf(hour), index);
    at = item.next;
  }
}

function firstNew(): usize {
  return lastBefore == 0 ? firstItem : changetype<Item>(lastBefore).next;
}

// @ts-ignore: decorator
@inline
function hourOf(ms: i64): i64 {
  return ms - (ms % 3_600_000);
}
