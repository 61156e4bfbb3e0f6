/**
 * Gives the rows of a shard trace by trace. Rows come sorted by file, so they are a few ascending runs,
 * whose first rows stand in a heap. Rows in any other order are only more runs.
 */
import { beginsRun, isMarked, traceHighAt, traceLowAt } from './graphrow';
import { rowAddress, rowCount } from './shard';

/** A run's next row: its address, then its index. */
export const cursorBytes: usize = 8;
let heap: usize = 0;
let live: u32 = 0;

/** Begins with the first rows of all runs. At `at` there is room for a cursor of each. */
export function startRuns(at: usize): void {
  heap = at;
  live = 0;
  for (let index: u32 = 0; index < rowCount; index++) {
    const row = rowAddress(index);
    if (!isMarked(row, beginsRun)) continue;
    setCursor(cursorAt(live), row, index);
    live++;
  }
  for (let place = live >> 1; place > 0; place--) siftDown(place - 1);
}

/** Writes the addresses of the next trace's rows to `out`. Returns how many; 0 ends. */
export function nextTrace(out: usize): u32 {
  if (live == 0) return 0;
  const high = load<u64>(load<u32>(heap), traceHighAt);
  const low = load<u64>(load<u32>(heap), traceLowAt);
  let count: u32 = 0;
  while (live != 0) {
    let row: usize = load<u32>(heap);
    if (!isOf(row, high, low)) break;
    let index = load<u32>(heap, 4);
    let ended = false;
    do {
      store<u32>(out + (<usize>count << 2), <u32>row);
      count++;
      index++;
      row = index < rowCount ? rowAddress(index) : 0;
      ended = row == 0 || isMarked(row, beginsRun);
    } while (!ended && isOf(row, high, low));
    if (ended) dropFirst();
    else setCursor(heap, row, index);
    siftDown(0);
  }
  return count;
}

// @ts-ignore: decorator
@inline
function isOf(row: usize, high: u64, low: u64): bool {
  return load<u64>(row, traceHighAt) == high && load<u64>(row, traceLowAt) == low;
}

// @ts-ignore: decorator
@inline
function cursorAt(place: u32): usize {
  return heap + <usize>place * cursorBytes;
}

function setCursor(at: usize, row: usize, index: u32): void {
  store<u32>(at, <u32>row);
  store<u32>(at, index, 4);
}

function dropFirst(): void {
  live--;
  store<u64>(heap, load<u64>(cursorAt(live)));
}

function siftDown(root: u32): void {
  for (;;) {
    let child: u32 = 2 * root + 1;
    if (child >= live) return;
    if (child + 1 < live && isBefore(child + 1, child)) child++;
    if (!isBefore(child, root)) return;
    const swap = load<u64>(cursorAt(root));
    store<u64>(cursorAt(root), load<u64>(cursorAt(child)));
    store<u64>(cursorAt(child), swap);
    root = child;
  }
}

function isBefore(a: u32, b: u32): bool {
  const left: usize = load<u32>(cursorAt(a));
  const right: usize = load<u32>(cursorAt(b));
  const high = load<u64>(left, traceHighAt);
  const otherHigh = load<u64>(right, traceHighAt);
  if (high != otherHigh) return high < otherHigh;
  return load<u64>(left, traceLowAt) < load<u64>(right, traceLowAt);
}
