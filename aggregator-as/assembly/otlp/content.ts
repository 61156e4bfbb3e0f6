/**
 * Hashes of what was sent, by which the batch tells repeated log records. An owner's hash is that of
 * the hashes of its message and of its schema URL; an item's is that of its resource's hash, its
 * scope's, and its own message's.
 */
import { first, mix, second, startHash } from '../memory/murmur';
import { Resource, Scope } from './record';

/** Hashes to be hashed, 16 bytes each. */
const parts = memory.data(48, 8);

/** Hashes `bytes` from `p` into `first` and `second`. */
function hash(p: usize, bytes: usize): void {
  startHash();
  mix(p, bytes);
}

function putPart(at: usize, high: u64, low: u64): void {
  store<u64>(parts + at, high);
  store<u64>(parts + at, low, 8);
}

function hashOwner(p: usize, bytes: usize, url: usize, urlBytes: usize): void {
  hash(p, bytes);
  putPart(0, first, second);
  hash(url, urlBytes);
  putPart(16, first, second);
  hash(parts, 32);
}

/** Notes the hash of a resource as it was sent. */
export function hashSentResource(
  resource: Resource,
  p: usize,
  bytes: usize,
  url: usize,
  urlBytes: usize,
): void {
  hashOwner(p, bytes, url, urlBytes);
  resource.hashHigh = first;
  resource.hashLow = second;
}

/** Notes the hash of a scope as it was sent. */
export function hashSentScope(
  scope: Scope,
  p: usize,
  bytes: usize,
  url: usize,
  urlBytes: usize,
): void {
  hashOwner(p, bytes, url, urlBytes);
  scope.hashHigh = first;
  scope.hashLow = second;
}

/** Hashes an item's message, and its owners, into `first` and `second` of `memory/murmur.ts`. */
export function hashSentItem(p: usize, bytes: usize, resource: Resource, scope: Scope): void {
  hash(p, bytes);
  putPart(0, resource.hashHigh, resource.hashLow);
  putPart(16, scope.hashHigh, scope.hashLow);
  putPart(32, first, second);
  hash(parts, 48);
}
