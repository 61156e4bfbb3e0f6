/**
 * What a shard cannot say by itself of messages: a link into another trace, whose spans another shard may
 * have. Such links are listed for the merge, beside all producers and the consumers whose links they are,
 * as schemas/partials/messages.ts has them.
 */
import {
  addRecord,
  chunkRecords,
  clearList,
  List,
  listBytes,
  nextChunk,
  recordAt,
} from './list';
import { Node } from './node';
import { sortAddresses } from './sort';
import { allocate } from '../memory/memory';
import { Link } from '../spans/block';
import { nameCount, services, tenants } from '../spans/names';
import { peerKindOf, peerNameOf } from '../spans/peers';

/** Producers and links: the name of a span, then an end. Consumers: an end. */
export const producers = changetype<List>(memory.data(listBytes, 8));
export const consumers = changetype<List>(memory.data(listBytes, 8));
export const links = changetype<List>(memory.data(listBytes, 8));

/** One side of a message. */
@unmanaged
class End {
  duration: u64;
  tenant: u32;
  service: u32;
  /** Of a link, the index of its consumer. */
  peer: u32;
  flags: u32;
}

const nameBytes: u32 = 24;
const endBytes: u32 = 24;

/** Flags: it failed; it has a virtual peer if no one is found. The peer's kind stands above. */
const failedFlag: u32 = 1;
const openFlag: u32 = 2;
const peerKindShift: u32 = 8;

/** Names that ends have, in the order of their new numbers: 2 * number + 1 for services and peers. */
export let endNames: usize = 0;
export let endNameCount: u32 = 0;
let tenantNumbers: usize = 0;
let nodeNumbers: usize = 0;
/** Addresses of links, by the span that they name; then room for a few of them. */
let order: usize = 0;
let gathered: usize = 0;

export function clearLinks(): void {
  clearList(producers, nameBytes + endBytes);
  clearList(consumers, endBytes);
  clearList(links, nameBytes + endBytes);
  endNameCount = 0;
}

function fillName(at: usize, high: u64, low: u64, spanId: u64): void {
  store<u64>(at, high);
  store<u64>(at, low, 8);
  store<u64>(at, spanId, 16);
}

function fillEnd(at: usize, node: Node, isOpen: bool): void {
  const end = changetype<End>(at);
  end.duration = node.duration;
  end.tenant = node.tenant;
  end.service = node.service;
  end.peer = peerNameOf(node.peer);
  let flags = peerKindOf(node.peer) << peerKindShift;
  if (node.error != 0) flags |= failedFlag;
  if (isOpen) flags |= openFlag;
  end.flags = flags;
}

/** Lists a producer. `isOpen`: no one in its trace has its message. False without room. */
export function addProducer(node: Node, high: u64, low: u64, isOpen: bool): bool {
  const at = addRecord(producers);
  if (at == 0) return false;
  fillName(at, high, low, node.spanId);
  fillEnd(at + nameBytes, node, isOpen);
  return true;
}

/**
 * Lists a consumer that has links into other traces. `isOpen`: none in its own trace has sent the message.
 * False without room.
 */
export function addConsumer(node: Node, isOpen: bool): bool {
  const at = addRecord(consumers);
  if (at == 0) return false;
  fillEnd(at, node, isOpen);
  return true;
}

/** Lists a link of the consumer that was listed last. False without room. */
export function addLink(node: Node, link: Link): bool {
  const at = addRecord(links);
  if (at == 0) return false;
  fillName(at, link.high, link.low, link.spanId);
  fillEnd(at + nameBytes, node, false);
  const end = changetype<End>(at + nameBytes);
  end.peer = consumers.count - 1;
  end.flags &= failedFlag;
  return true;
}

/** Numbers the names of all ends anew, without gaps, and sorts the links. Once; false without room. */
export function closeEnds(): bool {
  const tenantCount = nameCount(tenants);
  const nodeCount = nameCount(services);
  const bytes = <usize>(tenantCount + nodeCount) << 2;
  tenantNumbers = allocate(2 * bytes + 16);
  if (tenantNumbers == 0) return false;
  memory.fill(tenantNumbers, 0, bytes);
  nodeNumbers = tenantNumbers + (<usize>tenantCount << 2);
  endNames = tenantNumbers + bytes;
  endNameCount = 0;
  order = allocate((<usize>links.count << 3) + 16);
  gathered = order == 0 ? 0 : allocate(<usize>chunkRecords * (nameBytes + endBytes));
  if (gathered == 0) return false;
  renumber(producers, nameBytes, true);
  renumber(links, nameBytes, false);
  renumber(consumers, 0, true);
  sortLinks();
  return true;
}

function renumber(list: List, endAt: usize, withPeers: bool): void {
  let left = list.count;
  for (let chunk: usize = list.firstChunk; chunk != 0; chunk = nextChunk(chunk)) {
    const count = min(left, chunkRecords);
    for (let place: u32 = 0; place < count; place++) {
      const end = changetype<End>(recordAt(list, chunk, place) + endAt);
      end.tenant = numberOf(tenantNumbers, end.tenant, 0);
      end.service = numberOf(nodeNumbers, end.service, 1);
      if (!withPeers) continue;
      end.peer = end.flags >> peerKindShift == 0 ? 0 : numberOf(nodeNumbers, end.peer, 1);
    }
    left -= count;
  }
}

function numberOf(numbers: usize, name: u32, isNode: u32): u32 {
  const at = numbers + (<usize>name << 2);
  const known = load<u32>(at);
  if (known != 0) return known - 1;
  store<u32>(endNames + (<usize>endNameCount << 2), (name << 1) | isNode);
  store<u32>(at, ++endNameCount);
  return endNameCount - 1;
}

function sortLinks(): void {
  let out = order;
  let left = links.count;
  for (let chunk: usize = links.firstChunk; chunk != 0; chunk = nextChunk(chunk)) {
    const count = min(left, chunkRecords);
    for (let place: u32 = 0; place < count; place++, out += 4) {
      store<u32>(out, <u32>recordAt(links, chunk, place));
    }
    left -= count;
  }
  sortAddresses(order, links.count, out, precedes);
}

function precedes(a: usize, b: usize): bool {
  if (load<u64>(a) != load<u64>(b)) return load<u64>(a) < load<u64>(b);
  if (load<u64>(a, 8) != load<u64>(b, 8)) return load<u64>(a, 8) < load<u64>(b, 8);
  return load<u64>(a, 16) < load<u64>(b, 16);
}

/** Address of the links from the `first`th on in their order, `chunkRecords` of them at most. */
export function linksFrom(first: u32): usize {
  const bytes: usize = nameBytes + endBytes;
  const count = min(links.count - first, chunkRecords);
  for (let place: u32 = 0; place < count; place++) {
    const at: usize = load<u32>(order + (<usize>(first + place) << 2));
    memory.copy(gathered + <usize>place * bytes, at, bytes);
  }
  return gathered;
}

export function producerCount(): u32 {
  return producers.count;
}

export function consumerCount(): u32 {
  return consumers.count;
}

export function linkCount(): u32 {
  return links.count;
}

/** Addresses of the first chunks: see `list.ts`. 0 where there is none. */
export function firstProducers(): usize {
  return producers.firstChunk;
}

export function firstConsumers(): usize {
  return consumers.firstChunk;
}
