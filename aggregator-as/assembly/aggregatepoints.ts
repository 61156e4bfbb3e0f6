/**
 * The batch kernel of metrics: columns of data points in, and for each series the figures of each hour
 * out, one series at a time. Its host is `pointkernel.ts`. Codes in, codes out; no strings.
 */
import { hourSums } from './points/hoursums';
import { hoursOfExponents, limitBuckets } from './points/exponents';
import { seedHash } from './memory/hash';
import { allocate, arenaBase, bound, setTop, slack, top } from './memory/memory';
import { hasPayload, makePayload, Payload } from './points/payload';
import * as points from './points/pointset';
import { computeSeries, setTimes } from './points/sequence';
import * as shard from './memory/shard';

/** Rows that the stage holds, and bytes of all its columns for each: see `ingest`. */
const stageRows: usize = 4096;
const stageRowBytes: usize = 112;
let stage: usize = 0;

/** What `computeSeries` takes for each row of the series. */
const finishRowBytes: usize = 24;
let room: usize = 0;
let roomTop: usize = 0;

/** Where the host puts bounds and counts of histograms. */
let lists: usize = 0;
let listsBytes: usize = 0;

/** Stage rows of the last `ingest` that were the first of their series. */
const fresh = memory.data(16_384, 4);
let freshCount: u32 = 0;

const done: i32 = 0;
const noRoom: i32 = 1;

/**
 * Forgets everything but the times. `pagesMax` bounds the memory, in pages of 64 KiB, at most 65536;
 * `seed` keys the hashes. Returns the address of the stage, or 0 when there is no room to begin.
 */
export function reset(pagesMax: u32, seed: u64): usize {
  bound(pagesMax);
  setTop(arenaBase());
  shard.clearRows((<u64>pagesMax) << 16, points.pointRowBytes, finishRowBytes);
  seedHash(seed);
  lists = 0;
  listsBytes = 0;
  room = 0;
  stage = allocate(stageRows * stageRowBytes);
  return stage != 0 && points.clearSeries() ? stage : 0;
}

/**
 * First nanosecond of the period, and of the time before it whose points are read as bases; and how many
 * buckets of each sign an hour's exponential histogram may have.
 */
export function period(startNs: u64, windowNs: u64, bucketsMax: u32): void {
  setTimes(startNs, windowNs);
  limitBuckets(bucketsMax);
}

/** Address of room for `bytes` of lists, the same one as long as it is enough. 0 without room. */
export function roomForLists(bytes: usize): usize {
  if (bytes > listsBytes) {
    const wanted = max(bytes, 2 * listsBytes) + slack;
    if (!shard.fits(wanted)) return 0;
    lists = allocate(wanted);
    if (lists == 0) return 0;
    listsBytes = wanted - slack;
  }
  return lists;
}

/**
 * Appends the `count` rows on the stage, whose columns are `stageRows` long, one after the other: series
 * hashes; start times, times, values (bits of doubles or ints), ingested times, offsets; of histograms
 * count, sum, min, max; tenants, partitions, item indexes; ends of bounds and of counts among the
 * lists, in items; kinds, modes, monotonic or not, marks. The lists: all bounds, then from `countsAt` all
 * counts, or what `points/payload.ts` says of other kinds. Returns 1 when there is no room; then only `reset` may
 * follow.
 */
export function ingest(count: u32): i32 {
  freshCount = 0;
  let boundFrom: u32 = 0;
  let bucketFrom: u32 = 0;
  for (let i: usize = 0; i < <usize>count; i++) {
    const words = stage + stageRows * 88 + (i << 2);
    const bytes = stage + stageRows * 108 + i;
    const at = shard.nextRow();
    if (at == 0) return noRoom;
    const series = points.findSeries(stage + (i << 4), load<u32>(words));
    if (series == 0) return noRoom;
    if (points.isNew) beginSeries(changetype<points.Series>(series), <u32>i, bytes);
    const row = changetype<points.PointRow>(at);
    fillRow(row, i, words, load<u8>(bytes));
    link(row, changetype<points.Series>(series));
    const boundEnd = load<u32>(words, stageRows * 12);
    const bucketEnd = load<u32>(words, stageRows * 16);
    row.payload = 0;
    if (hasPayload(row.kind)) {
      const bounds = lists + ((<usize>boundFrom) << 3);
      const items = lists + countsAt + ((<usize>bucketFrom) << 3);
      const counted = load<u64>(stage + (i << 3), stageRows * 56);
      const payload = makePayload(
        row.kind,
        counted,
        bounds,
        boundEnd - boundFrom,
        items,
        bucketEnd - bucketFrom,
      );
      if (payload == 0) return noRoom;
      fillTotals(changetype<Payload>(payload), i);
      changetype<Payload>(payload).marks = load<u8>(bytes, stageRows * 3);
      row.payload = <u32>payload;
    }
    boundFrom = boundEnd;
    bucketFrom = bucketEnd;
    shard.keepRow();
  }
  return done;
}

let countsAt: usize = 0;

/** Where among the lists the counts begin, in bytes; to be set before `ingest`. */
export function listsSplitAt(bytes: usize): void {
  countsAt = bytes;
}

function beginSeries(series: points.Series, index: u32, bytes: usize): void {
  series.mode = load<u8>(bytes, stageRows);
  series.isMonotonic = load<u8>(bytes, stageRows * 2);
  store<u32>(fresh + ((<usize>freshCount) << 2), index);
  freshCount++;
}

function fillRow(row: points.PointRow, index: usize, words: usize, kind: u32): void {
  const longs = stage + (index << 3);
  row.startNs = load<u64>(longs, stageRows * 16);
  row.timeNs = load<u64>(longs, stageRows * 24);
  row.value = load<u64>(longs, stageRows * 32);
  row.ingestedMs = load<i64>(longs, stageRows * 40);
  row.offset = load<i64>(longs, stageRows * 48);
  row.partition = load<i32>(words, stageRows * 4);
  row.itemIndex = load<u32>(words, stageRows * 8);
  row.kind = kind;
}

function link(row: points.PointRow, series: points.Series): void {
  row.series = <u32>changetype<usize>(series);
  row.before = series.last;
  series.last = <u32>changetype<usize>(row);
  series.rows++;
}

/** Fills in the totals of the stage's row but the count. */
function fillTotals(payload: Payload, index: usize): void {
  const longs = stage + (index << 3);
  payload.sum = load<f64>(longs, stageRows * 64);
  payload.min = load<f64>(longs, stageRows * 72);
  payload.max = load<f64>(longs, stageRows * 80);
}

export function freshRows(): usize {
  return fresh;
}

export function freshRowCount(): u32 {
  return freshCount;
}

/** Makes room for the series with the most rows. Returns 1 when the engine refuses the memory. */
export function finish(_: bool): i32 {
  let most: u32 = 0;
  for (let at = points.firstSeries; at != 0; at = changetype<points.Series>(at).next) {
    most = max(most, changetype<points.Series>(at).rows);
  }
  room = allocate((<usize>most + 4) * finishRowBytes);
  roomTop = top;
  return room == 0 ? noRoom : done;
}

/** Computes one series; its hours are at `hoursAt` until the next. Returns 1 without room. */
export function compute(series: usize): i32 {
  setTop(roomTop);
  return computeSeries(changetype<points.Series>(series), room) ? done : noRoom;
}

export function hoursAt(): usize {
  return changetype<usize>(hourSums(0));
}

/** Where the exponential histograms of the series' hours are. */
export function exponentsAt(): usize {
  return hoursOfExponents();
}

export function groupCount(): u32 {
  return points.seriesCount;
}

export function firstGroup(): usize {
  return points.firstSeries;
}
