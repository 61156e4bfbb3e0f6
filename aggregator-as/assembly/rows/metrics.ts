/**
 * Rows of the five metric tables as RowBinary, in the order of `speedTables` in schemas/tables.ts.
 *
 * The memory: input, finished rows, a gap for the next row, then the records of what is being
 * read. Rows stand in order of arrival, in chunks of one table each; at the end chunks of a table
 * are brought together. The columns before Attributes are the same for all points of a metric (the
 * run of a row): they are written once and copied from the row before.
 */
import { put, putHex16, putHex8, putLong, putMap, putString, putVarint } from '../memory/bytes';
import { addRow, headerBytes, joinTables, placeFor, startTables } from './chunks';
import { capacityFault, fail } from '../otlp/fault';
import {
  Exemplar,
  expHistogramKind,
  gaugeKind,
  histogramKind,
  intNumber,
  Metric,
  Point,
  sumKind,
} from '../otlp/measure';
import { align, reserve, setTop, slack, top } from '../memory/memory';
import { Resource, Scope, sizeOf } from '../otlp/record';

/** Where the finished rows end. */
let rowsEnd: usize = 0;

/** TenantId and IngestedAt, the same in every row. */
let tail: usize = 0;
let tailBytes: usize = 0;

/** The last row's beginning, and how much of it is the resource's, the scope's, the metric's. */
let run: usize = 0;
let resourceBytes: usize = 0;
let scopeBytes: usize = 0;
let metricBytes: usize = 0;
/** Bytes of ServiceName, which is the resource's but stands last in the scope's part. */
let serviceBytes: usize = 0;
let hasResource = false;
let hasScope = false;
let hasMetric = false;
/** First free bytes above the records of a resource, scope and metric without a row yet. */
let resourceTop: usize = 0;
let scopeTop: usize = 0;
let metricTop: usize = 0;
/** Where the records of the metric and of the point begin: no row may reach them. */
let metricRecords: usize = 0;
let pointRecords: usize = 0;

/** Rows larger than this are written above the records and moved down. */
const gapMax: usize = 65536;

/** Begins: rows go to the arena's top. */
export function startMetricRows(tailAt: usize, bytes: usize): void {
  tail = tailAt;
  tailBytes = bytes;
  rowsEnd = align(top);
  startTables();
}

/** Before a resource is read. */
export function startResource(): bool {
  hasResource = false;
  hasScope = false;
  hasMetric = false;
  return placeTop(rowsEnd);
}

/** After a resource was read. */
export function endResource(): void {
  resourceTop = top;
}

/** Before a scope is read. */
export function startScope(): bool {
  hasScope = false;
  hasMetric = false;
  return placeTop(hasResource ? rowsEnd : resourceTop);
}

/** After a scope was read. */
export function endScope(): void {
  scopeTop = top;
}

/** Before a metric of `bytes` is read. */
export function startMetric(bytes: usize): bool {
  hasMetric = false;
  if (!placeTop(hasScope ? rowsEnd + gapFor(bytes) : scopeTop)) return false;
  metricRecords = top;
  return true;
}

/** After a metric was read. */
export function endMetric(): void {
  metricTop = top;
}

/** Before a point of `bytes` is read. */
export function startPoint(bytes: usize): bool {
  if (!placeTop(hasMetric ? rowsEnd + gapFor(bytes) : metricTop)) return false;
  pointRecords = top;
  return true;
}

/** A point's varints may become 8 bytes each. */
// @ts-ignore: decorator
@inline
function gapFor(bytes: usize): usize {
  return headerBytes + metricBytes + tailBytes + min(bytes * 9, gapMax) + 1024;
}

function placeTop(at: usize): bool {
  return setTop(at) ? true : fail(capacityFault, 0) != 0;
}

/** Writes the point's row. False when there is no room. */
export function writePoint(point: Point, metric: Metric, resource: Resource, scope: Scope): bool {
  const records = hasMetric ? pointRecords : metricRecords;
  const most = rowBytesMax(point, metric, resource, scope);
  const base = placeFor(metric.kind, rowsEnd);
  const inPlace = hasScope && base + most <= records;
  if (!inPlace && !reserve(most)) return fail(capacityFault, point.at) != 0;
  const start = inPlace ? base : align(top);
  const end = writeRow(start, point, metric, resource, scope);
  if (!inPlace) {
    memory.copy(base, start, end - start);
    run -= start - base;
  }
  endRow(metric.kind, base, end - start);
  hasResource = true;
  hasScope = true;
  hasMetric = true;
  return true;
}

/** Makes the `bytes` at `base` the last row. */
// @ts-ignore: decorator
@inline
function endRow(kind: u32, base: usize, bytes: usize): void {
  addRow(kind, rowsEnd, bytes);
  rowsEnd = base + bytes;
}

/** All rows have been written: brings those of a table together. False when there is no room. */
export function endMetricRows(): bool {
  return joinTables(rowsEnd);
}

/** Points of more bytes are not written as plain ones. */
const plainMax: usize = gapMax / 9;

/** Where the row that `startPlain` began is, and the size of its run. */
let plainBase: usize = 0;
let plainRunBytes: usize = 0;

/**
 * Begins the row of a point that may be plain. Returns where its attributes go, or 0 when there can
 * be no such row: then the scope has none yet to begin like, or there might be no room.
 */
export function startPlain(bytes: usize, metric: Metric): usize {
  if (!hasScope || bytes > plainMax) return 0;
  plainBase = placeFor(metric.kind, rowsEnd);
  if (hasMetric) {
    // An attribute becomes less than twice as long, a bucket's count 8 times: the gap is larger.
    plainRunBytes = metricBytes;
    return putLong(plainBase, run, metricBytes) + 1;
  }
  const texts = <usize>metric.nameBytes + metric.descriptionBytes + metric.unitBytes;
  const most = scopeBytes + texts + tailBytes + bytes * 9 + 1024;
  if (plainBase + most > metricRecords) return 0;
  const out = putMetric(putLong(plainBase, run, scopeBytes), metric);
  plainRunBytes = out - plainBase;
  return out + 1;
}

/** Ends the row that `startPlain` began, and whose attributes end at `out`. False if it cannot. */
export function endPlain(out: usize, point: Point, metric: Metric): bool {
  if (point.attrCount > 127) return false;
  store<u8>(plainBase + plainRunBytes, point.attrCount);
  out = putPoint(out, point, metric);
  run = plainBase;
  metricBytes = plainRunBytes;
  hasMetric = true;
  endRow(metric.kind, plainBase, out - plainBase);
  return true;
}

/** A bound on the row's size, with slack for copies that write past their end. */
function rowBytesMax(point: Point, metric: Metric, resource: Resource, scope: Scope): usize {
  let bytes: usize = 384 + slack + tailBytes;
  bytes += point.keyBytes + point.valueBytes + point.attrCount * 10;
  bytes += (point.bucketCount + point.boundCount + point.quantileCount * 2) * 8;
  bytes += point.exemplarCount * 80 + point.exemplarAttrCount * 10;
  bytes += point.exemplarKeyBytes + point.exemplarValueBytes;
  if (hasMetric) return bytes + metricBytes;
  bytes += metric.nameBytes + metric.descriptionBytes + metric.unitBytes;
  if (hasScope) return bytes + scopeBytes;
  bytes += scope.nameBytes + scope.versionBytes + scope.schemaUrlBytes;
  bytes += scope.attrCount * 10 + scope.keyBytes + scope.valueBytes;
  if (hasResource) return bytes + resourceBytes + serviceBytes;
  bytes += resource.serviceBytes + resource.schemaUrlBytes + resource.attrCount * 10;
  return bytes + resource.keyBytes + resource.valueBytes;
}

function writeRow(
  out: usize,
  point: Point,
  metric: Metric,
  resource: Resource,
  scope: Scope,
): usize {
  out = putRun(out, metric, resource, scope);
  out = putMap(out, point.attrs, point.attrCount);
  return putPoint(out, point, metric);
}

/** The columns from StartTimeUnix on. */
// @ts-ignore: decorator
@inline
function putPoint(out: usize, point: Point, metric: Metric): usize {
  const kind = metric.kind;
  store<u64>(out, point.startNs);
  store<u64>(out, point.timeNs, 8);
  out += 16;
  if (kind <= sumKind) {
    store<f64>(out, numberOf(point.number, point.value));
    store<u32>(out, point.flags, 8);
    out = putExemplars(out + 12, point);
    if (kind != gaugeKind) {
      store<i32>(out, metric.temporality);
      store<u8>(out, metric.isMonotonic, 4);
      out += 5;
    }
    return put(out, tail, tailBytes);
  }
  store<u64>(out, point.count);
  store<f64>(out, point.sum, 8);
  out += 16;
  if (kind > expHistogramKind) return put(putSummary(out, point), tail, tailBytes);
  out = kind == histogramKind ? putBuckets(out, point) : putExpBuckets(out, point);
  out = putExemplars(out, point);
  store<u32>(out, point.flags);
  store<f64>(out, point.min, 4);
  store<f64>(out, point.max, 12);
  store<i32>(out, metric.temporality, 20);
  return put(out + 24, tail, tailBytes);
}

/** An int becomes the nearest double. */
// @ts-ignore: decorator
@inline
function numberOf(number: u32, bits: u64): f64 {
  return number == intNumber ? <f64>(<i64>bits) : reinterpret<f64>(bits);
}

// @ts-ignore: decorator
@inline
function putRun(out: usize, metric: Metric, resource: Resource, scope: Scope): usize {
  const start = out;
  const from = run;
  run = start;
  if (hasMetric) return put(out, from, metricBytes);
  out = hasScope ? put(out, from, scopeBytes) : putOwners(out, from, resource, scope);
  out = putMetric(out, metric);
  metricBytes = out - start;
  return out;
}

/** MetricName, MetricDescription, MetricUnit. */
// @ts-ignore: decorator
@inline
function putMetric(out: usize, metric: Metric): usize {
  out = putString(out, metric.name, metric.nameBytes);
  out = putString(out, metric.description, metric.descriptionBytes);
  return putString(out, metric.unit, metric.unitBytes);
}

/** ResourceAttributes to ServiceName. */
function putOwners(out: usize, from: usize, resource: Resource, scope: Scope): usize {
  const start = out;
  const service = from + scopeBytes - serviceBytes;
  if (hasResource) {
    out = put(out, from, resourceBytes);
  } else {
    out = putMap(out, resource.attrs, resource.attrCount);
    out = putString(out, resource.schemaUrl, resource.schemaUrlBytes);
    resourceBytes = out - start;
  }
  out = putString(out, scope.name, scope.nameBytes);
  out = putString(out, scope.version, scope.versionBytes);
  out = putMap(out, scope.attrs, scope.attrCount);
  store<u32>(out, scope.dropped);
  out = putString(out + 4, scope.schemaUrl, scope.schemaUrlBytes);
  const serviceAt = out;
  if (hasResource) out = put(out, service, serviceBytes);
  else out = putString(out, resource.service, resource.serviceBytes);
  serviceBytes = out - serviceAt;
  scopeBytes = out - start;
  return out;
}

/** An array of 8-byte numbers. */
// @ts-ignore: decorator
@inline
function putNumbers(out: usize, values: usize, count: u32): usize {
  return put(putVarint(out, count), values, <usize>count << 3);
}

function putBuckets(out: usize, point: Point): usize {
  out = putNumbers(out, point.buckets, point.bucketCount);
  return putNumbers(out, point.bounds, point.boundCount);
}

/** Scale, ZeroCount, PositiveOffset, PositiveBucketCounts, NegativeOffset, NegativeBucketCounts. */
function putExpBuckets(out: usize, point: Point): usize {
  store<i32>(out, point.scale);
  store<u64>(out, point.zeroCount, 4);
  store<i32>(out, point.positiveOffset, 12);
  out = putNumbers(out + 16, point.buckets, point.bucketCount);
  store<i32>(out, point.negativeOffset);
  return putNumbers(out + 4, point.bounds, point.boundCount);
}

/** ValueAtQuantiles.Quantile, ValueAtQuantiles.Value, Flags. */
function putSummary(out: usize, point: Point): usize {
  const end = <usize>point.quantiles + (<usize>point.quantileCount << 4);
  for (let half: usize = 0; half < 16; half += 8) {
    out = putVarint(out, point.quantileCount);
    for (let at = point.quantiles + half; at < end; at += 16, out += 8) {
      store<u64>(out, load<u64>(at));
    }
  }
  store<u32>(out, point.flags);
  return out + 4;
}

/** Exemplars.FilteredAttributes, TimeUnix, Value, SpanId, TraceId: arrays of the same length. */
// @ts-ignore: decorator
@inline
function putExemplars(out: usize, point: Point): usize {
  if (point.exemplarCount != 0) return putSomeExemplars(out, point);
  store<u64>(out, 0);
  return out + 5;
}

function putSomeExemplars(out: usize, point: Point): usize {
  const count = point.exemplarCount;
  const first = <usize>point.exemplars;
  const end = first + <usize>count * sizeOf<Exemplar>();
  out = putVarint(out, count);
  for (let at = first; at < end; at += sizeOf<Exemplar>()) {
    const exemplar = changetype<Exemplar>(at);
    out = putMap(out, exemplar.attrs, exemplar.attrCount);
  }
  out = putVarint(out, count);
  for (let at = first; at < end; at += sizeOf<Exemplar>(), out += 8) {
    store<u64>(out, changetype<Exemplar>(at).timeNs);
  }
  out = putVarint(out, count);
  for (let at = first; at < end; at += sizeOf<Exemplar>(), out += 8) {
    const exemplar = changetype<Exemplar>(at);
    store<f64>(out, numberOf(exemplar.number, exemplar.value));
  }
  return putExemplarIds(out, first, end, count);
}

/** An id that is absent is an empty string. */
function putExemplarIds(out: usize, first: usize, end: usize, count: u32): usize {
  out = putVarint(out, count);
  for (let at = first; at < end; at += sizeOf<Exemplar>()) {
    const id = changetype<Exemplar>(at).spanId;
    store<u8>(out++, id == 0 ? 0 : 16);
    if (id != 0) out = putHex8(out, id);
  }
  out = putVarint(out, count);
  for (let at = first; at < end; at += sizeOf<Exemplar>()) {
    const id = changetype<Exemplar>(at).traceId;
    store<u8>(out++, id == 0 ? 0 : 32);
    if (id != 0) out = putHex16(out, id);
  }
  return out;
}
