/**
 * Parquet pages of one column chunk, for the host to compress and to put together: dictionary,
 * levels, values, and the least and greatest value. Everything lies above the columns in the arena and
 * is dropped with the next chunk. Functions that need memory say when there is none.
 */
import { put } from '../memory/bytes';
import {
  bodyAt,
  bodyBytes,
  codeNumbers,
  codes,
  codeTexts,
  noRoom,
  recode,
  setOwners,
  startDistincts,
} from './distincts';
import {
  extremeDoubles,
  extremeIds,
  extremeNumbers,
  extremeTexts,
  greatestAt,
  greatestBytes,
  leastAt,
  leastBytes,
} from './extremes';
import { capacityFault, clearFault, fail } from '../otlp/fault';
import { resources as resourceRows, scopes as scopeRows } from '../columns/layout';
import {
  denseCount,
  denseFixed,
  denseOffsets,
  levelCount,
  levelsList,
  levelsNested,
  levelsNone,
  levelsOptional,
  presentCount,
} from './levels';
import { align, reserve, setTop, slack, top } from '../memory/memory';
import { packWords, widthOf } from './packing';

/** What stands below belongs to the hour's columns. */
let chunkTop: usize = 0;
let pageStart: usize = 0;
let distinct: u32 = 0;

function checked(isDone: bool): bool {
  return isDone || fail(capacityFault, 0) != 0;
}

/** Begins above the columns that were emitted last. */
export function chunksBegin(): void {
  clearFault();
  chunkTop = top;
}

/** Forgets the chunk before. */
export function chunkBegin(): void {
  setTop(align(chunkTop));
  startDistincts();
}

/** Before `chunkTexts`: these are lists of `rows` rows, each of which all rows of an owner have. */
export function chunkOwners(scopes: bool, from: u32, lists: usize, rows: u32): void {
  const owners = scopes ? scopeRows : resourceRows;
  setOwners(owners + (<usize>from << 2), lists, rows);
}

/** Distinct values; -1 when they do not repeat enough, -2 without room. */
export function chunkTexts(offsets: usize, data: usize, count: u32, bytesMax: u32): i32 {
  return coded(codeTexts(offsets, data, count, bytesMax));
}

export function chunkCodes(
  given: usize,
  count: u32,
  offsets: usize,
  data: usize,
  givenCount: u32,
): i32 {
  return coded(recode(given, count, offsets, data, givenCount));
}

export function chunkNumbers(data: usize, count: u32, width: u32): i32 {
  return coded(codeNumbers(data, count, width));
}

function coded(count: i32): i32 {
  if (count == noRoom) fail(capacityFault, 0);
  distinct = max(count, 0);
  return count;
}

export function dictionaryAt(): usize {
  return bodyAt;
}

export function dictionaryBytes(): u32 {
  return bodyBytes;
}

/** Address of the values without nulls, or 0 without room. */
export function chunkDense(validity: usize, data: usize, rows: u32, width: u32): usize {
  const dense =
    width == 0 ? denseOffsets(validity, data, rows) : denseFixed(validity, data, rows, width);
  checked(dense != 0);
  return dense;
}

export function chunkDenseCount(): u32 {
  return denseCount;
}

/** Begins a page of `rows` rows and writes its levels. `kind`: 0 none, 1 nullable, 2 list, 3 nested. */
export function pageBegin(kind: u32, at: usize, inner: usize, rows: u32): bool {
  pageStart = top;
  if (kind == 1) return checked(levelsOptional(at, rows));
  if (kind == 2) return checked(levelsList(at, rows));
  if (kind == 3) return checked(levelsNested(at, inner, rows));
  levelsNone(rows);
  return true;
}

/** Values of a nullable column's page that are not null. */
export function pagePresent(): u32 {
  return presentCount;
}

export function pageLevels(): u32 {
  return levelCount;
}

/** Appends codes, after their width. */
export function pageCodes(from: u32, count: u32): bool {
  const width = widthOf(distinct);
  const at = top;
  if (!setTop(at + 1)) return checked(false);
  store<u8>(at, <u8>width);
  if (count == 0) return true;
  return checked(packWords(codes + (<usize>from << 2), count, width));
}

/** Appends bytes as they are. */
export function pageBytes(at: usize, bytes: u32): bool {
  if (!reserve(<usize>bytes + slack)) return checked(false);
  memory.copy(top, at, bytes);
  return setTop(top + bytes);
}

/** Appends texts, each after its length. */
export function pageTexts(offsets: usize, data: usize, count: u32): bool {
  const first = load<u32>(offsets);
  const end = offsets + (<usize>count << 2);
  const bytes = <usize>(load<u32>(end) - first) + (<usize>count << 2);
  if (!reserve(bytes + slack)) return checked(false);
  let out = top;
  for (let from = first; offsets < end; offsets += 4) {
    const to = load<u32>(offsets, 4);
    store<u32>(out, to - from);
    out = put(out + 4, data + from, to - from);
    from = to;
  }
  return setTop(out);
}

/** Appends bytes as numbers of 4 bytes. */
export function pageWide(at: usize, count: u32): bool {
  if (!reserve(<usize>count * 4 + slack)) return checked(false);
  const start = top;
  for (let index: u32 = 0; index < count; index++) {
    store<u32>(start + (<usize>index << 2), load<u8>(at + index));
  }
  return setTop(start + <usize>count * 4);
}

export function pageAt(): usize {
  return pageStart;
}

/** Ends the page. Returns its size; its bytes are valid until the next one begins. */
export function pageEnd(): u32 {
  const bytes = <u32>(top - pageStart);
  setTop(pageStart);
  return bytes;
}

/** Finds the ends of values: `kind` 0 texts in plain encoding, 1 ids, 2 signed, 3 unsigned, 4 doubles. */
export function extremes(kind: u32, at: usize, count: u32, width: u32): bool {
  if (kind == 4) return extremeDoubles(at, count);
  if (kind == 0) extremeTexts(at, count);
  else if (kind == 1) extremeIds(at, count, width);
  else extremeNumbers(at, count, width, kind == 2);
  return true;
}

export function extremeAt(isGreatest: bool): usize {
  return isGreatest ? greatestAt : leastAt;
}

export function extremeBytes(isGreatest: bool): u32 {
  return isGreatest ? greatestBytes : leastBytes;
}
