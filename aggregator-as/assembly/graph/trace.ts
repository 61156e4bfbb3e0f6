/**
 * Finds the calls among the spans of one trace, which come deduplicated and ascending by id: gives each its
 * caller, and counts an edge wherever the two are of different services, or the two sides of one call. What
 * the sides are when one of them has no span is said in docs/GRAPH.md. Parents are looked up, never
 * followed: cycles are harmless. Nothing of a trace is kept but its calls.
 */
import { addCall, direct, fromVirtual, message, messageFromVirtual, toVirtual } from './call';
import { addConsumer, addLink, addProducer } from './link';
import {
  clientKind,
  consumerKind,
  hasCalled,
  internalKind,
  isCalled,
  isIncoming,
  isNested,
  isOutgoing,
  Node,
  nodeBytes,
  producerKind,
  serverKind,
} from './node';
import { giveRoom, takeRoom } from '../memory/rooms';
import { Block, cellOf, durationOf, Link, linkBytes, linksEnd, linksOf, parentOf, peerOf, spanIdOf } from '../spans/block';
import { SpanGroup } from '../spans/group';
import { peerKindOf, peerNameOf } from '../spans/peers';

/** Number of the node that calls servers whose trace begins with them: `user`, which the host names first. */
const userNode: u32 = 0;
/** As among the kinds of peers: a messaging system. */
const messagingPeer: u32 = 2;

/** The distinct spans of the trace, ascending by span id, tenant, kind. */
let nodes: usize = 0;
let nodeRoom: usize = 0;
let nodeCount: u32 = 0;
let hasLinks: bool = false;
let traceHigh: u64 = 0;
let traceLow: u64 = 0;

/** Forgets the memory that traces share. */
export function clearNodes(): void {
  nodes = 0;
  nodeRoom = 0;
  nodeCount = 0;
}

/** Begins a trace of at most so many spans. False without room. */
export function beginNodes(count: u32): bool {
  const bytes = <usize>count * nodeBytes;
  nodeCount = 0;
  hasLinks = false;
  if (bytes <= nodeRoom) return true;
  if (nodeRoom > 0) giveRoom(nodes, nodeRoom);
  nodeRoom = 0;
  nodes = takeRoom(bytes);
  if (nodes == 0) return false;
  nodeRoom = bytes;
  return true;
}

// @ts-ignore: decorator
@inline
function nodeAt(index: u32): Node {
  return changetype<Node>(nodes + <usize>index * nodeBytes);
}

/** Adds a span of the trace; those are added in their order. */
export function addNode(block: Block, row: u32): void {
  const node = nodeAt(nodeCount++);
  const cell = cellOf(block, row);
  const group = changetype<SpanGroup>(cell & ~1);
  node.spanId = spanIdOf(block, row);
  node.parent = parentOf(block, row);
  node.duration = durationOf(block, row);
  node.tenant = group.tenant;
  node.service = group.service;
  node.peer = peerOf(block, row);
  node.kind = group.kind;
  node.error = cell & 1;
  node.marks = 0;
  node.links = <u32>linksOf(block, row);
  node.linksEnd = <u32>linksEnd(block, row);
  if (node.links != node.linksEnd) hasLinks = true;
}

/** Counts the calls of the trace that was added. False without room. */
export function joinTrace(high: u64, low: u64): bool {
  traceHigh = high;
  traceLow = low;
  for (let i: u32 = 0; i < nodeCount; i++) if (!joinCaller(nodeAt(i))) return false;
  if (hasLinks) {
    for (let i: u32 = 0; i < nodeCount; i++) if (!joinLinks(nodeAt(i))) return false;
  }
  for (let i: u32 = 0; i < nodeCount; i++) if (!closeEnds(nodeAt(i))) return false;
  return true;
}

// @ts-ignore: decorator
@inline
function isSpan(node: Node, span: u64, tenant: u32): bool {
  return node.spanId == span && node.tenant == tenant;
}

/** Index of the first span that has this id and tenant, or greater ones. */
function lowerBound(span: u64, tenant: u32): u32 {
  let low: u32 = 0;
  let high = nodeCount;
  while (low < high) {
    const middle = (low + high) >> 1;
    const node = nodeAt(middle);
    if (node.spanId < span || (node.spanId == span && node.tenant < tenant)) low = middle + 1;
    else high = middle;
  }
  return low;
}

function joinCaller(node: Node): bool {
  const caller = callerOf(node);
  node.caller = <u32>caller;
  if (caller == 0) return true;
  const other = changetype<Node>(caller);
  const isPair = isOutgoing(other.kind) && isIncoming(node.kind);
  if (!isPair && node.service == other.service) {
    if (isOutgoing(node.kind) && isOutgoing(other.kind)) other.marks |= isNested;
    return true;
  }
  const isMessage = other.kind == producerKind || node.kind == consumerKind;
  return connect(other, node, isMessage ? message : direct);
}

/** Counts a call from one span to another. An outgoing caller's error is the call's as well. */
function connect(caller: Node, node: Node, connection: u32): bool {
  caller.marks |= hasCalled;
  node.marks |= isCalled;
  const failed = node.error != 0 || (isOutgoing(caller.kind) && caller.error != 0);
  return addCall(node, connection, caller.service, node.service, failed);
}

/** The span that called this one: the near side that shares its id, else its parent. 0 for none. */
function callerOf(node: Node): usize {
  if (isIncoming(node.kind) && sharesId(node)) {
    const near = bestOf(node, node.spanId, true);
    if (near != 0) return near;
  }
  return node.parent == 0 || node.parent == node.spanId ? 0 : bestOf(node, node.parent, false);
}

/** Whether a neighbour has the node's id: they are in its order. */
function sharesId(node: Node): bool {
  const at = changetype<usize>(node);
  const end = nodes + <usize>nodeCount * nodeBytes;
  if (at > nodes && changetype<Node>(at - nodeBytes).spanId == node.spanId) return true;
  return at + nodeBytes < end && changetype<Node>(at + nodeBytes).spanId == node.spanId;
}

/**
 * Of the spans with an id, the one that may call `node`. Of the two sides of one call that share an id
 * children belong to the far side, which itself was called by the near one (`near`).
 */
function bestOf(node: Node, span: u64, near: bool): usize {
  let best: usize = 0;
  let bestRank: u32 = 0;
  for (let i = lowerBound(span, node.tenant); i < nodeCount; i++) {
    const other = nodeAt(i);
    if (!isSpan(other, span, node.tenant)) break;
    if (other == node || (near && !isOutgoing(other.kind))) continue;
    const rank = rankOf(other.kind);
    if (best != 0 && rank >= bestRank) continue;
    best = changetype<usize>(other);
    bestRank = rank;
  }
  return best;
}

/** Server, consumer, internal, unspecified, other, client, producer. */
function rankOf(kind: u32): u32 {
  if (isIncoming(kind)) return kind == serverKind ? 0 : 1;
  if (isOutgoing(kind)) return kind == clientKind ? 5 : 6;
  return kind == internalKind ? 2 : kind == 0 ? 3 : 4;
}

/** Connects a consumer with the producers in its trace that its links name, one call for each link. */
function joinLinks(node: Node): bool {
  for (let at: usize = node.links; at < <usize>node.linksEnd; at += linkBytes) {
    const link = changetype<Link>(at);
    if (isForeign(link)) continue;
    const producer = producerOf(node, link.spanId);
    if (producer == 0 || producer == <usize>node.caller) continue;
    if (!connect(changetype<Node>(producer), node, message)) return false;
  }
  return true;
}

// @ts-ignore: decorator
@inline
function isForeign(link: Link): bool {
  return link.high != traceHigh || link.low != traceLow;
}

function producerOf(node: Node, span: u64): usize {
  for (let i = lowerBound(span, node.tenant); i < nodeCount; i++) {
    const other = nodeAt(i);
    if (!isSpan(other, span, node.tenant)) break;
    if (other.kind == producerKind && other != node) return changetype<usize>(other);
  }
  return 0;
}

/** Gives a virtual node to what has no other side, unless only the merge can say whether it has. */
function closeEnds(node: Node): bool {
  if (isOutgoing(node.kind)) return closeCaller(node);
  if (node.kind == serverKind) return closeServer(node);
  return node.kind == consumerKind ? closeConsumer(node) : true;
}

function closeCaller(node: Node): bool {
  const isOpen = node.peer != 0 && (node.marks & (hasCalled | isNested)) == 0;
  if (node.kind == producerKind) return addProducer(node, traceHigh, traceLow, isOpen);
  if (!isOpen) return true;
  const connection = toVirtual + peerKindOf(node.peer);
  return addCall(node, connection, node.service, peerNameOf(node.peer), node.error != 0);
}

function isRoot(node: Node): bool {
  return node.parent == 0 && (node.marks & isCalled) == 0;
}

function closeServer(node: Node): bool {
  if (!isRoot(node)) return true;
  return addCall(node, fromVirtual, userNode, node.service, node.error != 0);
}

function closeConsumer(node: Node): bool {
  const isOpen = (node.marks & isCalled) == 0 && (isRoot(node) || node.links != node.linksEnd);
  let isListed = false;
  for (let at: usize = node.links; at < <usize>node.linksEnd; at += linkBytes) {
    const link = changetype<Link>(at);
    if (!isForeign(link)) continue;
    if (!isListed && !addConsumer(node, isOpen)) return false;
    isListed = true;
    if (!addLink(node, link)) return false;
  }
  if (!isOpen || isListed) return true;
  const isMessage = peerKindOf(node.peer) == messagingPeer;
  const caller = node.peer == 0 ? userNode : peerNameOf(node.peer);
  return addCall(
    node,
    isMessage ? messageFromVirtual : fromVirtual,
    caller,
    node.service,
    node.error != 0,
  );
}
