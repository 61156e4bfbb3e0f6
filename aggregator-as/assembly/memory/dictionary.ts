/**
 * Dictionaries of the columns that repeat: each distinct text gets a code, in order of arrival. A
 * dictionary refers to texts where they lie; it copies none until its values are wanted.
 */
import { put } from './bytes';
import { allocate, slack } from './memory';

@unmanaged
export class Dictionary {
  /** Slots of the hash table: code + 1, or 0. Their number is a power of two. */
  slots: u32;
  slotCount: u32;
  entries: u32;
  /** Entries that there is room for. */
  room: u32;
  count: u32;
  textBytes: u32;
  /** Arrow buffers of the values, made by `materialize`. */
  offsets: u32;
  values: u32;
}

@unmanaged
export class Entry {
  text: u32;
  bytes: u32;
  hash: u32;
}

const entryBytes: usize = 12;

/** The text that has this code. */
// @ts-ignore: decorator
@inline
export function entryOf(dictionary: Dictionary, code: u32): Entry {
  return changetype<Entry>(dictionary.entries + <usize>code * entryBytes);
}

/** Makes room for `more` texts, so that as many calls of `codeOf` cannot fail. */
export function makeRoom(dictionary: Dictionary, more: u32): bool {
  const wanted = dictionary.count + more;
  if (wanted <= dictionary.room) return true;
  let room = max(dictionary.room, 32);
  while (room < wanted) room *= 2;
  const entries = allocate(<usize>room * entryBytes);
  const slots = entries == 0 ? 0 : allocate(<usize>room * 8);
  if (slots == 0) return false;
  memory.copy(entries, dictionary.entries, <usize>dictionary.count * entryBytes);
  memory.fill(slots, 0, <usize>room * 8);
  dictionary.entries = entries;
  dictionary.room = room;
  dictionary.slots = slots;
  dictionary.slotCount = room * 2;
  for (let code: u32 = 0; code < dictionary.count; code++) {
    const entry = changetype<Entry>(entries + <usize>code * entryBytes);
    let slot = entry.hash & (dictionary.slotCount - 1);
    while (slotAt(dictionary, slot) != 0) slot = (slot + 1) & (dictionary.slotCount - 1);
    setSlot(dictionary, slot, code + 1);
  }
  return true;
}

// @ts-ignore: decorator
@inline
function slotAt(dictionary: Dictionary, slot: u32): u32 {
  return load<u32>(dictionary.slots + (<usize>slot << 2));
}

// @ts-ignore: decorator
@inline
function setSlot(dictionary: Dictionary, slot: u32, value: u32): void {
  store<u32>(dictionary.slots + (<usize>slot << 2), value);
}

/** Code of the text, which must stay where it is. There must be room for one more. */
export function codeOf(dictionary: Dictionary, text: usize, bytes: u32): i32 {
  const hash = hashOf(text, bytes);
  const mask = dictionary.slotCount - 1;
  let slot = hash & mask;
  for (;;) {
    const found = slotAt(dictionary, slot);
    if (found == 0) break;
    const entry = changetype<Entry>(dictionary.entries + <usize>(found - 1) * entryBytes);
    if (entry.hash == hash && entry.bytes == bytes && isSame(entry.text, text, bytes)) {
      return found - 1;
    }
    slot = (slot + 1) & mask;
  }
  const code = dictionary.count++;
  const entry = changetype<Entry>(dictionary.entries + <usize>code * entryBytes);
  entry.text = text;
  entry.bytes = bytes;
  entry.hash = hash;
  dictionary.textBytes += bytes;
  setSlot(dictionary, slot, code + 1);
  return code;
}

/** Whether the text is the one that has this code. */
// @ts-ignore: decorator
@inline
export function hasCode(dictionary: Dictionary, code: u32, text: usize, bytes: u32): bool {
  const entry = entryOf(dictionary, code);
  return entry.bytes == bytes && isSame(entry.text, text, bytes);
}

function isSame(a: usize, b: usize, bytes: u32): bool {
  const end = a + bytes;
  for (; a + 16 <= end; a += 16, b += 16) {
    if (v128.any_true(v128.xor(v128.load(a), v128.load(b)))) return false;
  }
  if (a + 8 <= end) {
    if (load<u64>(a) != load<u64>(b)) return false;
    a += 8;
    b += 8;
  }
  const rest = end - a;
  return rest == 0 || (load<u64>(a) ^ load<u64>(b)) << ((8 - <u64>rest) << 3) == 0;
}

/** Multiplies and folds 8 bytes at a time; reads, but does not use, up to 7 bytes past the text. */
function hashOf(text: usize, bytes: u32): u32 {
  let hash: u64 = 0x9e37_79b9_7f4a_7c15 ^ bytes;
  const end = text + bytes;
  if (bytes >= 32) {
    // Two at a time: each multiplication waits for the one before.
    let other: u64 = 0xc2b2_ae3d_27d4_eb4f;
    for (; text + 16 <= end; text += 16) {
      hash = fold(hash ^ load<u64>(text));
      other = fold(other ^ load<u64>(text, 8));
    }
    hash = fold(hash ^ rotl(other, 32));
  }
  for (; text + 8 <= end; text += 8) hash = fold(hash ^ load<u64>(text));
  const rest = end - text;
  if (rest != 0) hash = fold(hash ^ (load<u64>(text) << ((8 - <u64>rest) << 3)));
  return <u32>(hash ^ (hash >> 32));
}

// @ts-ignore: decorator
@inline
function fold(word: u64): u64 {
  const product = word * 0xff51_afd7_ed55_8ccd;
  return product ^ (product >> 29);
}

/** Writes the values as Arrow buffers at the arena's top. False when there is no room. */
export function materialize(dictionary: Dictionary): bool {
  const offsets = allocate((<usize>dictionary.count + 1) * 4);
  const values = offsets == 0 ? 0 : allocate(<usize>dictionary.textBytes + slack);
  if (values == 0) return false;
  dictionary.offsets = offsets;
  dictionary.values = values;
  store<i32>(offsets, 0);
  let next = values;
  for (let code: u32 = 0; code < dictionary.count; code++) {
    const entry = changetype<Entry>(dictionary.entries + <usize>code * entryBytes);
    next = put(next, entry.text, entry.bytes);
    store<i32>(offsets + (<usize>(code + 1) << 2), next - values);
  }
  return true;
}
