/** The hashes of log records, in plain TypeScript over big integers. */

const mask = (1n << 64n) - 1n;
const c1 = 0x87c37b91114253d5n;
const c2 = 0x4cf5ad432745937fn;

function rotate(value: bigint, bits: bigint): bigint {
  return ((value << bits) | (value >> (64n - bits))) & mask;
}

function finish(value: bigint): bigint {
  let k = value;
  k = ((k ^ (k >> 33n)) * 0xff51afd7ed558ccdn) & mask;
  k = ((k ^ (k >> 33n)) * 0xc4ceb9fe1a85ec53n) & mask;
  return k ^ (k >> 33n);
}

/** MurmurHash3 x64 128 with seed 0: 16 bytes. */
export function murmur(input: Uint8Array): Buffer {
  const blocks = Math.floor(input.length / 16);
  const padded = Buffer.alloc((blocks + 1) * 16);
  padded.set(input);
  let [h1, h2] = [0n, 0n];
  const first = (at: number) => (rotate((padded.readBigUInt64LE(at) * c1) & mask, 31n) * c2) & mask;
  const last = (at: number) =>
    (rotate((padded.readBigUInt64LE(at + 8) * c2) & mask, 33n) * c1) & mask;
  for (let at = 0; at < blocks * 16; at += 16) {
    h1 = ((rotate(h1 ^ first(at), 27n) + h2) * 5n + 0x52dce729n) & mask;
    h2 = ((rotate(h2 ^ last(at), 31n) + h1) * 5n + 0x38495ab5n) & mask;
  }
  const length = BigInt(input.length);
  h1 = h1 ^ first(blocks * 16) ^ length;
  h2 = h2 ^ last(blocks * 16) ^ length;
  h1 = (h1 + h2) & mask;
  h2 = (h2 + h1) & mask;
  [h1, h2] = [finish(h1), finish(h2)];
  h1 = (h1 + h2) & mask;
  h2 = (h2 + h1) & mask;
  const hash = Buffer.alloc(16);
  hash.writeBigUInt64LE(h1);
  hash.writeBigUInt64LE(h2, 8);
  return hash;
}

/** FNV-1a of 64 bits, as 8 bytes big-endian. */
export function fnv(input: Uint8Array): Buffer {
  let hash = 0xcbf29ce484222325n;
  for (const byte of input) hash = ((hash ^ BigInt(byte)) * 0x100000001b3n) & mask;
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(hash);
  return bytes;
}
