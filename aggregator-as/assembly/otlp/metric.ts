/**
 * Metric messages (opentelemetry/proto/metrics/v1/metrics.proto) but for their points: name, unit,
 * kind, metadata. Of the oneof's members the last counts, as the Collector takes it.
 */
import { clearSums, keyBytes, readAttributes, valueBytes } from './attribute';
import { capacityFault, fail } from './fault';
import {
  expHistogramKind,
  gaugeKind,
  histogramKind,
  Metric,
  noKind,
  sumKind,
  summaryKind,
} from './measure';
import { allocate } from '../memory/memory';
import { clear, sizeOf } from './record';
import { checkText, clearMarks, inexact, invalidUtf8, markInexact, text, textBytes } from '../memory/text';
import {
  ended,
  gaugeMessage,
  metricMessage,
  skipValue,
  slice,
  sliceBytes,
  varint,
  wideTag,
  word,
  wrongType,
} from './wire';

/** Strings of the metric read last that were not UTF-8, in its points not counted. */
export let badTexts: u32 = 0;
/** Whether the columns cannot give the metric back, its points aside. */
export let isInexact = false;

const metadataTag: u32 = 0x62;
const temporalityTag: u32 = 0x10;
const monotonicTag: u32 = 0x18;

/** Reads the metric into the record. False after a fault. */
export function readMetric(p: usize, end: usize, metric: Metric): bool {
  clear(changetype<usize>(metric), sizeOf<Metric>());
  metric.kind = noKind;
  clearMarks();
  if (!readFields(p, end, metric)) return false;
  if (metric.kind != noKind && !readData(metric)) return false;
  if (!checkTexts(metric)) return false;
  clearSums();
  const metadata = readAttributes(p, end, metadataTag, metric.metadataCount);
  if (metadata == 0) return false;
  metric.metadata = <u32>metadata;
  metric.keyBytes = keyBytes;
  metric.valueBytes = valueBytes;
  badTexts = invalidUtf8;
  isInexact = inexact;
  return true;
}

function readFields(p: usize, end: usize, metric: Metric): bool {
  while (p < end) {
    let tag = <u32>load<u8>(p++);
    if (tag > 127) {
      p = wideTag(p - 1);
      if (p == 0) return false;
      tag = <u32>word;
    }
    const field = tag >> 3;
    if ((tag & 7) != 2 || !isKnown(field)) {
      if (isKnown(field)) return wrongType(p, metricMessage, tag) != 0;
      markInexact();
      p = skipValue(p, end, tag);
      if (p == 0) return false;
      continue;
    }
    p = slice(p, end);
    if (p == 0) return false;
    takeField(field, p, sliceBytes, metric);
    p += sliceBytes;
  }
  return ended(p, end);
}

/** 4, 6 and 8 are reserved. */
// @ts-ignore: decorator
@inline
function isKnown(field: u32): bool {
  // Bits 1, 2, 3, 5, 7, 9, 10, 11, 12.
  return field <= 12 && ((0x1eae >> field) & 1) != 0;
}

function takeField(field: u32, p: usize, bytes: usize, metric: Metric): void {
  switch (field) {
    case 1:
      metric.name = <u32>p;
      metric.nameBytes = <u32>bytes;
      break;
    case 2:
      metric.description = <u32>p;
      metric.descriptionBytes = <u32>bytes;
      break;
    case 3:
      metric.unit = <u32>p;
      metric.unitBytes = <u32>bytes;
      break;
    case 12:
      metric.metadataCount++;
      break;
    default:
      metric.kind = kindOf(field);
      metric.data = <u32>p;
      metric.dataBytes = <u32>bytes;
  }
}

function kindOf(field: u32): u32 {
  if (field == 5) return gaugeKind;
  if (field == 7) return sumKind;
  if (field == 9) return histogramKind;
  return field == 10 ? expHistogramKind : summaryKind;
}

/** Bytes of the points' fields, tags and lengths included. */
let pointsBytes: usize = 0;

/** What Sum, Histogram, … say beside their points, which are only skipped. */
function readData(metric: Metric): bool {
  let p = <usize>metric.data;
  const end = p + metric.dataBytes;
  const hasTemporality = metric.kind != gaugeKind && metric.kind != summaryKind;
  pointsBytes = 0;
  while (p < end) {
    const at = p;
    let tag = <u32>load<u8>(p++);
    if (tag > 127) {
      p = wideTag(at);
      if (p == 0) return false;
      tag = <u32>word;
    }
    if (tag == 0x0a) {
      p = slice(p, end);
      if (p == 0) return false;
      p += sliceBytes;
      pointsBytes += p - at;
      continue;
    }
    if (tag == temporalityTag && hasTemporality) {
      p = varint(p);
      metric.temporality = <i32>word;
    } else if (tag == monotonicTag && metric.kind == sumKind) {
      p = varint(p);
      metric.isMonotonic = word != 0 ? 1 : 0;
    } else {
      p = readOther(p, end, tag, metric.kind, hasTemporality);
    }
    if (p == 0) return false;
  }
  return ended(p, end);
}

function readOther(p: usize, end: usize, tag: u32, kind: u32, hasTemporality: bool): usize {
  const field = tag >> 3;
  const isOwn = field == 1 || (field == 2 && hasTemporality) || (field == 3 && kind == sumKind);
  if (isOwn) return wrongType(p, gaugeMessage + kind, tag);
  markInexact();
  return skipValue(p, end, tag);
}

/** The strings that stand after the last field of their kind. */
function checkTexts(metric: Metric): bool {
  if (!checkText(metric.name, metric.nameBytes)) return false;
  metric.name = <u32>text;
  metric.nameBytes = <u32>textBytes;
  if (!checkText(metric.description, metric.descriptionBytes)) return false;
  metric.description = <u32>text;
  metric.descriptionBytes = <u32>textBytes;
  if (!checkText(metric.unit, metric.unitBytes)) return false;
  metric.unit = <u32>text;
  metric.unitBytes = <u32>textBytes;
  return true;
}

/**
 * Builds the message read last without its points, and without what a later member of the oneof
 * replaced. False when there is no room.
 */
export function keepRaw(p: usize, end: usize, metric: Metric): bool {
  const data = <usize>metric.data;
  const dataEnd = data + metric.dataBytes;
  const rest = metric.kind == noKind ? 0 : <usize>metric.dataBytes - pointsBytes;
  // Other fields, that of the data and its length.
  const raw = allocate(end - p - metric.dataBytes + rest + 16);
  if (raw == 0) return fail(capacityFault, p) != 0;
  let out = raw;
  while (p < end) {
    const at = p;
    p = nextField(p, end);
    if (!isData(fieldTag >> 3)) {
      memory.copy(out, at, p - at);
      out += p - at;
    } else if (p == dataEnd) {
      out = putTag(out, fieldTag, rest);
      for (let own = data; own < dataEnd; ) {
        const from = own;
        own = nextField(own, dataEnd);
        if (fieldTag == 0x0a) continue;
        memory.copy(out, from, own - from);
        out += own - from;
      }
    }
  }
  metric.raw = <u32>raw;
  metric.rawBytes = <u32>(out - raw);
  return true;
}

/** Tag of the field that `nextField` passed. */
let fieldTag: u32 = 0;

/** The end of the field at `p` of a message that has been walked once. */
function nextField(p: usize, end: usize): usize {
  fieldTag = <u32>load<u8>(p++);
  if (fieldTag > 127) {
    p = wideTag(p - 1);
    fieldTag = <u32>word;
  }
  return skipValue(p, end, fieldTag);
}

function isData(field: u32): bool {
  return field == 5 || field == 7 || (field >= 9 && field <= 11);
}

/** The tag of a data member, which is one byte, and its length. */
function putTag(out: usize, tag: u32, bytes: usize): usize {
  store<u8>(out++, tag);
  for (; bytes > 127; bytes >>= 7) store<u8>(out++, bytes | 0x80);
  store<u8>(out, bytes);
  return out + 1;
}
