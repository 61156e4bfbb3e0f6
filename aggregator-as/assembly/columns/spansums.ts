/** What the columns note of a span when its request is kept: codes, sizes, and where it sorts. */
import { dictionaryOf, peerNames, spanNames } from './codes';
import { codeOf } from '../memory/dictionary';
import { Index } from './order';
import { Span } from '../otlp/record';
import { addItem, Sums } from './sums';

@unmanaged
export class SpanSums extends Sums {
  noParents: u32;
  traceStateBytes: u32;
  messageBytes: u32;
  events: u32;
  eventNameBytes: u32;
  eventAttrs: u32;
  eventKeyBytes: u32;
  eventValueBytes: u32;
  links: u32;
  linkStateBytes: u32;
  linkAttrs: u32;
  linkKeyBytes: u32;
  linkValueBytes: u32;
}

/** Whether the parent id is set: 8 bytes, not all zero. */
// @ts-ignore: decorator
@inline
export function hasParent(span: Span): bool {
  return span.parentBytes != 0 && load<u64>(span.parent) != 0;
}

/** Spans sort by trace id, then span id. */
export function settleSpan(span: Span, sums: SpanSums, index: Index): void {
  span.nameCode = codeOf(dictionaryOf(spanNames), span.name, span.nameBytes);
  span.peerCode = codeOf(dictionaryOf(peerNames), span.peer, span.peerBytes);
  addItem(sums, span);
  addSpan(sums, span);
  index.high = bswap(load<u64>(span.traceId));
  index.low = bswap(load<u64>(span.traceId, 8));
  index.third = bswap(load<u64>(span.spanId));
}

function addSpan(sums: SpanSums, span: Span): void {
  if (!hasParent(span)) sums.noParents++;
  sums.traceStateBytes += span.traceStateBytes;
  sums.messageBytes += span.statusMessageBytes;
  if (span.eventCount != 0) {
    sums.events += span.eventCount;
    sums.eventNameBytes += span.eventNameBytes;
    sums.eventAttrs += span.eventAttrCount;
    sums.eventKeyBytes += span.eventKeyBytes;
    sums.eventValueBytes += span.eventValueBytes;
  }
  if (span.linkCount != 0) {
    sums.links += span.linkCount;
    sums.linkStateBytes += span.linkStateBytes;
    sums.linkAttrs += span.linkAttrCount;
    sums.linkKeyBytes += span.linkKeyBytes;
    sums.linkValueBytes += span.linkValueBytes;
  }
}
