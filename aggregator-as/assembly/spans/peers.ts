/**
 * What a row says of its peer as one number, so that the service graph looks up no text: 4 * the number of
 * the peer's name + its kind, or 0 for none.
 */
import { codesAt } from './cells';
import { compareNames, entryCount, nameOf, peerKinds, peers, services } from './names';

/** Kinds of peers, in the order in which the host names them first: any other name is none. */
const kindsMax: u32 = 3;

/** Writes the peers of `rows` rows at `out`, from the codes of both columns. */
export function writePeers(rows: u32, out: usize): void {
  const bytes = <usize>rows << 2;
  if (entryCount(peerKinds) == 1 && nameOf(peerKinds, 0) == 0) {
    memory.fill(out, 0, bytes);
    return;
  }
  const names = codesAt(peers);
  const kinds = codesAt(peerKinds);
  for (let at: usize = 0; at < bytes; at += 4) {
    const kind = nameOf(peerKinds, load<u32>(kinds + at));
    const isPeer = kind != 0 && kind <= kindsMax;
    store<u32>(out + at, isPeer ? (nameOf(peers, load<u32>(names + at)) << 2) | kind : 0);
  }
}

// @ts-ignore: decorator
@inline
export function peerKindOf(peer: u32): u32 {
  return peer & 3;
}

// @ts-ignore: decorator
@inline
export function peerNameOf(peer: u32): u32 {
  return peer >> 2;
}

/** An order that does not depend on what was read first. */
export function comparePeers(a: u32, b: u32): i32 {
  if (a == b) return 0;
  const order = <i32>peerKindOf(a) - <i32>peerKindOf(b);
  return order != 0 ? order : compareNames(services, peerNameOf(a), peerNameOf(b));
}
