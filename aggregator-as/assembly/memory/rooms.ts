/**
 * Rooms of memory that are given back and taken again. There are four sizes an octave, so a room is
 * at most a quarter larger than what was asked for; each size has its own list of free ones.
 */
import { allocate } from './memory';

/** First free room of each size; a free room begins with the address of the next. */
const frees = memory.data(512, 8);
const bytesMin: u32 = 64;
/** Larger rooms are never given. */
const bytesMax: u32 = 0x7000_0000;

/** Forgets all rooms. The arena must have been cleared too. */
export function clearRooms(): void {
  memory.fill(frees, 0, 512);
}

/** Address of a room of at least `bytes`, not cleared, aligned to 8. 0 when there is none. */
export function takeRoom(bytes: usize): usize {
  if (bytes > bytesMax) return 0;
  const size = sizeOf(<u32>bytes);
  const list = frees + (<usize>size << 2);
  const free: usize = load<u32>(list);
  if (free == 0) return allocate(bytesOf(size));
  store<u32>(list, load<u32>(free));
  return free;
}

/** Gives back a room that was taken for so many bytes. */
export function giveRoom(at: usize, bytes: usize): void {
  const list = frees + (<usize>sizeOf(<u32>bytes) << 2);
  store<u32>(at, load<u32>(list));
  store<u32>(list, <u32>at);
}

/** Number of the least size that holds `bytes`: octave and quarter. */
function sizeOf(bytes: u32): u32 {
  const last = max(bytes, bytesMin) - 1;
  const octave: u32 = 31 - clz(last);
  return (octave << 2) | ((last >> (octave - 2)) & 3);
}

function bytesOf(size: u32): usize {
  const octave = size >> 2;
  return (<usize>1 << octave) + (<usize>((size & 3) + 1) << (octave - 2));
}
