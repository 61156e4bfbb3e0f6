/**
 * Walks an ExportMetricsServiceRequest: each ResourceMetrics, each ScopeMetrics, each Metric, each
 * data point, handing what was read to the rows or to the columns. Fields may come in any order, so
 * each envelope is passed over once for what its items share, and once for those. Rows may be made kind
 * by kind: each table's come in the order in which they were sent, and fewer have to be moved.
 */
import { keepItem } from '../columns/columns';
import { findHead, head, headBytes, url, urlBytes } from './envelope';
import { capacityFault, fail } from './fault';
import { joinResource, joinScope } from '../columns/join';
import { acceptPoint, isValid } from './judge';
import {
  expHistogramKind,
  gaugeKind,
  histogramKind,
  Metric,
  noKind,
  Point,
  sumKind,
  summaryKind,
} from './measure';
import { allocate, setTop, top } from '../memory/memory';
import { badTexts, isInexact, keepRaw, readMetric } from './metric';
import * as rows from '../rows/metrics';
import { enterResource, enterScope, nextIndex, resource, scope, startPlace, toRows } from './place';
import { readPoint, readPointHead, readQuantiles } from './point';
import { plainEnd } from './pointfields';
import { sizeOf } from './record';
import { badStrings, readResource, readScope } from './resource';
import { hashMetric, hashResource, hashScope, hashSeries } from './series';
import { countAccepted, countInvalid, isTimely } from './verdict';
import {
  ended,
  metricsRequestMessage,
  resourceMetricsMessage,
  scopeMetricsMessage,
  skipValue,
  slice,
  sliceBytes,
  wideTag,
  word,
  wrongType,
} from './wire';

/** The record of a metric whose points become rows: what its rows need of it they get at once. */
const rowMetric = memory.data(128, 8);
let metric = changetype<Metric>(rowMetric);

/** Where the slice that `nextOf` found is, and its end. */
let found: usize = 0;
let foundEnd: usize = 0;

/** Finds the next slice with this tag in a message that has been walked once. False at its end. */
function nextOf(p: usize, end: usize, wanted: u32): bool {
  while (p < end) {
    let tag = <u32>load<u8>(p++);
    if (tag > 127) {
      p = wideTag(p - 1);
      tag = <u32>word;
    }
    if (tag != wanted) {
      p = skipValue(p, end, tag);
      continue;
    }
    found = slice(p, end);
    foundEnd = found + sliceBytes;
    return true;
  }
  return false;
}

/** Whether the metrics of a scope are taken kind by kind. */
let isByKind = false;

/**
 * Reads the request from `p` to `end`. Kind by kind, for rows only, items have other indexes than their
 * places in the request. False after a fault.
 */
export function walkMetrics(p: usize, end: usize, areRows: bool, byKind: bool): bool {
  startPlace(areRows);
  isByKind = byKind;
  while (p < end) {
    let tag = <u32>load<u8>(p++);
    if (tag > 127) {
      p = wideTag(p - 1);
      if (p == 0) return false;
      tag = <u32>word;
    }
    if (tag == 0x0a) {
      p = slice(p, end);
      if (p == 0) return false;
      const next = p + sliceBytes;
      if (!walkResource(p, next)) return false;
      p = next;
    } else {
      p = tag >> 3 == 1 ? wrongType(p, metricsRequestMessage, tag) : skipValue(p, end, tag);
      if (p == 0) return false;
    }
  }
  return ended(p, end) && (toRows ? rows.endMetricRows() : true);
}

function walkResource(p: usize, end: usize): bool {
  if (!findHead(p, end, resourceMetricsMessage)) return false;
  if (toRows && !rows.startResource()) return false;
  const at = readResource(head, head + headBytes, url, urlBytes);
  if (at == 0) return false;
  enterResource(at);
  countInvalid(badStrings);
  if (toRows) rows.endResource();
  else if (!joinResource(resource())) return false;
  else hashResource(resource());
  while (nextOf(p, end, 0x12)) {
    p = foundEnd;
    if (!walkScope(found, p)) return false;
  }
  return true;
}

function walkScope(p: usize, end: usize): bool {
  if (!findHead(p, end, scopeMetricsMessage)) return false;
  if (toRows && !rows.startScope()) return false;
  const at = readScope(head, head + headBytes, url, urlBytes);
  if (at == 0) return false;
  enterScope(at);
  countInvalid(badStrings);
  if (toRows) rows.endScope();
  else if (!joinScope(scope())) return false;
  else hashScope(scope());
  if (isByKind) return takeByKind(p, end);
  while (nextOf(p, end, 0x12)) {
    p = foundEnd;
    if (!(toRows ? takeMetricRows(found, p) : takeMetricRecords(found, p))) return false;
  }
  return true;
}

/** Metrics that are put in order at once, and the three words of each: address, end and kind. */
const listedMax: u32 = 1024;
const listedBytes: usize = 12;
const listed = memory.data(12_288, 4);

/** Takes the metrics of a scope: of so many at once those of one kind after the other. */
function takeByKind(p: usize, end: usize): bool {
  while (true) {
    let listEnd = listed;
    let kinds: u32 = 0;
    while (listEnd < listed + listedMax * listedBytes && nextOf(p, end, 0x12)) {
      p = foundEnd;
      const kind = kindOf(found, p);
      store<u32>(listEnd, <u32>found);
      store<u32>(listEnd, <u32>p, 4);
      store<u32>(listEnd, kind, 8);
      listEnd += listedBytes;
      kinds |= 1 << kind;
    }
    if (kinds == 0) break;
    for (let kind: u32 = 0; kind <= noKind; kind++) {
      if (((kinds >> kind) & 1) == 0) continue;
      for (let at = listed; at < listEnd; at += listedBytes) {
        if (load<u32>(at, 8) != kind) continue;
        if (!takeMetricRows(load<u32>(at), load<u32>(at, 4))) return false;
      }
    }
  }
  return true;
}

/** The kind of a metric; of one with a fault, which shows when it is read, any. */
function kindOf(p: usize, end: usize): u32 {
  let kind = noKind;
  while (p != 0 && p < end) {
    let tag = <u32>load<u8>(p++);
    if (tag > 127) {
      p = wideTag(p - 1);
      if (p == 0) break;
      tag = <u32>word;
    }
    if (tag == 0x2a) kind = gaugeKind;
    else if (tag == 0x3a) kind = sumKind;
    else if (tag == 0x4a) kind = histogramKind;
    else if (tag == 0x52) kind = expHistogramKind;
    else if (tag == 0x5a) kind = summaryKind;
    p = skipValue(p, end, tag);
  }
  return kind;
}

function takeMetricRows(p: usize, end: usize): bool {
  metric = changetype<Metric>(rowMetric);
  if (!rows.startMetric(end - p) || !readMetric(p, end, metric)) return false;
  countInvalid(badTexts);
  rows.endMetric();
  if (metric.kind == noKind) return true;
  p = metric.data;
  end = p + metric.dataBytes;
  while (nextOf(p, end, 0x0a)) {
    p = foundEnd;
    if (!takeRow(found, p)) return false;
  }
  return true;
}

function takeRow(p: usize, end: usize): bool {
  if (!rows.startPoint(end - p)) return false;
  const plainAt = rows.startPlain(end - p, metric);
  if (plainAt != 0) {
    if (!readPointHead(p, end, metric.kind, plainPoint, plainAt)) return false;
    if (plainPoint.quantileCount != 0 && !readQuantiles(plainPoint)) return false;
    if (takePlain(plainPoint)) return true;
    // What it took of the arena is taken anew.
    if (!rows.startPoint(end - p)) return false;
  }
  const at = readPoint(p, end, metric.kind);
  if (at == 0) return false;
  const point = changetype<Point>(at);
  point.itemIndex = nextIndex();
  if (!acceptPoint(point, metric) || point.quarantined) return true;
  return rows.writePoint(point, metric, resource(), scope());
}

/** The record of a point that may be plain. */
const plainPoint = changetype<Point>(memory.data(320, 8));

/**
 * Ends the row of a point as most points are: valid, timely, without exemplars, its attributes
 * plain. False, and nothing is counted, of any other.
 */
// @ts-ignore: decorator
@inline
function takePlain(point: Point): bool {
  if (plainEnd == 0 || point.exemplarCount != 0) return false;
  if (!isTimely(point.timeNs) || !isValid(point, metric)) return false;
  if (!rows.endPlain(plainEnd, point, metric)) return false;
  countAccepted(point.timeNs);
  nextIndex();
  return true;
}

function takeMetricRecords(p: usize, end: usize): bool {
  const at = allocate(sizeOf<Metric>());
  if (at == 0) return fail(capacityFault, p) != 0;
  metric = changetype<Metric>(at);
  if (!readMetric(p, end, metric)) return false;
  countInvalid(badTexts);
  if (metric.kind == noKind) return setTop(at);
  if (isInexact && !keepRaw(p, end, metric)) return false;
  hashMetric(metric);
  p = metric.data;
  end = p + metric.dataBytes;
  while (nextOf(p, end, 0x0a)) {
    p = foundEnd;
    if (!takeRecord(found, p)) return false;
  }
  return true;
}

function takeRecord(p: usize, end: usize): bool {
  const records = top;
  const at = readPoint(p, end, metric.kind);
  if (at == 0) return false;
  const point = changetype<Point>(at);
  point.itemIndex = nextIndex();
  if (!acceptPoint(point, metric)) return setTop(records);
  point.metric = <u32>changetype<usize>(metric);
  point.resource = <u32>changetype<usize>(resource());
  point.scope = <u32>changetype<usize>(scope());
  hashSeries(point);
  return keepItem(point);
}
