/**
 * Rows of one table as RowBinary, one after the other.
 *
 * The memory: input, finished rows, a gap for the next row, then the records of the item being
 * read. What all rows of a resource and scope share (one run of the row: first the resource's part,
 * then the scope's) is written once and copied from the row before.
 */
import { put, putLong } from '../memory/bytes';
import { capacityFault, fail } from '../otlp/fault';
import { align, reserve, setTop, top } from '../memory/memory';

/** Where the finished rows begin and end, and how many they are. */
export let rowsStart: usize = 0;
export let rowsEnd: usize = 0;
export let rowCount: u32 = 0;

/** TenantId and IngestedAt, the same in every row. */
let tail: usize = 0;
export let tailBytes: usize = 0;

/** The run of the last row, and how much of it is the resource's. */
export let run: usize = 0;
export let runBytes: usize = 0;
export let resourceRunBytes: usize = 0;
export let hasResourceRun = false;
export let hasScopeRun = false;
/** First free byte above the records of a resource and scope that have no row yet. */
let scratch: usize = 0;

/** Rows larger than this are written above the records and moved down. */
const gapMax: usize = 65536;

/** Begins: rows go to the arena's top. */
export function startRows(tailAt: usize, bytes: usize): void {
  tail = tailAt;
  tailBytes = bytes;
  rowsStart = align(top);
  rowsEnd = rowsStart;
  rowCount = 0;
}

/** Before a resource is read. */
export function startResource(): bool {
  hasResourceRun = false;
  hasScopeRun = false;
  return placeTop(rowsEnd);
}

/** Before a scope is read. */
export function startScope(): bool {
  hasScopeRun = false;
  return hasResourceRun ? placeTop(rowsEnd) : true;
}

/** After a scope was read. */
export function endScope(): void {
  scratch = top;
}

/** Before an item of `bytes` is read. */
export function startItem(bytes: usize): bool {
  if (!hasScopeRun) return placeTop(scratch);
  return placeTop(rowsEnd + runBytes + tailBytes + min(bytes * 3, gapMax) + 1024);
}

function placeTop(at: usize): bool {
  return setTop(at) ? true : fail(capacityFault, 0) != 0;
}

/**
 * Where to write a row of up to `most` bytes, slack included, of an item whose records begin at
 * `records`: right after the finished rows, or above the records. 0 when there is no room.
 */
// @ts-ignore: decorator
@inline
export function placeRow(most: usize, records: usize, at: usize): usize {
  if (hasScopeRun && rowsEnd + most <= records) return rowsEnd;
  return reserve(most) ? align(top) : fail(capacityFault, at);
}

/** Adds the row that was written from `start` to `end` to the finished ones. */
// @ts-ignore: decorator
@inline
export function endRow(start: usize, end: usize): void {
  if (start != rowsEnd) {
    memory.copy(rowsEnd, start, end - start);
    run -= start - rowsEnd;
  }
  rowsEnd += end - start;
  rowCount++;
  hasResourceRun = true;
  hasScopeRun = true;
}

/** Copies the run of the row before: all that the rows of a scope share. */
// @ts-ignore: decorator
@inline
export function copyRun(out: usize): usize {
  const from = run;
  run = out;
  return putLong(out, from, runBytes);
}

/** Copies the resource's part of the run of the row before, and begins a run with it. */
export function copyResourceRun(out: usize): usize {
  const from = run;
  run = out;
  return putLong(out, from, resourceRunBytes);
}

/** Begins a run, with a resource's part. */
export function startRun(out: usize): void {
  run = out;
}

/** Ends the resource's part. */
export function endResourceRun(out: usize): void {
  resourceRunBytes = out - run;
}

/** Ends the run. */
export function endRun(out: usize): void {
  runBytes = out - run;
}

/** Copies the end of every row. */
// @ts-ignore: decorator
@inline
export function putTail(out: usize): usize {
  return put(out, tail, tailBytes);
}
