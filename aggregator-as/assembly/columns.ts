/**
 * Requests kept for the archive: their bytes and the records of their spans, in arrival order, with
 * the codes of their dictionary columns. A request is kept whole or not at all.
 */
import { put } from './bytes';
import { codeOf, Dictionary, makeRoom, materialize } from './dictionary';
import { capacityFault, fail } from './fault';
import { findHour, Hour, startHours, sumsOf, tableBytes } from './hour';
import { allocate, arenaBase, setTop, slack, top } from './memory';
import { indexBytes, keepChunk, startIndex, takeChunk, writeIndex } from './order';
import { attrBytes, Attr, Request, Resource, Scope, sizeOf, Span } from './record';
import { addUp } from './sums';
import { countQuarantined } from './verdict';

/** The spans kept, as a list in arrival order, and how many they are. */
export let firstSpan: usize = 0;
export let spanCount: u32 = 0;
let lastSpan: usize = 0;

/** First free byte above what is kept. */
let kept: usize = 0;

/** What the request being read began with, to go back to. */
let lastBefore: usize = 0;
let countBefore: u32 = 0;
let request: usize = 0;

export const spanNames: i32 = 0;
export const serviceNames: i32 = 1;
export const resourceUrls: i32 = 2;
export const scopeNames: i32 = 3;
export const scopeVersions: i32 = 4;
export const scopeUrls: i32 = 5;
export const tenantIds: i32 = 6;
export const topicNames: i32 = 7;
const dictionaryCount: i32 = 8;
const dictionaries = memory.data(256, 8);

/** One of the dictionaries above. */
// @ts-ignore: decorator
@inline
export function dictionaryOf(index: i32): Dictionary {
  return changetype<Dictionary>(dictionaries + (<usize>index << 5));
}

/** Forgets all requests. False when the bound forbids even to begin. */
export function resetColumns(): bool {
  firstSpan = 0;
  lastSpan = 0;
  lastHour = 0;
  spanCount = 0;
  const table = arenaBase();
  kept = table;
  memory.fill(dictionaries, 0, <usize>dictionaryCount << 5);
  if (!setTop(table + tableBytes())) return false;
  kept = top;
  startHours(table);
  startIndex();
  return true;
}

/** Sets the arena's top back to what is kept. */
export function toKept(): void {
  setTop(kept);
}

/** Begins a request whose bytes are in the arena already. False when there is no room. */
export function startRequest(receivedMs: i64, partition: i32, offset: i64): bool {
  lastBefore = lastSpan;
  countBefore = spanCount;
  request = allocate(sizeOf<Request>());
  if (request == 0) return false;
  const record = changetype<Request>(request);
  record.receivedMs = receivedMs;
  record.partition = partition;
  record.offset = offset;
  return true;
}

/** Appends a span to the request being read. False when there is no place for its hour. */
export function keepSpan(span: Span): bool {
  if (!placeSpan(span)) return fail(capacityFault, span.at) != 0;
  const at = changetype<usize>(span);
  span.next = 0;
  span.request = <u32>request;
  if (lastSpan == 0) firstSpan = at;
  else changetype<Span>(lastSpan).next = <u32>at;
  lastSpan = at;
  spanCount++;
  return true;
}

const hourNs: u64 = 3_600_000_000_000;
/** The hour of the span before, which is mostly the next one's too, and when it begins. */
let lastHour: usize = 0;
let hourFromNs: u64 = 0;

/** Finds the span's hour; with too many open it is quarantined. */
function placeSpan(span: Span): bool {
  if (!span.quarantined) {
    if (span.startNs - hourFromNs < hourNs && lastHour != 0) {
      span.hour = <u32>lastHour;
      return true;
    }
    hourFromNs = span.startNs - (span.startNs % hourNs);
    lastHour = findHour(hourFromNs / 1_000_000, 0);
    span.hour = <u32>lastHour;
    if (lastHour != 0) return true;
    span.quarantined = 1;
    countQuarantined();
  }
  span.hour = <u32>findHour(hourOf(changetype<Request>(request).receivedMs), 1);
  return span.hour != 0;
}

/** Drops the spans of the request being read. */
export function dropRequest(): void {
  lastSpan = lastBefore;
  spanCount = countBefore;
  if (lastSpan == 0) firstSpan = 0;
  else changetype<Span>(lastSpan).next = 0;
}

/**
 * Keeps the request that was read. Whatever needs memory comes before the first text gets a code,
 * so that a failure leaves the dictionaries as they were. False when there is no room.
 */
export function keepRequest(tenant: usize, tenantBytes: u32, topic: usize, topicBytes: u32): bool {
  const chunk = takeChunk(spanCount - countBefore);
  const hasRoom = chunk != 0 && makeRooms();
  // Dictionaries may have moved up here: from now on nothing below `top` may be given back.
  kept = top;
  if (!hasRoom) return fail(capacityFault, 0) != 0;
  const record = changetype<Request>(request);
  record.tenantCode = codeOf(dictionaryOf(tenantIds), tenant, tenantBytes);
  record.topicCode = codeOf(dictionaryOf(topicNames), topic, topicBytes);
  let index = keepChunk(chunk);
  let resource: usize = 0;
  let scope: usize = 0;
  for (let at = firstNew(); at != 0; index += indexBytes) {
    const span = changetype<Span>(at);
    span.nameCode = codeOf(dictionaryOf(spanNames), span.name, span.nameBytes);
    const hour = changetype<Hour>(span.hour);
    hour.rows++;
    addUp(sumsOf(hour), span);
    writeIndex(index, span);
    if (span.resource != resource) {
      resource = span.resource;
      codeResource(changetype<Resource>(resource));
    }
    if (span.scope != scope) {
      scope = span.scope;
      codeScope(changetype<Scope>(scope));
    }
    at = span.next;
  }
  return true;
}

function firstNew(): usize {
  return lastBefore == 0 ? firstSpan : changetype<Span>(lastBefore).next;
}

// @ts-ignore: decorator
@inline
function hourOf(ms: i64): i64 {
  return ms - (ms % 3_600_000);
}

/** Lays the keys, then the values, of a resource one after the other. False without room. */
export function joinResource(resource: Resource): bool {
  const isJoined = join(
    resource.attrs,
    resource.attrCount,
    resource.keyBytes,
    resource.valueBytes,
  );
  resource.keys = <u32>joined;
  return isJoined;
}

/** Lays the keys, then the values, of a scope one after the other. False without room. */
export function joinScope(scope: Scope): bool {
  const isJoined = join(scope.attrs, scope.attrCount, scope.keyBytes, scope.valueBytes);
  scope.keys = <u32>joined;
  return isJoined;
}

/** Where `join` put the keys; the values follow them. */
let joined: usize = 0;

function join(attrs: usize, count: u32, keyBytes: u32, valueBytes: u32): bool {
  joined = allocate(<usize>keyBytes + valueBytes + slack);
  if (joined == 0) return fail(capacityFault, attrs) != 0;
  let key = joined;
  let value = joined + keyBytes;
  const end = attrs + <usize>count * attrBytes;
  for (let at = attrs; at < end; at += attrBytes) {
    const attr = changetype<Attr>(at);
    memory.copy(key, attr.key, attr.keyBytes);
    key += attr.keyBytes;
    value = put(value, attr.value, attr.valueBytes);
  }
  return true;
}

function makeRooms(): bool {
  for (let index = 0; index < dictionaryCount; index++) {
    const more = index < tenantIds ? spanCount - countBefore : 1;
    if (!makeRoom(dictionaryOf(index), more)) return false;
  }
  return true;
}

function codeResource(resource: Resource): void {
  const services = dictionaryOf(serviceNames);
  resource.serviceCode = codeOf(services, resource.service, resource.serviceBytes);
  const urls = dictionaryOf(resourceUrls);
  resource.schemaUrlCode = codeOf(urls, resource.schemaUrl, resource.schemaUrlBytes);
}

function codeScope(scope: Scope): void {
  scope.nameCode = codeOf(dictionaryOf(scopeNames), scope.name, scope.nameBytes);
  scope.versionCode = codeOf(dictionaryOf(scopeVersions), scope.version, scope.versionBytes);
  scope.schemaUrlCode = codeOf(dictionaryOf(scopeUrls), scope.schemaUrl, scope.schemaUrlBytes);
}

/** Writes the values of all dictionaries at the arena's top. */
export function materializeAll(): bool {
  for (let index = 0; index < dictionaryCount; index++) {
    if (!materialize(dictionaryOf(index))) return false;
  }
  return true;
}
