/**
 * Judges data points by the rules of metrics.proto's comments, as far as a wrong point can be told
 * from a right one. A point that says that nothing was recorded needs no valid value.
 */
import {
  expHistogramKind,
  gaugeKind,
  hasSum,
  histogramKind,
  Metric,
  noNumber,
  noRecordedValue,
  Point,
  sumKind,
  summaryKind,
} from './measure';
import { attributesMax, countAccepted, countInvalid, countReason, describe } from './verdict';

/** Reasons, in the order in which a point is judged; the host has their names in this order. */
const timeZero: u32 = 0;
const temporalityUnspecified: u32 = 1;
const exemplarId: u32 = 2;
const valueMissing: u32 = 3;
const bucketCount: u32 = 4;
const boundsOrder: u32 = 5;
const bucketSum: u32 = 6;
const sumWithoutCount: u32 = 7;
const quantileRange: u32 = 8;
const quantileValue: u32 = 9;
const attributes: u32 = 10;
const noReason: u32 = 11;

/** Index of the part that is wrong. */
let badPart: u32 = 0;

/** Counts the point. False when it is rejected. */
export function acceptPoint(point: Point, metric: Metric): bool {
  if (point.invalidUtf8 != 0) countInvalid(point.invalidUtf8);
  let reason = judge(point, metric);
  if (reason == noReason && point.attrCount > attributesMax) reason = attributes;
  if (reason != noReason) {
    if (countReason(reason, point.itemIndex)) describePoint(reason, point);
    return false;
  }
  if (countAccepted(point.timeNs)) point.quarantined = 1;
  return true;
}

function describePoint(reason: u32, point: Point): void {
  if (reason == exemplarId) {
    // An id of a wrong length has an address.
    describe(point.badAt, point.badBytes, point.badExemplar, point.badField);
  } else if (reason == bucketCount) {
    const wanted = point.bucketCount == 0 ? 0 : point.boundCount + 1;
    describe(point.at, point.bucketCount, 0, wanted == 0 ? point.boundCount + 1 : wanted);
  } else if (reason == attributes) {
    describe(point.at, point.attrCount, 0, attributesMax);
  } else {
    describe(point.at, 0, badPart + 1, 0);
  }
}

/** Whether the point, which has no exemplars, would be accepted. Counts nothing. */
export function isValid(point: Point, metric: Metric): bool {
  return point.attrCount <= attributesMax && judge(point, metric) == noReason;
}

function judge(point: Point, metric: Metric): u32 {
  const kind = metric.kind;
  if (point.timeNs == 0) return timeZero;
  if (metric.temporality == 0 && kind != gaugeKind && kind != summaryKind) {
    return temporalityUnspecified;
  }
  if (point.badExemplar != 0) return exemplarId;
  if ((point.flags & noRecordedValue) != 0) return noReason;
  if (kind <= sumKind) return point.number == noNumber ? valueMissing : noReason;
  if (kind == histogramKind) return judgeHistogram(point);
  return kind == expHistogramKind ? judgeExpHistogram(point) : judgeSummary(point);
}

function judgeHistogram(point: Point): u32 {
  const buckets = point.bucketCount;
  const wanted = point.boundCount + 1;
  if (buckets != wanted && (buckets != 0 || wanted != 1)) return bucketCount;
  if (!areRising(point.bounds, point.boundCount)) return boundsOrder;
  if (buckets != 0) {
    rest = point.count;
    if (!takeAll(point.buckets, buckets) || rest != 0) return bucketSum;
  }
  return judgeSum(point);
}

function judgeExpHistogram(point: Point): u32 {
  rest = point.count;
  if (!take(point.zeroCount)) return bucketSum;
  if (!takeAll(point.buckets, point.bucketCount)) return bucketSum;
  if (!takeAll(point.bounds, point.boundCount) || rest != 0) return bucketSum;
  return judgeSum(point);
}

/** "If count is zero then this field must be zero." A NaN is not. */
function judgeSum(point: Point): u32 {
  const isWrong = point.count == 0 && (point.has & hasSum) != 0 && point.sum != 0;
  return isWrong ? sumWithoutCount : noReason;
}

/** Prometheus gives NaN as the value of a quantile of nothing: it is not negative. */
function judgeSummary(point: Point): u32 {
  const first = <usize>point.quantiles;
  const count = point.quantileCount;
  if (!isRising(first, count, 16)) return quantileRange;
  for (let i: u32 = 0; i < count; i++) {
    const at = first + (<usize>i << 4);
    const quantile = load<f64>(at);
    badPart = i;
    if (!(quantile >= 0 && quantile <= 1)) return quantileRange;
    if (load<f64>(at, 8) < 0) return quantileValue;
  }
  return noReason;
}

/** Whether the doubles, one after the other, rise strictly. */
function areRising(at: usize, count: u32): bool {
  if (count < 3) return isRising(at, count, 8);
  // Pairs of neighbours, two at a time; the last ones perhaps twice.
  const last = at + (<usize>(count - 3) << 3);
  let rising = f64x2.lt(v128.load(last), v128.load(last, 8));
  for (let p = at; p < last; p += 16) {
    rising = v128.and(rising, f64x2.lt(v128.load(p), v128.load(p, 8)));
  }
  return i64x2.all_true(rising) ? true : isRising(at, count, 8);
}

/** Whether the doubles, `stride` bytes apart, rise strictly. A NaN does not. */
function isRising(at: usize, count: u32, stride: usize): bool {
  let before = 0.0;
  for (let i: u32 = 0; i < count; i++, at += stride) {
    const value = load<f64>(at);
    badPart = i;
    if (value != value || (i != 0 && !(value > before))) return false;
    before = value;
  }
  return true;
}

/** What of the count no bucket has claimed yet. */
let rest: u64 = 0;

// @ts-ignore: decorator
@inline
function take(count: u64): bool {
  if (count > rest) return false;
  rest -= count;
  return true;
}

/** Takes the counts of all buckets. False when they are more than the rest. */
function takeAll(at: usize, count: u32): bool {
  const end = at + (<usize>count << 3);
  let sum = i64x2.splat(0);
  let seen = i64x2.splat(0);
  let p = at;
  for (; p + 16 <= end; p += 16) {
    const pair = v128.load(p);
    sum = i64x2.add(sum, pair);
    seen = v128.or(seen, pair);
  }
  const odd = p < end ? load<u64>(p) : 0;
  const bits = i64x2.extract_lane(seen, 0) | i64x2.extract_lane(seen, 1) | odd;
  // Fewer than 2^16 numbers below 2^47 cannot overflow.
  if ((bits >> 47) != 0 || count >= 65536) return takeEach(at, end);
  return take(i64x2.extract_lane(sum, 0) + i64x2.extract_lane(sum, 1) + odd);
}

/** As the counts stay within the rest, no sum can overflow. */
function takeEach(at: usize, end: usize): bool {
  for (; at < end; at += 8) {
    if (!take(load<u64>(at))) return false;
  }
  return true;
}
