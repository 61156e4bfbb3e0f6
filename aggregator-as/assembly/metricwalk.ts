/**
 * Walks an ExportMetricsServiceRequest: each ResourceMetrics, each ScopeMetrics, each Metric, each
 * data point, handing what was read to the rows or to the columns. Fields may come in any order, so
 * each envelope is passed over once for what its items share, and once for those.
 */
import { findHead, head, headBytes, url, urlBytes } from './envelope';
import { acceptPoint } from './judge';
import { Metric, noKind, Point } from './measure';
import { badTexts, readMetric } from './metric';
import * as rows from './metricrows';
import { readPoint } from './point';
import { Resource, Scope } from './record';
import { badStrings, readResource, readScope } from './resource';
import { countInvalid } from './verdict';
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

let itemIndex: u32 = 0;
let resource: usize = 0;
let scope: usize = 0;
/** The metric whose points are being written as rows. */
const metric = changetype<Metric>(memory.data(96, 8));

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

/** Reads the request from `p` to `end` and writes its rows. False after a fault. */
export function writeMetrics(p: usize, end: usize): bool {
  itemIndex = 0;
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
  return ended(p, end) && rows.joinTables();
}

function walkResource(p: usize, end: usize): bool {
  if (!findHead(p, end, resourceMetricsMessage) || !rows.startResource()) return false;
  resource = readResource(head, head + headBytes, url, urlBytes);
  if (resource == 0) return false;
  countInvalid(badStrings);
  rows.endResource();
  while (nextOf(p, end, 0x12)) {
    p = foundEnd;
    if (!walkScope(found, p)) return false;
  }
  return true;
}

function walkScope(p: usize, end: usize): bool {
  if (!findHead(p, end, scopeMetricsMessage) || !rows.startScope()) return false;
  scope = readScope(head, head + headBytes, url, urlBytes);
  if (scope == 0) return false;
  countInvalid(badStrings);
  rows.endScope();
  while (nextOf(p, end, 0x12)) {
    p = foundEnd;
    if (!walkMetric(found, p)) return false;
  }
  return true;
}

function walkMetric(p: usize, end: usize): bool {
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
  const at = readPoint(p, end, metric.kind);
  if (at == 0) return false;
  const point = changetype<Point>(at);
  point.itemIndex = itemIndex++;
  if (!acceptPoint(point, metric) || point.quarantined) return true;
  return rows.writePoint(
    point,
    metric,
    changetype<Resource>(resource),
    changetype<Scope>(scope),
  );
}
