/**
 * Sorts 64-bit unsigned integers in place: insertion sort for a few, else a radix sort from the
 * least digit, over only as many bits as the values differ in. It never compares in big inputs.
 */

const insertionMax: u32 = 48;
/** Inputs below this take digits of 8 bits, others of 11: fewer passes, more counters to clear. */
const wideMin: u32 = 4096;
const counters = memory.data(8192, 8);
let digitBits: u32 = 8;

/**
 * Sorts `count` values at `at`, all in [least, greatest], ascending. `scratch` has room for as many
 * and is overwritten.
 */
export function sortValues(at: usize, count: u32, scratch: usize, least: u64, greatest: u64): void {
  if (count <= insertionMax) {
    sortFew(at, count);
    return;
  }
  digitBits = count < wideMin ? 8 : 11;
  const bits: u32 = 64 - <u32>clz<u64>(greatest - least);
  let from = at;
  let to = scratch;
  for (let shift: u32 = 0; shift < bits; shift += digitBits) {
    if (!scatter(from, to, count, least, shift)) continue;
    const swap = from;
    from = to;
    to = swap;
  }
  if (from != at) memory.copy(at, from, (<usize>count) << 3);
}

function sortFew(at: usize, count: u32): void {
  const end = at + ((<usize>count) << 3);
  for (let next = at + 8; next < end; next += 8) {
    const value = load<u64>(next);
    let hole = next;
    while (hole > at && load<u64>(hole - 8) > value) {
      store<u64>(hole, load<u64>(hole - 8));
      hole -= 8;
    }
    store<u64>(hole, value);
  }
}

/** Moves the values, stably, into the order of one digit. False if all have the same: not moved. */
function scatter(from: usize, to: usize, count: u32, least: u64, shift: u32): bool {
  const end = from + ((<usize>count) << 3);
  const digitCount: u32 = 1 << digitBits;
  const mask = digitCount - 1;
  memory.fill(counters, 0, digitCount << 2);
  for (let at = from; at < end; at += 8) {
    const counter = counterOf(load<u64>(at) - least, shift, mask);
    store<u32>(counter, load<u32>(counter) + 1);
  }
  if (load<u32>(counterOf(load<u64>(from) - least, shift, mask)) == count) return false;
  let place = to;
  for (let digit: u32 = 0; digit < digitCount; digit++) {
    const counter = counters + (digit << 2);
    const valueCount = load<u32>(counter);
    store<u32>(counter, <u32>place);
    place += (<usize>valueCount) << 3;
  }
  for (let at = from; at < end; at += 8) {
    const value = load<u64>(at);
    const counter = counterOf(value - least, shift, mask);
    const place = load<u32>(counter);
    store<u64>(place, value);
    store<u32>(counter, place + 8);
  }
  return true;
}

function counterOf(value: u64, shift: u32, mask: u32): usize {
  return counters + ((<usize>((<u32>(value >> shift)) & mask)) << 2);
}
