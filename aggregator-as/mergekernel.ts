/**
 * The host side of the kernel of the merge of partials of spans (`assembly/merge.ts`): what headers say of a group
 * in, its histogram and the places of the wanted runs out; then the bytes of runs in, and durations out. It
 * reads no object, and knows no name.
 */
import assert from 'node:assert/strict';
import { TidemarkError } from '../schemas/errors.ts';
import type { PartialHeaderGroup } from '../schemas/partials/spans.ts';
import { corruptPartial } from '../schemas/partials/preamble.ts';

interface MergeExports {
  readonly memory: WebAssembly.Memory;
  start(): void;
  begin(bytes: number, rankCount: number): number;
  add(
    at: number,
    end: number,
    filled: number,
    count: number,
    hotBytes: number,
    coldBytes: number,
  ): number;
  plan(rankCount: number): number;
  locate(at: number, end: number, hotStart: number, coldStart: number): void;
  ranksAt(): number;
  plansAt(): number;
  runsAt(): number;
  bucketsAt(): number;
  bucketCountsAt(): number;
  bucketsFound(): number;
  room(count: number, most: number, pageBytes: number): number;
  take(place: number, count: number, width: number, bits: number): number;
  sort(place: number, count: number, bits: number): void;
  valueAt(place: number): bigint;
}

/** What one partial says of a group's buckets. */
export type GroupPart = Pick<
  PartialHeaderGroup,
  'bucketsFilled' | 'bucketBytes' | 'count' | 'hotBytes' | 'coldBytes' | 'hotStart' | 'coldStart'
>;

/** A run of the part of this index. */
export interface PartRun {
  readonly part: number;
  readonly start: number;
  readonly count: number;
}

/** A bucket that holds wanted ranks: `ranks` of them, and so many durations before its first. */
export interface BucketPlan {
  readonly bucket: number;
  readonly ranks: number;
  readonly before: number;
  /** Those that are not empty. */
  readonly runs: readonly PartRun[];
}

export interface MergedBuckets {
  /** Buckets that are not empty, ascending, and their counts. */
  readonly buckets: Uint16Array;
  readonly bucketCounts: Float64Array;
  readonly plans: readonly BucketPlan[];
}

/** One merge's, until it throws. */
export class MergeKernel {
  readonly #wasm: MergeExports;
  #bytes: Uint8Array = new Uint8Array(0);
  #doubles: Float64Array = new Float64Array(0);
  #page = 0;

  constructor(module: WebAssembly.Module) {
    const instance = new WebAssembly.Instance(module, { env: { abort: neverAborts } });
    this.#wasm = instance.exports as unknown as MergeExports;
    this.#wasm.start();
  }

  /**
   * Adds up the parts of a group and finds the runs that hold `ranks`, which ascend. Throws CAPACITY, and
   * CORRUPT_ARCHIVE for buckets that are not what the part's totals say.
   */
  merge(parts: readonly GroupPart[], ranks: readonly number[]): MergedBuckets {
    const wasm = this.#wasm;
    let bytes = 0;
    for (const part of parts) bytes += part.bucketBytes.length;
    const first = enough(wasm.begin(bytes, ranks.length));
    this.#look();
    this.#doubles.set(ranks, wasm.ranksAt() >>> 3);
    let at = first;
    for (const part of parts) {
      const end = at + part.bucketBytes.length;
      this.#bytes.set(part.bucketBytes, at);
      const { bucketsFilled, count, hotBytes, coldBytes } = part;
      if (wasm.add(at, end, bucketsFilled, count, hotBytes, coldBytes) === 0) throw notWell();
      at = end;
    }
    const plans = this.#plans(parts, first, wasm.plan(ranks.length));
    const found = wasm.bucketsFound();
    const { buffer } = wasm.memory;
    return {
      buckets: new Uint16Array(buffer, wasm.bucketsAt(), found).slice(),
      bucketCounts: new Float64Array(buffer, wasm.bucketCountsAt(), found).slice(),
      plans,
    };
  }

  #plans(parts: readonly GroupPart[], first: number, count: number): BucketPlan[] {
    if (count === 0) return [];
    const wasm = this.#wasm;
    const doubles = this.#doubles;
    const plansAt = wasm.plansAt() >>> 3;
    const runsAt = wasm.runsAt() >>> 3;
    const plans: (BucketPlan & { readonly runs: PartRun[] })[] = [];
    for (let at = plansAt; at < plansAt + 3 * count; at += 3) {
      const bucket = doubles[at] ?? 0;
      plans.push({ bucket, ranks: doubles[at + 1] ?? 0, before: doubles[at + 2] ?? 0, runs: [] });
    }
    let at = first;
    for (const [index, part] of parts.entries()) {
      const end = at + part.bucketBytes.length;
      wasm.locate(at, end, part.hotStart, part.coldStart);
      at = end;
      let run = runsAt;
      for (const { runs } of plans) {
        const found = doubles[run + 1] ?? 0;
        if (found > 0) runs.push({ part: index, start: doubles[run] ?? 0, count: found });
        run += 2;
      }
    }
    return plans;
  }

  /**
   * Makes room for `count` durations, of which at most `most` are sorted at once, and come in runs of at most
   * `runBytes`. What was taken before is no more. Throws CAPACITY.
   */
  room(count: number, most: number, runBytes: number): void {
    this.#page = enough(this.#wasm.room(count, most, runBytes));
    this.#look();
  }

  /**
   * Takes a run of durations below 2^`bits`, of `width` bytes each, as those from `place` on. Throws
   * CORRUPT_ARCHIVE when they are not, or do not ascend.
   */
  take(bytes: Uint8Array, place: number, width: number, bits: number): void {
    this.#bytes.set(bytes, this.#page);
    if (this.#wasm.take(place, bytes.length / width, width, bits) !== 0) return;
    throw corruptPartial('a run is not in order');
  }

  /** Sorts the durations [place, place + count), all below 2^`bits`. */
  sort(place: number, count: number, bits: number): void {
    this.#wasm.sort(place, count, bits);
  }

  /** The duration at a place, less the least of its bucket. */
  valueAt(place: number): bigint {
    return this.#wasm.valueAt(place);
  }

  /** Looks at the memory anew, as it may have grown. */
  #look(): void {
    const { buffer } = this.#wasm.memory;
    if (this.#bytes.buffer === buffer) return;
    this.#bytes = new Uint8Array(buffer);
    this.#doubles = new Float64Array(buffer);
  }
}

function enough(address: number): number {
  if (address !== 0) return address >>> 0;
  throw new TidemarkError('CAPACITY', 'Cannot hold the runs of a merge: they pass 4 GiB');
}

function notWell(): TidemarkError {
  return corruptPartial('the buckets of a group do not add up to its totals');
}

function neverAborts(): void {
  assert.fail('The kernel aborted, which its code never does');
}
