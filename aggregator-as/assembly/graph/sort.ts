/** Sorts addresses of records by an order of their own, in place and stably: runs, then merges. */

/** Whether the record at `a` comes before the one at `b`. */
export type Precedes = (a: usize, b: usize) => bool;

const runMax: u32 = 16;

/** Sorts `count` addresses at `at`. `scratch` has room for as many and is overwritten. */
export function sortAddresses(at: usize, count: u32, scratch: usize, precedes: Precedes): void {
  for (let from: u32 = 0; from < count; from += runMax) {
    sortFew(at + (<usize>from << 2), min(runMax, count - from), precedes);
  }
  for (let width: u32 = runMax; width < count; width <<= 1) {
    for (let from: u32 = 0; from + width < count; from += width << 1) {
      merge(at + (<usize>from << 2), width, min(width, count - from - width), scratch, precedes);
    }
  }
}

function sortFew(at: usize, count: u32, precedes: Precedes): void {
  const end = at + (<usize>count << 2);
  for (let next = at + 4; next < end; next += 4) {
    const record = load<u32>(next);
    let hole = next;
    while (hole > at && precedes(record, load<u32>(hole - 4))) {
      store<u32>(hole, load<u32>(hole - 4));
      hole -= 4;
    }
    store<u32>(hole, record);
  }
}

/** Merges two sorted neighbours; those that are in order already stay as they are. */
function merge(at: usize, left: u32, right: u32, scratch: usize, precedes: Precedes): void {
  let second = at + (<usize>left << 2);
  if (!precedes(load<u32>(second), load<u32>(second - 4))) return;
  const secondEnd = second + (<usize>right << 2);
  memory.copy(scratch, at, <usize>left << 2);
  let first = scratch;
  const firstEnd = scratch + (<usize>left << 2);
  for (let out = at; first < firstEnd; out += 4) {
    if (second < secondEnd && precedes(load<u32>(second), load<u32>(first))) {
      store<u32>(out, load<u32>(second));
      second += 4;
    } else {
      store<u32>(out, load<u32>(first));
      first += 4;
    }
  }
}
