/**
 * The first pass over a data point: its scalars and numbers go into the record, its repeated
 * messages are counted. One reader for each of the four point messages.
 */
import { capacityFault, fail } from './fault';
import {
  doubleNumber,
  hasMax,
  hasMin,
  hasNegative,
  hasPositive,
  hasSum,
  intNumber,
  Point,
} from './measure';
import { allocate } from '../memory/memory';
import {
  clearNumbers,
  countVarints,
  gather,
  noteOne,
  noteRun,
  Numbers,
  writeVarints,
} from './numbers';
import { putPlain } from './plain';
import { markInexact } from '../memory/text';
import {
  bucketsMessage,
  ended,
  expHistogramPointMessage,
  histogramPointMessage,
  numberPointMessage,
  skipValue,
  slice,
  sliceBytes,
  summaryPointMessage,
  varint,
  wideTag,
  word,
  wrongType,
} from './wire';

/** Where the first repeated message is, or 0. */
export let first: usize = 0;
/** Tags of the kind that was read last; a summary has no exemplars. */
export let attributeTag: u32 = 0;
export let exemplarTag: u32 = 0;

const buckets = changetype<Numbers>(memory.data(16, 8));
const bounds = changetype<Numbers>(memory.data(16, 8));

/** Where the next attribute goes in a row, if all before it were plain; else 0. */
export let plainEnd: usize = 0;

/** Begins a point whose attributes, if they are plain, go to `plainAt`, unless that is 0. */
export function startFields(plainAt: usize): void {
  first = 0;
  plainEnd = plainAt;
}

/** How many messages `skipRun` skipped. */
let skipped: u32 = 0;

/** Skips the message of the field at `at`, and those with its tag that follow it at once. */
function skipRun(at: usize, p: usize, end: usize, tag: u32): usize {
  if (first == 0) first = at;
  if (plainEnd != 0 && tag == attributeTag) return putRun(p, end, tag);
  p = slice(p, end);
  if (p == 0) return 0;
  p += sliceBytes;
  skipped = 1;
  while (p < end && load<u8>(p) == tag) {
    const bytes = <usize>load<u8>(p, 1);
    if (bytes > 127 || bytes + 2 > end - p) break;
    p += bytes + 2;
    skipped++;
  }
  return p;
}

/** As `skipRun`, of attributes, which it writes as long as they are plain. */
function putRun(p: usize, end: usize, tag: u32): usize {
  skipped = 0;
  while (true) {
    p = slice(p, end);
    if (p == 0) return 0;
    const next = p + sliceBytes;
    if (plainEnd != 0) plainEnd = putPlain(plainEnd, p, next);
    skipped++;
    if (next >= end || load<u8>(next) != tag) return next;
    p = next + 1;
  }
  return p;
}

/** A field that is none of the message's, or one with the wrong type. */
function readOther(p: usize, end: usize, tag: u32, message: u32, least: u32, most: u32): usize {
  const field = tag >> 3;
  if (field >= least && field <= most) return wrongType(p, message, tag);
  markInexact();
  return skipValue(p, end, tag);
}

/** NumberDataPoint. False after a fault, as of all that follow. */
export function readNumber(p: usize, end: usize, point: Point): bool {
  attributeTag = 0x3a;
  exemplarTag = 0x2a;
  while (p < end) {
    const at = p;
    let tag = <u32>load<u8>(p++);
    if (tag > 127) {
      p = wideTag(at);
      if (p == 0) return false;
      tag = <u32>word;
    }
    if (tag == 0x3a || tag == 0x2a) {
      p = skipRun(at, p, end, tag);
      if (p == 0) return false;
      if (tag == 0x3a) point.attrCount += skipped;
      else point.exemplarCount += skipped;
    } else if (tag == 0x19) {
      point.timeNs = load<u64>(p);
      p += 8;
    } else if (tag == 0x11) {
      point.startNs = load<u64>(p);
      p += 8;
    } else if (tag == 0x21 || tag == 0x31) {
      point.value = load<u64>(p);
      point.number = tag == 0x21 ? doubleNumber : intNumber;
      p += 8;
    } else {
      p = tag == 0x40 ? readFlags(p, point) : readOther(p, end, tag, numberPointMessage, 2, 8);
      if (p == 0) return false;
    }
  }
  return ended(p, end);
}

function readFlags(p: usize, point: Point): usize {
  p = varint(p);
  point.flags = <u32>word;
  return p;
}

/** The fields that all points but numbers have: times, count, sum. False when it is none. */
// @ts-ignore: decorator
@inline
function readCommon(p: usize, tag: u32, point: Point): bool {
  if (tag == 0x11) point.startNs = load<u64>(p);
  else if (tag == 0x19) point.timeNs = load<u64>(p);
  else if (tag == 0x21) point.count = load<u64>(p);
  else if (tag == 0x29) {
    point.sum = load<f64>(p);
    point.has |= hasSum;
  } else {
    return false;
  }
  return true;
}

/** HistogramDataPoint. */
export function readHistogram(p: usize, end: usize, point: Point): bool {
  const start = p;
  attributeTag = 0x4a;
  exemplarTag = 0x42;
  clearNumbers(buckets);
  clearNumbers(bounds);
  while (p < end) {
    const at = p;
    let tag = <u32>load<u8>(p++);
    if (tag > 127) {
      p = wideTag(at);
      if (p == 0) return false;
      tag = <u32>word;
    }
    if (readCommon(p, tag, point)) {
      p += 8;
      continue;
    }
    switch (tag) {
      case 0x4a:
      case 0x42:
        p = skipRun(at, p, end, tag);
        if (tag == 0x4a) point.attrCount += skipped;
        else point.exemplarCount += skipped;
        break;
      case 0x32:
        p = noteRun(p, end, buckets);
        break;
      case 0x3a:
        p = noteRun(p, end, bounds);
        break;
      case 0x59:
      case 0x61:
        p = readExtreme(p, tag == 0x61, point);
        break;
      case 0x31:
        p = noteOne(p, buckets);
        break;
      case 0x39:
        p = noteOne(p, bounds);
        break;
      case 0x50:
        p = readFlags(p, point);
        break;
      default:
        p = readOther(p, end, tag, histogramPointMessage, 2, 12);
    }
    if (p == 0) return false;
  }
  return ended(p, end) && takeNumbers(start, end, point);
}

function takeNumbers(p: usize, end: usize, point: Point): bool {
  point.bucketCount = buckets.count;
  point.boundCount = bounds.count;
  point.buckets = <u32>gather(p, end, 6, buckets);
  point.bounds = <u32>gather(p, end, 7, bounds);
  return point.buckets != 0 && point.bounds != 0;
}

function readExtreme(p: usize, isMax: bool, point: Point): usize {
  if (isMax) {
    point.max = load<f64>(p);
    point.has |= hasMax;
  } else {
    point.min = load<f64>(p);
    point.has |= hasMin;
  }
  return p + 8;
}

/** ExponentialHistogramDataPoint. */
export function readExpHistogram(p: usize, end: usize, point: Point): bool {
  attributeTag = 0x0a;
  exemplarTag = 0x5a;
  while (p < end) {
    const at = p;
    let tag = <u32>load<u8>(p++);
    if (tag > 127) {
      p = wideTag(at);
      if (p == 0) return false;
      tag = <u32>word;
    }
    if (readCommon(p, tag, point)) {
      p += 8;
      continue;
    }
    switch (tag) {
      case 0x0a:
      case 0x5a:
        p = skipRun(at, p, end, tag);
        if (tag == 0x0a) point.attrCount += skipped;
        else point.exemplarCount += skipped;
        break;
      case 0x42:
      case 0x4a:
        p = slice(p, end);
        if (p == 0) return false;
        p = readBuckets(p, p + sliceBytes, tag == 0x42, point);
        break;
      case 0x61:
      case 0x69:
        p = readExtreme(p, tag == 0x69, point);
        break;
      default:
        p = readExpNumber(p, end, tag, point);
    }
    if (p == 0) return false;
  }
  return ended(p, end);
}

function readExpNumber(p: usize, end: usize, tag: u32, point: Point): usize {
  switch (tag) {
    case 0x30:
      p = varint(p);
      point.scale = unzigzag(<u32>word);
      return p;
    case 0x39:
      point.zeroCount = load<u64>(p);
      return p + 8;
    case 0x50:
      return readFlags(p, point);
    case 0x71:
      point.zeroThreshold = load<f64>(p);
      return p + 8;
    default:
      return readOther(p, end, tag, expHistogramPointMessage, 1, 14);
  }
}

function unzigzag(value: u32): i32 {
  return <i32>((value >> 1) ^ (0 - (value & 1)));
}

/** Buckets; later ones replace earlier ones. Returns their end, or 0. */
function readBuckets(p: usize, end: usize, isPositive: bool, point: Point): usize {
  const start = p;
  const had = point.has;
  let offset = 0;
  let count: u32 = 0;
  while (p < end) {
    let tag = <u32>load<u8>(p++);
    if (tag > 127) {
      p = wideTag(p - 1);
      if (p == 0) return 0;
      tag = <u32>word;
    }
    if (tag == 0x12) {
      p = slice(p, end);
      if (p == 0) return 0;
      count += countVarints(p, sliceBytes);
      p += sliceBytes;
    } else if (tag == 0x08 || tag == 0x10) {
      p = varint(p);
      if (tag == 0x08) offset = unzigzag(<u32>word);
      else count++;
    } else {
      p = readOther(p, end, tag, bucketsMessage, 1, 2);
    }
    if (p == 0) return 0;
  }
  if (!ended(p, end)) return 0;
  const values = writeCounts(start, end, count);
  if (values == 0) return 0;
  point.has |= isPositive ? hasPositive : hasNegative;
  // What the earlier ones said is not in the columns.
  if (point.has == had) markInexact();
  if (isPositive) {
    point.positiveOffset = offset;
    point.buckets = <u32>values;
    point.bucketCount = count;
  } else {
    point.negativeOffset = offset;
    point.bounds = <u32>values;
    point.boundCount = count;
  }
  return end;
}

/** The counts of a Buckets message that has been walked once, 8 bytes each. 0 after a fault. */
function writeCounts(p: usize, end: usize, count: u32): usize {
  if (count > 0x0400_0000) return fail(capacityFault, p);
  const values = allocate(<usize>count << 3);
  if (values == 0) return fail(capacityFault, p);
  let out = values;
  while (p < end) {
    let tag = <u32>load<u8>(p++);
    if (tag > 127) {
      p = wideTag(p - 1);
      tag = <u32>word;
    }
    if (tag == 0x12) {
      p = slice(p, end);
      const next = p + sliceBytes;
      out = writeVarints(out, p, next);
      if (out == 0) return 0;
      p = next;
    } else if (tag == 0x10) {
      p = varint(p);
      store<u64>(out, word);
      out += 8;
    } else {
      p = skipValue(p, end, tag);
    }
  }
  return values;
}

/** SummaryDataPoint. */
export function readSummary(p: usize, end: usize, point: Point): bool {
  attributeTag = 0x3a;
  exemplarTag = 0;
  while (p < end) {
    const at = p;
    let tag = <u32>load<u8>(p++);
    if (tag > 127) {
      p = wideTag(at);
      if (p == 0) return false;
      tag = <u32>word;
    }
    if (readCommon(p, tag, point)) {
      p += 8;
      continue;
    }
    if (tag == 0x3a || tag == 0x32) {
      p = skipRun(at, p, end, tag);
      if (tag == 0x3a) point.attrCount += skipped;
      else point.quantileCount += skipped;
    } else if (tag == 0x40) {
      p = readFlags(p, point);
    } else {
      p = readOther(p, end, tag, summaryPointMessage, 2, 8);
    }
    if (p == 0) return false;
  }
  return ended(p, end);
}
