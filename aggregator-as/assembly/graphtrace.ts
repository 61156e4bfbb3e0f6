/**
 * Finds the calls among the spans of one trace: dedups them, gives each its caller, and counts an edge
 * wherever the two are of different services, or the two sides of one call. What the sides are when one
 * of them has no span is said in docs/GRAPH.md. Parents are looked up, never followed: cycles are harmless.
 */
import { addCall, direct, fromVirtual, message, messageFromVirtual, toVirtual } from './graphcall';
import {
  addConsumer,
  addProducer,
  linkConsumerAt,
  linkEdgeAt,
  linkHighAt,
  linkLowAt,
  linkNextAt,
  linkSpanAt,
} from './graphlink';
import * as rows from './graphrow';
import { hasCalled, isCalled, isIncoming, isMarked, isNested, isOutgoing, kindOf, mark } from './graphrow';
import { sortAddresses } from './graphsort';

/** Code of the node that calls servers whose trace begins with them: `user`. */
const userNode: u32 = 0;
/** As among the kinds of peers: a messaging system. */
const messagingPeer: u32 = 2;

/** The distinct spans of the trace: addresses, ascending by tenant, span id, kind. */
let spans: usize = 0;
let spanCount: u32 = 0;
let traceHigh: u64 = 0;
let traceLow: u64 = 0;
let kindMask: u32 = 0xff;

/** Whether a span's kind is part of its identity. */
export function setIdentity(byKind: bool): void {
  kindMask = byKind ? 0xff : 0;
}

/**
 * Counts the calls of a trace, whose rows' addresses stand at `at`; `scratch` has room for as many. False
 * when there is no room.
 */
export function joinTrace(at: usize, count: u32, scratch: usize): bool {
  spans = at;
  traceHigh = load<u64>(load<u32>(at), rows.traceHighAt);
  traceLow = load<u64>(load<u32>(at), rows.traceLowAt);
  if (count > 1) sortAddresses(at, count, scratch, precedes);
  spanCount = dropCopies(count);
  for (let i: u32 = 0; i < spanCount; i++) if (!joinCaller(spanOf(i))) return false;
  for (let i: u32 = 0; i < spanCount; i++) if (!joinLinks(spanOf(i))) return false;
  for (let i: u32 = 0; i < spanCount; i++) if (!closeEnds(spanOf(i))) return false;
  return true;
}

// @ts-ignore: decorator
@inline
function spanOf(index: u32): usize {
  return load<u32>(spans + (<usize>index << 2));
}

/** By identity, then the copy that is kept first: the same one as in `dedup.ts`. */
function precedes(a: usize, b: usize): bool {
  const order = compareSpan(a, load<u32>(b, rows.tenantAt), load<u64>(b, rows.spanAt));
  if (order != 0) return order < 0;
  const kindA = kindOf(a) & kindMask;
  const kindB = kindOf(b) & kindMask;
  if (kindA != kindB) return kindA < kindB;
  if (load<i64>(a, rows.ingestedAt) != load<i64>(b, rows.ingestedAt))
    return load<i64>(a, rows.ingestedAt) < load<i64>(b, rows.ingestedAt);
  if (load<i32>(a, rows.partitionAt) != load<i32>(b, rows.partitionAt))
    return load<i32>(a, rows.partitionAt) < load<i32>(b, rows.partitionAt);
  if (load<i64>(a, rows.offsetAt) != load<i64>(b, rows.offsetAt))
    return load<i64>(a, rows.offsetAt) < load<i64>(b, rows.offsetAt);
  if (load<u32>(a, rows.itemIndexAt) != load<u32>(b, rows.itemIndexAt))
    return load<u32>(a, rows.itemIndexAt) < load<u32>(b, rows.itemIndexAt);
  if (load<u64>(a, rows.durationAt) != load<u64>(b, rows.durationAt))
    return load<u64>(a, rows.durationAt) < load<u64>(b, rows.durationAt);
  return load<u8>(a, rows.errorAt) < load<u8>(b, rows.errorAt);
}

function compareSpan(row: usize, tenant: u32, span: u64): i32 {
  const own = load<u32>(row, rows.tenantAt);
  if (own != tenant) return own < tenant ? -1 : 1;
  const id = load<u64>(row, rows.spanAt);
  return id == span ? 0 : id < span ? -1 : 1;
}

/** Moves the first copy of each span to the front, and clears all for their edges. Returns how many. */
function dropCopies(count: u32): u32 {
  let kept: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const row = spanOf(i);
    store<u64>(row, 0, rows.edgeInAt);
    if (kept != 0 && isSameSpan(spanOf(kept - 1), row)) continue;
    store<u32>(spans + (<usize>kept << 2), <u32>row);
    kept++;
  }
  return kept;
}

function isSameSpan(a: usize, b: usize): bool {
  if (compareSpan(a, load<u32>(b, rows.tenantAt), load<u64>(b, rows.spanAt)) != 0) return false;
  return ((kindOf(a) ^ kindOf(b)) & kindMask) == 0;
}

/** Index of the first span of the tenant that has this id or a greater one. */
function lowerBound(tenant: u32, span: u64): u32 {
  let low: u32 = 0;
  let high = spanCount;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compareSpan(spanOf(middle), tenant, span) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

function joinCaller(row: usize): bool {
  const caller = callerOf(row);
  store<u32>(row, <u32>caller, rows.callerAt);
  if (caller == 0) return true;
  const kind = kindOf(row);
  const callerKind = kindOf(caller);
  const isPair = isOutgoing(callerKind) && isIncoming(kind);
  if (!isPair && load<u32>(row, rows.serviceAt) == load<u32>(caller, rows.serviceAt)) {
    if (isOutgoing(kind) && isOutgoing(callerKind)) mark(caller, isNested);
    return true;
  }
  const isMessage = callerKind == rows.producerKind || kind == rows.consumerKind;
  const edge = connect(caller, row, isMessage ? message : direct);
  store<u32>(row, <u32>edge, rows.edgeInAt);
  return edge != 0;
}

/** Counts a call from one span to another. An outgoing caller's error is the call's as well. */
function connect(caller: usize, row: usize, connection: u32): usize {
  mark(caller, hasCalled);
  mark(row, isCalled);
  const isOut = isOutgoing(kindOf(caller));
  const failed = load<u8>(row, rows.errorAt) != 0 || (isOut && load<u8>(caller, rows.errorAt) != 0);
  const from = load<u32>(caller, rows.serviceAt);
  return addCall(row, connection, from, load<u32>(row, rows.serviceAt), failed);
}

/** The span that called this one: the near side that shares its id, else its parent. 0 for none. */
function callerOf(row: usize): usize {
  const span = load<u64>(row, rows.spanAt);
  if (isIncoming(kindOf(row))) {
    const near = bestOf(row, span, true);
    if (near != 0) return near;
  }
  const parent = load<u64>(row, rows.parentAt);
  return parent == 0 || parent == span ? 0 : bestOf(row, parent, false);
}

/**
 * Of the spans with an id, the one that may call `row`. Of the two sides of one call that share an id
 * children belong to the far side, which itself was called by the near one (`near`).
 */
function bestOf(row: usize, span: u64, near: bool): usize {
  const tenant = load<u32>(row, rows.tenantAt);
  let best: usize = 0;
  for (let i = lowerBound(tenant, span); i < spanCount; i++) {
    const other = spanOf(i);
    if (compareSpan(other, tenant, span) != 0) break;
    if (other == row || (near && !isOutgoing(kindOf(other)))) continue;
    if (best == 0 || rankOf(kindOf(other)) < rankOf(kindOf(best))) best = other;
  }
  return best;
}

/** Server, consumer, internal, unspecified, other, client, producer. */
function rankOf(kind: u32): u32 {
  if (isIncoming(kind)) return kind == rows.serverKind ? 0 : 1;
  if (isOutgoing(kind)) return kind == rows.clientKind ? 5 : 6;
  return kind == rows.internalKind ? 2 : kind == 0 ? 3 : 4;
}

/** Connects a consumer with the producers in its trace that its links name, one call for each link. */
function joinLinks(row: usize): bool {
  const caller: usize = load<u32>(row, rows.callerAt);
  const first: usize = load<u32>(row, rows.linksAt);
  for (let link = first; link != 0; link = load<u32>(link, linkNextAt)) {
    if (isForeign(link)) continue;
    const producer = producerOf(row, load<u64>(link, linkSpanAt));
    if (producer == 0 || producer == row || producer == caller) continue;
    const edge = connect(producer, row, message);
    if (edge == 0) return false;
    store<u32>(link, <u32>edge, linkEdgeAt);
  }
  return true;
}

// @ts-ignore: decorator
@inline
function isForeign(link: usize): bool {
  return load<u64>(link, linkHighAt) != traceHigh || load<u64>(link, linkLowAt) != traceLow;
}

function producerOf(row: usize, span: u64): usize {
  const tenant = load<u32>(row, rows.tenantAt);
  for (let i = lowerBound(tenant, span); i < spanCount; i++) {
    const other = spanOf(i);
    if (compareSpan(other, tenant, span) != 0) break;
    if (kindOf(other) == rows.producerKind) return other;
  }
  return 0;
}

/** Gives a virtual node to what has no other side, unless only the merge can say whether it has. */
function closeEnds(row: usize): bool {
  const kind = kindOf(row);
  const peerKind = <u32>load<u8>(row, rows.peerKindAt);
  if (isOutgoing(kind)) {
    const isOpen = peerKind != 0 && !isMarked(row, hasCalled | isNested);
    if (kind == rows.producerKind) return addProducer(row, traceHigh, traceLow, isOpen);
    if (!isOpen) return true;
    const service = load<u32>(row, rows.serviceAt);
    const failed = load<u8>(row, rows.errorAt) != 0;
    const peer = load<u32>(row, rows.peerAt);
    return keepOut(row, addCall(row, toVirtual + peerKind, service, peer, failed));
  }
  if (kind == rows.serverKind) return closeServer(row);
  return kind == rows.consumerKind ? closeConsumer(row, peerKind) : true;
}

function keepOut(row: usize, edge: usize): bool {
  store<u32>(row, <u32>edge, rows.edgeOutAt);
  return edge != 0;
}

function isRoot(row: usize): bool {
  return load<u64>(row, rows.parentAt) == 0 && !isMarked(row, isCalled);
}

function closeServer(row: usize): bool {
  if (!isRoot(row)) return true;
  const failed = load<u8>(row, rows.errorAt) != 0;
  const service = load<u32>(row, rows.serviceAt);
  return keepOut(row, addCall(row, fromVirtual, userNode, service, failed));
}

function closeConsumer(row: usize, peerKind: u32): bool {
  const first: usize = load<u32>(row, rows.linksAt);
  const isOpen = !isMarked(row, isCalled) && (isRoot(row) || first != 0);
  let consumer: u32 = 0;
  for (let link = first; link != 0; link = load<u32>(link, linkNextAt)) {
    if (!isForeign(link)) continue;
    if (consumer == 0) consumer = addConsumer(row, isOpen);
    if (consumer == 0) return false;
    store<u32>(link, consumer, linkConsumerAt);
  }
  if (!isOpen || consumer != 0) return true;
  const connection = peerKind == messagingPeer ? messageFromVirtual : fromVirtual;
  const caller = peerKind == 0 ? userNode : load<u32>(row, rows.peerAt);
  const failed = load<u8>(row, rows.errorAt) != 0;
  const service = load<u32>(row, rows.serviceAt);
  return keepOut(row, addCall(row, connection, caller, service, failed));
}
