/** What the columns note of a data point when its request is kept: codes, sizes, and where it sorts. */
import { dictionaryOf, metricDescriptions, metricNames, metricUnits } from './codes';
import { codeOf } from '../memory/dictionary';
import {
  expHistogramKind,
  hasMax,
  hasMin,
  hasNegative,
  hasPositive,
  hasSum,
  histogramKind,
  intNumber,
  Metric,
  noNumber,
  Point,
  summaryKind,
} from '../otlp/measure';
import { Index } from './order';
import { addItem, Sums } from './sums';

@unmanaged
export class PointSums extends Sums {
  noValues: u32;
  noInts: u32;
  noCounts: u32;
  noSums: u32;
  noMins: u32;
  noMaxs: u32;
  /** Rows that are no exponential histograms. */
  noScales: u32;
  noPositives: u32;
  noNegatives: u32;
  buckets: u32;
  bounds: u32;
  positives: u32;
  negatives: u32;
  quantiles: u32;
  exemplars: u32;
  exemplarAttrs: u32;
  exemplarKeyBytes: u32;
  exemplarValueBytes: u32;
  metadata: u32;
  metadataKeyBytes: u32;
  metadataValueBytes: u32;
  metricRawBytes: u32;
  noMetricRaws: u32;
}

/** Whether the point's kind has a count: all but numbers. */
// @ts-ignore: decorator
@inline
export function isCounted(kind: u32): bool {
  return kind >= histogramKind;
}

/** Whether the point says its sum; that of a summary is 0 when it is not sent. */
// @ts-ignore: decorator
@inline
export function isSummed(point: Point, kind: u32): bool {
  return kind == summaryKind || (point.has & hasSum) != 0;
}

/** Points sort by the bytes of their series' hash, then time. */
export function settlePoint(point: Point, sums: PointSums, index: Index): void {
  const metric = changetype<Metric>(point.metric);
  if (!metric.isCoded) codeMetric(metric);
  addItem(sums, point);
  addPoint(sums, point, metric.kind);
  sums.metadata += metric.metadataCount;
  sums.metadataKeyBytes += metric.keyBytes;
  sums.metadataValueBytes += metric.valueBytes;
  sums.metricRawBytes += metric.rawBytes;
  if (metric.raw == 0) sums.noMetricRaws++;
  sums.repeated += <u64>metric.keyBytes + metric.valueBytes + metric.metadataCount;
  sums.repeated += metric.rawBytes;
  index.high = bswap(point.seriesHigh);
  index.low = bswap(point.seriesLow);
  index.third = point.timeNs;
}

function codeMetric(metric: Metric): void {
  metric.nameCode = codeOf(dictionaryOf(metricNames), metric.name, metric.nameBytes);
  const descriptions = dictionaryOf(metricDescriptions);
  metric.descriptionCode = codeOf(descriptions, metric.description, metric.descriptionBytes);
  metric.unitCode = codeOf(dictionaryOf(metricUnits), metric.unit, metric.unitBytes);
  metric.isCoded = 1;
}

function addPoint(sums: PointSums, point: Point, kind: u32): void {
  if (point.number == noNumber) sums.noValues++;
  if (point.number != intNumber) sums.noInts++;
  if (!isCounted(kind)) sums.noCounts++;
  if (!isSummed(point, kind)) sums.noSums++;
  if ((point.has & hasMin) == 0) sums.noMins++;
  if ((point.has & hasMax) == 0) sums.noMaxs++;
  if (kind != expHistogramKind) sums.noScales++;
  if ((point.has & hasPositive) == 0) sums.noPositives++;
  if ((point.has & hasNegative) == 0) sums.noNegatives++;
  if (kind == histogramKind) {
    sums.buckets += point.bucketCount;
    sums.bounds += point.boundCount;
  } else if (kind == expHistogramKind) {
    sums.positives += point.bucketCount;
    sums.negatives += point.boundCount;
  }
  sums.quantiles += point.quantileCount;
  if (point.exemplarCount != 0) {
    sums.exemplars += point.exemplarCount;
    sums.exemplarAttrs += point.exemplarAttrCount;
    sums.exemplarKeyBytes += point.exemplarKeyBytes;
    sums.exemplarValueBytes += point.exemplarValueBytes;
  }
}
