/**
 * The batch kernel of logs: columns of log records in, and per (tenant, service, bucket) the counts, bytes
 * and distinct bodies of the distinct records out. A bucket is what the host numbers: severity and hour.
 */
import { gatherBodies } from './logs/bodies';
import { dropDuplicates } from './logs/dedup';
import * as groups from './logs/group';
import { seedHash } from './memory/hash';
import { allocate, arenaBase, bound, setTop, slack } from './memory/memory';
import { first, mix, second, startHash } from './memory/murmur';
import * as shard from './memory/shard';
import { placeSlots } from './memory/slots';
import { tallyRows } from './logs/tally';

/** Rows that the stage holds, and bytes of all its columns for each: see `ingest`. */
const stageRows: usize = 4096;
const stageRowBytes: usize = 60;
let stage: usize = 0;

/** Where the host puts the bodies' bytes, and how many fit. */
let bodies: usize = 0;
let bodiesBytes: usize = 0;

const done: i32 = 0;
const noRoom: i32 = 1;

/**
 * Forgets everything. `pagesMax` bounds the memory, in pages of 64 KiB, at most 65536; `seed` keys
 * the hashes. Returns the address of the stage, or 0 when the bound leaves no room to begin.
 */
export function reset(pagesMax: u32, seed: u64): usize {
  bound(pagesMax);
  setTop(arenaBase());
  shard.clearRows((<u64>pagesMax) << 16, shard.logRowBytes);
  seedHash(seed);
  bodies = 0;
  bodiesBytes = 0;
  stage = allocate(stageRows * stageRowBytes + 8);
  return stage != 0 && groups.clearGroups() ? stage : 0;
}

/** Address of room for `bytes` of bodies, the same one as long as it is enough. 0 without room. */
export function roomForBodies(bytes: usize): usize {
  if (bytes > bodiesBytes) {
    const wanted = max(bytes, 2 * bodiesBytes) + slack;
    if (!shard.fits(wanted)) return 0;
    bodies = allocate(wanted);
    if (bodies == 0) return 0;
    bodiesBytes = wanted - slack;
  }
  return bodies;
}

/**
 * Appends the `count` rows on the stage, whose columns are `stageRows` long, one after the other:
 * content hashes, ingested times, offsets; occurrences, tenants, services, buckets, partitions, item
 * indexes; the ends of the bodies, counted from where the first begins. Returns 1 when there is no
 * room; then only `reset` may follow.
 */
export function ingest(count: u32): i32 {
  let body = bodies;
  for (let i: usize = 0; i < <usize>count; i++) {
    const row = shard.nextRow();
    if (row == 0) return noRoom;
    const words = stage + stageRows * 32 + (i << 2);
    const group = groups.findGroup(
      load<u32>(words, stageRows * 4),
      load<u32>(words, stageRows * 8),
      load<u32>(words, stageRows * 12),
    );
    if (group == 0) return noRoom;
    store<u32>(group, load<u32>(group, groups.rawCountAt) + 1, groups.rawCountAt);
    fillRow(row, group, i);
    const end = bodies + <usize>load<u32>(words, stageRows * 24);
    fillBody(row, body, end - body);
    body = end;
    shard.keepRow();
  }
  return done;
}

function fillRow(row: usize, group: usize, index: usize): void {
  store<u64>(row, load<u64>(stage + (index << 4)), shard.traceIdAt);
  store<u64>(row, load<u64>(stage + (index << 4), 8), shard.traceIdAt + 8);
  const longs = stage + (index << 3);
  store<u64>(row, load<u64>(longs, stageRows * 16), shard.ingestedAt);
  store<u64>(row, load<u64>(longs, stageRows * 24), shard.offsetAt);
  const words = stage + stageRows * 32 + (index << 2);
  store<u64>(row, <u64>load<u32>(words), shard.spanIdAt);
  store<u32>(row, load<u32>(words, stageRows * 16), shard.partitionAt);
  store<u32>(row, load<u32>(words, stageRows * 20), shard.itemIndexAt);
  store<u32>(row, <u32>group, shard.groupAt);
  store<u32>(row, 0, shard.kindAt);
}

function fillBody(row: usize, body: usize, bytes: usize): void {
  startHash();
  mix(body, bytes);
  store<u64>(row, <u64>bytes, shard.durationAt);
  store<u64>(row, first, shard.bodyHashAt);
  store<u64>(row, second, shard.bodyHashAt + 8);
}

/** Dedups and counts. Returns 1 when the engine refuses the memory. Results are as of `aggregate.ts`. */
export function finish(_: bool): i32 {
  const at = allocate(<usize>shard.rowCount * shard.finishRowBytes + 64);
  if (at == 0) return noRoom;
  placeSlots(at);
  dropDuplicates(false);
  tallyRows();
  gatherBodies(at);
  return done;
}

export function groupCount(): u32 {
  return groups.groupCount;
}

export function firstGroup(): usize {
  return groups.firstGroup;
}
