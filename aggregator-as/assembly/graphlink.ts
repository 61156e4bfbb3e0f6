/**
 * Links of consumers to the spans that sent their messages, and what a shard cannot say by itself: a
 * link into another trace, whose spans another shard may have. Those are listed for the merge, beside
 * all producers and the consumers whose links they are.
 */
import {
  durationAt,
  errorAt,
  peerAt,
  peerKindAt,
  serviceAt,
  spanAt,
  tenantAt,
} from './graphrow';
import { addRecord, clearList, chunkRecords, List, listBytes, nextChunk, recordAt } from './graphlist';
import { sortAddresses } from './graphsort';
import { allocate } from './memory';

/** All links of rows that were read. */
export const links = changetype<List>(memory.data(listBytes, 8));
/** Of a link: the span that it names. */
export const linkHighAt: usize = 0;
export const linkLowAt: usize = 8;
export const linkSpanAt: usize = 16;
/** Its row, the row's next link, the edge that it has made, and 1 + its consumer's index, or 0. */
export const linkRowAt: usize = 24;
export const linkNextAt: usize = 28;
export const linkEdgeAt: usize = 32;
export const linkConsumerAt: usize = 36;
const linkBytes: u32 = 40;

/**
 * Records that the host reads. A producer: trace id (high, low), span id, duration; tenant, service,
 * peer, flags. A consumer: duration; tenant, service, peer, flags.
 */
export const producers = changetype<List>(memory.data(listBytes, 8));
export const consumers = changetype<List>(memory.data(listBytes, 8));
const producerBytes: u32 = 48;
const consumerBytes: u32 = 24;

/** Flags: it failed; it has a virtual peer if no one is found. The peer's kind stands above. */
const failedFlag: u32 = 1;
const openFlag: u32 = 2;
const peerKindShift: u32 = 8;

/** Addresses of what the merge joins: links into other traces and producers ascend by span. */
export let foreignLinks: usize = 0;
export let foreignCount: u32 = 0;
export let producerAddresses: usize = 0;
export let consumerAddresses: usize = 0;

export function clearLinks(): void {
  clearList(links, linkBytes);
  clearList(producers, producerBytes);
  clearList(consumers, consumerBytes);
  foreignLinks = 0;
  foreignCount = 0;
}

/** Keeps a link of the row to the ids at `trace` and `span`; `next` is the one before it. 0: no room. */
export function addLink(row: usize, trace: usize, span: usize, next: usize): usize {
  const link = addRecord(links);
  if (link == 0) return 0;
  store<u64>(link, bswap(load<u64>(trace)), linkHighAt);
  store<u64>(link, bswap(load<u64>(trace, 8)), linkLowAt);
  store<u64>(link, bswap(load<u64>(span)), linkSpanAt);
  store<u32>(link, <u32>row, linkRowAt);
  store<u32>(link, <u32>next, linkNextAt);
  store<u64>(link, 0, linkEdgeAt);
  return link;
}

/** Lists a producer. `isOpen`: no one in its trace has its message. False when there is no room. */
export function addProducer(row: usize, high: u64, low: u64, isOpen: bool): bool {
  const at = addRecord(producers);
  if (at == 0) return false;
  store<u64>(at, high);
  store<u64>(at, low, 8);
  store<u64>(at, load<u64>(row, spanAt), 16);
  fill(at + 24, row, isOpen);
  return true;
}

/**
 * Lists a consumer that has links into other traces. `isOpen`: none in its own trace has sent the message.
 * Returns 1 + its index, or 0 when there is no room.
 */
export function addConsumer(row: usize, isOpen: bool): u32 {
  const at = addRecord(consumers);
  if (at == 0) return 0;
  fill(at, row, isOpen);
  return consumers.count;
}

function fill(at: usize, row: usize, isOpen: bool): void {
  store<u64>(at, load<u64>(row, durationAt));
  store<u32>(at, load<u32>(row, tenantAt), 8);
  store<u32>(at, load<u32>(row, serviceAt), 12);
  store<u32>(at, load<u32>(row, peerAt), 16);
  let flags = <u32>load<u8>(row, peerKindAt) << peerKindShift;
  if (load<u8>(row, errorAt) != 0) flags |= failedFlag;
  if (isOpen) flags |= openFlag;
  store<u32>(at, flags, 20);
}

/** Brings together what the merge joins, and sorts it. False when there is no room. */
export function sortEnds(): bool {
  const most = max(max(links.count, producers.count), consumers.count);
  const scratch = allocate(<usize>most << 2);
  if (scratch == 0) return false;
  consumerAddresses = addressesOf(consumers);
  producerAddresses = addressesOf(producers);
  foreignLinks = addressesOf(links);
  if (consumerAddresses == 0 || producerAddresses == 0 || foreignLinks == 0) return false;
  sortAddresses(producerAddresses, producers.count, scratch, precedes);
  foreignCount = dropOwn(foreignLinks);
  sortAddresses(foreignLinks, foreignCount, scratch, precedes);
  return true;
}

function addressesOf(list: List): usize {
  const at = allocate((<usize>list.count << 2) + 8);
  if (at == 0) return 0;
  let out = at;
  let left = list.count;
  for (let chunk: usize = list.firstChunk; chunk != 0; chunk = nextChunk(chunk)) {
    const count = min(left, chunkRecords);
    for (let place: u32 = 0; place < count; place++, out += 4) {
      store<u32>(out, <u32>recordAt(list, chunk, place));
    }
    left -= count;
  }
  return at;
}

/** Moves the links into other traces to the front. Returns how many. */
function dropOwn(at: usize): u32 {
  let kept: u32 = 0;
  for (let place: u32 = 0; place < links.count; place++) {
    const link = load<u32>(at + (<usize>place << 2));
    if (load<u32>(link, linkConsumerAt) == 0) continue;
    store<u32>(at + (<usize>kept << 2), link);
    kept++;
  }
  return kept;
}

/** By span: producers and links both begin with one. */
function precedes(a: usize, b: usize): bool {
  if (load<u64>(a) != load<u64>(b)) return load<u64>(a) < load<u64>(b);
  if (load<u64>(a, 8) != load<u64>(b, 8)) return load<u64>(a, 8) < load<u64>(b, 8);
  return load<u64>(a, 16) < load<u64>(b, 16);
}
