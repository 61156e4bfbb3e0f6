/**
 * LogRecord (opentelemetry/proto/logs/v1/logs.proto) as a record in the arena. Two passes: the first
 * takes the scalars and counts the attributes, the second reads these. Ids are only located here;
 * judging them is the walk's.
 */
import { allocateAttrs, stringKind } from './anyvalue';
import { clearSums, keyBytes, readAttribute, readValue, valueBytes } from './attribute';
import { capacityFault, fail } from './fault';
import { allocate } from '../memory/memory';
import { attrBytes, Attr, clear, Log, sizeOf } from './record';
import { checkText, clearMarks, inexact, invalidUtf8, markInexact, text, textBytes } from '../memory/text';
import { receivedNs } from './verdict';
import {
  ended,
  logMessage,
  skipValue,
  slice,
  sliceBytes,
  varint,
  wideTag,
  word,
  wrongType,
} from './wire';

/** Where the first attribute is of the record whose head was read last. */
export let firstAttribute: usize = 0;

/** Reads the log record from `p` to `end`. 0 after a fault. */
export function readLog(p: usize, end: usize): usize {
  const at = readLogHead(p, end);
  return at != 0 && readRest(changetype<Log>(at)) ? at : 0;
}

/** Reads all of the log record but its attributes, which are counted. 0 after a fault. */
export function readLogHead(p: usize, end: usize): usize {
  const at = allocate(sizeOf<Log>());
  if (at == 0) return fail(capacityFault, p);
  clear(at, sizeOf<Log>());
  const log = changetype<Log>(at);
  log.at = p;
  log.bytes = end - p;
  clearMarks();
  body = 0;
  bodyBytes = 0;
  firstAttribute = readScalars(readHead(p, end, log), end, log);
  if (firstAttribute == 0 || !checkTexts(log) || !readBody(log)) return 0;
  judgeIds(log);
  // Time is optional, and so is the observed one: row 78 of the conformance table.
  log.timeNs = log.sentNs != 0 ? log.sentNs : log.observedNs;
  if (log.timeNs == 0) log.timeNs = receivedNs;
  return at;
}

/** Reads the attributes of the record whose head was read last. False after a fault. */
export function readRest(log: Log): bool {
  const end = <usize>log.at + log.bytes;
  if (log.attrCount != 0 && !readAttributes(firstAttribute, end, log)) return false;
  log.invalidUtf8 = invalidUtf8;
  if (inexact) {
    log.raw = log.at;
    log.rawBytes = log.bytes;
  }
  return true;
}

/** Ids of zeros are taken for none; the columns cannot tell. */
function judgeIds(log: Log): void {
  if (log.traceIdBytes == 16) {
    if ((load<u64>(log.traceId) | load<u64>(log.traceId, 8)) != 0) log.hasTraceId = 1;
    else markInexact();
  }
  if (log.spanIdBytes == 8) {
    if (load<u64>(log.spanId) != 0) log.hasSpanId = 1;
    else markInexact();
  }
}

function checkTexts(log: Log): bool {
  if (!checkText(log.severityText, log.severityTextBytes)) return false;
  log.severityText = text;
  log.severityTextBytes = textBytes;
  if (log.eventNameBytes == 0) return true;
  if (!checkText(log.eventName, log.eventNameBytes)) return false;
  log.eventName = text;
  log.eventNameBytes = textBytes;
  return true;
}

/** The body's message, 0 when there is none. */
let body: usize = 0;
let bodyBytes: usize = 0;
const bodyValue = changetype<Attr>(memory.data(20, 8));

/** The body in its string form. Of several bodies the last counts. */
function readBody(log: Log): bool {
  if (body == 0) return true;
  // Mostly it is one short string.
  const bytes = bodyBytes - 2;
  if (bodyBytes >= 2 && bytes < 128 && <usize>load<u16>(body) == ((bytes << 8) | 0x0a)) {
    if (!checkText(body + 2, bytes)) return false;
    log.body = text;
    log.bodyBytes = textBytes;
    log.bodyKind = stringKind;
    return true;
  }
  if (!readValue(body, body + bodyBytes, bodyValue)) return false;
  log.body = bodyValue.value;
  log.bodyBytes = bodyValue.valueBytes;
  log.bodyKind = bodyValue.kind;
  return true;
}

/**
 * Takes the fields that nearly every record begins with, when they come in the order of their numbers
 * and are short. Returns where the first other one is; nothing is a fault here.
 */
function readHead(p: usize, end: usize, log: Log): usize {
  if (end - p < 32) return p;
  if (load<u8>(p) == 0x09) {
    log.sentNs = load<u64>(p, 1);
    p += 9;
  }
  if (load<u8>(p) == 0x10 && load<u8>(p, 1) < 128) {
    log.severity = load<u8>(p, 1);
    p += 2;
  }
  if (load<u8>(p) == 0x1a) {
    const bytes = <usize>load<u8>(p, 1);
    if (bytes > 127 || bytes + 4 > end - p) return p;
    log.severityText = p + 2;
    log.severityTextBytes = bytes;
    p += 2 + bytes;
  }
  if (load<u8>(p) == 0x2a) {
    const bytes = <usize>load<u8>(p, 1);
    if (bytes > 127 || bytes + 2 > end - p) return p;
    body = p + 2;
    bodyBytes = bytes;
    p += 2 + bytes;
  }
  return p;
}

/** Returns where the first attribute is, or `end`, or 0 after a fault. */
function readScalars(p: usize, end: usize, log: Log): usize {
  let first: usize = 0;
  while (p < end) {
    const at = p;
    let tag = <u32>load<u8>(p++);
    if (tag > 127) {
      p = wideTag(at);
      if (p == 0) return 0;
      tag = <u32>word;
    }
    switch (tag) {
      case 0x32:
        if (first == 0) first = at;
        log.attrCount++;
        p = slice(p, end) + sliceBytes;
        if (p == sliceBytes) return 0;
        // Attributes follow one another.
        while (p < end && load<u8>(p) == 0x32) {
          const bytes = <usize>load<u8>(p, 1);
          if (bytes > 127 || bytes + 2 > end - p) break;
          p += bytes + 2;
          log.attrCount++;
        }
        break;
      case 0x09:
        log.sentNs = load<u64>(p);
        p += 8;
        break;
      case 0x59:
        log.observedNs = load<u64>(p);
        p += 8;
        break;
      case 0x45:
        log.flags = load<u32>(p);
        p += 4;
        break;
      case 0x4a:
      case 0x52:
        p = readId(p, end, tag, log);
        if (p == 0) return 0;
        break;
      case 0x10:
      case 0x38:
        p = varint(p);
        if (p == 0) return 0;
        if (tag == 0x10) log.severity = <i32>word;
        else log.dropped = <u32>word;
        break;
      default:
        p = readSlice(p, end, tag, log);
        if (p == 0) return 0;
    }
  }
  if (!ended(p, end)) return 0;
  return first == 0 ? end : first;
}

/** An id of the usual length, or any other. */
// @ts-ignore: decorator
@inline
function readId(p: usize, end: usize, tag: u32, log: Log): usize {
  if (tag == 0x4a && load<u8>(p) == 16 && end - p > 16) {
    log.traceId = p + 1;
    log.traceIdBytes = 16;
    return p + 17;
  }
  if (tag == 0x52 && load<u8>(p) == 8 && end - p > 8) {
    log.spanId = p + 1;
    log.spanIdBytes = 8;
    return p + 9;
  }
  return readSlice(p, end, tag, log);
}

function readSlice(p: usize, end: usize, tag: u32, log: Log): usize {
  if (!isSlice(tag)) return readUnknown(p, end, tag);
  p = slice(p, end);
  if (p == 0) return 0;
  const bytes = sliceBytes;
  switch (tag >> 3) {
    case 3:
      log.severityText = p;
      log.severityTextBytes = bytes;
      break;
    case 5:
      if (body != 0) markInexact();
      body = p;
      bodyBytes = bytes;
      break;
    case 9:
      log.traceId = p;
      log.traceIdBytes = bytes;
      break;
    case 10:
      log.spanId = p;
      log.spanIdBytes = bytes;
      break;
    default:
      log.eventName = p;
      log.eventNameBytes = bytes;
  }
  return p + bytes;
}

/** Whether the tag is that of severity_text, body, trace_id, span_id or event_name. */
// @ts-ignore: decorator
@inline
function isSlice(tag: u32): bool {
  return tag == 0x2a || tag == 0x1a || tag == 0x4a || tag == 0x52 || tag == 0x62;
}

/** Field 4 is reserved: whatever it holds is unknown. */
function readUnknown(p: usize, end: usize, tag: u32): usize {
  const field = tag >> 3;
  if (field >= 1 && field <= 12 && field != 4) return wrongType(p, logMessage, tag);
  markInexact();
  return skipValue(p, end, tag);
}

/** Second pass, from the first attribute on. */
function readAttributes(p: usize, end: usize, log: Log): bool {
  let attr = allocateAttrs(log.attrCount, p);
  if (attr == 0) return false;
  log.attrs = attr;
  clearSums();
  for (let rest = log.attrCount; rest > 0; ) {
    let tag = <u32>load<u8>(p++);
    if (tag > 127) {
      p = wideTag(p - 1);
      tag = <u32>word;
    }
    if (tag != 0x32) {
      p = skipValue(p, end, tag);
      continue;
    }
    p = slice(p, end);
    const next = p + sliceBytes;
    if (!readAttribute(p, next, changetype<Attr>(attr))) return false;
    attr += attrBytes;
    rest--;
    p = next;
  }
  log.keyBytes = keyBytes;
  log.valueBytes = valueBytes;
  return true;
}
