/**
 * The names that spans are grouped by: each distinct text of a column gets a number that holds for the
 * whole shard. A dictionary page is looked up once for a row group, no text for a row.
 */
import { put } from '../memory/bytes';
import { codeOf, Dictionary, entryOf, makeRoom } from '../memory/dictionary';
import { allocate, slack } from '../memory/memory';
import { giveRoom, takeRoom } from '../memory/rooms';

/** Numbers of the columns of names. */
export const tenants: u32 = 0;
export const services: u32 = 1;
export const operations: u32 = 2;
export const kinds: u32 = 3;
export const statuses: u32 = 4;
/** Those that a row's group and error depend on. */
export const groupColumns: u32 = 5;
/** What spans call their peers: numbered with the services, as both are nodes of the service graph. */
export const peers: u32 = 5;
export const peerKinds: u32 = 6;
export const nameColumns: u32 = 7;

const dictionaries = memory.data(224, 8);
/** Of each column: numbers of the current row group's dictionary entries, and how many there are. */
const numbers = memory.data(28, 8);
const rooms = memory.data(28, 8);
const counts = memory.data(28, 8);

/** Forgets all names. */
export function clearNames(): void {
  memory.fill(dictionaries, 0, 224);
  memory.fill(numbers, 0, 28);
  memory.fill(rooms, 0, 28);
  memory.fill(counts, 0, 28);
}

function dictionaryOf(column: u32): Dictionary {
  const own = column == peers ? services : column;
  return changetype<Dictionary>(dictionaries + (<usize>own << 5));
}

/** How many names the column has. */
export function nameCount(column: u32): u32 {
  return dictionaryOf(column).count;
}

export function nameAt(column: u32, name: u32): usize {
  return entryOf(dictionaryOf(column), name).text;
}

export function nameBytes(column: u32, name: u32): u32 {
  return entryOf(dictionaryOf(column), name).bytes;
}

/** By their bytes, as numbers depend on what was read first. */
export function compareNames(column: u32, a: u32, b: u32): i32 {
  if (a == b) return 0;
  const bytesA = nameBytes(column, a);
  const bytesB = nameBytes(column, b);
  const order = memory.compare(nameAt(column, a), nameAt(column, b), min(bytesA, bytesB));
  return order != 0 ? order : <i32>bytesA - <i32>bytesB;
}

/** Entries of the current row group's dictionary. */
export function entryCount(column: u32): u32 {
  return load<u32>(counts + (<usize>column << 2));
}

/** The shard's number of an entry of the current row group's dictionary. */
// @ts-ignore: decorator
@inline
export function nameOf(column: u32, entry: u32): u32 {
  return load<u32>(load<u32>(numbers + (<usize>column << 2)) + (<usize>entry << 2));
}

export const namesDone: i32 = 0;
export const namesFull: i32 = 1;
export const namesCorrupt: i32 = 2;

/**
 * Takes the dictionary of the next row group: `count` texts at `at`, each after its length in 4 bytes,
 * ending at `end`; past it 16 bytes must be readable.
 */
export function readNames(column: u32, at: usize, end: usize, count: u32): i32 {
  const dictionary = dictionaryOf(column);
  if (!makeNumbers(column, count) || !makeRoom(dictionary, count)) return namesFull;
  const to: usize = load<u32>(numbers + (<usize>column << 2));
  for (let entry: u32 = 0; entry < count; entry++) {
    if (end - at < 4) return namesCorrupt;
    const bytes = load<u32>(at);
    at += 4;
    if (<usize>bytes > end - at) return namesCorrupt;
    const known = dictionary.count;
    const name = codeOf(dictionary, at, bytes);
    if (dictionary.count > known && !keepName(dictionary, name)) return namesFull;
    store<u32>(to + (<usize>entry << 2), name);
    at += bytes;
  }
  store<u32>(counts + (<usize>column << 2), count);
  return namesDone;
}

/** Gives a new name memory of its own. */
function keepName(dictionary: Dictionary, name: u32): bool {
  const entry = entryOf(dictionary, name);
  const own = allocate(<usize>entry.bytes + slack);
  if (own == 0) return false;
  put(own, entry.text, entry.bytes);
  entry.text = <u32>own;
  return true;
}

function makeNumbers(column: u32, count: u32): bool {
  const place = <usize>column << 2;
  const room = load<u32>(rooms + place);
  if (count <= room && room > 0) return true;
  const wanted = max(count, 2 * room) + 64;
  const made = takeRoom(<usize>wanted << 2);
  if (made == 0) return false;
  if (room > 0) giveRoom(load<u32>(numbers + place), <usize>room << 2);
  store<u32>(numbers + place, <u32>made);
  store<u32>(rooms + place, wanted);
  return true;
}
