/**
 * Plans a period: cuts the space of ids (trace ids, series hashes, sort keys) into shards that hold
 * about equally many rows and says which row groups each one reads. Data in, data out: it never reads an object.
 */
import type { CommitFile } from '../../schemas/commit.ts';
import {
  planSamplesMax,
  samplesPerRowGroupMax,
  samplesPerRowGroupMin,
  samplesPerShard,
  shardsMax,
} from '../../schemas/limits/batch.ts';
import { idEnd, type Shard, type ShardFile } from '../../schemas/shard.ts';

export interface PlanOptions {
  /** Rows that one shard may have, see `shardRowsMax`. */
  readonly rowsMax: number;
  /** Shards that are wanted for parallel work, as long as each keeps `rowsMin` rows. */
  readonly shardsWanted: number;
  /** Shards are not made smaller than this for the sake of parallel work. */
  readonly rowsMin: number;
}

/** Memory of the kernels that compute one shard, as planning counts it. */
export interface ShardMemory {
  readonly baseBytes: number;
  /** For each row. */
  readonly rowBytes: number;
}

/**
 * Rows to plan for kernels of `memoryBytes`. Statistics only say where a
 * row group begins and ends, so half of the memory is left for what they do not show.
 */
export function shardRowsMax(memoryBytes: number, { baseBytes, rowBytes }: ShardMemory): number {
  return Math.max(1, Math.floor((memoryBytes - baseBytes) / rowBytes / 2));
}

interface Sample {
  readonly id: bigint;
  /** About the id, rounded: tells most of them apart, and sooner. */
  readonly about: number;
  rows: number;
}

interface RowGroupRange {
  readonly file: number;
  readonly rowGroup: number;
  readonly rows: number;
  readonly min: bigint;
  readonly max: bigint;
}

/**
 * Shards of the given files: their ranges cover every id exactly once, and each row group
 * stands in every shard whose range it touches. Files marked quarantined are left out: their rows
 * do not belong to the hour they lie under. No files give no shards.
 *
 * One id is never cut, so a shard may have more than `rowsMax` rows when a single id does; it then
 * stands alone in its shard. The result does not depend on the order of `files`.
 */
export function planShards(files: readonly CommitFile[], options: PlanOptions): Shard[] {
  const inputs = files
    .filter((file) => !file.quarantined)
    .toSorted((a, b) => (a.key < b.key ? -1 : Number(a.key > b.key)));
  const ranges = inputs.flatMap(rowGroupRanges);
  const total = ranges.reduce((sum, range) => sum + range.rows, 0);
  if (total === 0) return [];
  const shards = shardCount(total, options);
  const cuts = cutIds(sampleIds(ranges, shards), total, shards);
  return assign(inputs, ranges, cuts);
}

/** How many shards a period of `rows` rows is cut into, before single traces get in the way. */
function shardCount(rows: number, options: PlanOptions): number {
  const forMemory = Math.ceil(rows / options.rowsMax);
  const forThreads = Math.min(options.shardsWanted, Math.floor(rows / options.rowsMin));
  return Math.min(shardsMax, Math.max(1, forMemory, forThreads));
}

function rowGroupRanges(file: CommitFile, fileIndex: number): RowGroupRange[] {
  return file.rowGroups.map((group, rowGroup) => ({
    file: fileIndex,
    rowGroup,
    rows: group.rows,
    min: BigInt(`0x${group.idMin}`),
    max: BigInt(`0x${group.idMax}`),
  }));
}

/**
 * Points that stand for the rows: each row group has one at its least id and one at its greatest, and gives a
 * few more, evenly spaced between them and beside those of others that have the same ends. Sorted by id,
 * one entry an id.
 */
function sampleIds(ranges: readonly RowGroupRange[], shards: number): Sample[] {
  const wanted = Math.floor((shards * samplesPerShard) / ranges.length);
  const perGroup = Math.floor(planSamplesMax / ranges.length);
  const enough = Math.max(samplesPerRowGroupMin, Math.min(samplesPerRowGroupMax, wanted));
  const count = Math.min(enough, perGroup);
  const samples = ranges.flatMap((range, index) => {
    const phase = (index * phaseStep) % phases;
    if (range.min === range.max) return [sampleOf(range.min, range.rows)];
    return count < 3 ? [oneSample(range, phase)] : fewSamples(range, count, phase);
  });
  samples.sort((a, b) => a.about - b.about || (a.id < b.id ? -1 : Number(a.id > b.id)));
  return joinEqual(samples);
}

function sampleOf(id: bigint, rows: number): Sample {
  return { id, about: Number(id), rows };
}

/** Places between two points of a row group; a row group's follows the one before by the golden ratio. */
const phases = 1024;
const phaseStep = 633;

function fewSamples({ rows, min, max }: RowGroupRange, count: number, phase: number): Sample[] {
  const points = Math.max(0, Math.min(count, rows) - 2);
  const atEnds = points === 0 ? rows / 2 : 1;
  const samples = [sampleOf(min, atEnds), sampleOf(max, atEnds)];
  for (let point = 0; point < points; point += 1) {
    const place = BigInt(2 * (point * phases + phase) + 1);
    const offset = ((max - min) * place) / BigInt(2 * points * phases);
    samples.push(sampleOf(min + offset, (rows - 2) / points));
  }
  return samples;
}

/** One point for all: of few rows it is at an end as often as a row of theirs is. */
function oneSample({ rows, min, max }: RowGroupRange, phase: number): Sample {
  const inside = (phase / phases) * rows - 1;
  if (inside < 0) return sampleOf(min, rows);
  if (inside >= rows - 2) return sampleOf(max, rows);
  const parts = 2 ** 32;
  const part = Math.floor((inside / (rows - 2)) * parts);
  return sampleOf(min + ((max - min) * BigInt(part)) / BigInt(parts), rows);
}

function joinEqual(sorted: readonly Sample[]): Sample[] {
  const joined: Sample[] = [];
  for (const sample of sorted) {
    const last = joined.at(-1);
    if (last?.id === sample.id) last.rows += sample.rows;
    else joined.push(sample);
  }
  return joined;
}

/**
 * Ascending cut points, the end of the id space last. A cut falls beside the sample at which the
 * running sum passes a multiple of total / count; a sample heavier than a shard gets one on each
 * side. At least one sample lies between two cuts.
 */
function cutIds(samples: readonly Sample[], total: number, count: number): bigint[] {
  const shardRows = total / count;
  /** Cut before the sample of this index, at this trace id. */
  const cuts = new Map<number, bigint>();
  let rowsBefore = 0;
  for (const [index, { id, rows }] of samples.entries()) {
    const rowsAfter = rowsBefore + rows;
    const multiple = Math.floor(rowsAfter / shardRows) * shardRows;
    if (multiple > rowsBefore) {
      const heavy = rows > shardRows;
      const before = multiple - rowsBefore < rowsAfter - multiple;
      if (heavy || (before && !cuts.has(index))) cuts.set(index, id);
      if (heavy || !before) cuts.set(index + 1, id + 1n);
    }
    rowsBefore = rowsAfter;
  }
  cuts.delete(0);
  cuts.delete(samples.length);
  return [...cuts.values(), idEnd];
}

/** Gives each row group to the shards that it touches. */
function assign(
  files: readonly CommitFile[],
  ranges: readonly RowGroupRange[],
  cuts: readonly bigint[],
): Shard[] {
  const shards = cuts.map((idTo, index) => ({
    index,
    idFrom: cuts[index - 1] ?? 0n,
    idTo,
    files: new Map<number, number[]>(),
    estimatedRows: 0,
  }));
  for (const range of ranges) {
    for (let index = shardOf(cuts, range.min); index < shards.length; index += 1) {
      const shard = shards[index];
      if (shard === undefined || shard.idFrom > range.max) break;
      const rowGroups = shard.files.get(range.file) ?? [];
      rowGroups.push(range.rowGroup);
      shard.files.set(range.file, rowGroups);
      shard.estimatedRows += rowsWithin(range, shard.idFrom, shard.idTo);
    }
  }
  const known = new Map<number, ShardFile>();
  return shards.map((shard) => ({
    ...shard,
    estimatedRows: Math.round(shard.estimatedRows),
    files: [...shard.files].map(([file, rowGroups]) => shardFile(files, file, rowGroups, known)),
  }));
}

/** Shards of many files share them: with all in each, they would be more than memory has. */
function shardFile(
  files: readonly CommitFile[],
  file: number,
  rowGroups: readonly number[],
  known: Map<number, ShardFile>,
): ShardFile {
  const last = known.get(file);
  if (last && String(last.rowGroups) === String(rowGroups)) return last;
  const { key = '', bytes = 0, hourMs = 0 } = files[file] ?? {};
  const made = { key, bytes, hourMs, rowGroups };
  known.set(file, made);
  return made;
}

/** Index of the shard that holds an id: the first whose end lies past it. */
function shardOf(cuts: readonly bigint[], id: bigint): number {
  let low = 0;
  let high = cuts.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((cuts[middle] ?? idEnd) > id) high = middle;
    else low = middle + 1;
  }
  return low;
}

function rowsWithin(range: RowGroupRange, from: bigint, to: bigint): number {
  const start = from > range.min ? from : range.min;
  const end = to < range.max + 1n ? to : range.max + 1n;
  return (range.rows * Number(end - start)) / Number(range.max - range.min + 1n);
}
