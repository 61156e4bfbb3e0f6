/**
 * Records of what was read: fixed layouts in the arena, never garbage-collected objects. A pair
 * `name`, `nameBytes` is a string: address and length of text that is UTF-8 by now. An address of 0
 * with length 0 is the empty string.
 */

/** Bytes of a record, a multiple of 8. */
// @ts-ignore: decorator
@inline
export function sizeOf<T>(): usize {
  return (offsetof<T>() + 7) & ~7;
}

/** Bytes from one attribute to the next in a list. */
export const attrBytes: usize = 20;

/** A key and a value. `kind` is the AnyValue's field number; `value` is its string form. */
@unmanaged
export class Attr {
  key: u32;
  keyBytes: u32;
  value: u32;
  valueBytes: u32;
  kind: u32;
}

@unmanaged
export class Event {
  timeNs: u64;
  name: u32;
  nameBytes: u32;
  attrs: u32;
  attrCount: u32;
  dropped: u32;
}

@unmanaged
export class Link {
  traceId: u32;
  spanId: u32;
  traceState: u32;
  traceStateBytes: u32;
  attrs: u32;
  attrCount: u32;
  dropped: u32;
  flags: u32;
}

/** What items have in common. While pages are made it knows where they have its codes. */
@unmanaged
export class Owner {
  /** The column chunk in which it was met last, and the index there of the first of its codes. */
  chunk: u32;
  codesFrom: u32;
}

@unmanaged
export class Resource extends Owner {
  attrs: u32;
  attrCount: u32;
  keyBytes: u32;
  valueBytes: u32;
  dropped: u32;
  schemaUrl: u32;
  schemaUrlBytes: u32;
  service: u32;
  serviceBytes: u32;
  /** The message's own bytes when the columns cannot give it back, else 0 and 0. */
  raw: u32;
  rawBytes: u32;
  /** Keys, then values, one after the other: what a row of columns copies. */
  keys: u32;
  serviceCode: i32;
  schemaUrlCode: i32;
  /** Hash of the message and its URL, where items are told apart by what they say. */
  hashHigh: u64;
  hashLow: u64;
}

@unmanaged
export class Scope extends Owner {
  attrs: u32;
  attrCount: u32;
  keyBytes: u32;
  valueBytes: u32;
  dropped: u32;
  schemaUrl: u32;
  schemaUrlBytes: u32;
  name: u32;
  nameBytes: u32;
  version: u32;
  versionBytes: u32;
  raw: u32;
  rawBytes: u32;
  keys: u32;
  nameCode: i32;
  versionCode: i32;
  schemaUrlCode: i32;
  hashHigh: u64;
  hashLow: u64;
}

/** One request that the columns keep. */
@unmanaged
export class Request {
  receivedMs: i64;
  offset: i64;
  partition: i32;
  tenantCode: i32;
  topicCode: i32;
}

/** What a span, a log record and a data point have in common. */
@unmanaged
export class Item {
  /** The time that its hour is found by: of a span its start. */
  timeNs: u64;
  attrs: u32;
  attrCount: u32;
  keyBytes: u32;
  valueBytes: u32;
  /** The message's own bytes when the columns cannot give it back, else 0 and 0. */
  raw: u32;
  rawBytes: u32;
  /** Strings of this item that were not UTF-8. */
  invalidUtf8: u32;
  /** The message. */
  at: u32;
  bytes: u32;
  itemIndex: u32;
  quarantined: u32;
  /** Address of its hour. */
  hour: u32;
  resource: u32;
  scope: u32;
  request: u32;
  next: u32;
}

@unmanaged
export class Span extends Item {
  endNs: u64;
  traceId: u32;
  traceIdBytes: u32;
  spanId: u32;
  spanIdBytes: u32;
  parent: u32;
  parentBytes: u32;
  traceState: u32;
  traceStateBytes: u32;
  name: u32;
  nameBytes: u32;
  kind: i32;
  flags: u32;
  dropped: u32;
  events: u32;
  eventCount: u32;
  eventNameBytes: u32;
  eventAttrCount: u32;
  eventKeyBytes: u32;
  eventValueBytes: u32;
  eventsDropped: u32;
  links: u32;
  linkCount: u32;
  linkStateBytes: u32;
  linkAttrCount: u32;
  linkKeyBytes: u32;
  linkValueBytes: u32;
  linksDropped: u32;
  statusCode: i32;
  statusMessage: u32;
  statusMessageBytes: u32;
  /** Index + 1, address and field of the first link with a bad id, else 0. */
  badLink: u32;
  badLinkAt: u32;
  badLinkField: u32;
  badLinkBytes: u32;
  nameCode: i32;
  /** What it calls the other side by, and a kind of `peer.ts`; of rows nothing. */
  peer: u32;
  peerBytes: u32;
  peerKind: u32;
  peerCode: i32;
}

@unmanaged
export class Log extends Item {
  /** The times as sent: 0 is none. */
  sentNs: u64;
  observedNs: u64;
  /** Hash of the content; see content.ts. */
  hashHigh: u64;
  hashLow: u64;
  /** Hash of the tenant and the service. */
  serviceHash: u64;
  traceId: u32;
  traceIdBytes: u32;
  spanId: u32;
  spanIdBytes: u32;
  /** Whether the ids are there and not all zero. */
  hasTraceId: u32;
  hasSpanId: u32;
  flags: u32;
  severity: i32;
  severityText: u32;
  severityTextBytes: u32;
  /** The body's string form, and its AnyValue's field number. */
  body: u32;
  bodyBytes: u32;
  bodyKind: u32;
  eventName: u32;
  eventNameBytes: u32;
  dropped: u32;
  /** Records of the same content before it in its request, and all of them up to now but itself. */
  occurrence: u32;
  repeats: u32;
  severityCode: i32;
  eventCode: i32;
}

/** Clears a record of `bytes`, which is a multiple of 8. */
// @ts-ignore: decorator
@inline
export function clear(at: usize, bytes: usize): void {
  const end = at + bytes;
  for (; at + 16 <= end; at += 16) v128.store(at, i64x2.splat(0));
  if (at < end) store<u64>(at, 0);
}
