/**
 * The groups of a shard: one record for each (tenant, service, operation, kind), found by a hash table.
 * Records never move, so a row keeps its group's address. Only counts; never sorts.
 */
import { hash4 } from '../memory/hash';
import { allocate } from '../memory/memory';
import { fits } from '../memory/shard';

export const groupBytes: usize = 80;

/** Offsets in a record; the host reads them by the same numbers. */
export const tenantAt: usize = 0;
export const serviceAt: usize = 4;
export const operationAt: usize = 8;
export const rawCountAt: usize = 12;
export const countAt: usize = 16;
export const errorCountAt: usize = 20;
export const uniqueTracesAt: usize = 24;
export const conflictsAt: usize = 28;
export const minAt: usize = 32;
export const maxAt: usize = 40;
export const sumLowAt: usize = 48;
export const sumHighAt: usize = 56;
/** Address of the sorted durations. */
export const durationsAt: usize = 64;
/** Address of the next record in order of making; 0 ends. */
export const nextAt: usize = 68;
/** Where the next duration goes, while they are gathered. */
export const fillAt: usize = 72;
/** 0 of log records, whose third code is another. */
export const kindAt: usize = 76;

const slotsAtFirst: u32 = 1024;
let slots: usize = 0;
let slotMask: u32 = 0;

const chunkGroups: usize = 128;
let free: usize = 0;
let freeEnd: usize = 0;

export let groupCount: u32 = 0;
export let firstGroup: usize = 0;
let lastGroup: usize = 0;

/** Forgets all groups. False when there is no room for an empty table. */
export function clearGroups(): bool {
  groupCount = 0;
  firstGroup = 0;
  lastGroup = 0;
  free = 0;
  freeEnd = 0;
  slots = 0;
  return makeSlots(slotsAtFirst);
}

/** Address of the group with this key, made if there was none. 0 when there is no room. */
export function findGroup(tenant: u32, service: u32, operation: u32, kind: u32 = 0): usize {
  let slot = hash4(tenant, service, operation, kind) & slotMask;
  while (true) {
    const group: usize = load<u32>(slots + ((<usize>slot) << 2));
    if (group == 0) break;
    if (isGroup(group, tenant, service, operation, kind)) return group;
    slot = (slot + 1) & slotMask;
  }
  if (groupCount * 2 >= slotMask) {
    if (!makeSlots((slotMask + 1) << 1)) return 0;
    return findGroup(tenant, service, operation, kind);
  }
  const group = makeGroup(tenant, service, operation, kind);
  if (group == 0) return 0;
  store<u32>(slots + ((<usize>slot) << 2), <u32>group);
  return group;
}

function isGroup(group: usize, tenant: u32, service: u32, operation: u32, kind: u32): bool {
  return (
    load<u32>(group, operationAt) == operation &&
    load<u32>(group, kindAt) == kind &&
    load<u32>(group, serviceAt) == service &&
    load<u32>(group, tenantAt) == tenant
  );
}

function makeGroup(tenant: u32, service: u32, operation: u32, kind: u32): usize {
  if (free == freeEnd && !addChunk()) return 0;
  const group = free;
  free += groupBytes;
  memory.fill(group, 0, groupBytes);
  store<u32>(group, tenant, tenantAt);
  store<u32>(group, service, serviceAt);
  store<u32>(group, operation, operationAt);
  store<u32>(group, kind, kindAt);
  if (lastGroup == 0) firstGroup = group;
  else store<u32>(lastGroup, <u32>group, nextAt);
  lastGroup = group;
  groupCount++;
  return group;
}

function addChunk(): bool {
  const bytes = chunkGroups * groupBytes;
  if (!fits(bytes)) return false;
  free = allocate(bytes);
  freeEnd = free == 0 ? 0 : free + bytes;
  return free != 0;
}

/** Makes an empty table of `count` slots and puts every group in it; the old one is given up. */
function makeSlots(count: u32): bool {
  const bytes = (<usize>count) << 2;
  if (!fits(bytes)) return false;
  const made = allocate(bytes);
  if (made == 0) return false;
  memory.fill(made, 0, bytes);
  slots = made;
  slotMask = count - 1;
  for (let group = firstGroup; group != 0; group = load<u32>(group, nextAt)) {
    let slot =
      hash4(
        load<u32>(group, tenantAt),
        load<u32>(group, serviceAt),
        load<u32>(group, operationAt),
        load<u32>(group, kindAt),
      ) & slotMask;
    while (load<u32>(slots + ((<usize>slot) << 2)) != 0) slot = (slot + 1) & slotMask;
    store<u32>(slots + ((<usize>slot) << 2), <u32>group);
  }
  return true;
}
