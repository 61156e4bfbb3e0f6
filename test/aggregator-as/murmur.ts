/**
 * MurmurHash3 x64 128 in plain TypeScript, as the algorithm's description has it; a test holds it to
 * ClickHouse's. And the hash of a point's series, which is made of it.
 */
import { kinds } from './points.ts';
import type { ExpectedPoint } from './points.ts';
import type { Attribute } from './reference.ts';

/** The two halves of a hash. */
export type Hash = readonly [bigint, bigint];

const c1 = 0x87c37b91114253d5n;
const c2 = 0x4cf5ad432745937fn;

function u64(value: bigint): bigint {
  return BigInt.asUintN(64, value);
}

function rotate(value: bigint, bits: bigint): bigint {
  return u64(value << bits) | (value >> (64n - bits));
}

function scramble(word: bigint, first: bigint, bits: bigint, second: bigint): bigint {
  return u64(rotate(u64(word * first), bits) * second);
}

function finish(value: bigint): bigint {
  let mixed = u64((value ^ (value >> 33n)) * 0xff51afd7ed558ccdn);
  mixed = u64((mixed ^ (mixed >> 33n)) * 0xc4ceb9fe1a85ec53n);
  return mixed ^ (mixed >> 33n);
}

/** The hash of the bytes, which may go on from another one: that is the seeds then. */
export function murmur(bytes: Uint8Array, [seed1, seed2]: Hash = [0n, 0n]): Hash {
  let [h1, h2] = [seed1, seed2];
  const blocks = Math.floor(bytes.length / 16);
  const padded = Buffer.alloc((blocks + 1) * 16);
  padded.set(bytes);
  for (let block = 0; block < blocks; block++) {
    h1 ^= scramble(padded.readBigUInt64LE(block * 16), c1, 31n, c2);
    h1 = u64(u64(rotate(h1, 27n) + h2) * 5n + 0x52dce729n);
    h2 ^= scramble(padded.readBigUInt64LE(block * 16 + 8), c2, 33n, c1);
    h2 = u64(u64(rotate(h2, 31n) + h1) * 5n + 0x38495ab5n);
  }
  // The padding's zeros scramble to zeros: they change nothing.
  h1 ^= scramble(padded.readBigUInt64LE(blocks * 16), c1, 31n, c2);
  h2 ^= scramble(padded.readBigUInt64LE(blocks * 16 + 8), c2, 33n, c1);
  const length = BigInt(bytes.length);
  h1 = u64((h1 ^ length) + (h2 ^ length));
  h2 = u64((h2 ^ length) + h1);
  [h1, h2] = [finish(h1), finish(h2)];
  return [u64(h1 + h2), u64(h2 + u64(h1 + h2))];
}

/** The hash's 16 bytes, as hexadecimal digits. */
export function hexOf(hash: Hash): string {
  return bytesOf(hash).toString('hex');
}

function bytesOf([h1, h2]: Hash): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeBigUInt64LE(h1);
  bytes.writeBigUInt64LE(h2, 8);
  return bytes;
}

function attributesHash(attributes: readonly Attribute[]): Hash {
  let [high, low] = [0n, 0n];
  for (const { key, value, kind } of attributes) {
    const [h1, h2] = murmur(Buffer.from(key));
    const [v1, v2] = murmur(Buffer.from(value), [h1, h2 ^ BigInt(kind)]);
    high = u64(high + v1);
    low = u64(low + v2);
  }
  return [high, low];
}

/** Hexadecimal digits of the hash of the point's series, whatever the order of its attributes. */
export function seriesHash({ resource, scope, metric, attributes }: ExpectedPoint): string {
  const numbers = Buffer.alloc(12);
  numbers.writeUInt32LE(kinds.indexOf(metric.kind));
  numbers.writeInt32LE(metric.temporality, 4);
  numbers.writeUInt32LE(metric.isMonotonic ? 1 : 0, 8);
  const scopeHash = [scope.name, scope.version].reduce(
    (hash: Hash, text) => murmur(Buffer.from(text), hash),
    attributesHash(scope.attributes),
  );
  const texts = [Buffer.from(metric.name), Buffer.from(metric.unit), numbers];
  const metricHash = texts.reduce((hash: Hash, bytes) => murmur(bytes, hash), [0n, 0n]);
  const parts = [
    attributesHash(resource.attributes),
    scopeHash,
    metricHash,
    attributesHash(attributes),
  ];
  return hexOf(murmur(Buffer.concat(parts.map(bytesOf))));
}
