/**
 * The runs of a shard, each the blocks of one file in the order of their traces, and a heap that says which
 * run has the least trace. It moves from trace to trace and looks at no row.
 */
import { allocate } from '../memory/memory';
import { Block, Trace, traceOf } from './block';

@unmanaged
class Run {
  block: u32;
  /** Index of the run's next trace in its block. */
  trace: u32;
}

/** What the heap orders by: a run's next trace. */
@unmanaged
class Head {
  high: u64;
  low: u64;
  run: u32;
  spare: u32;
}

const runBytes: usize = 8;
const headBytes: usize = 24;
let runs: usize = 0;
let heads: usize = 0;
/** Runs that have a trace. */
export let headCount: u32 = 0;

/** Makes room for so many runs, all of them empty. False without room. */
export function startRuns(count: u32): bool {
  headCount = 0;
  runs = allocate(<usize>count * runBytes + 8);
  heads = runs == 0 ? 0 : allocate(<usize>(count + 3) * headBytes);
  if (heads == 0) return false;
  memory.fill(runs, 0, <usize>count * runBytes);
  return true;
}

// @ts-ignore: decorator
@inline
function runAt(run: u32): Run {
  return changetype<Run>(runs + <usize>run * runBytes);
}

// @ts-ignore: decorator
@inline
function headAt(index: u32): Head {
  return changetype<Head>(heads + <usize>index * headBytes);
}

/** Gives a run its next block, which has a trace. */
export function feedRun(run: u32, block: Block): void {
  runAt(run).block = <u32>changetype<usize>(block);
  runAt(run).trace = 0;
  const first = traceOf(block, 0);
  let index = headCount++;
  while (index > 0) {
    const parent = (index - 1) >> 1;
    if (!isBefore(first.high, first.low, headAt(parent))) break;
    moveHead(parent, index);
    index = parent;
  }
  place(index, first, run);
}

// @ts-ignore: decorator
@inline
function moveHead(from: u32, to: u32): void {
  const source = headAt(from);
  const target = headAt(to);
  target.high = source.high;
  target.low = source.low;
  target.run = source.run;
}

// @ts-ignore: decorator
@inline
function place(index: u32, trace: Trace, run: u32): void {
  const head = headAt(index);
  head.high = trace.high;
  head.low = trace.low;
  head.run = run;
}

// @ts-ignore: decorator
@inline
function isBefore(high: u64, low: u64, head: Head): bool {
  return high < head.high || (high == head.high && low < head.low);
}

// @ts-ignore: decorator
@inline
export function leastHigh(): u64 {
  return headAt(0).high;
}

// @ts-ignore: decorator
@inline
export function leastLow(): u64 {
  return headAt(0).low;
}

/** The run with the least trace. */
// @ts-ignore: decorator
@inline
export function leastRun(): u32 {
  return headAt(0).run;
}

// @ts-ignore: decorator
@inline
export function blockOf(run: u32): Block {
  return changetype<Block>(runAt(run).block);
}

/** Index of the run's next trace in its block. */
// @ts-ignore: decorator
@inline
export function traceIndexOf(run: u32): u32 {
  return runAt(run).trace;
}

/** Whether no other run has the least trace too: only children of the root could. */
// @ts-ignore: decorator
@inline
export function isLeastAlone(): bool {
  if (headCount < 2) return true;
  const least = headAt(0);
  const left = headAt(1);
  if (left.low == least.low && left.high == least.high) return false;
  if (headCount < 3) return true;
  const right = headAt(2);
  return right.low != least.low || right.high != least.high;
}

/** Moves the least run to its next trace; if its block has none left, takes the run off. False then. */
export function advanceLeast(): bool {
  const run = leastRun();
  const record = runAt(run);
  const block = changetype<Block>(record.block);
  record.trace++;
  if (record.trace < block.traceCount) {
    sink(traceOf(block, record.trace), run);
    return true;
  }
  record.block = 0;
  headCount--;
  if (headCount > 0) {
    const last = headAt(headCount);
    sinkHead(last.high, last.low, last.run);
  }
  return false;
}

// @ts-ignore: decorator
@inline
function sink(trace: Trace, run: u32): void {
  sinkHead(trace.high, trace.low, run);
}

/** Puts an entry at the root and moves it down to its place. */
function sinkHead(high: u64, low: u64, run: u32): void {
  let index: u32 = 0;
  while (true) {
    let child: u32 = 2 * index + 1;
    if (child >= headCount) break;
    if (child + 1 < headCount) {
      const right = headAt(child + 1);
      if (isBefore(right.high, right.low, headAt(child))) child++;
    }
    const head = headAt(child);
    if (!(head.high < high || (head.high == high && head.low < low))) break;
    moveHead(child, index);
    index = child;
  }
  const head = headAt(index);
  head.high = high;
  head.low = low;
  head.run = run;
}
