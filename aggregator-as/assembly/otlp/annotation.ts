/** Events and links of spans (opentelemetry/proto/trace/v1/trace.proto) as records. */
import { keyBytes, readAttributes, valueBytes } from './attribute';
import { Event, Link, sizeOf, Span } from './record';
import { checkText, markInexact, text, textBytes } from '../memory/text';
import {
  ended,
  eventMessage,
  linkMessage,
  skipValue,
  slice,
  sliceBytes,
  varint,
  wideTag,
  word,
  wrongType,
} from './wire';

/** Reads an event, and adds its sizes to the span's. False after a fault. */
export function readEvent(p: usize, end: usize, event: Event, span: Span): bool {
  const start = p;
  let count: u32 = 0;
  while (p < end) {
    let tag = <u32>load<u8>(p++);
    if (tag > 127) {
      p = wideTag(p - 1);
      if (p == 0) return false;
      tag = <u32>word;
    }
    switch (tag) {
      case 0x09:
        event.timeNs = load<u64>(p);
        p += 8;
        break;
      case 0x12: {
        p = slice(p, end);
        if (p == 0) return false;
        event.name = p;
        event.nameBytes = sliceBytes;
        p += sliceBytes;
        break;
      }
      case 0x20:
        p = varint(p);
        if (p == 0) return false;
        event.dropped = <u32>word;
        break;
      default:
        if (tag == 0x1a) count++;
        else if (tag >> 3 >= 1 && tag >> 3 <= 4) return wrongType(p, eventMessage, tag) != 0;
        else markInexact();
        p = skipValue(p, end, tag);
        if (p == 0) return false;
    }
  }
  if (!ended(p, end) || !checkText(event.name, event.nameBytes)) return false;
  event.name = text;
  event.nameBytes = textBytes;
  const keys = keyBytes;
  const values = valueBytes;
  event.attrCount = count;
  event.attrs = readAttributes(start, end, 0x1a, count);
  if (event.attrs == 0) return false;
  span.eventNameBytes += event.nameBytes;
  span.eventAttrCount += count;
  span.eventKeyBytes += keyBytes - keys;
  span.eventValueBytes += valueBytes - values;
  return true;
}

/** Reads a link, and adds its sizes to the span's. False after a fault. */
export function readLink(p: usize, end: usize, link: Link, span: Span): bool {
  const start = p;
  let count: u32 = 0;
  let traceIdBytes: usize = 0;
  let spanIdBytes: usize = 0;
  while (p < end) {
    let tag = <u32>load<u8>(p++);
    if (tag > 127) {
      p = wideTag(p - 1);
      if (p == 0) return false;
      tag = <u32>word;
    }
    switch (tag) {
      case 0x0a:
      case 0x12:
      case 0x1a: {
        p = slice(p, end);
        if (p == 0) return false;
        if (tag == 0x0a) {
          link.traceId = p;
          traceIdBytes = sliceBytes;
        } else if (tag == 0x12) {
          link.spanId = p;
          spanIdBytes = sliceBytes;
        } else {
          link.traceState = p;
          link.traceStateBytes = sliceBytes;
        }
        p += sliceBytes;
        break;
      }
      case 0x28:
        p = varint(p);
        if (p == 0) return false;
        link.dropped = <u32>word;
        break;
      case 0x35:
        link.flags = load<u32>(p);
        p += 4;
        break;
      default:
        if (tag == 0x22) count++;
        else if (tag >> 3 >= 1 && tag >> 3 <= 6) return wrongType(p, linkMessage, tag) != 0;
        else markInexact();
        p = skipValue(p, end, tag);
        if (p == 0) return false;
    }
  }
  if (!ended(p, end) || !checkText(link.traceState, link.traceStateBytes)) return false;
  link.traceState = text;
  link.traceStateBytes = textBytes;
  judgeLink(start, link, traceIdBytes, spanIdBytes, span);
  return readLinkAttributes(start, end, link, count, span);
}

/** Notes the first link of the span whose ids have the wrong length. */
function judgeLink(
  p: usize,
  link: Link,
  traceIdBytes: usize,
  spanIdBytes: usize,
  span: Span,
): void {
  if (span.badLink != 0 || (traceIdBytes == 16 && spanIdBytes == 8)) return;
  const isTrace = traceIdBytes != 16;
  const at = isTrace ? link.traceId : link.spanId;
  span.badLink = 1 + <u32>((changetype<usize>(link) - span.links) / sizeOf<Link>());
  span.badLinkAt = at == 0 ? p : at;
  span.badLinkField = isTrace ? 1 : 2;
  span.badLinkBytes = isTrace ? traceIdBytes : spanIdBytes;
}

function readLinkAttributes(p: usize, end: usize, link: Link, count: u32, span: Span): bool {
  const keys = keyBytes;
  const values = valueBytes;
  link.attrCount = count;
  link.attrs = readAttributes(p, end, 0x22, count);
  if (link.attrs == 0) return false;
  span.linkStateBytes += link.traceStateBytes;
  span.linkAttrCount += count;
  span.linkKeyBytes += keyBytes - keys;
  span.linkValueBytes += valueBytes - values;
  return true;
}
