/** Lays out one hour's columns of data points, in the order of `metricColumns` in schemas/archive.ts. */
import { metricDescriptions, metricNames, metricUnits } from './codes';
import {
  endColumns,
  layBits,
  layCodes,
  layFixed,
  layList,
  layMaps,
  layNullable,
  layOther,
  layOwners,
  layRaws,
  layService,
  startColumns,
} from './layout';
import { kindsCount } from '../otlp/measure';
import {
  addKinds,
  addMaps,
  addNode,
  Maps,
  takeBuffer,
  takeMaps,
  takeOffsets,
  Texts,
} from './node';
import { PointSums } from './pointsums';

/** Columns, in order: the numbers of those that have one fixed-size buffer written by `emit`. */
export const seriesColumn: i32 = 0;
export const nameColumn: i32 = 1;
export const descriptionColumn: i32 = 2;
export const unitColumn: i32 = 3;
export const kindColumn: i32 = 4;
export const temporalityColumn: i32 = 5;
export const monotonicColumn: i32 = 6;
export const startColumn: i32 = 8;
export const timeColumn: i32 = 9;
export const flagsColumn: i32 = 10;
export const valueColumn: i32 = 13;
export const intColumn: i32 = 14;
export const countColumn: i32 = 15;
export const sumColumn: i32 = 16;
export const minColumn: i32 = 17;
export const maxColumn: i32 = 18;
export const bucketColumn: i32 = 19;
export const boundColumn: i32 = 20;
export const scaleColumn: i32 = 21;
export const zeroCountColumn: i32 = 22;
export const zeroThresholdColumn: i32 = 23;
export const positiveOffsetColumn: i32 = 24;
export const positiveColumn: i32 = 25;
export const negativeOffsetColumn: i32 = 26;
export const negativeColumn: i32 = 27;
export const quantileColumn: i32 = 28;
export const quantileValueColumn: i32 = 29;
export const exemplarTimeColumn: i32 = 32;
export const exemplarValueColumn: i32 = 33;
export const exemplarIntColumn: i32 = 34;
export const exemplarKindColumn: i32 = 35;
export const exemplarSpanColumn: i32 = 36;
export const exemplarTraceColumn: i32 = 37;

/** Offsets of each row's lists. */
export let bucketOffsets: usize = 0;
export let boundOffsets: usize = 0;
export let positiveOffsets: usize = 0;
export let negativeOffsets: usize = 0;
export let quantileOffsets: usize = 0;
export let exemplarOffsets: usize = 0;

/** Bits of the rows whose value is not null. */
export let valueValidity: usize = 0;
export let intValidity: usize = 0;
export let countValidity: usize = 0;
export let sumValidity: usize = 0;
export let minValidity: usize = 0;
export let maxValidity: usize = 0;
export let scaleValidity: usize = 0;
export let zeroCountValidity: usize = 0;
export let zeroThresholdValidity: usize = 0;
export let positiveValidity: usize = 0;
export let negativeValidity: usize = 0;
export let pointRawValidity: usize = 0;
export let metricRawValidity: usize = 0;

export const pointMaps = changetype<Maps>(memory.data(56, 8));
export const exemplarMaps = changetype<Maps>(memory.data(56, 8));
export const metadataMaps = changetype<Maps>(memory.data(56, 8));
export const pointRaws = changetype<Texts>(memory.data(16, 8));
export const metricRaws = changetype<Texts>(memory.data(16, 8));

let sums: PointSums = changetype<PointSums>(0);

/** Lays out an hour of `rows` points. Returns the node table's address, or 0 without room. */
export function layPoints(hourSums: PointSums, rows: u32): usize {
  sums = hourSums;
  startColumns();
  layMetric(rows);
  layNumbers(rows);
  layBuckets(rows);
  layExemplars(rows);
  layMaps(metadataMaps, rows, sums.metadata, sums.metadataKeyBytes, sums.metadataValueBytes);
  pointRawValidity = layRaws(pointRaws, rows, sums.rawBytes, sums.noRaws);
  metricRawValidity = layRaws(metricRaws, rows, sums.metricRawBytes, sums.noMetricRaws);
  layOwners(sums, rows);
  return endColumns();
}

function layMetric(rows: u32): void {
  layFixed(rows, 16);
  layCodes(rows, metricNames);
  layCodes(rows, metricDescriptions);
  layCodes(rows, metricUnits);
  layFixed(rows, 4);
  addKindNames();
  layFixed(rows, 4);
  layBits(rows);
  layService(rows);
  layFixed(rows, 8);
  layFixed(rows, 8);
  layFixed(rows, 4);
  layMaps(pointMaps, rows, sums.attrs, sums.keyBytes, sums.valueBytes);
}

function layNumbers(rows: u32): void {
  valueValidity = layNullable(rows, 8, sums.noValues);
  intValidity = layNullable(rows, 8, sums.noInts);
  countValidity = layNullable(rows, 8, sums.noCounts);
  sumValidity = layNullable(rows, 8, sums.noSums);
  minValidity = layNullable(rows, 8, sums.noMins);
  maxValidity = layNullable(rows, 8, sums.noMaxs);
}

/** A list column of 8-byte numbers. Returns its offsets. */
function layValues(rows: u32, count: u32): usize {
  const offsets = takeOffsets(rows);
  layList(rows, offsets, count, 8);
  return offsets;
}

function layBuckets(rows: u32): void {
  bucketOffsets = layValues(rows, sums.buckets);
  boundOffsets = layValues(rows, sums.bounds);
  scaleValidity = layNullable(rows, 4, sums.noScales);
  zeroCountValidity = layNullable(rows, 8, sums.noScales);
  zeroThresholdValidity = layNullable(rows, 8, sums.noScales);
  positiveValidity = layNullable(rows, 4, sums.noPositives);
  positiveOffsets = layValues(rows, sums.positives);
  negativeValidity = layNullable(rows, 4, sums.noNegatives);
  negativeOffsets = layValues(rows, sums.negatives);
  quantileOffsets = layValues(rows, sums.quantiles);
  layList(rows, quantileOffsets, sums.quantiles, 8);
}

function layExemplars(rows: u32): void {
  const count = sums.exemplars;
  const attrs = sums.exemplarAttrs;
  exemplarOffsets = takeOffsets(rows);
  takeMaps(exemplarMaps, count, attrs, sums.exemplarKeyBytes, sums.exemplarValueBytes);
  addNode(rows, exemplarOffsets, 0, 0);
  addMaps(exemplarMaps, count, attrs, sums.exemplarKeyBytes, sums.exemplarValueBytes);
  addNode(rows, exemplarOffsets, 0, 0);
  addKinds(exemplarMaps, count, attrs);
  layOther(2);
  layList(rows, exemplarOffsets, count, 8);
  layList(rows, exemplarOffsets, count, 8);
  layList(rows, exemplarOffsets, count, 8);
  layList(rows, exemplarOffsets, count, 1);
  layList(rows, exemplarOffsets, count, 8);
  layList(rows, exemplarOffsets, count, 16);
}

// The names of pdata's MetricType, in the order of the kinds: offsets, then all of them.
// prettier-ignore
const kindNameOffsets = memory.data<i32>([0, 5, 8, 17, 37, 44]);
// prettier-ignore
const kindNames = memory.data<u8>([
  71, 97, 117, 103, 101, // Gauge
  83, 117, 109, // Sum
  72, 105, 115, 116, 111, 103, 114, 97, 109, // Histogram
  69, 120, 112, 111, 110, 101, 110, 116, 105, 97, 108, // Exponential…
  72, 105, 115, 116, 111, 103, 114, 97, 109, // …Histogram
  83, 117, 109, 109, 97, 114, 121, // Summary
]);
const kindNamesBytes: usize = 44;

/** The dictionary of MetricType. Its buffers are copies: the host may hand out what is in the arena. */
function addKindNames(): void {
  const offsets = takeOffsets(kindsCount);
  const names = takeBuffer(kindNamesBytes);
  if (names == 0) return;
  memory.copy(offsets, kindNameOffsets, (<usize>kindsCount + 1) << 2);
  memory.copy(names, kindNames, kindNamesBytes);
  addNode(kindsCount, offsets, names, kindNamesBytes);
}
