/**
 * The service graph's part of the batch kernel: columns of spans in, and per (tenant, caller, callee,
 * connection) the counts and sorted durations of the calls out. An instance computes either this or what
 * `aggregate.ts` exports besides; the host is `graphkernel.ts`. Codes in, codes out; no strings.
 */
import * as groups from './group';
import { clearCalls, gatherCalls } from './graphcall';
import * as link from './graphlink';
import * as rows from './graphrow';
import { cursorBytes, nextTrace, startRuns } from './graphruns';
import { joinTrace, setIdentity } from './graphtrace';
import { seedHash } from './hash';
import { allocate, arenaBase, bound, setTop, slack } from './memory';
import * as shard from './shard';

/** Rows that the stage holds, and bytes of all its columns for each: see `graphIngest`. */
const stageRows: usize = 2048;
const stageRowBytes: usize = 83;
let stage: usize = 0;

/** Where the host puts the links' ids, and how many bytes fit. */
let linkStage: usize = 0;
let linkStageBytes: usize = 0;
const linkIdBytes: usize = 24;

/** Ascending runs of rows, and the key of the last row. */
let runCount: u32 = 0;
let lastHigh: u64 = 0;
let lastLow: u64 = 0;

const done: i32 = 0;
const noRoom: i32 = 1;

/** Forgets everything; as `reset` of `aggregate.ts`. */
export function graphReset(pagesMax: u32, seed: u64): usize {
  bound(pagesMax);
  setTop(arenaBase());
  shard.clearRows((<u64>pagesMax) << 16, rows.rowBytes, rows.finishBytes);
  seedHash(seed);
  clearCalls();
  link.clearLinks();
  linkStage = 0;
  linkStageBytes = 0;
  runCount = 0;
  stage = allocate(stageRows * stageRowBytes + 8);
  return stage != 0 && groups.clearGroups() ? stage : 0;
}

/** Address of room for `bytes` of links, the same one as long as it is enough. 0 without room. */
export function roomForLinks(bytes: usize): usize {
  if (bytes > linkStageBytes) {
    const wanted = max(bytes, 2 * linkStageBytes) + slack;
    if (!shard.fits(wanted)) return 0;
    linkStage = allocate(wanted);
    if (linkStage == 0) return 0;
    linkStageBytes = wanted - slack;
  }
  return linkStage;
}

/**
 * Appends the `count` rows on the stage, whose columns are `stageRows` long, one after the other: trace
 * ids, span ids, parents' ids (0 for none), durations, ingested times, offsets; tenants, services, peers,
 * partitions, item indexes, numbers of links; kinds, errors, kinds of peers. The links of all rows stand
 * one after the other in the room for them: trace id, span id. Returns 1 when there is no room; then only
 * `graphReset` may follow.
 */
export function graphIngest(count: u32): i32 {
  let links = linkStage;
  for (let i: usize = 0; i < <usize>count; i++) {
    const row = shard.nextRow();
    if (row == 0) return noRoom;
    fillRow(row, i);
    const linkCount = load<u32>(stage + stageRows * 76 + (i << 2));
    if (!keepLinks(row, links, linkCount)) return noRoom;
    links += linkCount * linkIdBytes;
    shard.keepRow();
  }
  return done;
}

function fillRow(row: usize, index: usize): void {
  const high = bswap(load<u64>(stage + (index << 4)));
  const low = bswap(load<u64>(stage + (index << 4), 8));
  store<u64>(row, high, rows.traceHighAt);
  store<u64>(row, low, rows.traceLowAt);
  const longs = stage + stageRows * 16 + (index << 3);
  store<u64>(row, bswap(load<u64>(longs)), rows.spanAt);
  store<u64>(row, bswap(load<u64>(longs, stageRows * 8)), rows.parentAt);
  store<u64>(row, load<u64>(longs, stageRows * 16), rows.durationAt);
  store<u64>(row, load<u64>(longs, stageRows * 24), rows.ingestedAt);
  store<u64>(row, load<u64>(longs, stageRows * 32), rows.offsetAt);
  const words = stage + stageRows * 56 + (index << 2);
  store<u32>(row, load<u32>(words), rows.tenantAt);
  store<u32>(row, load<u32>(words, stageRows * 4), rows.serviceAt);
  store<u32>(row, load<u32>(words, stageRows * 8), rows.peerAt);
  store<u32>(row, load<u32>(words, stageRows * 12), rows.partitionAt);
  store<u32>(row, load<u32>(words, stageRows * 16), rows.itemIndexAt);
  const bytes = stage + stageRows * 80 + index;
  store<u8>(row, load<u8>(bytes), rows.kindAt);
  store<u8>(row, load<u8>(bytes, stageRows), rows.errorAt);
  store<u8>(row, load<u8>(bytes, stageRows * 2), rows.peerKindAt);
  store<u8>(row, 0, rows.marksAt);
  store<u64>(row, 0, rows.linksAt);
  noteRun(row, high, low);
}

/** Marks the row if the ascending run of those before it ends here. */
function noteRun(row: usize, high: u64, low: u64): void {
  const ascends = high != lastHigh ? high > lastHigh : low >= lastLow;
  if (shard.rowCount == 0 || !ascends) {
    rows.mark(row, rows.beginsRun);
    runCount++;
  }
  lastHigh = high;
  lastLow = low;
}

/** Keeps the row's links. Only those of consumers are messages. */
function keepLinks(row: usize, at: usize, count: u32): bool {
  if (count == 0 || rows.kindOf(row) != rows.consumerKind) return true;
  let first: usize = 0;
  for (let index: u32 = 0; index < count; index++) {
    first = link.addLink(row, at, at + 16, first);
    if (first == 0) return false;
    at += linkIdBytes;
  }
  store<u32>(row, <u32>first, rows.linksAt);
  return true;
}

/** Dedups, joins, counts and sorts; as `finish` of `aggregate.ts`. */
export function graphFinish(byKind: bool): i32 {
  const addresses = <usize>shard.rowCount << 2;
  const heap = allocate(<usize>runCount * cursorBytes + 2 * addresses + 64);
  if (heap == 0) return noRoom;
  const trace = heap + <usize>runCount * cursorBytes;
  setIdentity(byKind);
  startRuns(heap);
  for (let count = nextTrace(trace); count != 0; count = nextTrace(trace)) {
    if (!joinTrace(trace, count, trace + addresses)) return noRoom;
  }
  return gatherCalls() && link.sortEnds() ? done : noRoom;
}

/** Edges, as groups of `group.ts`. */
export function graphGroupCount(): u32 {
  return groups.groupCount;
}

export function graphFirstGroup(): usize {
  return groups.firstGroup;
}

/** Where the addresses of producers, consumers and links into other traces stand: see `graphlink.ts`. */
export function producers(): usize {
  return link.producerAddresses;
}

export function producerCount(): u32 {
  return link.producers.count;
}

export function consumers(): usize {
  return link.consumerAddresses;
}

export function consumerCount(): u32 {
  return link.consumers.count;
}

export function foreignLinks(): usize {
  return link.foreignLinks;
}

export function foreignCount(): u32 {
  return link.foreignCount;
}
