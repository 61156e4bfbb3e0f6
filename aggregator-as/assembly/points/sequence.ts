/**
 * The figures of one series from its points. Points of one start time are a sequence: totals grow within
 * it, and what a point adds to its hour is its distance from the one before, which may lie in an earlier
 * hour or in those that lead up to the period. docs/METRICS.md says the rules.
 */
import * as exponents from './exponents';
import * as histograms from './histogramsums';
import {
  addValue,
  clearHours,
  finishHour,
  HourSums,
  hours,
  hourSums,
  intSum,
} from './hoursums';
import {
  cumulativeMode,
  deltaMode,
  doubleValue,
  exponentialValue,
  intValue,
  noMode,
  noValue,
  PointRow,
  Series,
  summaryValue,
} from './pointset';
import { Exponents, hasPayload, isSame, Payload } from './payload';
import { rowAt, sortPoints } from './pointsort';
import { addInt, subtractInt } from '../memory/wide';

const hourNs: u64 = 3_600_000_000_000;

/** First nanosecond of the period, and of the hours that lead up to it. */
let periodNs: u64 = 0;
let windowNs: u64 = 0;

export function setTimes(period: u64, window: u64): void {
  periodNs = period;
  windowNs = window;
}

/** Number of the point's hour, or `hours` for one of before the period. */
function hourOf(row: PointRow): u32 {
  if (row.timeNs < periodNs) return hours;
  return <u32>min((row.timeNs - periodNs) / hourNs, <u64>hours);
}

/**
 * Computes the hours of a series. At `at` there is room for 24 bytes of each of its rows. False when the
 * arena has no room for buckets.
 */
export function computeSeries(series: Series, at: usize): bool {
  clearHours();
  exponents.clear();
  const listBytes = ((<usize>series.rows + 1) & ~1) << 2;
  const values = at + 2 * listBytes;
  const scratch = values + ((<usize>series.rows) << 3);
  const sorted = sortPoints(series, at, at + listBytes);
  const kept = dropCopies(sorted, series.rows);
  placeValues(sorted, kept, values);
  if (!addPoints(series, sorted, kept)) return false;
  if (exponents.areSome && !addExponents(sorted, kept)) return false;
  for (let hour: u32 = 0; hour < hours; hour++) finishHour(hourSums(hour), scratch);
  return true;
}

/** Moves the points that count to the front, and counts the others. Returns how many count. */
function dropCopies(sorted: usize, count: u32): u32 {
  let kept: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const row = rowAt(sorted, i);
    const last = kept == 0 ? row : rowAt(sorted, kept - 1);
    if (kept != 0 && last.startNs == row.startNs && last.timeNs == row.timeNs) {
      countCopy(row, last);
    } else {
      store<u32>(sorted + ((<usize>kept) << 2), <u32>changetype<usize>(row));
      kept++;
    }
  }
  return kept;
}

function countCopy(row: PointRow, kept: PointRow): void {
  const hour = hourOf(row);
  if (hour == hours) return;
  const into = hourSums(hour);
  into.duplicates++;
  if (!saysSame(row, kept)) into.conflicts++;
}

function saysSame(a: PointRow, b: PointRow): bool {
  if (a.kind != b.kind) return false;
  if (!hasPayload(a.kind)) return a.kind == noValue || a.value == b.value;
  return isSame(payloadOf(a), payloadOf(b), a.kind);
}

// @ts-ignore: decorator
@inline
function payloadOf(row: PointRow): Payload {
  return changetype<Payload>(<usize>row.payload);
}

// @ts-ignore: decorator
@inline
function exponentsOf(row: PointRow): Exponents {
  return changetype<Exponents>(<usize>row.payload);
}

// @ts-ignore: decorator
@inline
function isNumber(row: PointRow): bool {
  return row.kind == doubleValue || row.kind == intValue;
}

/** Whether the point has a value that counts. NaN is counted, and taken for none. */
function isValued(row: PointRow): bool {
  if (row.kind == doubleValue) return !isNaN(reinterpret<f64>(row.value));
  return row.kind != noValue;
}

/** The value; of a zero, the one without a sign. */
function asDouble(row: PointRow): f64 {
  return row.kind == intValue ? <f64>(<i64>row.value) : reinterpret<f64>(row.value) + 0.0;
}

/** Gives each hour its part of the room for values. */
function placeValues(sorted: usize, count: u32, values: usize): void {
  for (let i: u32 = 0; i < count; i++) {
    const row = rowAt(sorted, i);
    const hour = hourOf(row);
    if (hour < hours && isNumber(row) && isValued(row)) hourSums(hour).valuesEnd += 8;
  }
  for (let hour: u32 = 0; hour < hours; hour++) {
    const into = hourSums(hour);
    const bytes = into.valuesEnd;
    into.valuesAt = <u32>values;
    into.valuesEnd = <u32>values;
    values += bytes;
  }
}

function addPoints(series: Series, sorted: usize, count: u32): bool {
  let before: usize = 0;
  const firstNs = earliest(sorted, count);
  for (let i: u32 = 0; i < count; i++) {
    const row = rowAt(sorted, i);
    const hour = hourOf(row);
    if (hour < hours) countPoint(hourSums(hour), row);
    if (!isValued(row)) continue;
    if (hour < hours) {
      const into = hourSums(hour);
      if (isNumber(row)) addValue(into, asDouble(row), row.timeNs, row.startNs);
      else if (row.kind == summaryValue) {
        histograms.takeSummary(into, payloadOf(row), row.timeNs, row.startNs);
      }
      if (!addIncrease(into, series, row, before, firstNs)) return false;
    }
    before = changetype<usize>(row);
  }
  return true;
}

function countPoint(into: HourSums, row: PointRow): void {
  into.points++;
  if (row.kind == noValue) into.unrecorded++;
  else if (!isValued(row)) into.nans++;
}

/** Time of the first point with a value, of whatever sequence. */
function earliest(sorted: usize, count: u32): u64 {
  let firstNs: u64 = u64.MAX_VALUE;
  for (let i: u32 = 0; i < count; i++) {
    const row = rowAt(sorted, i);
    if (isValued(row)) firstNs = min(firstNs, row.timeNs);
  }
  return firstNs;
}

/** Adds what the point adds to its hour. `before`: the row with a value before it, if any. */
function addIncrease(
  into: HourSums,
  series: Series,
  row: PointRow,
  before: usize,
  firstNs: u64,
): bool {
  if (series.mode == noMode) return true;
  if (series.mode == deltaMode) return addAll(into, series, row);
  if (before != 0 && changetype<PointRow>(before).startNs == row.startNs) {
    const last = changetype<PointRow>(before);
    if (!hasFallen(series, row, last)) return addMore(into, row, last);
    into.resets++;
    return addAll(into, series, row);
  }
  if (!beginsInWindow(row)) {
    into.bases++;
    return true;
  }
  if (firstNs < row.timeNs) into.resets++;
  return addAll(into, series, row);
}

/** Whether all that the total holds was counted since the window began. */
function beginsInWindow(row: PointRow): bool {
  return row.startNs != 0 && row.startNs < row.timeNs && row.startNs >= windowNs;
}

/** Whether a total is less than before, though it can only grow: then it began at zero again. */
function hasFallen(series: Series, row: PointRow, last: PointRow): bool {
  if (hasPayload(row.kind)) {
    if (payloadOf(row).count < payloadOf(last).count) return true;
    if (row.kind == summaryValue) return false;
    if (row.kind == exponentialValue) return exponents.isLower(exponentsOf(row), exponentsOf(last));
    return histograms.isLower(payloadOf(row), payloadOf(last));
  }
  if (series.isMonotonic == 0) return false;
  if (row.kind == intValue && last.kind == intValue) return <i64>row.value < <i64>last.value;
  return asDouble(row) < asDouble(last);
}

function addAll(into: HourSums, series: Series, row: PointRow): bool {
  const isTotal = series.mode == cumulativeMode;
  if (row.kind == exponentialValue || row.kind == summaryValue) {
    histograms.addWhole(into, payloadOf(row), !isTotal);
    if (row.kind == exponentialValue) noteExponents(row, 0);
    return true;
  }
  if (hasPayload(row.kind)) return histograms.addHistogram(into, payloadOf(row), !isTotal);
  if (row.kind == intValue) addInt(intSum(into), <i64>row.value);
  else into.floatSum += asDouble(row);
  return true;
}

function addMore(into: HourSums, row: PointRow, last: PointRow): bool {
  if (row.kind == exponentialValue || row.kind == summaryValue) {
    histograms.addMore(into, payloadOf(row), payloadOf(last));
    if (row.kind == exponentialValue) noteExponents(row, changetype<usize>(last));
    return true;
  }
  if (hasPayload(row.kind)) return histograms.addDifference(into, payloadOf(row), payloadOf(last));
  if (row.kind == intValue && last.kind == intValue) {
    addInt(intSum(into), <i64>row.value);
    subtractInt(intSum(into), <i64>last.value);
  } else {
    into.floatSum += asDouble(row) - asDouble(last);
  }
  return true;
}

/** `value` of a row that adds all of its buckets; of one that adds a difference, the row before. */
const addsWhole: u64 = 1;

/** Notes that the row adds to its hour what it has more than the row at `before`, if that is not 0. */
function noteExponents(row: PointRow, before: usize): void {
  const hour = hourOf(row);
  row.value = before == 0 ? addsWhole : <u64>before;
  exponents.note(hour, exponentsOf(row));
  if (before != 0) exponents.note(hour, exponentsOf(changetype<PointRow>(before)));
}

/** Adds the buckets that were noted, now that each hour's scale is known. False without room. */
function addExponents(sorted: usize, count: u32): bool {
  if (!exponents.makeBuckets()) return false;
  for (let i: u32 = 0; i < count; i++) {
    const row = rowAt(sorted, i);
    if (row.kind != exponentialValue || row.value == 0) continue;
    const hour = hourOf(row);
    exponents.add(hour, exponentsOf(row), false);
    if (row.value == addsWhole) continue;
    exponents.add(hour, exponentsOf(changetype<PointRow>(<usize>row.value)), true);
  }
  for (let hour: u32 = 0; hour < hours; hour++) {
    if (exponents.finishHour(hour)) hourSums(hour).bucketState = histograms.exponentialBuckets;
  }
  return true;
}
