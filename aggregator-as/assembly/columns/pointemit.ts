/** Writes an hour's data points into the columns that `layPoints` laid out. */
import { blockRows, fetchBlock, itemAt } from './block';
import { put } from '../memory/bytes';
import { dataOf } from './layout';
import {
  doubleNumber,
  Exemplar,
  expHistogramKind,
  hasMax,
  hasMin,
  hasNegative,
  hasPositive,
  histogramKind,
  intNumber,
  Metric,
  noNumber,
  Point,
} from '../otlp/measure';
import { appendMap, appendRaw, setBit } from './node';
import { emitOwners } from './owneremit';
import * as at from './pointlayout';
import { isCounted, isSummed } from './pointsums';
import { sizeOf } from '../otlp/record';

/** Values of lists so far. */
let bucketCount: u32 = 0;
let boundCount: u32 = 0;
let positiveCount: u32 = 0;
let negativeCount: u32 = 0;
let quantileCount: u32 = 0;
let exemplarCount: u32 = 0;

/** Writes all rows. */
export function emitPoints(first: usize, rows: u32): void {
  bucketCount = 0;
  boundCount = 0;
  positiveCount = 0;
  negativeCount = 0;
  quantileCount = 0;
  exemplarCount = 0;
  for (let from: u32 = 0; from < rows; from += blockRows) {
    const to = min(from + blockRows, rows);
    fetchBlock(first, from, to, sizeOf<Point>());
    emitMetric(from, to);
    emitNumbers(from, to);
    emitTotals(from, to);
    emitBuckets(from, to);
    emitExponential(from, to);
    emitQuantiles(from, to);
    emitExemplars(from, to);
    emitTexts(from, to);
    emitOwners(from, to);
  }
}

// @ts-ignore: decorator
@inline
function pointAt(row: u32): Point {
  return changetype<Point>(itemAt(row));
}

// @ts-ignore: decorator
@inline
function metricAt(row: u32): Metric {
  return changetype<Metric>(pointAt(row).metric);
}

function emitMetric(from: u32, to: u32): void {
  const series = dataOf(at.seriesColumn);
  const names = dataOf(at.nameColumn);
  const descriptions = dataOf(at.descriptionColumn);
  const units = dataOf(at.unitColumn);
  const kinds = dataOf(at.kindColumn);
  const temporalities = dataOf(at.temporalityColumn);
  const monotonic = dataOf(at.monotonicColumn);
  for (let row = from; row < to; row++) {
    const point = pointAt(row);
    const metric = metricAt(row);
    const fourth = <usize>row << 2;
    store<u64>(series + (<usize>row << 4), point.seriesHigh);
    store<u64>(series + (<usize>row << 4), point.seriesLow, 8);
    store<i32>(names + fourth, metric.nameCode);
    store<i32>(descriptions + fourth, metric.descriptionCode);
    store<i32>(units + fourth, metric.unitCode);
    store<u32>(kinds + fourth, metric.kind);
    store<i32>(temporalities + fourth, metric.temporality);
    if (metric.isMonotonic) setBit(monotonic, row);
  }
}

/** What a number's text in `Value` is: of an int the nearest double. */
// @ts-ignore: decorator
@inline
function bitsOf(number: u32, value: u64): u64 {
  return number == intNumber ? reinterpret<u64>(<f64>(<i64>value)) : value;
}

function emitNumbers(from: u32, to: u32): void {
  const starts = dataOf(at.startColumn);
  const times = dataOf(at.timeColumn);
  const flags = dataOf(at.flagsColumn);
  const values = dataOf(at.valueColumn);
  const ints = dataOf(at.intColumn);
  for (let row = from; row < to; row++) {
    const point = pointAt(row);
    const eighth = <usize>row << 3;
    store<u64>(starts + eighth, point.startNs);
    store<u64>(times + eighth, point.timeNs);
    store<u32>(flags + (<usize>row << 2), point.flags);
    if (point.number == noNumber) continue;
    store<u64>(values + eighth, bitsOf(point.number, point.value));
    setBit(at.valueValidity, row);
    if (point.number == doubleNumber) continue;
    store<u64>(ints + eighth, point.value);
    setBit(at.intValidity, row);
  }
}

function emitTotals(from: u32, to: u32): void {
  const counts = dataOf(at.countColumn);
  const totals = dataOf(at.sumColumn);
  const least = dataOf(at.minColumn);
  const most = dataOf(at.maxColumn);
  for (let row = from; row < to; row++) {
    const kind = metricAt(row).kind;
    if (!isCounted(kind)) continue;
    const point = pointAt(row);
    const eighth = <usize>row << 3;
    store<u64>(counts + eighth, point.count);
    setBit(at.countValidity, row);
    if (isSummed(point, kind)) {
      store<f64>(totals + eighth, point.sum);
      setBit(at.sumValidity, row);
    }
    if ((point.has & hasMin) != 0) {
      store<f64>(least + eighth, point.min);
      setBit(at.minValidity, row);
    }
    if ((point.has & hasMax) != 0) {
      store<f64>(most + eighth, point.max);
      setBit(at.maxValidity, row);
    }
  }
}

// @ts-ignore: decorator
@inline
function putValues(data: usize, done: u32, values: usize, count: u32): void {
  if (count != 0) put(data + (<usize>done << 3), values, <usize>count << 3);
}

// @ts-ignore: decorator
@inline
function endList(offsets: usize, row: u32, count: u32): void {
  store<u32>(offsets + (<usize>(row + 1) << 2), count);
}

function emitBuckets(from: u32, to: u32): void {
  const buckets = dataOf(at.bucketColumn);
  const bounds = dataOf(at.boundColumn);
  for (let row = from; row < to; row++) {
    if (metricAt(row).kind == histogramKind) {
      const point = pointAt(row);
      putValues(buckets, bucketCount, point.buckets, point.bucketCount);
      putValues(bounds, boundCount, point.bounds, point.boundCount);
      bucketCount += point.bucketCount;
      boundCount += point.boundCount;
    }
    endList(at.bucketOffsets, row, bucketCount);
    endList(at.boundOffsets, row, boundCount);
  }
}

function emitExponential(from: u32, to: u32): void {
  for (let row = from; row < to; row++) {
    if (metricAt(row).kind == expHistogramKind) emitExpPoint(row, pointAt(row));
    endList(at.positiveOffsets, row, positiveCount);
    endList(at.negativeOffsets, row, negativeCount);
  }
}

function emitExpPoint(row: u32, point: Point): void {
  const fourth = <usize>row << 2;
  store<i32>(dataOf(at.scaleColumn) + fourth, point.scale);
  store<u64>(dataOf(at.zeroCountColumn) + (<usize>row << 3), point.zeroCount);
  store<f64>(dataOf(at.zeroThresholdColumn) + (<usize>row << 3), point.zeroThreshold);
  setBit(at.scaleValidity, row);
  setBit(at.zeroCountValidity, row);
  setBit(at.zeroThresholdValidity, row);
  if ((point.has & hasPositive) != 0) {
    store<i32>(dataOf(at.positiveOffsetColumn) + fourth, point.positiveOffset);
    setBit(at.positiveValidity, row);
  }
  if ((point.has & hasNegative) != 0) {
    store<i32>(dataOf(at.negativeOffsetColumn) + fourth, point.negativeOffset);
    setBit(at.negativeValidity, row);
  }
  putValues(dataOf(at.positiveColumn), positiveCount, point.buckets, point.bucketCount);
  putValues(dataOf(at.negativeColumn), negativeCount, point.bounds, point.boundCount);
  positiveCount += point.bucketCount;
  negativeCount += point.boundCount;
}

function emitQuantiles(from: u32, to: u32): void {
  const quantiles = dataOf(at.quantileColumn);
  const values = dataOf(at.quantileValueColumn);
  for (let row = from; row < to; row++) {
    const point = pointAt(row);
    const end = <usize>point.quantiles + (<usize>point.quantileCount << 4);
    for (let p = <usize>point.quantiles; p < end; p += 16, quantileCount++) {
      store<u64>(quantiles + (<usize>quantileCount << 3), load<u64>(p));
      store<u64>(values + (<usize>quantileCount << 3), load<u64>(p, 8));
    }
    endList(at.quantileOffsets, row, quantileCount);
  }
}

function emitExemplars(from: u32, to: u32): void {
  for (let row = from; row < to; row++) {
    const point = pointAt(row);
    const end = <usize>point.exemplars + <usize>point.exemplarCount * sizeOf<Exemplar>();
    for (let p = <usize>point.exemplars; p < end; p += sizeOf<Exemplar>()) {
      emitExemplar(changetype<Exemplar>(p));
      exemplarCount++;
    }
    endList(at.exemplarOffsets, row, exemplarCount);
  }
}

/** Field numbers of an exemplar's value, by number. */
const valueFields = memory.data<u8>([0, 3, 6]);

function emitExemplar(exemplar: Exemplar): void {
  const eighth = <usize>exemplarCount << 3;
  const isInt = exemplar.number == intNumber;
  appendMap(at.exemplarMaps, exemplar.attrs, exemplar.attrCount);
  store<u64>(dataOf(at.exemplarTimeColumn) + eighth, exemplar.timeNs);
  store<u64>(dataOf(at.exemplarValueColumn) + eighth, bitsOf(exemplar.number, exemplar.value));
  store<u64>(dataOf(at.exemplarIntColumn) + eighth, isInt ? exemplar.value : 0);
  store<u8>(dataOf(at.exemplarKindColumn) + exemplarCount, load<u8>(valueFields + exemplar.number));
  const span = <usize>exemplar.spanId;
  store<u64>(dataOf(at.exemplarSpanColumn) + eighth, span == 0 ? 0 : load<u64>(span));
  const trace = <usize>exemplar.traceId;
  const id = trace == 0 ? i64x2.splat(0) : v128.load(trace);
  v128.store(dataOf(at.exemplarTraceColumn) + (<usize>exemplarCount << 4), id);
}

function emitTexts(from: u32, to: u32): void {
  for (let row = from; row < to; row++) {
    const point = pointAt(row);
    const metric = metricAt(row);
    appendMap(at.pointMaps, point.attrs, point.attrCount);
    appendMap(at.metadataMaps, metric.metadata, metric.metadataCount);
    appendRaw(at.pointRaws, at.pointRawValidity, row, point.raw, point.rawBytes);
    appendRaw(at.metricRaws, at.metricRawValidity, row, metric.raw, metric.rawBytes);
  }
}
