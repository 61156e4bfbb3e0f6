/**
 * The rows of a shard: one record for each span (of 64 bytes, a cache line) or log record (of 80) that
 * was read, in chunks that never move. Only appends; what a row means to its group is told elsewhere.
 */
import { allocate, top } from './memory';

export const spanRowBytes: usize = 64;
export const logRowBytes: usize = 80;
/** What `finish` takes for each span or log record: two table slots of 8 bytes, later two durations. */
export const finishRowBytes: usize = 16;

/**
 * Offsets in a row. Trace id, span id: bytes as received. The last byte is unused. A log record's row is
 * made so that it is deduplicated as a span is: in place of the trace id stands the hash of its content,
 * of the span id its occurrence, of the duration the length of its body; kind and error are 0.
 */
export const traceIdAt: usize = 0;
export const spanIdAt: usize = 16;
export const durationAt: usize = 24;
export const ingestedAt: usize = 32;
export const offsetAt: usize = 40;
/** Address of the row's group. */
export const groupAt: usize = 48;
export const partitionAt: usize = 52;
export const itemIndexAt: usize = 56;
export const kindAt: usize = 60;
export const errorAt: usize = 61;
/** 1 once another copy of the same span is kept in its place. */
export const droppedAt: usize = 62;
/** Of log records only: hash of the body. */
export const bodyHashAt: usize = 64;

/** Chunks begin at a cache line. */
const lineBytes: usize = 64;
const chunkRows: u32 = 4096;
/** As many chunks as 4 GiB hold. */
const chunkCountMax: u32 = 16_384;
const chunks = memory.data(65_536, 8);
/** What alignment may cost, and the arena's slack. */
const reserved: u64 = 256;

export let rowCount: u32 = 0;
let rowBytes: usize = spanRowBytes;
let finishBytes: usize = finishRowBytes;
let chunkCount: u32 = 0;
let boundBytes: u64 = 0;

/**
 * Forgets all rows; sets their size, what `finish` will take for each, and the bound on the memory, in
 * bytes, that appending keeps.
 */
export function clearRows(memoryBytes: u64, bytes: usize, toFinish: usize = finishRowBytes): void {
  rowBytes = bytes;
  finishBytes = toFinish;
  rowCount = 0;
  chunkCount = 0;
  boundBytes = memoryBytes;
}

/** Whether `bytes` fit under the bound, with what `finish` takes for all chunks and `more`. */
export function fits(bytes: usize, more: u32 = 0): bool {
  const rows = <u64>(chunkCount + more) * chunkRows;
  return <u64>top + <u64>bytes + rows * finishBytes + reserved <= boundBytes;
}

/** Address of row `index`. */
export function rowAddress(index: u32): usize {
  const chunk: usize = load<u32>(chunks + ((index / chunkRows) << 2));
  return chunk + <usize>(index % chunkRows) * rowBytes;
}

/** Address of the row behind the last, which it makes room for. 0 when there is none. */
export function nextRow(): usize {
  if (rowCount == chunkCount * chunkRows && !addChunk()) return 0;
  return rowAddress(rowCount);
}

/** Makes the row at `nextRow()` count. */
export function keepRow(): void {
  rowCount++;
}

function addChunk(): bool {
  const bytes = <usize>chunkRows * rowBytes + lineBytes;
  if (chunkCount == chunkCountMax || !fits(bytes, 1)) return false;
  const at = allocate(bytes);
  if (at == 0) return false;
  store<u32>(chunks + (chunkCount << 2), <u32>((at + lineBytes - 1) & ~(lineBytes - 1)));
  chunkCount++;
  return true;
}
