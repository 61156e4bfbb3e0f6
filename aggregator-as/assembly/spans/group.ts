/**
 * The groups of a shard of spans: one record, a cache line, for each (tenant, service, operation, kind), by
 * their names' numbers. A group keeps the durations of its spans in chunks that grow. Only counts.
 */
import { allocate } from '../memory/memory';
import { takeRoom } from '../memory/rooms';

@unmanaged
export class SpanGroup {
  tenant: u32;
  service: u32;
  operation: u32;
  kind: u32;
  /** Rows, duplicates included. */
  raw: u32;
  /** Of these, copies of a span that is kept. */
  dropped: u32;
  errors: u32;
  /** Traces with a kept span. */
  traces: u32;
  conflicts: u32;
  /** Number of the trace that was counted last. */
  lastTrace: u32;
  /** Where the next duration goes, and where its chunk ends. */
  fill: u32;
  fillEnd: u32;
  firstChunk: u32;
  lastChunk: u32;
  /** In order of making. */
  next: u32;
  spare: u32;
}

const groupBytes: usize = 64;
const chunkGroups: usize = 64;
/** Of a chunk of durations: the next one, and where its durations end once it is full. */
const headBytes: usize = 8;
const firstValues: u32 = 7;
const valuesMax: u32 = 2048;

let slots: usize = 0;
let slotMask: u32 = 0;
let free: usize = 0;
let freeEnd: usize = 0;

export let groupCount: u32 = 0;
export let firstGroup: usize = 0;
let lastGroup: usize = 0;

/** Forgets all groups. False without room. */
export function clearGroups(): bool {
  groupCount = 0;
  firstGroup = 0;
  lastGroup = 0;
  free = 0;
  freeEnd = 0;
  return makeSlots(1024);
}

/** Address of the group, made if there was none. 0 without room. */
export function findGroup(tenant: u32, service: u32, operation: u32, kind: u32): usize {
  let slot = hashOf(tenant, service, operation, kind) & slotMask;
  while (true) {
    const at: usize = load<u32>(slots + (<usize>slot << 2));
    if (at == 0) break;
    const group = changetype<SpanGroup>(at);
    if (
      group.operation == operation &&
      group.service == service &&
      group.kind == kind &&
      group.tenant == tenant
    ) {
      return at;
    }
    slot = (slot + 1) & slotMask;
  }
  const made = makeGroup(tenant, service, operation, kind);
  if (made == 0) return 0;
  store<u32>(slots + (<usize>slot << 2), <u32>made);
  if (groupCount * 2 > slotMask && !makeSlots((slotMask + 1) << 1)) return 0;
  return made;
}

function makeGroup(tenant: u32, service: u32, operation: u32, kind: u32): usize {
  if (free == freeEnd) {
    // Of a row that has a group, the lowest bit is free for its error.
    free = (allocate(chunkGroups * groupBytes + groupBytes) + groupBytes - 1) & ~(groupBytes - 1);
    freeEnd = free == 0 ? 0 : free + chunkGroups * groupBytes;
    if (free == 0) return 0;
  }
  const at = free;
  free += groupBytes;
  memory.fill(at, 0, groupBytes);
  const group = changetype<SpanGroup>(at);
  group.tenant = tenant;
  group.service = service;
  group.operation = operation;
  group.kind = kind;
  if (lastGroup == 0) firstGroup = at;
  else changetype<SpanGroup>(lastGroup).next = <u32>at;
  lastGroup = at;
  groupCount++;
  return at;
}

function makeSlots(count: u32): bool {
  const made = allocate(<usize>count << 2);
  if (made == 0) return false;
  memory.fill(made, 0, <usize>count << 2);
  slots = made;
  slotMask = count - 1;
  for (let at = firstGroup; at != 0; at = changetype<SpanGroup>(at).next) {
    const group = changetype<SpanGroup>(at);
    let slot = hashOf(group.tenant, group.service, group.operation, group.kind) & slotMask;
    while (load<u32>(slots + (<usize>slot << 2)) != 0) slot = (slot + 1) & slotMask;
    store<u32>(slots + (<usize>slot << 2), <u32>at);
  }
  return true;
}

function hashOf(tenant: u32, service: u32, operation: u32, kind: u32): u32 {
  let hash = (<u64>operation << 32) | (<u64>service ^ (<u64>kind << 24));
  hash = (hash ^ (<u64>tenant << 12)) * 0x9e37_79b9_7f4a_7c15;
  return <u32>((hash ^ (hash >> 29)) >> 24);
}

/** Keeps a duration of the group. False without room. */
// @ts-ignore: decorator
@inline
export function keepDuration(group: SpanGroup, duration: u64): bool {
  if (group.fill == group.fillEnd && !addChunk(group)) return false;
  store<u64>(group.fill, duration);
  group.fill += 8;
  return true;
}

function addChunk(group: SpanGroup): bool {
  const before: usize = group.lastChunk;
  const full = before == 0 ? 0 : (group.fillEnd - before - headBytes) >> 3;
  const values = before == 0 ? firstValues : min(<u32>full * 2, valuesMax);
  const bytes = headBytes + (<usize>values << 3);
  const at = takeRoom(bytes);
  if (at == 0) return false;
  store<u32>(at, 0);
  if (before == 0) {
    group.firstChunk = <u32>at;
  } else {
    store<u32>(before, <u32>at);
    store<u32>(before, group.fillEnd, 4);
  }
  group.lastChunk = <u32>at;
  group.fill = <u32>(at + headBytes);
  group.fillEnd = <u32>(at + bytes);
  return true;
}

/** Where the durations of a chunk end. */
// @ts-ignore: decorator
@inline
export function chunkEnd(group: SpanGroup, chunk: usize): usize {
  return chunk == group.lastChunk ? group.fill : load<u32>(chunk, 4);
}

// @ts-ignore: decorator
@inline
export function chunkStart(chunk: usize): usize {
  return chunk + headBytes;
}

// @ts-ignore: decorator
@inline
export function nextChunk(chunk: usize): usize {
  return load<u32>(chunk);
}

/** Adds all that `from` has to `into`, whose traces are then those of both added up. */
export function absorb(into: SpanGroup, from: SpanGroup): void {
  into.raw += from.raw;
  into.dropped += from.dropped;
  into.errors += from.errors;
  into.traces += from.traces;
  into.conflicts += from.conflicts;
  if (from.firstChunk == 0) return;
  if (into.lastChunk == 0) {
    into.firstChunk = from.firstChunk;
  } else {
    store<u32>(into.lastChunk, from.firstChunk);
    store<u32>(into.lastChunk, into.fill, 4);
  }
  into.lastChunk = from.lastChunk;
  into.fill = from.fill;
  into.fillEnd = from.fillEnd;
  from.firstChunk = 0;
  from.lastChunk = 0;
}
