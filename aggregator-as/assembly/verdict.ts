/** Judges spans and counts what was accepted, rejected and why. The host reads `verdict`. */
import { Span } from './record';

/** Reasons, in the order in which a span is judged; the host has their names in this order. */
const traceIdLength: u32 = 0;
const traceIdZero: u32 = 1;
const spanIdLength: u32 = 2;
const spanIdZero: u32 = 3;
const parentSpanIdLength: u32 = 4;
const linkId: u32 = 5;
const noReason: u32 = 6;

/** Counts of one call. The host knows this layout as words in this order. */
@unmanaged
export class Verdict {
  accepted: u32;
  rejected: u32;
  quarantined: u32;
  clamped: u32;
  invalidUtf8: u32;
  /** The first rejected item: its reason + 1, index, the bad field's length and offset. */
  firstReason: u32;
  firstIndex: u32;
  firstBytes: u32;
  firstAt: u32;
  /** Of a part of the item (a link, an exemplar): its index + 1, and which field of it. */
  firstLink: u32;
  firstField: u32;
}

/** After the counts there is one for each reason; their names depend on the signal. */
const reasonsAt: usize = 44;
const verdictBytes: usize = 112;
/** Where the counts are. */
export const verdictSpace = memory.data(112, 8);

let input: usize = 0;
let earliestNs: u64 = 0;
let latestNs: u64 = 0;

/** Clears the counts. Times outside [earliest, latest] (ms since 1970) are quarantined. */
export function startVerdict(at: usize, earliest: i64, latest: i64): void {
  memory.fill(verdictSpace, 0, verdictBytes);
  input = at;
  earliestNs = nanosecondsOf(earliest);
  latestNs = nanosecondsOf(latest);
}

/** As many nanoseconds, or the nearest number that a span's time can be. */
function nanosecondsOf(ms: i64): u64 {
  return <u64>max(0, min(ms, 18_446_744_073_709)) * 1_000_000;
}

// @ts-ignore: decorator
@inline
function verdict(): Verdict {
  return changetype<Verdict>(verdictSpace);
}

/** Counts strings that were not UTF-8. */
export function countInvalid(strings: u32): void {
  verdict().invalidUtf8 += strings;
}

/** Counts a span as quarantined after all. */
export function countQuarantined(): void {
  verdict().quarantined++;
}

/** Counts the span. False when it is rejected. */
export function acceptSpan(span: Span): bool {
  const reason = judge(span);
  verdict().invalidUtf8 += span.invalidUtf8;
  if (reason != noReason) {
    countRejected(span, reason);
    return false;
  }
  if (span.endNs < span.startNs) verdict().clamped++;
  if (countAccepted(span.startNs)) span.quarantined = 1;
  return true;
}

/** Counts an accepted item of this time. True when it is quarantined. */
// @ts-ignore: decorator
@inline
export function countAccepted(timeNs: u64): bool {
  verdict().accepted++;
  if (timeNs >= earliestNs && timeNs <= latestNs) return false;
  verdict().quarantined++;
  return true;
}

function judge(span: Span): u32 {
  if (span.traceIdBytes != 16) return traceIdLength;
  if ((load<u64>(span.traceId) | load<u64>(span.traceId, 8)) == 0) return traceIdZero;
  if (span.spanIdBytes != 8) return spanIdLength;
  if (load<u64>(span.spanId) == 0) return spanIdZero;
  if (span.parentBytes != 8 && span.parentBytes != 0) return parentSpanIdLength;
  return span.badLink != 0 ? linkId : noReason;
}

function countRejected(span: Span, reason: u32): void {
  if (!countReason(reason, span.itemIndex)) return;
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

/** Counts a rejected item. True when it is the first, which is to be described. */
export function countReason(reason: u32, itemIndex: u32): bool {
  const counts = verdict();
  counts.rejected++;
  const counter = verdictSpace + reasonsAt + <usize>reason * 4;
  store<u32>(counter, load<u32>(counter) + 1);
  if (counts.firstReason != 0) return false;
  counts.firstReason = reason + 1;
  counts.firstIndex = itemIndex;
  return true;
}

/** Describes the first rejected item: address and size of what is wrong, and in which part. */
export function describe(at: usize, bytes: u32, part: u32, field: u32): void {
  const counts = verdict();
  counts.firstAt = <u32>(at - input);
  counts.firstBytes = bytes;
  counts.firstLink = part;
  counts.firstField = field;
}
