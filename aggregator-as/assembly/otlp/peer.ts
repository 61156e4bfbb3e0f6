/**
 * What a span calls the other side of its call by: a name, and what kind of thing it is. Made of the
 * attributes that semantic conventions have for it, old and new; docs/GRAPH.md has the rules. Of a key
 * that comes twice the first counts.
 */
import { put } from '../memory/bytes';
import { capacityFault, fail } from './fault';
import { allocate, slack } from '../memory/memory';
import { attrBytes, Attr, Span } from './record';

/** Kinds of peers, by number. */
export const noPeer: u32 = 0;
const database: u32 = 1;
const messagingSystem: u32 = 2;
const virtualNode: u32 = 3;
export const peerKinds: i32 = 4;

/** Kinds' names, each of 24 bytes, its length in the first one. */
// prettier-ignore
export const peerKindNames = memory.data<u8>([
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  8, 100, 97, 116, 97, 98, 97, 115, 101, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, // database
  16, 109, 101, 115, 115, 97, 103, 105, 110, 103, // messaging_system
  95, 115, 121, 115, 116, 101, 109, 0, 0, 0, 0, 0, 0, 0,
  12, 118, 105, 114, 116, 117, 97, 108, 95, 110, 111, 100, 101, // virtual_node
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
]);
export const peerKindBytes: usize = 24;

/** Keys that are looked for; of some pairs the second is the older one. */
const peerService: i32 = 0;
const dbSystemName: i32 = 1;
const dbSystem: i32 = 2;
const dbNamespace: i32 = 3;
const dbName: i32 = 4;
const messagingSystemKey: i32 = 5;
const destinationName: i32 = 6;
const destination: i32 = 7;
const serverAddress: i32 = 8;
const netPeerName: i32 = 9;

/** Addresses of the attributes found, or 0. */
const found = memory.data(40, 8);

/** Kinds of spans that have peers: client, producer and consumer. */
const clientKind: i32 = 3;
const consumerKind: i32 = 5;

/** Sets the span's peer. False after a fault. */
export function readPeer(span: Span): bool {
  if (span.kind < clientKind || span.kind > consumerKind) return true;
  if (span.attrCount == 0 || !findKeys(span)) return true;
  const system = either(dbSystemName, dbSystem);
  const space = either(dbNamespace, dbName);
  const queues = at(messagingSystemKey);
  const queue = either(destinationName, destination);
  if ((system | space) != 0) return setPeer(span, database, system, space);
  if ((queues | queue) != 0) return setPeer(span, messagingSystem, queues, queue);
  return setPeer(span, virtualNode, 0, either(serverAddress, netPeerName));
}

/** Names the peer: by what the span itself calls it, else by both texts, or the one that there is. */
function setPeer(span: Span, kind: u32, first: usize, second: usize): bool {
  const own = at(peerService);
  if (own != 0) return setName(span, kind, own);
  if (first == 0 || second == 0) return setName(span, kind, first | second);
  const left = changetype<Attr>(first);
  const right = changetype<Attr>(second);
  const name = allocate(left.valueBytes + right.valueBytes + 1 + slack);
  if (name == 0) return fail(capacityFault, span.at) != 0;
  const slash = put(name, left.value, left.valueBytes);
  store<u8>(slash, 0x2f);
  put(slash + 1, right.value, right.valueBytes);
  span.peer = <u32>name;
  span.peerBytes = left.valueBytes + right.valueBytes + 1;
  span.peerKind = kind;
  return true;
}

function setName(span: Span, kind: u32, attr: usize): bool {
  if (attr == 0) return true;
  span.peer = changetype<Attr>(attr).value;
  span.peerBytes = changetype<Attr>(attr).valueBytes;
  span.peerKind = kind;
  return true;
}

// @ts-ignore: decorator
@inline
function at(key: i32): usize {
  return load<u32>(found + (<usize>key << 2));
}

function either(key: i32, older: i32): usize {
  const attr = at(key);
  return attr == 0 ? at(older) : attr;
}

/** Finds the keys. False when there is none of them. */
function findKeys(span: Span): bool {
  memory.fill(found, 0, 40);
  let isFound = false;
  let attr = <usize>span.attrs;
  for (let i: u32 = 0; i < span.attrCount; i++, attr += attrBytes) {
    const key = keyOf(changetype<Attr>(attr));
    if (key < 0 || at(key) != 0 || changetype<Attr>(attr).valueBytes == 0) continue;
    store<u32>(found + (<usize>key << 2), <u32>attr);
    isFound = true;
  }
  return isFound;
}

/** Number of the key, or -1. */
function keyOf(attr: Attr): i32 {
  switch (attr.keyBytes) {
    case 7:
      return isKey(attr, 'db.name') ? dbName : -1;
    case 9:
      return isKey(attr, 'db.system') ? dbSystem : -1;
    case 12:
      if (isKey(attr, 'peer.service')) return peerService;
      return isKey(attr, 'db.namespace') ? dbNamespace : -1;
    case 13:
      return isKey(attr, 'net.peer.name') ? netPeerName : -1;
    case 14:
      if (isKey(attr, 'server.address')) return serverAddress;
      return isKey(attr, 'db.system.name') ? dbSystemName : -1;
    case 16:
      return isKey(attr, 'messaging.system') ? messagingSystemKey : -1;
    case 21:
      return isKey(attr, 'messaging.destination') ? destination : -1;
    case 26:
      return isKey(attr, 'messaging.destination.name') ? destinationName : -1;
    default:
      return -1;
  }
}

/** Whether the key, of as many bytes, is this text. Only called with literals, which are static. */
// @ts-ignore: decorator
@inline
function isKey(attr: Attr, text: string): bool {
  const units = changetype<usize>(text);
  for (let i: u32 = 0; i < attr.keyBytes; i++) {
    if (<u16>load<u8>(attr.key + i) != load<u16>(units + (<usize>i << 1))) return false;
  }
  return true;
}
