/**
 * Counts what was accepted, rejected and why. The host reads `verdict`. Judging, and the numbers of
 * the reasons, are each signal's own.
 */

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

/** An item with more attributes of its own is rejected. */
export let attributesMax: u32 = u32.MAX_VALUE;

/** Sets the bound on an item's attributes, for all calls. */
export function allowAttributes(count: u32): void {
  attributesMax = count;
}

/** When the request was received. */
export let receivedNs: u64 = 0;

/**
 * Clears the counts. Times further before or after `receivedMs` (since 1970) than these are
 * quarantined.
 */
export function startVerdict(at: usize, receivedMs: f64, pastMaxMs: f64, futureMaxMs: f64): void {
  memory.fill(verdictSpace, 0, verdictBytes);
  input = at;
  earliestNs = nanosecondsOf(<i64>(receivedMs - pastMaxMs));
  latestNs = nanosecondsOf(<i64>(receivedMs + futureMaxMs));
  receivedNs = nanosecondsOf(<i64>receivedMs);
}

/** As many nanoseconds, or the nearest number that an item's time can be. */
function nanosecondsOf(ms: i64): u64 {
  return <u64>max(0, min(ms, 18_446_744_073_709)) * 1_000_000;
}

// @ts-ignore: decorator
@inline
function verdict(): Verdict {
  return changetype<Verdict>(verdictSpace);
}

/** Whether an item was rejected. */
export function areRejected(): bool {
  return verdict().rejected != 0;
}

/** Counts strings that were not UTF-8. */
export function countInvalid(strings: u32): void {
  verdict().invalidUtf8 += strings;
}

/** Counts an item as quarantined after all. */
export function countQuarantined(): void {
  verdict().quarantined++;
}

/** Counts a span that ends before it begins. */
export function countClamped(): void {
  verdict().clamped++;
}

/** Whether an item of this time is not quarantined. */
// @ts-ignore: decorator
@inline
export function isTimely(timeNs: u64): bool {
  return timeNs >= earliestNs && timeNs <= latestNs;
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
