/**
 * The batch kernel: columns of spans in, and per (tenant, service, operation, kind) the counts and sorted
 * durations of the distinct spans out. Its host is `kernel.ts`. Codes in, codes out; no strings.
 */
import { dropDuplicates } from './dedup';
import { countTraces } from './distinct';
import { gatherDurations } from './gather';
import * as groups from './group';
import { seedHash } from './hash';
import { allocate, arenaBase, bound, setTop } from './memory';
import * as shard from './shard';
import { placeSlots } from './slots';
import { tallyRows } from './tally';

/** Rows that the stage holds, and bytes of all its columns for each: see `ingest`. */
const stageRows: usize = 8192;
const stageRowBytes: usize = 70;
let stage: usize = 0;

const done: i32 = 0;
const noRoom: i32 = 1;

/**
 * Forgets everything. `pagesMax` bounds the memory, in pages of 64 KiB, at most 65536; `seed` keys
 * the hashes. Returns the address of the stage, or 0 when the bound leaves no room to begin.
 */
export function reset(pagesMax: u32, seed: u64): usize {
  bound(pagesMax);
  setTop(arenaBase());
  shard.clearRows((<u64>pagesMax) << 16, shard.spanRowBytes);
  seedHash(seed);
  stage = allocate(stageRows * stageRowBytes);
  return stage != 0 && groups.clearGroups() ? stage : 0;
}

/**
 * Appends the `count` rows on the stage, whose columns are `stageRows` long, one after the other:
 * trace ids, span ids, durations, ingested times, offsets; tenants, services, operations,
 * partitions, item indexes; kinds, errors. Returns 1 when there is no room; then only `reset` may
 * follow.
 */
export function ingest(count: u32): i32 {
  for (let i: usize = 0; i < <usize>count; i++) {
    const row = shard.nextRow();
    if (row == 0) return noRoom;
    const words = stage + stageRows * 48 + (i << 2);
    const group = groups.findGroup(
      load<u32>(words),
      load<u32>(words, stageRows * 4),
      load<u32>(words, stageRows * 8),
      load<u8>(stage + i, stageRows * 68),
    );
    if (group == 0) return noRoom;
    store<u32>(group, load<u32>(group, groups.rawCountAt) + 1, groups.rawCountAt);
    fillRow(row, group, i);
    shard.keepRow();
  }
  return done;
}

function fillRow(row: usize, group: usize, index: usize): void {
  store<u64>(row, load<u64>(stage + (index << 4)), shard.traceIdAt);
  store<u64>(row, load<u64>(stage + (index << 4), 8), shard.traceIdAt + 8);
  const longs = stage + (index << 3);
  store<u64>(row, load<u64>(longs, stageRows * 16), shard.spanIdAt);
  store<u64>(row, load<u64>(longs, stageRows * 24), shard.durationAt);
  store<u64>(row, load<u64>(longs, stageRows * 32), shard.ingestedAt);
  store<u64>(row, load<u64>(longs, stageRows * 40), shard.offsetAt);
  const words = stage + (index << 2);
  store<u32>(row, <u32>group, shard.groupAt);
  store<u32>(row, load<u32>(words, stageRows * 60), shard.partitionAt);
  store<u32>(row, load<u32>(words, stageRows * 64), shard.itemIndexAt);
  store<u8>(row, load<u8>(stage + index, stageRows * 68), shard.kindAt);
  store<u8>(row, load<u8>(stage + index, stageRows * 69), shard.errorAt);
  store<u16>(row, 0, shard.droppedAt);
}

/**
 * Dedups, counts and sorts. `byKind`: a span's kind is part of its identity. Returns 1 when the
 * engine refuses the memory. The results stand in the groups' records, from `firstGroup` on.
 */
export function finish(byKind: bool): i32 {
  const at = allocate(<usize>shard.rowCount * shard.finishRowBytes + 64);
  if (at == 0) return noRoom;
  placeSlots(at);
  dropDuplicates(byKind);
  const kept = tallyRows();
  countTraces();
  gatherDurations(at, kept);
  return done;
}

export function groupCount(): u32 {
  return groups.groupCount;
}

export function firstGroup(): usize {
  return groups.firstGroup;
}

/** The service graph's kernel, for an instance of its own. */
export {
  consumerCount,
  consumers,
  foreignCount,
  foreignLinks,
  graphFinish,
  graphIngest,
  graphReset,
  producerCount,
  producers,
  roomForLinks,
} from './graph';
