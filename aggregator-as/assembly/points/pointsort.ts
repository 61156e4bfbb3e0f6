/**
 * Brings the points of one series in order: by start time, then time; of copies of one point the one that
 * counts comes first. Merge sort from below, on addresses: points come in nearly sorted.
 */
import { PointRow, Series } from './pointset';

/**
 * Lays the addresses of the series' rows at `at`, sorted. `scratch` has room for as many. Returns where
 * the sorted addresses are: one of the two.
 */
export function sortPoints(series: Series, at: usize, scratch: usize): usize {
  const count = series.rows;
  let row = series.last;
  for (let i = count; i > 0; i--) {
    store<u32>(at + ((<usize>i - 1) << 2), row);
    row = changetype<PointRow>(row).before;
  }
  let from = at;
  let to = scratch;
  if (isSorted(from, count)) return from;
  for (let width: u32 = 1; width < count; width *= 2) {
    for (let left: u32 = 0; left < count; left += 2 * width) {
      merge(from, to, left, min(left + width, count), min(left + 2 * width, count));
    }
    const swap = from;
    from = to;
    to = swap;
  }
  return from;
}

function isSorted(at: usize, count: u32): bool {
  for (let i: u32 = 1; i < count; i++) {
    if (precedes(rowAt(at, i), rowAt(at, i - 1))) return false;
  }
  return true;
}

/** The row whose address is the `index`th at `at`. */
// @ts-ignore: decorator
@inline
export function rowAt(at: usize, index: u32): PointRow {
  return changetype<PointRow>(<usize>load<u32>(at + ((<usize>index) << 2)));
}

function merge(from: usize, to: usize, left: u32, middle: u32, right: u32): void {
  let a = left;
  let b = middle;
  for (let out = left; out < right; out++) {
    const takesB = a == middle || (b < right && precedes(rowAt(from, b), rowAt(from, a)));
    const taken = takesB ? b++ : a++;
    store<u32>(to + ((<usize>out) << 2), load<u32>(from + ((<usize>taken) << 2)));
  }
}

/** Content decides between copies of one and the same place. */
function precedes(a: PointRow, b: PointRow): bool {
  if (a.startNs != b.startNs) return a.startNs < b.startNs;
  if (a.timeNs != b.timeNs) return a.timeNs < b.timeNs;
  if (a.ingestedMs != b.ingestedMs) return a.ingestedMs > b.ingestedMs;
  if (a.partition != b.partition) return a.partition > b.partition;
  if (a.offset != b.offset) return a.offset > b.offset;
  if (a.itemIndex != b.itemIndex) return a.itemIndex > b.itemIndex;
  if (a.kind != b.kind) return a.kind > b.kind;
  return a.value > b.value;
}
