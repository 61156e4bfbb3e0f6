/**
 * The batch kernel of spans. Files are sorted by trace id, so their row groups are merged like sorted
 * runs: no row is hashed. Per (tenant, service, operation, kind) the counts and durations of the
 * distinct spans come out, as partials keep them; and of a service graph, if one is wanted, the same of
 * calls, and what only the merge can join. Its host is `spankernel.ts`.
 */
import { clearCells, makeCodes, writeCells } from './spans/cells';
import { clearLinks } from './graph/link';
import { clearNodes } from './graph/trace';
import { arenaBase, bound, setTop } from './memory/memory';
import { clearRooms, giveRoom, takeRoom } from './memory/rooms';
import { Block, giveBlock, makeBlock, makePlaces, Trace, traceOf } from './spans/block';
import { startDurations, writeDurations } from './spans/durations';
import { absorb, clearGroups, SpanGroup } from './spans/group';
import { cutFrom, cutIds, cutTo, cutTraces, orderSpanIds } from './spans/ids';
import { clearLevels } from './spans/levels';
import { clearNames } from './spans/names';
import { writePeers } from './spans/peers';
import {
  advanceLeast,
  blockOf,
  feedRun,
  headCount,
  isLeastAlone,
  leastHigh,
  leastLow,
  leastRun,
  startRuns,
  traceIndexOf,
} from './spans/runs';
import {
  addPart,
  closeTrace,
  countTrace,
  leaveBlock,
  nameTrace,
  partCount,
  startTraces,
  traceDone,
  traceFull,
  unplaced,
  withGraph,
} from './spans/trace';

/** What `merge` wants of its host. */
const merged: i32 = 0;
const full: i32 = 1;
/** The next block of the run `wanted`, or word that it has none. */
const wantsBlock: i32 = 2;
/** The places of the block whose tag is `wanted`. */
const wantsPlaces: i32 = 3;

export let wanted: u32 = 0;
/** The block that wants its places. */
export let wantedBlock: usize = 0;

/** The open trace. */
let openHigh: u64 = 0;
let openLow: u64 = 0;

/** Bytes of a page or of ids, on their way in. */
let page: usize = 0;
let pageRoom: usize = 0;

/**
 * Forgets everything. `pagesMax` bounds the memory, in pages of 64 KiB, at most 65536; `byKind`: a span's
 * kind is part of its identity; `graph`: calls are counted as well. False when the bound leaves no room to
 * begin.
 */
export function reset(pagesMax: u32, byKind: bool, graph: bool): bool {
  bound(pagesMax);
  setTop(arenaBase());
  clearRooms();
  clearNames();
  clearCells();
  clearLevels();
  clearNodes();
  clearLinks();
  page = 0;
  pageRoom = 0;
  return clearGroups() && startDurations() && startTraces(byKind, graph);
}

/** Makes room for so many runs. False without room. */
export function begin(runs: u32): bool {
  return startRuns(runs);
}

/** Address of room for `bytes`, the same one as long as it is enough. 0 without room. */
export function roomForPage(bytes: usize): usize {
  if (bytes > pageRoom) {
    if (pageRoom > 0) giveRoom(page, pageRoom);
    pageRoom = 0;
    page = takeRoom(bytes);
    if (page != 0) pageRoom = bytes;
  }
  return page;
}

/**
 * A block of the rows within [from, to) of a row group, whose `rows` trace ids are at `ids` in the page;
 * behind them is room for `rows` + 1 records of traces. Returns 1 for rows that are out of order, 0
 * without room. `cutFrom`, `cutTo` say which rows it has; it may have none.
 */
export function openBlock(
  ids: usize,
  rows: u32,
  fromHigh: u64,
  fromLow: u64,
  toHigh: u64,
  toLow: u64,
): usize {
  const traces = (ids + (<usize>rows << 4) + 7) & ~7;
  if (!cutIds(ids, rows, fromHigh, fromLow, toHigh, toLow, traces)) return 1;
  const count = cutTo - cutFrom;
  const at = makeCodes(count) ? makeBlock(count, cutTraces, withGraph) : 0;
  if (at == 0) return 0;
  const block = changetype<Block>(at);
  memory.copy(block.traces, traces, <usize>(cutTraces + 1) * offsetof<Trace>());
  return at;
}

/** Gives up a block that no run has. */
export function dropBlock(at: usize): void {
  giveBlock(changetype<Block>(at));
}

/** Turns the span ids of a block, which are there as bytes, into numbers. Before its durations. */
export function orderBlock(at: usize): void {
  const block = changetype<Block>(at);
  orderSpanIds(block.spanIds, block.rows);
}

/** The same of its parents' ids, of which those that are not there are zeros. */
export function orderParents(at: usize): void {
  const block = changetype<Block>(at);
  orderSpanIds(block.parents, block.rows);
}

/** Gives a run its next block: its codes have been read. False without room. */
export function feed(run: u32, at: usize, tag: u32): bool {
  const block = changetype<Block>(at);
  block.run = run;
  block.tag = tag;
  if (!writeCells(block.rows, block.cells)) return false;
  if (withGraph) writePeers(block.rows, block.peers);
  feedRun(run, block);
  return true;
}

/** Address of room for the places of a block's rows. 0 without room. */
export function roomForPlaces(at: usize): usize {
  const block = changetype<Block>(at);
  return makeCodes(block.rows) ? makePlaces(block) : 0;
}

/**
 * Values of `width` (4, 8 or 16) bytes for the `count` codes at `codes`, from a dictionary of as many as its
 * bytes hold; the codes have been checked.
 */
export function lookUp(codes: usize, count: u32, dictionary: usize, width: u32, out: usize): void {
  const end = codes + (<usize>count << 2);
  if (width == 16) {
    for (; codes < end; codes += 4, out += 16) {
      v128.store(out, v128.load(dictionary + (<usize>load<u32>(codes) << 4)));
    }
  } else if (width == 8) {
    for (; codes < end; codes += 4, out += 8) {
      store<u64>(out, load<u64>(dictionary + (<usize>load<u32>(codes) << 3)));
    }
  } else {
    for (; codes < end; codes += 4, out += 4) {
      store<u32>(out, load<u32>(dictionary + (<usize>load<u32>(codes) << 2)));
    }
  }
}

/** Merges as far as the blocks go. Returns what it wants then. */
export function merge(): i32 {
  while (headCount > 0 || partCount > 0) {
    if (partCount > 0 && (headCount == 0 || leastHigh() != openHigh || leastLow() != openLow)) {
      nameTrace(openHigh, openLow);
      const fine = closeTrace();
      if (fine != traceDone) return wants(fine);
      continue;
    }
    const run = leastRun();
    const block = blockOf(run);
    const index = traceIndexOf(run);
    const from = traceOf(block, index).row;
    const to = traceOf(block, index + 1).row;
    const isLast = index + 1 == block.traceCount;
    if (partCount == 0 && !isLast && isLeastAlone()) {
      nameTrace(leastHigh(), leastLow());
      const fine = countTrace(block, from, to);
      if (fine != traceDone) return wants(fine);
      advanceLeast();
      continue;
    }
    openHigh = leastHigh();
    openLow = leastLow();
    if (!addPart(block, from, to)) return full;
    if (advanceLeast()) continue;
    leaveBlock(block);
    wanted = run;
    return wantsBlock;
  }
  return merged;
}

function wants(fine: i32): i32 {
  if (fine == traceFull) return full;
  wanted = changetype<Block>(unplaced).tag;
  wantedBlock = unplaced;
  return wantsPlaces;
}

/** Adds the group `from` to `into`, which has the same tenant. */
export function absorbGroup(into: usize, from: usize): void {
  absorb(changetype<SpanGroup>(into), changetype<SpanGroup>(from));
}

/** Writes what a partial keeps of the group's durations. False without room. */
export function writeGroup(group: usize): bool {
  return writeDurations(changetype<SpanGroup>(group));
}

export { codesAt } from './spans/cells';
export {
  closeEnds,
  consumerCount,
  endNameCount,
  endNames,
  firstConsumers,
  firstProducers,
  linkCount,
  linksFrom,
  producerCount,
} from './graph/link';
export { cutFrom, cutTo } from './spans/ids';
export { findGroup, firstGroup, groupCount } from './spans/group';
export {
  beginHalves,
  beginLinks,
  countLinks,
  countPresent,
  linksTaken,
  linkTotal,
  makeLinks,
  roomForLevels,
  roomForLinks,
  rowsBegun,
  takeHalves,
  takeParents,
} from './spans/levels';
export { nameAt, nameBytes, nameCount, nameOf, readNames } from './spans/names';
export {
  bucketsFound,
  durationSumHigh,
  durationSumLow,
  greatestDuration,
  headerAt,
  headerBytes,
  leastDuration,
  roomForQuantiles,
  runsAt,
  stretchCount,
  stretchesAt,
} from './spans/durations';
export { unpack } from './pages/unpack';
