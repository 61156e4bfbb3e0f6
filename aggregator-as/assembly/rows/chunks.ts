/**
 * Rows of several tables in one growing run of memory: in order of arrival, in chunks of one table
 * each, every chunk after a header. At the end the chunks of a table are brought together.
 */
import { capacityFault, fail } from '../otlp/fault';
import { kindsCount, noKind } from '../otlp/measure';
import { reserve, setTop, top } from '../memory/memory';

/** A run of rows of one table; they follow at once. */
@unmanaged
class Chunk {
  next: u32;
  kind: u32;
  bytes: u32;
}

export const headerBytes: usize = 16;

/** A table's rows: how many, and where, once they are together. */
@unmanaged
class Table {
  at: u32;
  bytes: u32;
  rows: u32;
  chunks: u32;
}

const tables = memory.data(80, 8);

// @ts-ignore: decorator
@inline
export function tableOf(kind: u32): Table {
  return changetype<Table>(tables + (<usize>kind << 4));
}

let firstChunk: usize = 0;
let lastChunk: usize = 0;
let chunkKind: u32 = noKind;

/** Begins without a row. */
export function startTables(): void {
  firstChunk = 0;
  lastChunk = 0;
  chunkKind = noKind;
  memory.fill(tables, 0, 80);
}

/** Where the next row goes, if it is of this table and the last one ends at `rowsEnd`. */
// @ts-ignore: decorator
@inline
export function placeFor(kind: u32, rowsEnd: usize): usize {
  return kind == chunkKind ? rowsEnd : rowsEnd + headerBytes;
}

/** Counts a row that was written there; `rowsEnd` is still where the one before it ends. */
// @ts-ignore: decorator
@inline
export function addRow(kind: u32, rowsEnd: usize, bytes: usize): void {
  if (kind != chunkKind) startChunk(rowsEnd, kind);
  changetype<Chunk>(lastChunk).bytes += <u32>bytes;
  const table = tableOf(kind);
  table.bytes += <u32>bytes;
  table.rows++;
}

function startChunk(at: usize, kind: u32): void {
  const chunk = changetype<Chunk>(at);
  chunk.next = 0;
  chunk.kind = kind;
  chunk.bytes = 0;
  if (lastChunk == 0) firstChunk = at;
  else changetype<Chunk>(lastChunk).next = <u32>at;
  lastChunk = at;
  chunkKind = kind;
  tableOf(kind).chunks++;
}

/**
 * Brings each table's rows together. The table with the most bytes is closed up where it stands;
 * the others go above, so that memory for those only is needed. False when there is none.
 */
export function joinTables(rowsEnd: usize): bool {
  let largest: u32 = 0;
  let isJoined = true;
  for (let kind: u32 = 0; kind < kindsCount; kind++) {
    if (tableOf(kind).bytes > tableOf(largest).bytes) largest = kind;
    if (tableOf(kind).chunks > 1) isJoined = false;
  }
  if (isJoined) {
    for (let at = firstChunk; at != 0; at = changetype<Chunk>(at).next) {
      tableOf(changetype<Chunk>(at).kind).at = <u32>(at + headerBytes);
    }
    return true;
  }
  setTop(rowsEnd);
  for (let kind: u32 = 0; kind < kindsCount; kind++) {
    const bytes = <usize>tableOf(kind).bytes;
    if (kind == largest || bytes == 0) continue;
    if (!reserve(bytes)) return fail(capacityFault, 0) != 0;
    moveRows(kind, top);
    setTop(top + bytes);
  }
  moveRows(largest, firstOf(largest));
  return true;
}

function firstOf(kind: u32): usize {
  let at = firstChunk;
  while (changetype<Chunk>(at).kind != kind) at = changetype<Chunk>(at).next;
  return at + headerBytes;
}

/** Moves the table's rows to `out`, which may be where they begin: then headers are overwritten. */
function moveRows(kind: u32, out: usize): void {
  tableOf(kind).at = <u32>out;
  for (let at = firstChunk; at != 0; ) {
    const chunk = changetype<Chunk>(at);
    const next = chunk.next;
    if (chunk.kind == kind) {
      const bytes = chunk.bytes;
      memory.copy(out, at + headerBytes, bytes);
      out += bytes;
    }
    at = next;
  }
}
