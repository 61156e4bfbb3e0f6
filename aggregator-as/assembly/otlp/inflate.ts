/**
 * Inflates a DEFLATE stream (RFC 1951) that lies in memory whole, in one go. It judges nothing: it gives
 * up on all that is wrong or unusual, and whoever called it asks a slower decoder what that is. The loop
 * reads many bits at once and never looks at them singly, after Biggers' libdeflate.
 */
import {
  distanceBits,
  distanceOther,
  distances,
  distancesMax,
  endsBlock,
  follow,
  goesOn,
  lengths,
  letterBits,
  letterOther,
  letters,
  lettersMax,
  literal,
  makeDistances,
  makeLetters,
  makeSmall,
  small,
  smallBits,
} from './huffman';

/** Past the input's end may be read, and past the output's written, so many bytes. */
export const inflateSlack: usize = 320;

/** Bits read ahead, how many they are (in the low six bits), and where the next ones are. */
let bits: u64 = 0;
let held: u32 = 0;
let next: usize = 0;
let end: usize = 0;

/** Where the output begins, goes on, and has to end. */
let start: usize = 0;
let out: usize = 0;
let limit: usize = 0;

/**
 * Inflates what is from `from` to `inputEnd` to `to`, at most up to `outputEnd`. Returns the output's end,
 * or 0 when it gives up; `inflatedFrom` then says where the stream ended.
 */
export function inflate(from: usize, inputEnd: usize, to: usize, outputEnd: usize): usize {
  bits = 0;
  held = 0;
  next = from;
  end = inputEnd;
  start = out = to;
  limit = outputEnd;
  for (let isLast = false; !isLast; ) {
    refill();
    isLast = take(1) != 0;
    const kind = take(2);
    if (kind == 0 ? !copyStored() : !inflateBlock(kind)) return 0;
    if (consumed() > end) return 0;
  }
  return out;
}

/** Where the input goes on behind the stream. */
export function consumed(): usize {
  return next - ((held >> 3) & 7);
}

// @ts-ignore: decorator
@inline
function refill(): void {
  bits |= load<u64>(next) << <u64>held;
  next += 7 - ((held >> 3) & 7);
  held |= 56;
}

// @ts-ignore: decorator
@inline
function take(count: u32): u32 {
  const value = <u32>bits & ((1 << count) - 1);
  bits >>= <u64>count;
  held -= count;
  return value;
}

/** RFC 1951, section 3.2.4. */
function copyStored(): bool {
  const at = consumed();
  if (at + 4 > end) return false;
  const bytes = <usize>load<u16>(at);
  if (bytes != (<usize>load<u16>(at, 2) ^ 0xffff)) return false;
  if (bytes > end - at - 4 || out + bytes > limit) return false;
  memory.copy(out, at + 4, bytes);
  out += bytes;
  next = at + 4 + bytes;
  bits = 0;
  held = 0;
  return true;
}

function inflateBlock(kind: u32): bool {
  if (kind == 1 ? !setFixed() : kind != 2 || !readLengths()) return false;
  return readLetters();
}

/** RFC 1951, section 3.2.6: two letters and two distances have codes and no meaning. */
function setFixed(): bool {
  memory.fill(lengths, 8, 144);
  memory.fill(lengths + 144, 9, 112);
  memory.fill(lengths + 256, 7, 24);
  memory.fill(lengths + 280, 8, 8);
  memory.fill(lengths + 288, 5, 32);
  return makeLetters(288) && makeDistances(lengths + 288, 32);
}

const order = memory.data<u8>([16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]);
const smallLengths = memory.data(24, 8);

/** RFC 1951, section 3.2.7. */
function readLengths(): bool {
  refill();
  const letterCount: u32 = 257 + take(5);
  const distanceCount: u32 = 1 + take(5);
  const smallCount: u32 = 4 + take(4);
  if (letterCount > lettersMax || distanceCount > distancesMax) return false;
  memory.fill(smallLengths, 0, 24);
  for (let i: u32 = 0; i < smallCount; i++) {
    refill();
    store<u8>(smallLengths + load<u8>(order + i), <u8>take(3));
  }
  if (!makeSmall(smallLengths, 19)) return false;
  const count = letterCount + distanceCount;
  for (let i: u32 = 0; i < count; ) {
    if (next > end + 16) return false;
    refill();
    const entry = load<u32>(small + (<usize>(<u32>bits & ((1 << smallBits) - 1)) << 2));
    take(entry & 15);
    const symbol = entry >> 16;
    if (symbol < 16) {
      store<u8>(lengths + i, <u8>symbol);
      i++;
      continue;
    }
    if (symbol == 16 && i == 0) return false;
    const value = symbol == 16 ? load<u8>(lengths + i - 1) : 0;
    const times: u32 = symbol == 16 ? 3 + take(2) : symbol == 17 ? 3 + take(3) : 11 + take(7);
    if (times > count - i) return false;
    memory.fill(lengths + i, value, times);
    i += times;
  }
  return makeDistances(lengths + letterCount, distanceCount) && makeLetters(letterCount);
}

/** Reads letters and distances up to the end of the block. False when it gives up. */
function readLetters(): bool {
  let buffer = bits;
  let have = held;
  let at = next;
  let to = out;
  let isWhole = false;
  while (to <= limit && at <= end + 8) {
    buffer |= load<u64>(at) << <u64>have;
    at += 7 - ((have >> 3) & 7);
    have |= 56;
    let entry = letterAt(buffer);
    // Two literals take 22 bits at most. Shifts take their count modulo 64: the entry's low bits.
    if ((entry & literal) != 0) {
      store<u8>(to++, <u8>(entry >> 16));
      buffer >>= <u64>entry;
      have -= entry;
      entry = letterAt(buffer);
      if ((entry & literal) != 0) {
        store<u8>(to++, <u8>(entry >> 16));
        buffer >>= <u64>entry;
        have -= entry;
        entry = letterAt(buffer);
      }
      buffer |= load<u64>(at) << <u64>have;
      at += 7 - ((have >> 3) & 7);
      have |= 56;
    }
    // What follows takes 48 bits at most.
    if (goesOn(entry)) {
      buffer >>= <u64>entry;
      have -= entry;
      entry = follow(letters, entry, buffer);
    }
    if ((entry & literal) != 0) {
      store<u8>(to++, <u8>(entry >> 16));
      buffer >>= <u64>entry;
      have -= entry;
      continue;
    }
    if ((entry & letterOther) != 0) {
      buffer >>= <u64>entry;
      have -= entry;
      isWhole = endsBlock(entry);
      break;
    }
    const length = valueOf(entry, buffer);
    buffer >>= <u64>entry;
    have -= entry;
    entry = load<u32>(distances + (<usize>(<u32>buffer & ((1 << distanceBits) - 1)) << 2));
    if ((entry & distanceOther) != 0) {
      if (!goesOn(entry)) break;
      buffer >>= <u64>entry;
      have -= entry;
      entry = follow(distances, entry, buffer);
      if ((entry & distanceOther) != 0) break;
    }
    const distance = valueOf(entry, buffer);
    buffer >>= <u64>entry;
    have -= entry;
    // A distance of 0 is one that has no code.
    if (distance - 1 >= <u32>(to - start)) break;
    copy(to, distance, length);
    to += length;
  }
  bits = buffer;
  held = have & 63;
  next = at;
  out = to;
  return isWhole && to <= limit;
}

// @ts-ignore: decorator
@inline
function letterAt(buffer: u64): u32 {
  return load<u32>(letters + (<usize>(<u32>buffer & ((1 << letterBits) - 1)) << 2));
}

/** A length or distance: its least value, and the extra bits behind its code. */
// @ts-ignore: decorator
@inline
function valueOf(entry: u32, buffer: u64): u32 {
  const extra = (<u32>buffer & ((1 << (entry & 31)) - 1)) >> ((entry >> 8) & 15);
  return ((entry >> 16) & 0x7fff) + extra;
}

/** Writes what stands `distance` before, again, and up to 15 bytes too many. */
// @ts-ignore: decorator
@inline
function copy(to: usize, distance: usize, length: usize): void {
  const last = to + length;
  let from = to - distance;
  if (distance >= 16) {
    do {
      v128.store(to, v128.load(from));
      to += 16;
      from += 16;
    } while (to < last);
  } else if (distance == 1) {
    const byte = i8x16.splat(load<i8>(from));
    for (; to < last; to += 16) v128.store(to, byte);
  } else if (distance >= 8) {
    for (; to < last; to += 8, from += 8) store<u64>(to, load<u64>(from));
  } else {
    for (; to < last; to++, from++) store<u8>(to, load<u8>(from));
  }
}
