/**
 * Brings the body hashes of each group's kept rows together, sorted and each once: `uniqueTraces` of the
 * group is then their number, and `durations` where they lie.
 */
import { countAt, durationsAt, fillAt, firstGroup, nextAt, uniqueTracesAt } from './group';
import { bodyHashAt, droppedAt, groupAt, rowAddress, rowCount } from '../memory/shard';

const hashBytes: usize = 16;

/** Lays all hashes at `at`, which has room for 16 bytes of each row. */
export function gatherBodies(at: usize): void {
  for (let group = firstGroup; group != 0; group = load<u32>(group, nextAt)) {
    store<u32>(group, <u32>at, durationsAt);
    store<u32>(group, <u32>at, fillAt);
    at += <usize>load<u32>(group, countAt) * hashBytes;
  }
  for (let i: u32 = 0; i < rowCount; i++) {
    const row = rowAddress(i);
    if (load<u8>(row, droppedAt) != 0) continue;
    const group: usize = load<u32>(row, groupAt);
    const fill = load<u32>(group, fillAt);
    // Big-endian words compare as the bytes do.
    store<u64>(fill, bswap(load<u64>(row, bodyHashAt)));
    store<u64>(fill, bswap(load<u64>(row, bodyHashAt + 8)), 8);
    store<u32>(group, fill + <u32>hashBytes, fillAt);
  }
  for (let group = firstGroup; group != 0; group = load<u32>(group, nextAt)) finishGroup(group);
}

function finishGroup(group: usize): void {
  const first: usize = load<u32>(group, durationsAt);
  const end: usize = load<u32>(group, fillAt);
  sortHashes(first, end);
  let last = first;
  for (let at = first; at < end; at += hashBytes) {
    const high = load<u64>(at);
    const low = load<u64>(at, 8);
    const before = last - hashBytes;
    if (at != first && high == load<u64>(before) && low == load<u64>(before, 8)) continue;
    store<u64>(last, high);
    store<u64>(last, low, 8);
    last += hashBytes;
  }
  store<u32>(group, <u32>((last - first) / hashBytes), uniqueTracesAt);
  for (let at = first; at < last; at += 8) store<u64>(at, bswap(load<u64>(at)));
}

/**
 * Radix exchange sort: parts in two by the highest bit in which any two differ. In place, and no input
 * makes it deeper than the 128 bits of a hash.
 */
function sortHashes(first: usize, end: usize): void {
  while (end - first > hashBytes) {
    const high = load<u64>(first);
    const low = load<u64>(first, 8);
    let highs: u64 = 0;
    let lows: u64 = 0;
    for (let at = first + hashBytes; at < end; at += hashBytes) {
      highs |= load<u64>(at) ^ high;
      lows |= load<u64>(at, 8) ^ low;
    }
    if ((highs | lows) == 0) return;
    const word: usize = highs != 0 ? 0 : 8;
    const differing = highs != 0 ? highs : lows;
    const middle = part(first, end, word, <u64>1 << (63 - clz<u64>(differing)));
    sortHashes(first, middle);
    first = middle;
  }
}

/** Moves hashes without the bit before those with it; returns where the latter begin. */
function part(first: usize, end: usize, word: usize, bit: u64): usize {
  let at = first;
  while (at < end) {
    if ((load<u64>(at + word) & bit) == 0) {
      at += hashBytes;
      continue;
    }
    end -= hashBytes;
    const high = load<u64>(at);
    const low = load<u64>(at, 8);
    store<u64>(at, load<u64>(end));
    store<u64>(at, load<u64>(end, 8), 8);
    store<u64>(end, high);
    store<u64>(end, low, 8);
  }
  return at;
}
