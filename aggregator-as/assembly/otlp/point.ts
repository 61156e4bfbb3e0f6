/**
 * Data points (opentelemetry/proto/metrics/v1/metrics.proto) as records in the arena. Two passes
 * over a point, as over a span: the first takes the scalars and counts the repeated fields, the
 * second reads those into arrays. Whether a point is valid is judged elsewhere.
 */
import { allocateAttrs } from './anyvalue';
import { clearSums, keyBytes, readAttribute, valueBytes } from './attribute';
import { readExemplar } from './exemplar';
import { capacityFault, fail } from './fault';
import {
  exemplarTag,
  first,
  attributeTag,
  readExpHistogram,
  readHistogram,
  readNumber,
  readSummary,
  startFields,
} from './pointfields';
import { Exemplar, expHistogramKind, histogramKind, Point, summaryKind } from './measure';
import { allocate } from '../memory/memory';
import { attrBytes, Attr, clear, sizeOf } from './record';
import { clearMarks, inexact, invalidUtf8, markInexact } from '../memory/text';
import {
  ended,
  quantileMessage,
  skipValue,
  slice,
  sliceBytes,
  wideTag,
  word,
  wrongType,
} from './wire';

/** Tag of a summary's quantile_values. */
const quantileTag: u32 = 0x32;
/** Bytes of a quantile and its value. */
const quantileBytes: usize = 16;

/**
 * Reads the scalars and numbers of a point into a record and counts its repeated messages. Writes its
 * attributes to `plainAt`, unless that is 0, as long as they are plain. False after a fault.
 */
export function readPointHead(
  p: usize,
  end: usize,
  kind: u32,
  point: Point,
  plainAt: usize,
): bool {
  clear(changetype<usize>(point), sizeOf<Point>());
  point.at = <u32>p;
  point.bytes = <u32>(end - p);
  clearMarks();
  startFields(plainAt);
  return readFields(p, end, kind, point);
}

/** Reads the point of a metric of this kind from `p` to `end`. 0 after a fault. */
export function readPoint(p: usize, end: usize, kind: u32): usize {
  const at = allocate(sizeOf<Point>());
  if (at == 0) return fail(capacityFault, p);
  const point = changetype<Point>(at);
  if (!readPointHead(p, end, kind, point, 0)) return 0;
  if (first != 0 && !readRepeated(first, end, point, kind == summaryKind)) return 0;
  point.invalidUtf8 = invalidUtf8;
  if (inexact) {
    point.raw = <u32>p;
    point.rawBytes = <u32>(end - p);
  }
  return at;
}

// @ts-ignore: decorator
@inline
function readFields(p: usize, end: usize, kind: u32, point: Point): bool {
  if (kind < histogramKind) return readNumber(p, end, point);
  if (kind == histogramKind) return readHistogram(p, end, point);
  if (kind == expHistogramKind) return readExpHistogram(p, end, point);
  return readSummary(p, end, point);
}

/** Second pass, from the first repeated message on. */
function readRepeated(p: usize, end: usize, point: Point, isSummary: bool): bool {
  let attr = allocateAttrs(point.attrCount, p);
  if (attr == 0) return false;
  point.attrs = <u32>attr;
  if (!takeArrays(point, p)) return false;
  let exemplar = <usize>point.exemplars;
  let quantile = <usize>point.quantiles;
  let rest = point.attrCount + point.exemplarCount + point.quantileCount;
  clearSums();
  while (rest > 0) {
    let tag = <u32>load<u8>(p++);
    if (tag > 127) {
      p = wideTag(p - 1);
      tag = <u32>word;
    }
    const isAttribute = tag == attributeTag;
    const isQuantile = isSummary && tag == quantileTag;
    if (!isAttribute && !isQuantile && tag != exemplarTag) {
      p = skipValue(p, end, tag);
      continue;
    }
    p = slice(p, end);
    const next = p + sliceBytes;
    rest--;
    if (isAttribute) {
      if (!readAttribute(p, next, changetype<Attr>(attr))) return false;
      attr += attrBytes;
    } else if (isQuantile) {
      if (!readQuantile(p, next, quantile)) return false;
      quantile += quantileBytes;
    } else {
      if (!readExemplar(p, next, changetype<Exemplar>(exemplar), point)) return false;
      exemplar += sizeOf<Exemplar>();
    }
    p = next;
  }
  point.keyBytes = keyBytes - point.exemplarKeyBytes;
  point.valueBytes = valueBytes - point.exemplarValueBytes;
  return true;
}

/** Second pass over a summary whose attributes are not wanted: its quantiles. False after a fault. */
export function readQuantiles(point: Point): bool {
  let p = first;
  const end = <usize>point.at + point.bytes;
  if (!takeArrays(point, p)) return false;
  let quantile = <usize>point.quantiles;
  for (let rest = point.quantileCount; rest > 0; ) {
    let tag = <u32>load<u8>(p++);
    if (tag > 127) {
      p = wideTag(p - 1);
      tag = <u32>word;
    }
    if (tag != quantileTag) {
      p = skipValue(p, end, tag);
      continue;
    }
    p = slice(p, end);
    const next = p + sliceBytes;
    if (!readQuantile(p, next, quantile)) return false;
    quantile += quantileBytes;
    p = next;
    rest--;
  }
  return true;
}

/** Takes the arrays of exemplars and quantiles, cleared. */
function takeArrays(point: Point, p: usize): bool {
  if (point.exemplarCount + point.quantileCount == 0) return true;
  if (point.exemplarCount > 0x0200_0000 || point.quantileCount > 0x0400_0000) {
    return fail(capacityFault, p) != 0;
  }
  const bytes = <usize>point.exemplarCount * sizeOf<Exemplar>();
  const quantilesBytes = <usize>point.quantileCount * quantileBytes;
  const exemplars = allocate(bytes);
  const quantiles = exemplars == 0 ? 0 : allocate(quantilesBytes);
  if (quantiles == 0) return fail(capacityFault, p) != 0;
  memory.fill(exemplars, 0, bytes);
  memory.fill(quantiles, 0, quantilesBytes);
  point.exemplars = <u32>exemplars;
  point.quantiles = <u32>quantiles;
  return true;
}

function readQuantile(p: usize, end: usize, at: usize): bool {
  while (p < end) {
    let tag = <u32>load<u8>(p++);
    if (tag > 127) {
      p = wideTag(p - 1);
      if (p == 0) return false;
      tag = <u32>word;
    }
    if (tag == 0x09 || tag == 0x11) {
      store<u64>(at + (tag & 16 ? 8 : 0), load<u64>(p));
      p += 8;
    } else {
      if (tag >> 3 == 1 || tag >> 3 == 2) return wrongType(p, quantileMessage, tag) != 0;
      markInexact();
      p = skipValue(p, end, tag);
      if (p == 0) return false;
    }
  }
  return ended(p, end);
}
