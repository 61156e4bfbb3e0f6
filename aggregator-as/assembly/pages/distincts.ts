/**
 * Dictionaries of Parquet column chunks: each value gets a code, in order of first appearance, and
 * the distinct values become a dictionary page. Writes at the arena's top.
 */
import { put } from '../memory/bytes';
import { codeOf, Dictionary, entryOf, hasCode, makeRoom } from '../memory/dictionary';
import { allocate, reserve, setTop, slack, top } from '../memory/memory';
import { Owner } from '../otlp/record';

/** Codes of the chunk's values, 32 bits each. */
export let codes: usize = 0;
/** The dictionary page's body. */
export let bodyAt: usize = 0;
export let bodyBytes: u32 = 0;

/** No dictionary pays for these values. */
export const noDictionary: i32 = -1;
export const noRoom: i32 = -2;

const texts = changetype<Dictionary>(memory.data(32, 8));
/** Values that are looked at before it is judged whether they repeat. */
const tried: u32 = 4096;
const step: u32 = 1024;

/** Number of the chunk, of all that were begun. */
let chunk: u32 = 0;
/** Rows of the chunk, where their owners stand, and the offsets of their lists: when these are owners'. */
let ownedRows: u32 = 0;
let owners: usize = 0;
let lists: usize = 0;

/** Begins a chunk. */
export function startDistincts(): void {
  chunk++;
  wordCount = 0;
  ownedRows = 0;
}

/** Says that the chunk's texts are lists, each of which all rows of an owner have. */
export function setOwners(at: usize, listOffsets: usize, rows: u32): void {
  ownedRows = rows;
  owners = at;
  lists = listOffsets;
}

/** Codes of texts; `bytesMax` bounds the dictionary. Returns how many are distinct. */
export function codeTexts(offsets: usize, data: usize, count: u32, bytesMax: u32): i32 {
  codes = allocate(<usize>count * 4 + slack);
  nexts = codes == 0 ? 0 : allocate(<usize>count * 4 + 4);
  if (nexts == 0) return noRoom;
  memory.fill(changetype<usize>(texts), 0, 32);
  last = nexts;
  isGuessing = true;
  const fault =
    ownedRows == 0
      ? codeAll(offsets, data, count, bytesMax)
      : codeOwned(offsets, data, bytesMax);
  return fault == 0 ? writeTexts() : fault;
}

/** For each code, and before that for the start, the code that came next when it was there last. */
let nexts: usize = 0;
/** Where it stands what came after the text before. */
let last: usize = 0;
/** Whether it is worth while to look there first, and how often it was right. */
let isGuessing = true;
let guessed: u32 = 0;

/** Returns 0, or `noDictionary` or `noRoom`. */
function codeAll(offsets: usize, data: usize, count: u32, bytesMax: u32): i32 {
  for (let done: u32 = 0; done < count; done += step) {
    if (!makeRoom(texts, step)) return noRoom;
    const end = min(count, done + step);
    if (isGuessing) {
      guessed = 0;
      codeRun(offsets, data, done, end);
      isGuessing = guessed << 1 > end - done;
    } else {
      lookUpRun(offsets, data, done, end);
    }
    if (isVaried(end, bytesMax)) return noDictionary;
  }
  return 0;
}

/** As `codeAll`; what an owner has is looked at once, and copied for its other rows. */
function codeOwned(offsets: usize, data: usize, bytesMax: u32): i32 {
  let done: u32 = 0;
  for (let row: usize = 0; row < <usize>ownedRows << 2; row += 4) {
    const owner = changetype<Owner>(load<u32>(owners + row));
    const count = load<u32>(lists + row, 4) - load<u32>(lists + row);
    const end = done + count;
    if (owner.chunk == chunk) {
      put(codes + (<usize>done << 2), codes + (<usize>owner.codesFrom << 2), <usize>count << 2);
    } else {
      if (!makeRoom(texts, count)) return noRoom;
      codeRun(offsets, data, done, end);
      if (isVaried(end, bytesMax)) return noDictionary;
      owner.chunk = chunk;
      owner.codesFrom = done;
    }
    done = end;
  }
  return 0;
}

/** There is room for all of these to be new. */
// @ts-ignore: decorator
@inline
function codeRun(offsets: usize, data: usize, done: u32, end: u32): void {
  let from = load<u32>(offsets + (<usize>done << 2));
  for (let at = <usize>done << 2; at < <usize>end << 2; at += 4) {
    const to = load<u32>(offsets + at, 4);
    const code = codeAfter(last, data + from, to - from);
    store<u32>(codes + at, code);
    last = nexts + ((<usize>code + 1) << 2);
    from = to;
  }
}

/** As `codeRun`, of texts that come in no order. */
function lookUpRun(offsets: usize, data: usize, done: u32, end: u32): void {
  let from = load<u32>(offsets + (<usize>done << 2));
  for (let at = <usize>done << 2; at < <usize>end << 2; at += 4) {
    const to = load<u32>(offsets + at, 4);
    store<u32>(codes + at, codeOf(texts, data + from, to - from));
    from = to;
  }
}

/** Whether a dictionary of these texts, of which so many were looked at, would not pay. */
function isVaried(seen: u32, bytesMax: u32): bool {
  if (texts.textBytes + texts.count * 4 > bytesMax) return true;
  return seen >= tried && texts.count > (seen >> 1) + (seen >> 2);
}

/**
 * Code of a text that comes after that of which `last` says what comes next: keys of attributes come in
 * the same order over and over, and are then found without a hash.
 */
// @ts-ignore: decorator
@inline
function codeAfter(last: usize, text: usize, bytes: u32): u32 {
  const known = texts.count;
  if (known != 0) {
    const guess = load<u32>(last);
    if (hasCode(texts, guess, text, bytes)) {
      guessed++;
      return guess;
    }
  }
  const code = <u32>codeOf(texts, text, bytes);
  // A new one is taken to come again and again.
  if (texts.count != known) store<u32>(nexts + ((<usize>code + 1) << 2), code);
  store<u32>(last, code);
  return code;
}

function writeTexts(): i32 {
  bodyAt = top;
  if (!reserve(<usize>texts.textBytes + <usize>texts.count * 4 + slack)) return noRoom;
  let out = top;
  for (let code: u32 = 0; code < texts.count; code++) {
    const entry = entryOf(texts, code);
    store<u32>(out, entry.bytes);
    out = put(out + 4, entry.text, entry.bytes);
  }
  bodyBytes = <u32>(out - bodyAt);
  setTop(out);
  return texts.count;
}

/** Codes of a column that has codes in a larger dictionary; only what occurs is kept. */
export function recode(
  given: usize,
  count: u32,
  offsets: usize,
  data: usize,
  givenCount: u32,
): i32 {
  codes = allocate(<usize>count * 4);
  const known = codes == 0 ? 0 : allocate(<usize>givenCount * 4);
  if (known == 0) return noRoom;
  memory.fill(known, 0, <usize>givenCount * 4);
  bodyAt = top;
  let out = top;
  let distinct: u32 = 0;
  for (let at: usize = 0; at < <usize>count << 2; at += 4) {
    const place = known + (<usize>load<u32>(given + at) << 2);
    let code = load<u32>(place);
    if (code == 0) {
      code = ++distinct;
      store<u32>(place, code);
      const text = offsets + (<usize>load<u32>(given + at) << 2);
      const from = load<u32>(text);
      const bytes = load<u32>(text, 4) - from;
      if (!setTop(out) || !reserve(<usize>bytes + 4 + slack)) return noRoom;
      store<u32>(out, bytes);
      out = put(out + 4, data + from, bytes);
    }
    store<u32>(codes + at, code - 1);
  }
  bodyBytes = <u32>(out - bodyAt);
  return setTop(out) ? <i32>distinct : noRoom;
}

/** Distinct numbers, 8 bytes each, and slots with their index + 1. */
let words: usize = 0;
let slots: usize = 0;
let slotMask: u32 = 0;
let wordCount: u32 = 0;
/** More distinct numbers than this have no dictionary. */
const wordsMax: u32 = 65536;

/** Codes of numbers of 1, 4 or 8 bytes. Returns how many are distinct. */
export function codeNumbers(data: usize, count: u32, width: u32): i32 {
  codes = allocate(<usize>count * 4);
  words = codes == 0 ? 0 : allocate(<usize>min(count, wordsMax + step) * 8 + 8);
  if (words == 0 || !startSlots(1024)) return noRoom;
  wordCount = 0;
  if (width == 1) return codeBytes(data, count);
  for (let done: u32 = 0; done < count; ) {
    const end = min(count, done + step);
    // So many may all be new.
    while ((wordCount + step) << 1 > slotMask) {
      if (!startSlots((slotMask + 1) << 1)) return noRoom;
    }
    if (width == 8) codeWords<u64>(data, done, end);
    else codeWords<u32>(data, done, end);
    if (wordCount >= wordsMax) return noDictionary;
    if (end >= tried && wordCount > (end >> 1) + (end >> 2)) return noDictionary;
    done = end;
  }
  return writeWords(width);
}

function codeWords<T>(data: usize, from: u32, end: u32): void {
  let last = load<T>(data + <usize>from * sizeof<T>());
  let code = codeOfWord(<u64>last);
  for (let index = from; index < end; index++) {
    const word = load<T>(data + <usize>index * sizeof<T>());
    if (word != last) {
      code = codeOfWord(<u64>word);
      last = word;
    }
    store<u32>(codes + (<usize>index << 2), code);
  }
}

/** For each byte its code + 1, or 0. */
const byteCodes = memory.data(1024, 8);

function codeBytes(data: usize, count: u32): i32 {
  memory.fill(byteCodes, 0, 1024);
  for (let at: usize = 0; at < <usize>count << 2; at += 4) {
    const byte = load<u8>(data + (at >> 2));
    let code = load<u32>(byteCodes + (<usize>byte << 2));
    if (code == 0) {
      store<u64>(words + (<usize>wordCount << 3), byte);
      code = ++wordCount;
      store<u32>(byteCodes + (<usize>byte << 2), code);
    }
    store<u32>(codes + at, code - 1);
  }
  return writeWords(4);
}

/** Makes a table of so many slots with what is known. */
function startSlots(count: u32): bool {
  slots = allocate(<usize>count * 4);
  if (slots == 0) return false;
  memory.fill(slots, 0, <usize>count * 4);
  slotMask = count - 1;
  for (let index: u32 = 0; index < wordCount; index++) {
    let slot = slotOf(load<u64>(words + (<usize>index << 3)));
    while (load<u32>(slots + (<usize>slot << 2)) != 0) slot = (slot + 1) & slotMask;
    store<u32>(slots + (<usize>slot << 2), index + 1);
  }
  return true;
}

// @ts-ignore: decorator
@inline
function slotOf(word: u64): u32 {
  return <u32>((word * 0x9e37_79b9_7f4a_7c15) >> 40) & slotMask;
}

function codeOfWord(word: u64): u32 {
  let slot = slotOf(word);
  for (;;) {
    const found = load<u32>(slots + (<usize>slot << 2));
    if (found == 0) break;
    if (load<u64>(words + (<usize>(found - 1) << 3)) == word) return found - 1;
    slot = (slot + 1) & slotMask;
  }
  store<u64>(words + (<usize>wordCount << 3), word);
  store<u32>(slots + (<usize>slot << 2), ++wordCount);
  return wordCount - 1;
}

function writeWords(width: u32): i32 {
  bodyAt = top;
  bodyBytes = wordCount * width;
  if (!reserve(<usize>bodyBytes + slack)) return noRoom;
  for (let index: u32 = 0; index < wordCount; index++) {
    const word = load<u64>(words + (<usize>index << 3));
    if (width == 8) store<u64>(bodyAt + (<usize>index << 3), word);
    else store<u32>(bodyAt + (<usize>index << 2), <u32>word);
  }
  setTop(bodyAt + bodyBytes);
  return wordCount;
}
