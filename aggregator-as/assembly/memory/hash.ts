/**
 * Keyed hashes of up to eight 32-bit words (multilinear, after Lemire and Kaser, "Strongly
 * universal string hashing is fast", 2014). With a secret seed nobody can choose trace ids that
 * collide; no result ever depends on the seed.
 */

const keyCount: i32 = 9;
const keys = memory.data(keyCount * 8, 8);

/** Draws the keys from `seed` by splitmix64. */
export function seedHash(seed: u64): void {
  for (let i = 0; i < keyCount; i++) {
    seed += 0x9e37_79b9_7f4a_7c15;
    let z = (seed ^ (seed >> 30)) * 0xbf58_476d_1ce4_e5b9;
    z = (z ^ (z >> 27)) * 0x94d0_49bb_1331_11eb;
    store<u64>(keys + (i << 3), z ^ (z >> 31));
  }
}

/** Hash of four words. */
export function hash4(a: u32, b: u32, c: u32, d: u32): u32 {
  return finish(load<u64>(keys) + word(1, a) + word(2, b) + word(3, c) + word(4, d));
}

/** Hash of the 16 bytes at `at` and one word. */
export function hash16(at: usize, extra: u32): u32 {
  return finish(load<u64>(keys) + words16(at) + word(5, extra));
}

/** Hash of the 24 bytes at `at` and two words. */
export function hash24(at: usize, extra: u32, extra2: u32): u32 {
  const tail = word(5, load<u32>(at, 16)) + word(6, load<u32>(at, 20));
  return finish(load<u64>(keys) + words16(at) + tail + word(7, extra) + word(8, extra2));
}

function words16(at: usize): u64 {
  const head = word(1, load<u32>(at)) + word(2, load<u32>(at, 4));
  return head + word(3, load<u32>(at, 8)) + word(4, load<u32>(at, 12));
}

function word(index: i32, value: u32): u64 {
  return load<u64>(keys + (index << 3)) * <u64>value;
}

/** Mixes the sum, whose good bits are the upper ones, and takes those. */
function finish(sum: u64): u32 {
  return <u32>(((sum ^ (sum >> 32)) * 0xd6e8_feb8_6659_fd93) >> 32);
}
