/**
 * What a data point holds beside a number: a histogram, an exponential one or a summary, as records in the
 * arena, made from what the host staged. Never changes one that was made.
 */
import { allocate } from '../memory/memory';
import { exponentialValue, histogramValue, summaryValue } from './pointset';
import { fits } from '../memory/shard';

/**
 * Totals, and the parts behind them: of a histogram `boundCount` doubles, then `boundCount + 1` counts of
 * 64 bits; of a summary `boundCount` quantiles, then as many values and a zero.
 */
@unmanaged
export class Payload {
  count: u64;
  sum: f64;
  min: f64;
  max: f64;
  /** Bits as in `HourSums.marks`. */
  marks: u32;
  boundCount: u32;
}

/** An exponential histogram. Behind it: the counts of positive buckets, then of negative ones. */
@unmanaged
export class Exponents extends Payload {
  zeroCount: u64;
  /** Never negative, and no NaN. */
  zeroThreshold: f64;
  scale: i32;
  positiveOffset: i32;
  negativeOffset: i32;
  positives: u32;
  negatives: u32;
  zero: u32;
}

export const payloadBytes: usize = 40;
const exponentsBytes: usize = 80;
/** Words that the host stages before the counts of an exponential histogram. */
const exponentsHead: u32 = 4;

/** Whether points of this kind have a payload. */
// @ts-ignore: decorator
@inline
export function hasPayload(kind: u32): bool {
  return kind == histogramValue || kind == exponentialValue || kind == summaryValue;
}

/**
 * Makes the payload of a point of `count` values from its lists, totals but the count left for the
 * caller. 0 when there is no room.
 */
export function makePayload(
  kind: u32,
  count: u64,
  bounds: usize,
  boundCount: u32,
  items: usize,
  itemCount: u32,
): usize {
  let at: usize = 0;
  if (kind == exponentialValue) at = makeExponents(items, itemCount);
  else if (kind == summaryValue) at = makeSummary(bounds, boundCount, items);
  else at = makeBuckets(count, bounds, boundCount, items, itemCount == boundCount + 1);
  if (at != 0) changetype<Payload>(at).count = count;
  return at;
}

function take(bytes: usize): usize {
  return fits(bytes + 8) ? allocate(bytes) : 0;
}

function takeLists(boundCount: u32): usize {
  const at = take(payloadBytes + (((<usize>boundCount) * 2 + 1) << 3));
  if (at != 0) changetype<Payload>(at).boundCount = boundCount;
  return at;
}

/** A histogram whose lists do not fit each other has a single bucket, of all values. */
function makeBuckets(
  count: u64,
  bounds: usize,
  boundCount: u32,
  items: usize,
  isWhole: bool,
): usize {
  const at = takeLists(isWhole ? boundCount : 0);
  if (at == 0) return 0;
  if (isWhole) {
    const bytes = (<usize>boundCount) << 3;
    memory.copy(at + payloadBytes, bounds, bytes);
    memory.copy(at + payloadBytes + bytes, items, bytes + 8);
  } else {
    store<u64>(at, count, payloadBytes);
  }
  return at;
}

function makeSummary(quantiles: usize, count: u32, values: usize): usize {
  const at = takeLists(count);
  if (at == 0) return 0;
  const bytes = (<usize>count) << 3;
  memory.copy(at + payloadBytes, quantiles, bytes);
  memory.copy(at + payloadBytes + bytes, values, bytes);
  store<u64>(at + payloadBytes + 2 * bytes, 0);
  return at;
}

/** `items`: scale and number of positive buckets, offsets, zero count, zero threshold; then counts. */
function makeExponents(items: usize, itemCount: u32): usize {
  const bytes = (<usize>(itemCount - exponentsHead)) << 3;
  const at = take(exponentsBytes + bytes);
  if (at == 0) return 0;
  const made = changetype<Exponents>(at);
  made.boundCount = 0;
  made.scale = load<i32>(items);
  made.positives = load<u32>(items, 4);
  made.negatives = itemCount - exponentsHead - made.positives;
  made.positiveOffset = load<i32>(items, 8);
  made.negativeOffset = load<i32>(items, 12);
  made.zeroCount = load<u64>(items, 16);
  const threshold = load<f64>(items, 24);
  made.zeroThreshold = threshold > 0 ? threshold : 0;
  made.zero = 0;
  memory.copy(at + exponentsBytes, items + ((<usize>exponentsHead) << 3), bytes);
  return at;
}

export function boundsOf(payload: Payload): usize {
  return changetype<usize>(payload) + payloadBytes;
}

/** Counts of a histogram's buckets, or the values of a summary. */
export function countsOf(payload: Payload): usize {
  return boundsOf(payload) + ((<usize>payload.boundCount) << 3);
}

export function positivesOf(payload: Exponents): usize {
  return changetype<usize>(payload) + exponentsBytes;
}

export function negativesOf(payload: Exponents): usize {
  return positivesOf(payload) + ((<usize>payload.positives) << 3);
}

/** Whether two payloads of one kind say the same, to the bit. */
export function isSame(a: Payload, b: Payload, kind: u32): bool {
  const bytes = sizeOf(a, kind);
  return (
    bytes == sizeOf(b, kind) &&
    memory.compare(changetype<usize>(a), changetype<usize>(b), bytes) == 0
  );
}

function sizeOf(payload: Payload, kind: u32): usize {
  if (kind != exponentialValue) {
    return payloadBytes + (((<usize>payload.boundCount) * 2 + 1) << 3);
  }
  const own = changetype<Exponents>(changetype<usize>(payload));
  return exponentsBytes + ((<usize>own.positives + own.negatives) << 3);
}
