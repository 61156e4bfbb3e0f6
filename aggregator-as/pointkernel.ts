/**
 * The host side of the batch kernel of metrics (`assembly/aggregatepoints.ts`): data points of one shard
 * in, the figures of each series and hour out. It knows codes, not strings, and reads or writes no file.
 */
import { exponentialBucketsMax } from '../schemas/limits/batch.ts';
import { Grouper, type GrouperExports, type Stage } from './grouper.ts';
import type { ShardKernelOptions } from './grouper.ts';

/** What a point is: `kinds` of the columns. */
export const pointKinds = {
  none: 0,
  double: 1,
  int: 2,
  histogram: 3,
  other: 4,
  exponential: 5,
  summary: 6,
} as const;

/** Words that come before the counts of an exponential histogram in its list of buckets. */
export const exponentialHeadWords = 4;

/** How the values of a series add up: `modes` of the columns. */
export const pointModes = { none: 0, delta: 1, cumulative: 2 } as const;

/** Bits of `marks`: what a histogram does not say. */
export const histogramMarks = { noMin: 1, noMax: 2, noSum: 4 } as const;

/** Columns of one record batch. What a kind of point does not have is 0. */
export interface PointColumns {
  rows: number;
  /** 16 bytes a row. */
  seriesHashes: Uint8Array;
  /** Nanoseconds since 1970; 0 when not sent. */
  startsNs: BigInt64Array;
  timesNs: BigInt64Array;
  /** Bits of doubles, or ints, as `kinds` says. */
  values: BigInt64Array;
  ingestedMs: BigInt64Array;
  offsets: BigInt64Array;
  counts: BigUint64Array;
  sums: Float64Array;
  mins: Float64Array;
  maxs: Float64Array;
  tenants: Uint32Array;
  partitions: Int32Array;
  itemIndexes: Uint32Array;
  kinds: Uint8Array;
  modes: Uint8Array;
  monotonic: Uint8Array;
  marks: Uint8Array;
  /**
   * Bounds of row i: items [boundOffsets[i], boundOffsets[i + 1]) of `bounds`; buckets likewise. Those of a
   * summary are its quantiles, and the bits of their values. An exponential histogram has buckets only:
   * scale (i32) and number of positive buckets, positive and negative offset (i32), zero count, bits of the
   * zero threshold; then the counts of positive buckets and those of negative ones.
   */
  boundOffsets: Int32Array;
  bounds: Float64Array;
  bucketOffsets: Int32Array;
  buckets: BigUint64Array;
}

/** Figures of one hour of a series. Those of values are 0 when `values` is. */
export interface HourFigures {
  /** 0 to 23. */
  hour: number;
  increase: number;
  valueMin: number;
  valueMax: number;
  valueSum: number;
  valueLast: number;
  p50: number;
  p95: number;
  p99: number;
  histogramCount: bigint;
  histogramSum: number;
  histogramMin: number;
  histogramMax: number;
  /** Distinct points, and what was found among them. */
  points: number;
  duplicates: number;
  /** Duplicates that say otherwise than the point that was kept. */
  conflicts: number;
  /** Points that say that nothing was recorded. */
  unrecorded: number;
  nans: number;
  /** Totals of which is not known since when they count: no more than a base for the next. */
  bases: number;
  resets: number;
  /** Numbers that the value figures are of. */
  values: number;
  /** Bounds and counts of the merged histogram; `undefined` without one, or when bounds differed. */
  histogram: { bounds: Float64Array; buckets: BigUint64Array } | undefined;
  hasMixedBounds: boolean;
  marks: number;
  exponential: ExponentialFigures | undefined;
  /** Of a summary the last of the hour. */
  summary: { quantiles: Float64Array; values: Float64Array } | undefined;
}

/** The merged exponential histogram of an hour. Outer buckets have counts. */
export interface ExponentialFigures {
  scale: number;
  zeroCount: bigint;
  /** The largest that was sent. */
  zeroThreshold: number;
  /** The bucket of the threshold, if it had counts that are part of zero now. */
  zeroIndex: number | undefined;
  /** Bucket i is (base^(offset + i), base^(offset + i + 1)], base = 2^(2^-scale). */
  positiveOffset: number;
  positives: BigUint64Array;
  negativeOffset: number;
  negatives: BigUint64Array;
}

export interface SeriesResult {
  /** 32 hex digits. */
  seriesHash: string;
  tenant: number;
  /** Counts series in the order in which `onSeries` heard of them. */
  ordinal: number;
  /** Hours that have points or duplicates, ascending. Valid until the next series. */
  hours: HourFigures[];
}

interface PointExports extends GrouperExports {
  period(startNs: bigint, windowNs: bigint, bucketsMax: number): void;
  roomForLists(bytes: number): number;
  listsSplitAt(bytes: number): void;
  freshRows(): number;
  freshRowCount(): number;
  compute(series: number): number;
  hoursAt(): number;
  exponentsAt(): number;
}

export interface PointKernelOptions extends ShardKernelOptions {
  /** First millisecond of the period, of 24 hours, and of the hours that lead up to it. */
  periodMs: number;
  windowMs: number;
}

/** As in `assembly/aggregatepoints.ts`. */
const stageRows = 4096;
/** Bytes of lists that are staged at once, unless those of a single point are more. */
const stageListBytes = 256 * 1024;
const hashBytes = 16;
/** As in `assembly/points/pointset.ts`: words of a series, and those of its hash. */
const seriesNextWord = 6;
const hashWords = 4;
/** As in `assembly/points/hoursums.ts`. */
const hourBytes = 200;
const hourCount = 24;
/** As there: where the words begin, of which points and duplicates are the first. */
const firstCountWord = 24;
const bucketStateWord = 11;
const bucketStates = { none: 0, some: 1, mixed: 2, exponential: 3, quantiles: 4 } as const;
/** As in `assembly/points/exponents.ts`. */
const exponentialBytes = 96;

const nsPerMs = 1_000_000n;

/** Dedups the points of one shard and computes its series. Used as `ShardKernel` is. */
export class PointKernel {
  readonly #grouper: Grouper<PointExports>;

  /** Throws `TidemarkError` CAPACITY when the bound leaves no room to begin. */
  constructor(module: WebAssembly.Module, options: PointKernelOptions) {
    this.#grouper = new Grouper(module, options);
    const { periodMs, windowMs } = options;
    const [periodNs, windowNs] = [BigInt(periodMs) * nsPerMs, BigInt(windowMs) * nsPerMs];
    this.#grouper.exports.period(periodNs, windowNs, exponentialBucketsMax);
  }

  /**
   * Appends all rows; `onSeries` hears of each row that is the first of its series in the shard.
   * Throws `TidemarkError` CAPACITY; only `reset` may follow then.
   */
  add(columns: PointColumns, onSeries: (row: number) => void): void {
    this.#grouper.assertFilling();
    for (let from = 0; from < columns.rows;) {
      const to = fitting(columns, from);
      this.#stageLists(columns, from, to);
      stageColumns(this.#grouper.stage(stageRows), columns, from, to);
      this.#grouper.ingest(to - from);
      for (const row of this.#freshRows()) onSeries(from + row);
      from = to;
    }
  }

  /** All series, ascending by hash, then by the order of their tenants' codes. Throws CAPACITY. */
  finish(): Iterable<SeriesResult> {
    this.#grouper.finish(false);
    return this.#series();
  }

  /** Forgets all points. The memory stays as large as it has grown. */
  reset(): void {
    this.#grouper.reset();
  }

  *#series(): Generator<SeriesResult> {
    const { exports } = this.#grouper;
    for (const address of sortedSeries(exports)) {
      if (exports.compute(address) !== 0) this.#grouper.fail();
      const words = new Uint32Array(exports.memory.buffer, address, seriesNextWord);
      yield {
        seriesHash: hexOf(words.subarray(0, hashWords)),
        tenant: words[hashWords] ?? 0,
        ordinal: words[hashWords + 1] ?? 0,
        hours: readHours(exports),
      };
    }
  }

  #freshRows(): Uint32Array {
    const { exports } = this.#grouper;
    return new Uint32Array(
      exports.memory.buffer,
      exports.freshRows() >>> 0,
      exports.freshRowCount(),
    );
  }

  /** Lays the rows' bounds and then their counts where the kernel takes them from. */
  #stageLists(columns: PointColumns, from: number, to: number): void {
    const { exports } = this.#grouper;
    const bounds = columns.bounds.subarray(columns.boundOffsets[from], columns.boundOffsets[to]);
    const buckets = columns.buckets.subarray(
      columns.bucketOffsets[from],
      columns.bucketOffsets[to],
    );
    const bytes = bounds.byteLength + buckets.byteLength;
    const at = exports.roomForLists(Math.max(bytes, stageListBytes)) >>> 0;
    if (at === 0) this.#grouper.fail();
    new Float64Array(exports.memory.buffer, at, bounds.length).set(bounds);
    new BigUint64Array(exports.memory.buffer, at + bounds.byteLength, buckets.length).set(buckets);
    exports.listsSplitAt(bounds.byteLength);
  }
}

/** End of the rows from `from` on that fit on the stage: one at least. */
function fitting({ rows, boundOffsets, bucketOffsets }: PointColumns, from: number): number {
  const itemsAt = (row: number) => (boundOffsets[row] ?? 0) + (bucketOffsets[row] ?? 0);
  let to = Math.min(rows, from + stageRows);
  while (to > from + 1 && (itemsAt(to) - itemsAt(from)) * 8 > stageListBytes) {
    to = from + ((to - from) >> 1);
  }
  return to;
}

function stageColumns(stage: Stage, columns: PointColumns, from: number, to: number): void {
  stage.place(columns.seriesHashes, from, to, hashBytes);
  stage.place(columns.startsNs, from, to);
  stage.place(columns.timesNs, from, to);
  stage.place(columns.values, from, to);
  stage.place(columns.ingestedMs, from, to);
  stage.place(columns.offsets, from, to);
  stage.place(columns.counts, from, to);
  stage.place(columns.sums, from, to);
  stage.place(columns.mins, from, to);
  stage.place(columns.maxs, from, to);
  stage.place(columns.tenants, from, to);
  stage.place(columns.partitions, from, to);
  stage.place(columns.itemIndexes, from, to);
  stage.place(endsOf(columns.boundOffsets, from, to), 0, to - from);
  stage.place(endsOf(columns.bucketOffsets, from, to), 0, to - from);
  stage.place(columns.kinds, from, to);
  stage.place(columns.modes, from, to);
  stage.place(columns.monotonic, from, to);
  stage.place(columns.marks, from, to);
}

/** Ends of the rows' lists, counted from where the first begins. */
function endsOf(offsets: Int32Array, from: number, to: number): Int32Array {
  const first = offsets[from] ?? 0;
  return offsets.slice(from + 1, to + 1).map((end) => end - first);
}

function sortedSeries(kernel: PointExports): Uint32Array {
  const words = new Uint32Array(kernel.memory.buffer);
  const addresses = new Uint32Array(kernel.groupCount());
  let address = kernel.firstGroup() >>> 0;
  for (let i = 0; i < addresses.length; i++) {
    addresses[i] = address;
    address = words[address / 4 + seriesNextWord] ?? 0;
  }
  return addresses.toSorted((a, b) => {
    for (let word = 0; word <= hashWords; word++) {
      const difference = (words[a / 4 + word] ?? 0) - (words[b / 4 + word] ?? 0);
      if (difference !== 0) return difference;
    }
    return 0;
  });
}

function hexOf(words: Uint32Array): string {
  return Array.from(words, (word) => word.toString(16).padStart(8, '0')).join('');
}

function readHours(exports: PointExports): HourFigures[] {
  const hours: HourFigures[] = [];
  const { buffer } = exports.memory;
  const at = exports.hoursAt() >>> 0;
  const words = new Uint32Array(buffer, at, (hourCount * hourBytes) / 4);
  for (let hour = 0; hour < hourCount; hour += 1) {
    const points = (hour * hourBytes) / 4 + firstCountWord;
    if (words[points] === 0 && words[points + 1] === 0) continue;
    const figures = readHour(buffer, at + hour * hourBytes, hour);
    if (words[points + bucketStateWord] === bucketStates.exponential) {
      const exponentialAt = (exports.exponentsAt() >>> 0) + hour * exponentialBytes;
      figures.exponential = readExponential(buffer, exponentialAt);
    }
    hours.push(figures);
  }
  return hours;
}

/** The fields of `HourSums` in their order. */
function readHour(buffer: ArrayBuffer, at: number, hour: number): HourFigures {
  const view = new DataView(buffer, at, hourBytes);
  const double = (index: number): number => view.getFloat64(index * 8, true);
  const word = (index: number): number => view.getUint32((firstCountWord + index) * 4, true);
  const boundCount = word(9);
  const state = word(bucketStateWord);
  return {
    hour,
    increase: double(0),
    valueMin: double(1),
    valueMax: double(2),
    valueSum: double(3),
    valueLast: double(4),
    p50: double(5),
    p95: double(6),
    p99: double(7),
    histogramCount: view.getBigUint64(64, true),
    histogramSum: double(9),
    histogramMin: double(10),
    histogramMax: double(11),
    points: word(0),
    duplicates: word(1),
    conflicts: word(2),
    unrecorded: word(3),
    nans: word(4),
    bases: word(5),
    resets: word(6),
    values: word(7),
    histogram:
      state === bucketStates.some
        ? {
            bounds: new Float64Array(buffer, word(8), boundCount),
            buckets: new BigUint64Array(buffer, word(10), boundCount + 1),
          }
        : undefined,
    hasMixedBounds: state === bucketStates.mixed,
    marks: word(12),
    exponential: undefined,
    summary:
      state === bucketStates.quantiles
        ? {
            quantiles: new Float64Array(buffer, word(8), boundCount),
            values: new Float64Array(buffer, word(10), boundCount),
          }
        : undefined,
  };
}

/** The fields of `Hour` in `assembly/points/exponents.ts` in their order. */
function readExponential(buffer: ArrayBuffer, at: number): ExponentialFigures {
  const view = new DataView(buffer, at, exponentialBytes);
  const long = (offset: number): number => Number(view.getBigInt64(offset, true));
  const counts = (offset: number): BigUint64Array =>
    new BigUint64Array(buffer, view.getUint32(offset, true), view.getUint32(offset + 4, true));
  return {
    scale: Math.max(long(16), -(2 ** 31)),
    zeroCount: view.getBigUint64(0, true),
    zeroThreshold: view.getFloat64(8, true),
    zeroIndex: view.getUint32(80, true) === 0 ? undefined : long(72),
    positiveOffset: long(24),
    positives: counts(40),
    negativeOffset: long(48),
    negatives: counts(64),
  };
}
