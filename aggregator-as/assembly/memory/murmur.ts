/**
 * MurmurHash3's 128-bit hash for 64-bit machines (Austin Appleby, public domain), which ClickHouse has
 * as `murmurHash3_128`. It can go on from the hash of what came before: so a list of texts is hashed
 * without being joined. Every run and every machine gives the same hash.
 */

/** The hash so far: its first and second 8 bytes, each little-endian. */
export let first: u64 = 0;
export let second: u64 = 0;

const c1: u64 = 0x87c3_7b91_1142_53d5;
const c2: u64 = 0x4cf5_ad43_2745_937f;

/** Begins with the hash of nothing before, or with one that is known. */
// @ts-ignore: decorator
@inline
export function startHash(high: u64 = 0, low: u64 = 0): void {
  first = high;
  second = low;
}

/** Goes on with the bytes from `p`; reads, but does not use, up to 15 bytes past them. */
export function mix(p: usize, bytes: usize): void {
  let h1 = first;
  let h2 = second;
  const end = p + bytes;
  for (; p + 16 <= end; p += 16) {
    h1 = (rotl(h1 ^ scramble1(load<u64>(p)), 27) + h2) * 5 + 0x52dc_e729;
    h2 = (rotl(h2 ^ scramble2(load<u64>(p, 8)), 31) + h1) * 5 + 0x3849_5ab5;
  }
  const rest = <u64>(end - p);
  if (rest > 8) {
    h2 ^= scramble2(lowest(load<u64>(p, 8), rest - 8));
    h1 ^= scramble1(load<u64>(p));
  } else if (rest != 0) {
    h1 ^= scramble1(lowest(load<u64>(p), rest));
  }
  h1 ^= bytes;
  h2 ^= bytes;
  h1 += h2;
  h2 += h1;
  h1 = finish(h1);
  h2 = finish(h2);
  first = h1 + h2;
  second = h2 + h1 + h2;
}

// @ts-ignore: decorator
@inline
function scramble1(k: u64): u64 {
  return rotl(k * c1, 31) * c2;
}

// @ts-ignore: decorator
@inline
function scramble2(k: u64): u64 {
  return rotl(k * c2, 33) * c1;
}

/** The word's first `bytes`, 1 to 8. */
// @ts-ignore: decorator
@inline
function lowest(word: u64, bytes: u64): u64 {
  return word & (<u64>-1 >> ((8 - bytes) << 3));
}

// @ts-ignore: decorator
@inline
function finish(k: u64): u64 {
  k = (k ^ (k >> 33)) * 0xff51_afd7_ed55_8ccd;
  k = (k ^ (k >> 33)) * 0xc4ce_b9fe_1a85_ec53;
  return k ^ (k >> 33);
}
