/**
 * The parts of histograms, exponential histograms and summaries in a record batch, laid out as the kernel
 * takes them: see `PointColumns.bounds`. Copies nothing when there are plain histograms only.
 */
import { exponentialHeadWords, type PointColumns } from '../../aggregator-as/pointkernel.ts';
import { hasBit, type ArrowBatch } from '../shard/arrow.ts';
import type { RowSlice } from '../work.ts';

export type PointLists = Pick<
  PointColumns,
  'boundOffsets' | 'bounds' | 'bucketOffsets' | 'buckets'
>;

/** What the parts of a row are of. */
export type PartsKind = 'histogram' | 'exponential' | 'summary' | 'none';

/** The lists of the slice's rows when all that have any are plain histograms: views. */
export function plainLists({ arrow, from, to }: RowSlice): PointLists {
  const bounds = arrow.doubleLists('ExplicitBounds');
  const buckets = arrow.uint64Lists('BucketCounts');
  return {
    boundOffsets: bounds.offsets.subarray(from, to + 1),
    bounds: bounds.items,
    bucketOffsets: buckets.offsets.subarray(from, to + 1),
    buckets: buckets.items,
  };
}

/** The lists of rows of all kinds: copies. */
export function mixedLists(
  { arrow, from, to }: RowSlice,
  kindOf: (row: number) => PartsKind,
): PointLists {
  const parts = new Parts(arrow);
  const boundOffsets = new Int32Array(to - from + 1);
  const bucketOffsets = new Int32Array(to - from + 1);
  const kinds = Array.from({ length: to - from }, (_, index) => kindOf(from + index));
  for (const [index, kind] of kinds.entries()) {
    const { bounds, buckets } = parts.sizes(from + index, kind);
    boundOffsets[index + 1] = (boundOffsets[index] ?? 0) + bounds;
    bucketOffsets[index + 1] = (bucketOffsets[index] ?? 0) + buckets;
  }
  const bounds = new Float64Array(boundOffsets[to - from] ?? 0);
  const buckets = new BigUint64Array(bucketOffsets[to - from] ?? 0);
  for (const [index, kind] of kinds.entries()) {
    const places = { boundsAt: boundOffsets[index] ?? 0, bucketsAt: bucketOffsets[index] ?? 0 };
    parts.copy(from + index, kind, { bounds, buckets, ...places });
  }
  return { boundOffsets, bounds, bucketOffsets, buckets };
}

interface Target {
  readonly bounds: Float64Array;
  readonly buckets: BigUint64Array;
  readonly boundsAt: number;
  readonly bucketsAt: number;
}

type List<Items> = { readonly offsets: Int32Array; readonly items: Items };

class Parts {
  readonly #bounds: List<Float64Array>;
  readonly #buckets: List<BigUint64Array>;
  readonly #positives: List<BigUint64Array>;
  readonly #negatives: List<BigUint64Array>;
  readonly #quantiles: List<Float64Array>;
  readonly #values: List<Float64Array>;
  readonly #heads: Heads;

  constructor(arrow: ArrowBatch) {
    this.#bounds = arrow.doubleLists('ExplicitBounds');
    this.#buckets = arrow.uint64Lists('BucketCounts');
    this.#positives = arrow.uint64Lists('PositiveBucketCounts');
    this.#negatives = arrow.uint64Lists('NegativeBucketCounts');
    this.#quantiles = arrow.doubleLists('ValueAtQuantiles.Quantile');
    this.#values = arrow.doubleLists('ValueAtQuantiles.Value');
    this.#heads = new Heads(arrow);
  }

  sizes(row: number, kind: PartsKind): { bounds: number; buckets: number } {
    if (kind === 'none') return { bounds: 0, buckets: 0 };
    if (kind === 'histogram') {
      return { bounds: sizeOf(this.#bounds, row), buckets: sizeOf(this.#buckets, row) };
    }
    if (kind === 'summary') {
      return { bounds: sizeOf(this.#quantiles, row), buckets: sizeOf(this.#values, row) };
    }
    const counts = sizeOf(this.#positives, row) + sizeOf(this.#negatives, row);
    return { bounds: 0, buckets: exponentialHeadWords + counts };
  }

  copy(row: number, kind: PartsKind, target: Target): void {
    const { bounds, buckets, boundsAt, bucketsAt } = target;
    if (kind === 'histogram') {
      bounds.set(itemsOf(this.#bounds, row), boundsAt);
      buckets.set(itemsOf(this.#buckets, row), bucketsAt);
    } else if (kind === 'summary') {
      bounds.set(itemsOf(this.#quantiles, row), boundsAt);
      const bits = new Float64Array(buckets.buffer, buckets.byteOffset, buckets.length);
      bits.set(itemsOf(this.#values, row), bucketsAt);
    } else if (kind === 'exponential') {
      const positives = itemsOf(this.#positives, row);
      this.#heads.write(row, positives.length, buckets, bucketsAt);
      buckets.set(positives, bucketsAt + exponentialHeadWords);
      const negativesAt = bucketsAt + exponentialHeadWords + positives.length;
      buckets.set(itemsOf(this.#negatives, row), negativesAt);
    }
  }
}

/** What comes before the counts of an exponential histogram. */
class Heads {
  readonly #arrow: ArrowBatch;

  constructor(arrow: ArrowBatch) {
    this.#arrow = arrow;
  }

  write(row: number, positives: number, words: BigUint64Array, at: number): void {
    const view = new DataView(words.buffer, words.byteOffset + at * 8, exponentialHeadWords * 8);
    view.setInt32(0, this.#int('Scale', row), true);
    view.setUint32(4, positives, true);
    view.setInt32(8, this.#int('PositiveOffset', row), true);
    view.setInt32(12, this.#int('NegativeOffset', row), true);
    const isZeroes = hasBit(this.#arrow.validity('ZeroCount'), row);
    const zeroes = isZeroes ? this.#arrow.uint64OrNull('ZeroCount')[row] : undefined;
    view.setBigUint64(16, zeroes ?? 0n, true);
    const isThreshold = hasBit(this.#arrow.validity('ZeroThreshold'), row);
    const threshold = isThreshold ? this.#arrow.doubleOrNull('ZeroThreshold')[row] : undefined;
    view.setFloat64(24, threshold ?? 0, true);
  }

  #int(column: string, row: number): number {
    const isSent = hasBit(this.#arrow.validity(column), row);
    return isSent ? (this.#arrow.int32(column, 'nulls')[row] ?? 0) : 0;
  }
}

function sizeOf({ offsets }: List<unknown>, row: number): number {
  return (offsets[row + 1] ?? 0) - (offsets[row] ?? 0);
}

function itemsOf<Items extends Float64Array | BigUint64Array>(
  { offsets, items }: List<Items>,
  row: number,
): Items {
  return items.subarray(offsets[row], offsets[row + 1]) as Items;
}
