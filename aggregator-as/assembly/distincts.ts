/**
 * Dictionaries of Parquet column chunks: each value gets a code, in order of first appearance, and
 * the distinct values become a dictionary page. Writes at the arena's top.
 */
import { put } from './bytes';
import { codeOf, Dictionary, entryOf, hasCode, makeRoom } from './dictionary';
import { allocate, reserve, setTop, slack, top } from './memory';

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

/** Codes of texts; `bytesMax` bounds the dictionary. Returns how many are distinct. */
export function codeTexts(offsets: usize, data: usize, count: u32, bytesMax: u32): i32 {
  codes = allocate(<usize>count * 4);
  nexts = codes == 0 ? 0 : allocate(<usize>count * 4 + 4);
  if (nexts == 0) return noRoom;
  memory.fill(changetype<usize>(texts), 0, 32);
  let last = nexts;
  for (let done: u32 = 0; done < count; done += step) {
    if (!makeRoom(texts, step)) return noRoom;
    const end = min(count, done + step);
    let from = load<u32>(offsets + (<usize>done << 2));
    for (let index = done; index < end; index++) {
      const at = <usize>index << 2;
      const to = load<u32>(offsets + at, 4);
      const code = codeAfter(last, data + from, to - from);
      store<u32>(codes + at, code);
      last = nexts + ((<usize>code + 1) << 2);
      from = to;
    }
    if (texts.textBytes + texts.count * 4 > bytesMax) return noDictionary;
    if (end >= tried && texts.count > (end >> 1) + (end >> 2)) return noDictionary;
  }
  return writeTexts();
}

/** For each code, and before that for the start, the code that came next when it was there last. */
let nexts: usize = 0;

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
    if (hasCode(texts, guess, text, bytes)) return guess;
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
  words = codes == 0 ? 0 : allocate(<usize>min(count, wordsMax) * 8 + 8);
  if (words == 0 || !startSlots(1024)) return noRoom;
  wordCount = 0;
  let last: u64 = 0;
  let code: u32 = 0;
  for (let index: u32 = 0; index < count; index++, data += width) {
    const word = width == 8 ? load<u64>(data) : width == 4 ? load<u32>(data) : load<u8>(data);
    if (word != last || index == 0) {
      code = codeOfWord(word);
      last = word;
    }
    store<u32>(codes + (<usize>index << 2), code);
    if (wordCount << 1 > slotMask && !startSlots((slotMask + 1) << 1)) return noRoom;
    if (wordCount >= wordsMax) return noDictionary;
    if (index >= tried && wordCount > (index >> 1) + (index >> 2)) return noDictionary;
  }
  return writeWords(width == 8 ? 8 : 4);
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

/** Forgets the numbers of the chunk before. */
export function startDistincts(): void {
  wordCount = 0;
}
