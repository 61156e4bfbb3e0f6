/**
 * The series of a shard of metrics and their points: a record for each (tenant, series hash), found by a
 * hash table, and a row of 64 bytes for each point, linked to the one of its series before it.
 */
import { hash16 } from '../memory/hash';
import { allocate } from '../memory/memory';
import { fits } from '../memory/shard';

/**
 * A point. `value` is a double's bits or an int, as `kind` says, and `payload` what has more than one. Of
 * an exponential histogram `value` is 0, and later what `exponents.ts` notes there.
 */
@unmanaged
export class PointRow {
  startNs: u64;
  timeNs: u64;
  value: u64;
  ingestedMs: i64;
  offset: i64;
  series: u32;
  /** Address of the row of the same series that was read before it, 0 for the first. */
  before: u32;
  partition: i32;
  itemIndex: u32;
  payload: u32;
  kind: u32;
}

export const pointRowBytes: usize = 64;

/** Kinds of a point: without a recorded value, a double, an int, and those with a payload. */
export const noValue: u32 = 0;
export const doubleValue: u32 = 1;
export const intValue: u32 = 2;
export const histogramValue: u32 = 3;
export const exponentialValue: u32 = 5;
export const summaryValue: u32 = 6;

/** A series. The host reads it by the order of these fields, words of 4 bytes. */
@unmanaged
export class Series {
  /** The hash's bytes as big-endian words: compared as numbers they are in the order of bytes. */
  hash0: u32;
  hash1: u32;
  hash2: u32;
  hash3: u32;
  tenant: u32;
  /** Counts series in the order in which they were first seen. */
  ordinal: u32;
  next: u32;
  last: u32;
  rows: u32;
  /** How values add up: see below. */
  mode: u32;
  isMonotonic: u32;
}

/** Values of a series that do not add up (a gauge's), that are deltas, and that are totals. */
export const noMode: u32 = 0;
export const deltaMode: u32 = 1;
export const cumulativeMode: u32 = 2;

const seriesBytes: usize = 48;
const slotsAtFirst: u32 = 1024;
let slots: usize = 0;
let slotMask: u32 = 0;

const chunkSeries: usize = 128;
let free: usize = 0;
let freeEnd: usize = 0;

export let seriesCount: u32 = 0;
export let firstSeries: usize = 0;
let lastSeries: usize = 0;
/** Whether the last call of `findSeries` made its series. */
export let isNew: bool = false;

/** Forgets all series. False when there is no room for an empty table. */
export function clearSeries(): bool {
  seriesCount = 0;
  firstSeries = 0;
  lastSeries = 0;
  free = 0;
  freeEnd = 0;
  return makeSlots(slotsAtFirst);
}

/** Address of the series whose hash is the 16 bytes at `hash`, made if it is new. 0 without room. */
export function findSeries(hash: usize, tenant: u32): usize {
  isNew = false;
  let slot = hash16(hash, tenant) & slotMask;
  while (true) {
    const found: usize = load<u32>(slots + ((<usize>slot) << 2));
    if (found == 0) break;
    if (isSeries(changetype<Series>(found), hash, tenant)) return found;
    slot = (slot + 1) & slotMask;
  }
  if (seriesCount * 2 >= slotMask) {
    if (!makeSlots((slotMask + 1) << 1)) return 0;
    return findSeries(hash, tenant);
  }
  const series = makeSeries(hash, tenant);
  if (series == 0) return 0;
  store<u32>(slots + ((<usize>slot) << 2), <u32>series);
  isNew = true;
  return series;
}

function isSeries(series: Series, hash: usize, tenant: u32): bool {
  return (
    series.hash0 == bswap(load<u32>(hash)) &&
    series.hash1 == bswap(load<u32>(hash, 4)) &&
    series.hash2 == bswap(load<u32>(hash, 8)) &&
    series.hash3 == bswap(load<u32>(hash, 12)) &&
    series.tenant == tenant
  );
}

function makeSeries(hash: usize, tenant: u32): usize {
  if (free == freeEnd && !addChunk()) return 0;
  const at = free;
  free += seriesBytes;
  memory.fill(at, 0, seriesBytes);
  const series = changetype<Series>(at);
  series.hash0 = bswap(load<u32>(hash));
  series.hash1 = bswap(load<u32>(hash, 4));
  series.hash2 = bswap(load<u32>(hash, 8));
  series.hash3 = bswap(load<u32>(hash, 12));
  series.tenant = tenant;
  series.ordinal = seriesCount++;
  if (lastSeries == 0) firstSeries = at;
  else changetype<Series>(lastSeries).next = <u32>at;
  lastSeries = at;
  return at;
}

function addChunk(): bool {
  const bytes = chunkSeries * seriesBytes;
  if (!fits(bytes)) return false;
  free = allocate(bytes);
  freeEnd = free == 0 ? 0 : free + bytes;
  return free != 0;
}

/** Makes an empty table of `count` slots and puts every series in it; the old one is given up. */
function makeSlots(count: u32): bool {
  const bytes = (<usize>count) << 2;
  if (!fits(bytes)) return false;
  const made = allocate(bytes);
  if (made == 0) return false;
  memory.fill(made, 0, bytes);
  slots = made;
  slotMask = count - 1;
  for (let at = firstSeries; at != 0; at = changetype<Series>(at).next) {
    let slot = hashOf(changetype<Series>(at)) & slotMask;
    while (load<u32>(slots + ((<usize>slot) << 2)) != 0) slot = (slot + 1) & slotMask;
    store<u32>(slots + ((<usize>slot) << 2), <u32>at);
  }
  return true;
}

/** A hash's bytes as they arrived, for hashing them again. */
const arrived = memory.data(16, 8);

function hashOf(series: Series): u32 {
  store<u32>(arrived, bswap(series.hash0));
  store<u32>(arrived, bswap(series.hash1), 4);
  store<u32>(arrived, bswap(series.hash2), 8);
  store<u32>(arrived, bswap(series.hash3), 12);
  return hash16(arrived, series.tenant);
}
