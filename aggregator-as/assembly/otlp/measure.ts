/**
 * Records of metrics and their data points (opentelemetry/proto/metrics/v1/metrics.proto), as
 * record.ts has those of spans: fixed layouts in the arena, no objects.
 */

import { Item } from './record';

/** Kinds of metrics, in the order of the tables: `tablesOf.metrics` of schemas/tables.ts. */
export const gaugeKind: u32 = 0;
export const sumKind: u32 = 1;
export const histogramKind: u32 = 2;
export const expHistogramKind: u32 = 3;
export const summaryKind: u32 = 4;
/** A metric without data. */
export const noKind: u32 = 5;
export const kindsCount: u32 = 5;

/** Members of the oneof of numbers. */
export const noNumber: u32 = 0;
export const doubleNumber: u32 = 1;
export const intNumber: u32 = 2;

/** Bits of `Point.has`: the fields whose absence differs from 0. */
export const hasSum: u32 = 1;
export const hasMin: u32 = 2;
export const hasMax: u32 = 4;
export const hasPositive: u32 = 8;
export const hasNegative: u32 = 16;

/** DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK. */
export const noRecordedValue: u32 = 1;

@unmanaged
export class Metric {
  name: u32;
  nameBytes: u32;
  description: u32;
  descriptionBytes: u32;
  unit: u32;
  unitBytes: u32;
  kind: u32;
  temporality: i32;
  isMonotonic: u32;
  /** The message Gauge, Sum, … that holds the points. */
  data: u32;
  dataBytes: u32;
  metadata: u32;
  metadataCount: u32;
  keyBytes: u32;
  valueBytes: u32;
  /** The message without its points when the columns cannot give it back, else 0 and 0. */
  raw: u32;
  rawBytes: u32;
  isCoded: u32;
  nameCode: i32;
  descriptionCode: i32;
  unitCode: i32;
  hashHigh: u64;
  hashLow: u64;
}

/** A data point of any kind; what a kind does not have is 0. */
@unmanaged
export class Point extends Item {
  startNs: u64;
  /** Bits of the number's double or int; `number` says which. */
  value: u64;
  count: u64;
  sum: f64;
  min: f64;
  max: f64;
  zeroCount: u64;
  zeroThreshold: f64;
  /** Hash of its series. */
  seriesHigh: u64;
  seriesLow: u64;
  number: u32;
  has: u32;
  flags: u32;
  scale: i32;
  /** Counts of buckets, 8 bytes each; those of the positive range of an exponential histogram. */
  buckets: u32;
  bucketCount: u32;
  /** Explicit bounds, 8 bytes each; counts of the negative range of an exponential histogram. */
  bounds: u32;
  boundCount: u32;
  positiveOffset: i32;
  negativeOffset: i32;
  /** Pairs of doubles: quantile, value. */
  quantiles: u32;
  quantileCount: u32;
  exemplars: u32;
  exemplarCount: u32;
  exemplarAttrCount: u32;
  exemplarKeyBytes: u32;
  exemplarValueBytes: u32;
  /** Index + 1, address, field and length of the first bad id of an exemplar, else 0. */
  badExemplar: u32;
  badAt: u32;
  badField: u32;
  badBytes: u32;
  metric: u32;
}

@unmanaged
export class Exemplar {
  timeNs: u64;
  /** Bits of the double or int; `number` says which. */
  value: u64;
  number: u32;
  /** 16 and 8 bytes, or 0 when absent or all zero. */
  traceId: u32;
  spanId: u32;
  attrs: u32;
  attrCount: u32;
}
