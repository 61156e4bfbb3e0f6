/**
 * Protobuf's wire format: varints, lengths, and skipping what is unknown. Positions are addresses;
 * a function that moves on returns the new one, or 0 after a fault. It may read up to 20 bytes
 * past a message's end (the input is padded with zeros) but never takes them for content.
 */
import {
  depthFault,
  fail,
  groupFault,
  lengthFault,
  tagFault,
  truncatedFault,
  varintFault,
  wireTypeFault,
} from './fault';

/** Groups nested deeper than this are refused; `anyValueDepthMax` of schemas/limits.ts. */
export const depthMax: i32 = 100;

/** Zero bytes that must follow the input. */
export const inputPadding: usize = 32;

/** Messages, for `wireTypeFault`; the host has their names in this order. */
export const requestMessage: u32 = 0;
export const resourceSpansMessage: u32 = 1;
export const resourceMessage: u32 = 2;
export const scopeSpansMessage: u32 = 3;
export const scopeMessage: u32 = 4;
export const spanMessage: u32 = 5;
export const eventMessage: u32 = 6;
export const linkMessage: u32 = 7;
export const statusMessage: u32 = 8;
export const keyValueMessage: u32 = 9;
export const anyValueMessage: u32 = 10;
export const arrayValueMessage: u32 = 11;
export const keyValueListMessage: u32 = 12;
export const logsRequestMessage: u32 = 13;
export const resourceLogsMessage: u32 = 14;
export const scopeLogsMessage: u32 = 15;
export const logMessage: u32 = 16;
/** Those of metrics, in the order of `metricMessages`. */
export const metricsRequestMessage: u32 = 32;
export const resourceMetricsMessage: u32 = 33;
export const scopeMetricsMessage: u32 = 34;
export const metricMessage: u32 = 35;
export const gaugeMessage: u32 = 36;
export const sumMessage: u32 = 37;
export const histogramMessage: u32 = 38;
export const expHistogramMessage: u32 = 39;
export const summaryMessage: u32 = 40;
export const numberPointMessage: u32 = 41;
export const histogramPointMessage: u32 = 42;
export const expHistogramPointMessage: u32 = 43;
export const summaryPointMessage: u32 = 44;
export const bucketsMessage: u32 = 45;
export const quantileMessage: u32 = 46;
export const exemplarMessage: u32 = 47;

/** Value of the varint that was read last. */
export let word: u64 = 0;
/** Length of the slice that `slice` found last. */
export let sliceBytes: usize = 0;

/** Reads a varint of any size into `word`. Bits past the 64th are dropped, as protobuf does. */
export function varint(p: usize): usize {
  const start = p;
  let value: u64 = 0;
  let shift: u64 = 0;
  do {
    const byte = <u64>load<u8>(p++);
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) {
      word = value;
      return p;
    }
    shift += 7;
  } while (shift < 70);
  return fail(varintFault, start);
}

/** Reads the rest of a tag whose first byte, at `p`, is 0x80 or more; it is then in `word`. */
export function wideTag(p: usize): usize {
  const next = varint(p);
  if (next == 0) return 0;
  if (word > 0xffff_ffff) return fail(tagFault, p);
  return next;
}

/** Reads a length at `p`; returns where its bytes begin, with their number in `sliceBytes`. */
// @ts-ignore: decorator
@inline
export function slice(p: usize, end: usize): usize {
  const first = <usize>load<u8>(p);
  if (first < 0x80 && <isize>first <= <isize>(end - p - 1)) {
    sliceBytes = first;
    return p + 1;
  }
  return wideSlice(p, end);
}

function wideSlice(p: usize, end: usize): usize {
  const content = varint(p);
  if (content == 0) return 0;
  if (content > end) return fail(truncatedFault, p);
  if (word > <u64>(end - content)) return fail(lengthFault, p);
  sliceBytes = <usize>word;
  return content;
}

/** Skips the value of an unknown field whose tag has been read. */
export function skipValue(p: usize, end: usize, tag: u32): usize {
  return skipNested(p, end, tag, 0);
}

function skipNested(p: usize, end: usize, tag: u32, depth: i32): usize {
  const start = p;
  if (tag >> 3 == 0) return fail(tagFault, p);
  switch (tag & 7) {
    case 0:
      p = varint(p);
      break;
    case 1:
      p += 8;
      break;
    case 2:
      p = slice(p, end);
      if (p != 0) p += sliceBytes;
      break;
    case 3:
      p = skipGroup(p, end, tag >> 3, depth);
      break;
    case 4:
      return fail(groupFault, start);
    case 5:
      p += 4;
      break;
    default:
      return fail(tagFault, start);
  }
  return p > end ? fail(truncatedFault, start) : p;
}

function skipGroup(p: usize, end: usize, field: u32, depth: i32): usize {
  const start = p;
  if (depth >= depthMax) return fail(depthFault, p);
  while (p < end) {
    const at = p;
    p = varint(p);
    if (p == 0) return 0;
    if (word > 0xffff_ffff) return fail(tagFault, at);
    const tag = <u32>word;
    if (p > end) return fail(truncatedFault, at);
    if (tag == ((field << 3) | 4)) return p;
    p = skipNested(p, end, tag, depth + 1);
    if (p == 0) return 0;
  }
  return fail(groupFault, start);
}

/** The fault of a known field that has the wrong wire type. */
export function wrongType(p: usize, message: u32, tag: u32): usize {
  return fail(wireTypeFault, p, (message << 8) | (tag & 0xff));
}

/** True when the message ended where it should; else the fault is recorded. */
// @ts-ignore: decorator
@inline
export function ended(p: usize, end: usize): bool {
  return p == end ? true : notEnded(p, end);
}

function notEnded(p: usize, end: usize): bool {
  fail(truncatedFault, min(p, end));
  return false;
}
