/**
 * Reads the trace ids of a row group: which rows a shard wants, and where one trace ends and the next
 * begins. All of it stands on the order of the rows, so that is checked here.
 */
import { Trace, traceBytes } from './block';

/** Rows [cutFrom, cutTo) of the row group are within the range, and are of so many traces. */
export let cutFrom: u32 = 0;
export let cutTo: u32 = 0;
export let cutTraces: u32 = 0;

// @ts-ignore: decorator
@inline
function reversed(at: usize): v128 {
  const bytes = v128.load(at);
  return i8x16.swizzle(bytes, i8x16(7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8));
}

/**
 * Cuts `rows` ids of 16 bytes at `ids` to [from, to), given by their upper and lower halves; a `to` of 0
 * has no end. Writes the traces' records and one more at `out`, which has room for `rows` + 1 of them.
 * False when the rows do not ascend.
 */
export function cutIds(
  ids: usize,
  rows: u32,
  fromHigh: u64,
  fromLow: u64,
  toHigh: u64,
  toLow: u64,
  out: usize,
): bool {
  const isOpen = (toHigh | toLow) == 0;
  let before = i64x2.splat(0);
  let high: u64 = 0;
  let low: u64 = 0;
  let at = out;
  cutFrom = 0;
  cutTo = rows;
  let isBefore = true;
  for (let row: u32 = 0; row < rows; row++, ids += 16) {
    const id = v128.load(ids);
    if (row != 0 && !v128.any_true(v128.xor(id, before))) continue;
    before = id;
    const halves = reversed(ids);
    const nextHigh = <u64>i64x2.extract_lane(halves, 0);
    const nextLow = <u64>i64x2.extract_lane(halves, 1);
    if (row != 0 && !isLess(high, low, nextHigh, nextLow)) return false;
    high = nextHigh;
    low = nextLow;
    if (isBefore) {
      if (isLess(high, low, fromHigh, fromLow)) continue;
      isBefore = false;
      cutFrom = row;
    }
    if (!isOpen && cutTo == rows && !isLess(high, low, toHigh, toLow)) cutTo = row;
    if (cutTo != rows) continue;
    const trace = changetype<Trace>(at);
    trace.high = high;
    trace.low = low;
    trace.row = row - cutFrom;
    at += traceBytes;
  }
  if (isBefore) cutFrom = rows;
  cutTraces = <u32>((at - out) / traceBytes);
  changetype<Trace>(at).row = cutTo - cutFrom;
  return true;
}

// @ts-ignore: decorator
@inline
function isLess(high: u64, low: u64, otherHigh: u64, otherLow: u64): bool {
  return high < otherHigh || (high == otherHigh && low < otherLow);
}

/** Turns `count` ids of 8 bytes into numbers whose order is that of the bytes, in place. */
export function orderSpanIds(at: usize, count: u32): void {
  const end = at + (<usize>count << 3);
  for (; at + 16 <= end; at += 16) v128.store(at, reversed(at));
  if (at < end) store<u64>(at, bswap(load<u64>(at)));
}
