/** The figures of one series, hour by hour of the period: the host reads them by their place. */
import { sortValues } from '../memory/sort';
import { toDouble } from '../memory/wide';

/** The host reads these fields by their order. */
@unmanaged
export class HourSums {
  increase: f64;
  valueMin: f64;
  valueMax: f64;
  valueSum: f64;
  valueLast: f64;
  p50: f64;
  p95: f64;
  p99: f64;
  histogramCount: u64;
  histogramSum: f64;
  histogramMin: f64;
  histogramMax: f64;
  points: u32;
  duplicates: u32;
  conflicts: u32;
  unrecorded: u32;
  nans: u32;
  bases: u32;
  resets: u32;
  values: u32;
  /** Bounds and buckets of the merged histogram; state 0: none, 1: they are, 2: bounds differed. */
  boundsAt: u32;
  boundCount: u32;
  bucketsAt: u32;
  bucketState: u32;
  /** Of histograms, bit 0: a least value was missing; bit 1: a greatest; bit 2: a sum. */
  marks: u32;
  // From here on for the kernel only.
  valuesAt: u32;
  valuesEnd: u32;
  /** Histograms that were added. */
  added: u32;
  intLow: u64;
  intHigh: u64;
  floatSum: f64;
  lastTimeNs: u64;
  lastStartNs: u64;
}

export const hours: u32 = 24;
const hourBytes: usize = 200;
const sums = memory.data(4800, 8);

export const lacksMin: u32 = 1;
export const lacksMax: u32 = 2;
export const lacksSum: u32 = 4;

/** Figures of the hour of this number, 0 to 23. */
// @ts-ignore: decorator
@inline
export function hourSums(hour: u32): HourSums {
  return changetype<HourSums>(sums + <usize>hour * hourBytes);
}

export function clearHours(): void {
  memory.fill(sums, 0, <usize>hours * hourBytes);
}

/** Where the sum of ints is, for `memory/wide.ts`. */
// @ts-ignore: decorator
@inline
export function intSum(into: HourSums): usize {
  return changetype<usize>(into) + offsetof<HourSums>('intLow');
}

/** Order-preserving: doubles as unsigned ints, and back. NaN has no place. */
// @ts-ignore: decorator
@inline
function toSortable(value: f64): u64 {
  const bits = reinterpret<u64>(value);
  return <i64>bits < 0 ? ~bits : bits | 0x8000_0000_0000_0000;
}

// @ts-ignore: decorator
@inline
function fromSortable(bits: u64): f64 {
  return reinterpret<f64>(<i64>bits < 0 ? bits & 0x7fff_ffff_ffff_ffff : ~bits);
}

/** Adds the value of a point to the hour's, whose place for values is made. */
export function addValue(into: HourSums, value: f64, timeNs: u64, startNs: u64): void {
  store<u64>(into.valuesEnd, toSortable(value));
  into.valuesEnd += 8;
  into.valueSum += value;
  const isFirst = into.values == 0;
  if (isFirst || value < into.valueMin) into.valueMin = value;
  if (isFirst || value > into.valueMax) into.valueMax = value;
  into.values++;
  const isLater =
    timeNs > into.lastTimeNs || (timeNs == into.lastTimeNs && startNs >= into.lastStartNs);
  if (!isFirst && !isLater) return;
  into.valueLast = value;
  into.lastTimeNs = timeNs;
  into.lastStartNs = startNs;
}

/** Computes what needs all points of the hour. `scratch` has room for all of its values. */
export function finishHour(into: HourSums, scratch: usize): void {
  into.increase = toDouble(intSum(into)) + into.floatSum;
  if (into.values == 0) return;
  const at: usize = into.valuesAt;
  sortValues(at, into.values, scratch, toSortable(into.valueMin), toSortable(into.valueMax));
  into.p50 = quantile(at, into.values, 0.5);
  into.p95 = quantile(at, into.values, 0.95);
  into.p99 = quantile(at, into.values, 0.99);
}

/** Type 7, with the operations of ClickHouse's quantileExactInclusive in their order: batch/merge/quantile.ts. */
function quantile(at: usize, count: u32, wanted: f64): f64 {
  const position = wanted * <f64>(count - 1) + 1;
  const rank = Math.floor(position);
  if (rank < 1) return valueAt(at, 0);
  if (rank >= <f64>count) return valueAt(at, count - 1);
  const lower = valueAt(at, <u32>rank - 1);
  const upper = valueAt(at, <u32>rank);
  return lower + (position - rank) * (upper - lower);
}

function valueAt(at: usize, index: u32): f64 {
  return fromSortable(load<u64>(at + ((<usize>index) << 3)));
}
