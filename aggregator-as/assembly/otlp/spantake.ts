/** Takes the spans of a request as the walk comes to them: reads, judges, and hands them on. */
import { keepItem } from '../columns/columns';
import { setTop, top } from '../memory/memory';
import { readPeer } from './peer';
import { nextIndex, resource, scope } from './place';
import { Span } from './record';
import { startItem } from '../rows/rows';
import { readSpan } from './span';
import { writeSpan } from '../rows/spans';
import {
  attributesMax,
  countAccepted,
  countClamped,
  countInvalid,
  countReason,
  describe,
} from './verdict';

/** Reads a Span message and writes its row. False after a fault. */
export function takeSpanRow(p: usize, end: usize): bool {
  if (!startItem(end - p)) return false;
  const records = top;
  const at = readSpan(p, end);
  if (at == 0) return false;
  const span = changetype<Span>(at);
  span.itemIndex = nextIndex();
  if (!acceptSpan(span) || span.quarantined) return true;
  return writeSpan(span, resource(), scope(), records);
}

/** Reads a Span message and keeps its record for the columns. False after a fault. */
export function takeSpanRecord(p: usize, end: usize): bool {
  const records = top;
  const at = readSpan(p, end);
  if (at == 0) return false;
  const span = changetype<Span>(at);
  span.itemIndex = nextIndex();
  if (!acceptSpan(span)) return setTop(records);
  if (!readPeer(span)) return false;
  span.resource = <u32>changetype<usize>(resource());
  span.scope = <u32>changetype<usize>(scope());
  return keepItem(span);
}

/** Reasons, in the order in which a span is judged; the host has their names in this order. */
const traceIdLength: u32 = 0;
const traceIdZero: u32 = 1;
const spanIdLength: u32 = 2;
const spanIdZero: u32 = 3;
const parentSpanIdLength: u32 = 4;
const linkId: u32 = 5;
const attributes: u32 = 6;
const noReason: u32 = 7;

/** Counts the span. False when it is rejected. */
function acceptSpan(span: Span): bool {
  const reason = judge(span);
  if (span.invalidUtf8 != 0) countInvalid(span.invalidUtf8);
  if (reason != noReason) {
    countRejected(span, reason);
    return false;
  }
  if (span.endNs < span.timeNs) countClamped();
  if (countAccepted(span.timeNs)) span.quarantined = 1;
  return true;
}

function judge(span: Span): u32 {
  if (span.traceIdBytes != 16) return traceIdLength;
  if ((load<u64>(span.traceId) | load<u64>(span.traceId, 8)) == 0) return traceIdZero;
  if (span.spanIdBytes != 8) return spanIdLength;
  if (load<u64>(span.spanId) == 0) return spanIdZero;
  if (span.parentBytes != 8 && span.parentBytes != 0) return parentSpanIdLength;
  if (span.badLink != 0) return linkId;
  return span.attrCount > attributesMax ? attributes : noReason;
}

function countRejected(span: Span, reason: u32): void {
  if (!countReason(reason, span.itemIndex)) return;
  if (reason == attributes) {
    describe(span.at, span.attrCount, 0, attributesMax);
    return;
  }
  let at = span.badLinkAt;
  let bytes = span.badLinkBytes;
  if (reason <= traceIdZero) {
    at = span.traceId;
    bytes = span.traceIdBytes;
  } else if (reason <= spanIdZero) {
    at = span.spanId;
    bytes = span.spanIdBytes;
  } else if (reason == parentSpanIdLength) {
    at = span.parent;
    bytes = span.parentBytes;
  }
  // A field that is absent has no address: the span's own stands for it.
  describe(at == 0 ? span.at : at, bytes, span.badLink, span.badLinkField);
}
