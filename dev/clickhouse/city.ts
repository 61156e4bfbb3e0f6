/**
 * CityHash128 as of CityHash 1.0.2, by Geoff Pike and Jyrki Alakuijala: the checksum of ClickHouse's
 * compressed frames, which kept this version when later ones changed their results. For one frame at
 * a time, not for bulk: it counts in bigints.
 */

const k0 = 0xc3a5c85c97cb3127n;
const k1 = 0xb492b66fbe98f273n;
const k2 = 0x9ae16a3b2f90404fn;
const k3 = 0xc949d7c7509e6557n;
const folding = 0x9ddfea08eb382d69n;

type Pair = readonly [low: bigint, high: bigint];

/** Low and high half of the hash. */
export function cityHash128(bytes: Buffer): Pair {
  const { length } = bytes;
  if (length >= 16) return seeded(bytes.subarray(16), [word(bytes, 0) ^ k3, word(bytes, 8)]);
  if (length < 8) return seeded(bytes, [k0, k1]);
  const low = word(bytes, 0) ^ cut(BigInt(length) * k0);
  return seeded(bytes.subarray(length), [low, word(bytes, length - 8) ^ k1]);
}

function seeded(bytes: Buffer, [low, high]: Pair): Pair {
  if (bytes.length < 128) return murmur(bytes, low, high);
  let [x, y, z] = [low, high, cut(BigInt(bytes.length) * k1)];
  const v0 = cut(turn(y ^ k1, 49) * k1 + word(bytes, 0));
  let v: Pair = [v0, cut(turn(v0, 42) * k1 + word(bytes, 8))];
  let w: Pair = [cut(turn(cut(y + z), 35) * k1 + x), cut(turn(cut(x + word(bytes, 88)), 53) * k1)];
  let at = 0;
  for (; bytes.length - at >= 128; at += 128) {
    for (const start of [at, at + 64]) {
      x = cut(turn(cut(x + y + v[0] + word(bytes, start + 16)), 37) * k1) ^ w[1];
      y = cut(turn(cut(y + v[1] + word(bytes, start + 48)), 42) * k1) ^ v[0];
      z = turn(z ^ w[0], 33);
      v = weak(bytes, start, cut(v[1] * k1), cut(x + w[0]));
      w = weak(bytes, start + 32, cut(z + w[1]), y);
      [x, z] = [z, x];
    }
  }
  y = cut(y + turn(w[0], 37) * k0 + z);
  x = cut(x + turn(cut(v[0] + z), 49) * k0);
  // What is left, and some of what came before it, in pieces of 32 bytes from the end.
  for (let done = 32; done < bytes.length - at + 32; done += 32) {
    const start = bytes.length - done;
    y = cut(turn(cut(y - x), 42) * k0 + v[1]);
    w = [cut(w[0] + word(bytes, start + 16)), w[1]];
    x = cut(turn(x, 49) * k0 + w[0]);
    w = [cut(w[0] + v[0]), w[1]];
    v = weak(bytes, start, v[0], v[1]);
  }
  x = fold(x, v[0]);
  y = fold(y, w[0]);
  return [cut(fold(cut(x + v[1]), w[1]) + y), fold(cut(x + w[1]), cut(y + v[1]))];
}

/** Fewer than 128 bytes. */
function murmur(bytes: Buffer, low: bigint, high: bigint): Pair {
  const { length } = bytes;
  let [a, b] = [low, high];
  let c: bigint;
  let d: bigint;
  if (length <= 16) {
    a = cut(mix(cut(a * k1)) * k1);
    c = cut(b * k1 + short(bytes));
    d = mix(cut(a + (length >= 8 ? word(bytes, 0) : c)));
  } else {
    c = fold(cut(word(bytes, length - 8) + k1), a);
    d = fold(cut(b + BigInt(length)), cut(c + word(bytes, length - 16)));
    a = cut(a + d);
    for (let at = 0; at < length - 16; at += 16) {
      a = cut((a ^ cut(mix(cut(word(bytes, at) * k1)) * k1)) * k1);
      b ^= a;
      c = cut((c ^ cut(mix(cut(word(bytes, at + 8) * k1)) * k1)) * k1);
      d ^= c;
    }
  }
  a = fold(a, c);
  b = fold(d, b);
  return [a ^ b, fold(b, a)];
}

/** 64 bits of at most 16 bytes. */
function short(bytes: Buffer): bigint {
  const { length } = bytes;
  const count = BigInt(length);
  if (length > 8) {
    const last = word(bytes, length - 8);
    return fold(word(bytes, 0), turn(cut(last + count), length)) ^ last;
  }
  if (length >= 4) {
    const [first, last] = [bytes.readUInt32LE(0), bytes.readUInt32LE(length - 4)];
    return fold(count + (BigInt(first) << 3n), BigInt(last));
  }
  if (length === 0) return k2;
  const [first, middle, last] = [bytes[0] ?? 0, bytes[length >> 1] ?? 0, bytes[length - 1] ?? 0];
  const y = BigInt(first + middle * 256);
  return cut(mix(cut(y * k2) ^ cut((count + BigInt(last) * 4n) * k3)) * k2);
}

/** Two halves of a hash that is cheap, of 32 bytes and what came before. */
function weak(bytes: Buffer, at: number, first: bigint, second: bigint): Pair {
  const before = cut(first + word(bytes, at));
  const last = word(bytes, at + 24);
  const a = cut(before + word(bytes, at + 8) + word(bytes, at + 16));
  const b = cut(turn(cut(second + before + last), 21) + turn(a, 44));
  return [cut(a + last), cut(b + before)];
}

function fold(u: bigint, v: bigint): bigint {
  const a = cut((u ^ v) * folding);
  const b = cut((v ^ a ^ (a >> 47n)) * folding);
  return cut((b ^ (b >> 47n)) * folding);
}

function mix(value: bigint): bigint {
  return value ^ (value >> 47n);
}

/** Turned to the right. */
function turn(value: bigint, bits: number): bigint {
  const shift = BigInt(bits);
  return (value >> shift) | cut(value << (64n - shift));
}

function word(bytes: Buffer, at: number): bigint {
  return bytes.readBigUInt64LE(at);
}

function cut(value: bigint): bigint {
  return BigInt.asUintN(64, value);
}
