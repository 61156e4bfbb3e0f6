/** Lists of records of one size, in chunks that never move. They only grow. */
import { allocate } from '../memory/memory';

@unmanaged
export class List {
  firstChunk: u32;
  lastChunk: u32;
  count: u32;
  recordBytes: u32;
}

/** Bytes of a `List`. */
export const listBytes: i32 = 16;
/** Records of a chunk, behind the address of the next one. */
export const chunkRecords: u32 = 256;
const headerBytes: usize = 8;

export function clearList(list: List, recordBytes: u32): void {
  list.firstChunk = 0;
  list.lastChunk = 0;
  list.count = 0;
  list.recordBytes = recordBytes;
}

/** Address of a new record, not cleared. 0 when there is no room. */
export function addRecord(list: List): usize {
  const place = list.count % chunkRecords;
  if (place == 0 && !addChunk(list)) return 0;
  list.count++;
  return recordAt(list, list.lastChunk, place);
}

function addChunk(list: List): bool {
  const bytes = headerBytes + <usize>chunkRecords * list.recordBytes;
  const chunk = allocate(bytes);
  if (chunk == 0) return false;
  store<u32>(chunk, 0);
  if (list.lastChunk == 0) list.firstChunk = <u32>chunk;
  else store<u32>(list.lastChunk, <u32>chunk);
  list.lastChunk = <u32>chunk;
  return true;
}

/** Record `place` of the chunk. */
// @ts-ignore: decorator
@inline
export function recordAt(list: List, chunk: usize, place: u32): usize {
  return chunk + headerBytes + <usize>place * list.recordBytes;
}

/** Address of the chunk behind this one; 0 ends. */
export function nextChunk(chunk: usize): usize {
  return load<u32>(chunk);
}
