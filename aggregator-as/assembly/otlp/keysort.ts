/** Sorts the entries of a key-value list by their keys' bytes, in place. */
import { attrBytes, Attr } from './record';

const spare = memory.data(24, 8);

/**
 * Sorts `count` entries whose keys are still where they arrived: of equal keys the later arrival
 * comes last, so the order is total and the sort need not be stable.
 */
export function sortByKey(first: usize, count: u32): void {
  if (count <= 12) {
    sortByInsertion(first, count);
    return;
  }
  for (let root = <i32>(count / 2) - 1; root >= 0; root--) siftDown(first, root, count);
  for (let last: u32 = count - 1; last > 0; last--) {
    swap(first, first + <usize>last * attrBytes);
    siftDown(first, 0, last);
  }
}

function sortByInsertion(first: usize, count: u32): void {
  const end = first + <usize>count * attrBytes;
  for (let at = first + attrBytes; at < end; at += attrBytes) {
    for (let p = at; p > first && isBefore(p, p - attrBytes); p -= attrBytes) {
      swap(p, p - attrBytes);
    }
  }
}

function siftDown(first: usize, root: u32, count: u32): void {
  for (;;) {
    let child: u32 = 2 * root + 1;
    if (child >= count) return;
    const at = first + <usize>child * attrBytes;
    let larger = at;
    if (child + 1 < count && isBefore(at, at + attrBytes)) {
      child++;
      larger = at + attrBytes;
    }
    const parent = first + <usize>root * attrBytes;
    if (!isBefore(parent, larger)) return;
    swap(parent, larger);
    root = child;
  }
}

function swap(a: usize, b: usize): void {
  memory.copy(spare, a, attrBytes);
  memory.copy(a, b, attrBytes);
  memory.copy(b, spare, attrBytes);
}

function isBefore(a: usize, b: usize): bool {
  const left = changetype<Attr>(a);
  const right = changetype<Attr>(b);
  const shared = min(left.keyBytes, right.keyBytes);
  const order = memory.compare(left.key, right.key, shared);
  if (order != 0) return order < 0;
  if (left.keyBytes != right.keyBytes) return left.keyBytes < right.keyBytes;
  return left.key < right.key;
}
