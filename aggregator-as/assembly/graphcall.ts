/**
 * The edges of the service graph: groups of `group.ts`, whose four words are tenant, caller, callee and
 * connection. Each call is counted in its edge; its duration stays with its row until `gatherCalls`.
 */
import * as groups from './group';
import {
  durationAt,
  edgeInAt,
  edgeOutAt,
  tenantAt,
} from './graphrow';
import { linkEdgeAt, linkRowAt, links } from './graphlink';
import { chunkRecords, nextChunk, recordAt } from './graphlist';
import { allocate } from './memory';
import { rowAddress, rowCount } from './shard';
import { sortValues } from './sort';

/**
 * Connections: how the sides are connected, and which of them is virtual. Between services; then with a virtual callee, for the kinds of peers from 1 on; then
 * with a virtual caller.
 */
export const direct: u32 = 0;
export const message: u32 = 1;
export const toVirtual: u32 = 1;
export const messageFromVirtual: u32 = 5;
export const fromVirtual: u32 = 6;

/** Durations so far. */
let callCount: u32 = 0;

export function clearCalls(): void {
  callCount = 0;
}

/** Counts a call that took the row's duration. Returns its edge, or 0 when there is no room. */
export function addCall(
  row: usize,
  connection: u32,
  caller: u32,
  callee: u32,
  isError: bool,
): usize {
  const edge = groups.findGroup(load<u32>(row, tenantAt), caller, callee, connection);
  if (edge == 0) return 0;
  const duration = load<u64>(row, durationAt);
  const count = load<u32>(edge, groups.countAt);
  store<u32>(edge, count + 1, groups.countAt);
  store<u32>(edge, count + 1, groups.rawCountAt);
  if (isError) store<u32>(edge, load<u32>(edge, groups.errorCountAt) + 1, groups.errorCountAt);
  if (count == 0 || duration < load<u64>(edge, groups.minAt)) {
    store<u64>(edge, duration, groups.minAt);
  }
  if (duration > load<u64>(edge, groups.maxAt)) store<u64>(edge, duration, groups.maxAt);
  const sum = load<u64>(edge, groups.sumLowAt) + duration;
  store<u64>(edge, sum, groups.sumLowAt);
  if (sum < duration) store<u64>(edge, load<u64>(edge, groups.sumHighAt) + 1, groups.sumHighAt);
  callCount++;
  return edge;
}

/** Brings the durations of each edge together, and sorts them. False when there is no room. */
export function gatherCalls(): bool {
  const largest = largestEdge();
  const at = allocate(<usize>(callCount + largest) * 8 + 64);
  if (at == 0) return false;
  const scratch = at + (<usize>callCount << 3);
  let place = at;
  for (let edge = groups.firstGroup; edge != 0; edge = load<u32>(edge, groups.nextAt)) {
    store<u32>(edge, <u32>place, groups.durationsAt);
    store<u32>(edge, <u32>place, groups.fillAt);
    place += <usize>load<u32>(edge, groups.countAt) << 3;
  }
  placeRows();
  placeLinks();
  for (let edge = groups.firstGroup; edge != 0; edge = load<u32>(edge, groups.nextAt)) {
    sortEdge(edge, scratch);
  }
  return true;
}

function largestEdge(): u32 {
  let largest: u32 = 0;
  for (let edge = groups.firstGroup; edge != 0; edge = load<u32>(edge, groups.nextAt)) {
    largest = max(largest, load<u32>(edge, groups.countAt));
  }
  return largest;
}

function placeRows(): void {
  for (let index: u32 = 0; index < rowCount; index++) {
    const row = rowAddress(index);
    placeCall(load<u32>(row, edgeInAt), row);
    placeCall(load<u32>(row, edgeOutAt), row);
  }
}

function placeLinks(): void {
  let left = links.count;
  for (let chunk: usize = links.firstChunk; chunk != 0; chunk = nextChunk(chunk)) {
    const count = min(left, chunkRecords);
    for (let place: u32 = 0; place < count; place++) {
      const link = recordAt(links, chunk, place);
      placeCall(load<u32>(link, linkEdgeAt), load<u32>(link, linkRowAt));
    }
    left -= count;
  }
}

function placeCall(edge: usize, row: usize): void {
  if (edge == 0) return;
  const fill = load<u32>(edge, groups.fillAt);
  store<u64>(fill, load<u64>(row, durationAt));
  store<u32>(edge, fill + 8, groups.fillAt);
}

function sortEdge(edge: usize, scratch: usize): void {
  const at = load<u32>(edge, groups.durationsAt);
  const count = load<u32>(edge, groups.countAt);
  const least = load<u64>(edge, groups.minAt);
  sortValues(at, count, scratch, least, load<u64>(edge, groups.maxAt));
}
