/**
 * Finds order statistics among the durations of one bucket that are spread over many partials. It
 * loads their runs if they are short; else it first narrows them, reading through without holding
 * them. Memory is bounded either way, and the result is exact.
 */
import assert from 'node:assert/strict';
import type { MergeKernel } from '../../aggregator-as/mergekernel.ts';
import { TidemarkError } from '../../schemas/errors.ts';
import { bucketBits, bucketMinNs } from '../../schemas/partials/histogram.ts';
import { runWidth } from '../../schemas/partials/spans.ts';
import { startMergeKernel } from '../shard/kernel.ts';
import {
  readExactly,
  readRanges,
  type MergeLimits,
  type PartialReader,
  type RangeRead,
} from '../merge/ranges.ts';

/** Sorted durations of one bucket in one partial. */
export interface Run {
  readonly reader: PartialReader;
  readonly start: number;
  readonly count: number;
}

/** Ranks wanted among all durations of a bucket of a group. */
export interface Selection {
  readonly bucket: number;
  readonly runs: readonly Run[];
  readonly ranks: readonly number[];
}

/** Distances from the bucket's least: as doubles wherever those are exact, it is much faster. */
export type Distances = Float64Array | BigUint64Array;

const doubleWidthMax = 6;
/** Bits that one narrowing resolves. */
export const narrowBits = 12;

/** Room for `count` distances of runs of this width. */
export function distancesOf(width: number, count: number): Distances {
  return width <= doubleWidthMax ? new Float64Array(count) : new BigUint64Array(count);
}

/**
 * The durations, nanoseconds, at each selection's ranks. Throws what the readers throw, and
 * `TidemarkError` CORRUPT_ARCHIVE when a run does not hold what its header says.
 */
export async function selectDurations(
  selections: readonly Selection[],
  limits: MergeLimits,
): Promise<bigint[][]> {
  const kernel = await startMergeKernel();
  const results: bigint[][] = [];
  let window: number[] = [];
  let windowBytes = 0;
  const finishWindow = async (): Promise<void> => {
    const ofWindow = window.map((i) => selectionAt(selections, i));
    const found = await loadAndPick(kernel, ofWindow, limits);
    for (const [place, i] of window.entries()) results[i] = found[place] ?? [];
    window = [];
    windowBytes = 0;
  };
  for (const [i, selection] of selections.entries()) {
    const bytes = loadedBytes(selection.bucket, selection.runs);
    if (bytes > limits.runBytes) {
      results[i] = await selectNarrowing(kernel, selection, limits);
      continue;
    }
    if (windowBytes + bytes > limits.windowBytes) await finishWindow();
    window.push(i);
    windowBytes += bytes;
  }
  await finishWindow();
  return results;
}

function selectionAt(selections: readonly Selection[], i: number): Selection {
  const selection = selections[i];
  assert(selection, `There is a selection ${i}`);
  return selection;
}

/** Bytes that the runs take once they are loaded. */
function loadedBytes(bucket: number, runs: readonly Run[]): number {
  return runWidth(bucket) === 0 ? 0 : runs.reduce((sum, run) => sum + run.count, 0) * 8;
}

/** Loads all runs of the selections, with as few requests as neighbours allow, and picks. */
async function loadAndPick(
  kernel: MergeKernel,
  selections: readonly Selection[],
  limits: MergeLimits,
): Promise<bigint[][]> {
  const reads: RangeRead[] = [];
  const places: number[] = [];
  let next = 0;
  let most = 0;
  let runMost = 0;
  for (const { bucket, runs } of selections) {
    const width = runWidth(bucket);
    const bits = bucketBits(bucket);
    const first = next;
    places.push(first);
    if (width === 0) continue;
    for (const { reader, start, count } of runs) {
      const place = next;
      const take = (bytes: Uint8Array): void => kernel.take(bytes, place, width, bits);
      reads.push({ reader, start, end: start + count * width, take });
      next += count;
      runMost = Math.max(runMost, count * width);
    }
    most = Math.max(most, next - first);
  }
  kernel.room(next, most, runMost);
  await readRanges(reads, limits);
  return selections.map((selection, i) => pick(kernel, selection, places[i] ?? 0));
}

/** Of the selection's durations, which have been taken from `place` on, those at its ranks. */
function pick(kernel: MergeKernel, { bucket, runs, ranks }: Selection, place: number): bigint[] {
  const least = bucketMinNs(bucket);
  if (runWidth(bucket) === 0) return ranks.map(() => least);
  if (runs.length > 1) {
    const count = runs.reduce((sum, run) => sum + run.count, 0);
    kernel.sort(place, count, bucketBits(bucket));
  }
  return ranks.map((rank) => least + kernel.valueAt(place + rank));
}

/** Decodes a run and checks what sorted durations of that bucket must be. Throws CORRUPT_ARCHIVE. */
export function decodeRun(bytes: Uint8Array, bucket: number, target: Distances): void {
  const width = runWidth(bucket);
  if (target instanceof Float64Array) decodeDoubles(bytes, width, target);
  else decodeLongs(bytes, width, target);
  const last = target[target.length - 1] ?? 0;
  let ascending = last < 2 ** bucketBits(bucket);
  for (let i = 1; i < target.length; i++) ascending &&= (target[i - 1] ?? 0) <= (target[i] ?? 0);
  if (ascending) return;
  throw new TidemarkError(
    'CORRUPT_ARCHIVE',
    `Cannot read a partial: a run is not in order (bucket ${bucket})`,
  );
}

function decodeDoubles(bytes: Uint8Array, width: number, target: Float64Array): void {
  for (let i = 0, at = 0; i < target.length; i++, at += width) {
    let value = 0;
    for (let byte = at + width - 1; byte >= at; byte--) value = value * 256 + (bytes[byte] ?? 0);
    target[i] = value;
  }
}

function decodeLongs(bytes: Uint8Array, width: number, target: BigUint64Array): void {
  const padded = new DataView(new ArrayBuffer(8));
  for (let i = 0; i < target.length; i++) {
    for (let byte = 0; byte < width; byte++) padded.setUint8(byte, bytes[i * width + byte] ?? 0);
    target[i] = padded.getBigUint64(0, true);
  }
}

async function selectNarrowing(
  kernel: MergeKernel,
  selection: Selection,
  limits: MergeLimits,
): Promise<bigint[]> {
  const found: bigint[] = [];
  for (const rank of selection.ranks) found.push(await selectRank(kernel, selection, rank, limits));
  return found;
}

/** Narrows the runs to the values that share ever more upper bits with the wanted one. */
async function selectRank(
  kernel: MergeKernel,
  { bucket, runs: allRuns }: Selection,
  wantedRank: number,
  limits: MergeLimits,
): Promise<bigint> {
  let runs = allRuns;
  let rank = wantedRank;
  let distance = 0n;
  let bits = bucketBits(bucket);
  while (bits > 0 && loadedBytes(bucket, runs) > limits.runBytes) {
    const shift = Math.max(0, bits - narrowBits);
    const digits = 2 ** (bits - shift);
    const counts: Float64Array[] = [];
    for (const run of runs) counts.push(await countDigits(run, { bucket, shift, digits, limits }));
    const { digit, before } = findDigit(counts, rank);
    runs = runs.flatMap((run, i) => narrowRun(run, counts[i], digit, runWidth(bucket)));
    rank -= before;
    distance += BigInt(digit) << BigInt(shift);
    bits = shift;
  }
  if (bits === 0) return bucketMinNs(bucket) + distance;
  const [found] = await loadAndPick(kernel, [{ bucket, runs, ranks: [rank] }], limits);
  return found?.[0] ?? 0n;
}

interface DigitPass {
  readonly bucket: number;
  readonly shift: number;
  readonly digits: number;
  readonly limits: MergeLimits;
}

/** How many durations of the run have each digit, read piece by piece. */
async function countDigits(run: Run, pass: DigitPass): Promise<Float64Array> {
  const width = runWidth(pass.bucket);
  const counts = new Float64Array(pass.digits);
  const step = Math.max(1, Math.floor(pass.limits.requestBytes / width));
  for (let first = 0; first < run.count; first += step) {
    const count = Math.min(step, run.count - first);
    const start = run.start + first * width;
    const bytes = await readExactly(run.reader, start, start + count * width);
    const piece = distancesOf(width, count);
    decodeRun(bytes, pass.bucket, piece);
    for (const value of piece) {
      const digit = digitOf(value, pass);
      counts[digit] = (counts[digit] ?? 0) + 1;
    }
  }
  return counts;
}

function digitOf(value: number | bigint, { shift, digits }: DigitPass): number {
  if (typeof value === 'number') return Math.floor(value / 2 ** shift) % digits;
  return Number((value >> BigInt(shift)) % BigInt(digits));
}

/** The digit of the value at `rank`, and how many values have a lesser one. */
function findDigit(counts: readonly Float64Array[], rank: number) {
  let before = 0;
  const digits = counts[0]?.length ?? 0;
  for (let digit = 0; digit < digits; digit++) {
    const here = counts.reduce((sum, ofRun) => sum + (ofRun[digit] ?? 0), 0);
    if (rank < before + here) return { digit, before };
    before += here;
  }
  return assert.fail(`The runs have no rank ${rank}`);
}

/** The part of a run whose values have the digit; they lie together, because it is sorted. */
function narrowRun(run: Run, counts: Float64Array | undefined, digit: number, width: number) {
  const count = counts?.[digit] ?? 0;
  if (counts === undefined || count === 0) return [];
  const skipped = counts.subarray(0, digit).reduce((sum, here) => sum + here, 0);
  return [{ reader: run.reader, start: run.start + skipped * width, count }];
}
